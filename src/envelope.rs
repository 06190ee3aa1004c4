//! The DEK and its age envelope.
