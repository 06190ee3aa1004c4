//! The policy of a repository.
