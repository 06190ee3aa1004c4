//! What keeps plaintext out of places that nobody asked for it to be.

/// Asks for no core file of this process: one would hold the values and the private keys that were in use.
///
/// Only the soft limit is lowered, so that a program that is started from here can raise it again. Linux does not obey the
/// limit where cores go to a program (`|` in `core_pattern`), so there the process is marked too; the mark also keeps
/// other processes of the same user out of its memory, and ends with the start of another program.
#[cfg(unix)]
pub fn no_core_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Core).maximum;
    // A refusal is no reason to refuse work: the limit is one more wall, not the only one.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// There are no core files here.
#[cfg(not(unix))]
pub fn no_core_files() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn the_process_is_marked_as_one_without_cores() {
        super::no_core_files();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
