//! The controller's figures, as a program: `cargo xtask bench controller` builds it for release and runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ageseal_cluster::figures::main()
}
