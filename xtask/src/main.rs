//! The project's own chores: the tour, the layers, what is generated, what is measured.

mod check;
mod run;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <chore>

  check      the layers of the crates, and that what is generated is up to date
";

fn main() -> ExitCode {
    let chore = std::env::args().nth(1);
    let outcome = match chore.as_deref() {
        Some("check") => check::check(),
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
