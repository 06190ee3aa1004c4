//! What keeps plaintext out of places that nobody asked for it to be.

/// Asks for no core file of this process: one would hold the values and the private keys that were in use.
///
/// Only the soft limit is lowered, so that a program that is started from here can raise it again.
#[cfg(unix)]
pub fn no_core_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Core).maximum;
    // A refusal is no reason to refuse work: the limit is one more wall, not the only one.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
}

/// There are no core files here.
#[cfg(not(unix))]
pub fn no_core_files() {}
