//! `docs/performance.md`, written from one run.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;
use std::{env, fs, thread};

use ageseal_testkit::{age, kubeseal, sops};
use anyhow::Result;

use super::Sizes;
use super::contest::Times;
use super::rows::Row;
use crate::run::first_line;

/// Why a row falls short, where it is known to.
const WHY: &[(&str, &str)] = &[
    (
        "one",
        "what ageseal takes is the start of the process, two waits for the disk (the file and its folder are synced before it says \
         `sealed`, which the peers do not do) and a third of a millisecond of work; on a machine with other work the waits grow first",
    ),
    (
        "tree",
        "of ageseal's processor time, for one X25519 recipient, a third and more is the kernel that makes, syncs and renames the files, \
         which the peers do not do in this way; the peers' own share is mostly their start-up, a thousand times. Two processors \
         share one disk, so the second thread gains less than its share",
    ),
    (
        "no-op",
        "opening for a post-quantum identity costs what sealing for one recipient does; what is saved is the writing, which takes little \
         processor time",
    ),
];

const HOW: &str = "\
## How this is measured

- Programs are built for release and run as whole processes, from their start to their end; contenders take turns, so that a
  slow spell of the machine meets everybody. The figures are medians, the first turn of each does not count.
- Processor time is what the kernel charges to a process, its threads and the processes that it starts. Peak memory is the
  kernel's own figure (`ru_maxrss`) for a process that a small parent started.
- A Secret has 10 values of 16 to 43 characters. ageseal works in a git repository with a policy, and finds both by itself.
  Files are on a disk, not in memory: ageseal makes every file durable before it puts it in place, the peers do not.
- kubeseal seals with `--cert` and an RSA-4096 certificate, so that it asks no cluster. SOPS encrypts for one X25519 age
  recipient with `--encrypted-regex '^(data|stringData)$'`, also where ageseal encrypts for two post-quantum ones.
- Each turn of ageseal has fresh files, and starts when all of them are on the disk.
- The peers seal one file a process, which is what their commands do. They do so for {sample} of the 1,000 files, and the
  time is multiplied by {scale}.
- *Open* is measured inside the process on both sides: the envelope and ten values here, ten decryptions of a 32-byte session key
  there, as a controller of sealed-secrets makes for ten values. Neither side reads YAML or asks an API server in it.
- *Reading and parsing alone* walks the folder, reads every YAML file and pulls every event out of the parser that ageseal
  stands on, on all cores, and does nothing with them. `check` reads every file too, and then parses only those whose bytes
  could hold a Secret or a sealed document, so it can take less.

`cargo xtask bench` measures again and writes this page (Go and `openssl` needed; some ten minutes with the builds).
`cargo bench` measures the parts of the core.
";

/// The page.
pub fn markdown(ageseal: &Path, sizes: Sizes, others: f64, rows: &[Row]) -> Result<String> {
    let mut page = String::from(
        "# Performance\n\n<!-- Written by `cargo xtask bench`. What is edited here by hand is lost. -->\n\n",
    );
    writeln!(page, "Measured on {} on {}.\n", first_line("date", &["-u", "+%F"])?, machine()?)?;
    if others > super::QUIET {
        writeln!(
            page,
            "Other work was running on it (load {others} at the start): read wall times and scaling with care.\n"
        )?;
    }
    writeln!(page, "| program | version |\n|---|---|")?;
    for (program, version) in versions(ageseal)? {
        writeln!(page, "| {program} | {version} |")?;
    }
    writeln!(page, "\n## What must be reached, and what was\n")?;
    writeln!(page, "| work | must reach | measured | verdict |\n|---|---|---|---|")?;
    for row in rows {
        let measured: Vec<String> = row.claims.iter().map(ToString::to_string).collect();
        writeln!(page, "| {} | {} | {} | {} |", row.work, row.must, measured.join("<br>"), verdict(row))?;
    }
    writeln!(
        page,
        "\n## The times\n\n| contender | median | least | most | processor time, median |\n|---|---|---|---|---|"
    )?;
    for row in rows {
        writeln!(page, "| **{}** | | | | |", row.work)?;
        for times in &row.times {
            writeln!(page, "{}", line(times))?;
        }
    }
    let how = HOW.replace("{sample}", &sizes.sample.to_string());
    let how = how.replace("{scale}", &(sizes.secrets / sizes.sample).to_string());
    writeln!(page, "\n{}", how.trim_end())?;
    Ok(page)
}

fn verdict(row: &Row) -> String {
    if row.holds() {
        return "reached".to_owned();
    }
    let why = WHY.iter().find(|(name, _)| *name == row.name).map_or("not looked into yet", |(_, why)| why);
    format!("**falls short**: {why}")
}

fn line(times: &Times) -> String {
    let cpu = if times.cpu.is_empty() { String::from("–") } else { shown(times.cpu()) };
    let (least, most) = (times.wall.first().copied(), times.wall.last().copied());
    let [least, most] = [least, most].map(Option::unwrap_or_default).map(shown);
    format!("| {} | {} | {least} | {most} | {cpu} |", times.name, shown(times.wall()))
}

/// Three digits, with the unit that fits.
fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    let digits = if number >= 100.0 { 0 } else { usize::from(number < 10.0) + 1 };
    format!("{number:.digits$} {unit}")
}

fn versions(ageseal: &Path) -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("ageseal", first_line(ageseal, &["--version"])?),
        ("kubeseal", module_version(kubeseal(), "github.com/bitnami-labs/sealed-secrets")?),
        ("sops", module_version(sops(), "github.com/getsops/sops/v3")?),
        ("age", first_line(age(), &["--version"])?),
        ("Go", first_line("go", &["version"])?),
        ("Rust", first_line("rustc", &["--version"])?),
    ])
}

/// The version of a module in a Go program, as the program itself carries it.
fn module_version(program: &Path, module: &str) -> Result<String> {
    let output = std::process::Command::new("go").args(["version", "-m"]).arg(program).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != module);
        words.next().and(words.next()).map(str::to_owned)
    });
    Ok(version.unwrap_or_else(|| String::from("unknown")))
}

fn machine() -> Result<String> {
    let cores = thread::available_parallelism()?;
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, model)| model);
    let virtual_machine = if info.contains("hypervisor") { "a virtual machine" } else { "a machine" };
    Ok(format!(
        "{virtual_machine} with {cores} cores ({}, {}-{})",
        model.unwrap_or("unknown"),
        env::consts::OS,
        env::consts::ARCH
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        assert_eq!(shown(Duration::from_micros(2_346)), "2.35 ms");
        assert_eq!(shown(Duration::from_millis(24_310)), "24.3 s");
        assert_eq!(shown(Duration::from_nanos(123_456)), "123 µs");
    }
}
