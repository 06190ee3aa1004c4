//! The real programs that the tests talk to.
