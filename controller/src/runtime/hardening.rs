//! What keeps private keys and plaintext inside the process.

/// Asks for no core file of this process: one would hold the identities and the values that were in use.
///
/// Linux does not obey the limit where cores go to a program (`|` in `core_pattern`), so there the process is marked too; the
/// mark also keeps other processes of the same user out of its memory. A refusal is no reason not to work: it is one more
/// wall, not the only one.
pub fn no_core_files() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
