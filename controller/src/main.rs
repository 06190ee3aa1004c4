//! `ageseal-controller`: sealed documents become Secrets in the cluster, and stay true.

use std::process::ExitCode;

fn main() -> ExitCode {
    ageseal_controller::runtime::main()
}
