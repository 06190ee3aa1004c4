//! The project's own chores: the tour, the layers, what is generated, what is measured.

mod bench;
mod check;
mod demo;
mod generate;
mod run;
mod secrets;
mod shell;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <chore>

  demo [--offline]               the main job on the example, in a scratch folder, command by command
  check                          the layers of the crates, and that what is generated is up to date
  generate [FILE…]               what is made from the code: the manifest of the CRD, docs/cli.md
  bench [--quick] [--only ROW]   whole processes beside kubeseal and sops; writes docs/performance.md
  bench controller [--quick] [--without-peer] [--only ROW]
                                 the controller beside the ceiling of the API server and beside the controller of
                                 sealed-secrets; writes docs/performance-controller.md
";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let chore = arguments.next();
    let outcome = match chore.as_ref().and_then(|chore| chore.to_str()) {
        Some("demo") => demo::demo(arguments),
        Some("check") => check::check(),
        Some("generate") => generate::generate(arguments),
        Some("bench") => bench::bench(arguments),
        Some(bench::MEASURE) => bench::measure(arguments),
        Some(bench::PEAK) => bench::peak_of(arguments),
        Some(bench::READ) => bench::read_yaml_below(arguments.next()),
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
