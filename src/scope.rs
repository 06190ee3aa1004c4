//! Scopes: which Secrets a value may become part of.
