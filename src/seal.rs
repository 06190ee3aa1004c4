//! Sealing and opening one value.
