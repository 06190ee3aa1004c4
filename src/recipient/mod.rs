//! Recipients and identities.
