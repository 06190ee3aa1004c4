//! Opening a sealed document, fail closed.
