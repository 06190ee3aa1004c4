//! `docs/performance-controller.md`, written from one run.

use std::fmt::Write as _;
use std::process::Command;
use std::{env, fs, thread};

use super::lines::{Line, Must, better};
use super::samples::thousands;
use super::usage::SHARERS;

/// Why a row falls short, where it is known to.
const WHY: &[(&str, &str)] = &[("cold-1000", COLD), ("cold-10000", COLD), ("cpu", PROCESSOR)];

const COLD: &str = "\
the processors are used up, and there is more to do than the bare client has: documents are listed, a key opens values, and each \
document comes back over the watch when its status is written (see below). Statuses and the watch of Secrets wait until Secrets \
are there. How far rounds differ is said under the spread";

const PROCESSOR: &str = "\
two requests by the bare client, which opens nothing, are a third of it (see below); opening, the list of documents and two \
events of watches that its writes come back as are the rest. The limit was set on a machine whose ceiling was 1,100 Secrets a \
second";

const SHARES: &str = "\
## Who takes the processors

Everything runs on one machine, and the processors are what is used up: a rate is what is left of them. For one document:

";

const HOW: &str = "\
## How this is measured

- etcd, kube-apiserver and kube-controller-manager run on this machine and share its processors with whoever is measured.
  etcd waits for the disk; Secrets are encrypted at rest; there is an audit log (who asked for what and when, no contents).
- The controller is a process of its own, built for release, with the Roles that are shipped, its own ServiceAccount (so
  that priority and fairness is over it) and its default flags. A document has ten values of 16 to 43 characters, sealed for
  two post-quantum recipients, in one envelope: {size} as JSON.
- *Cold*: all documents are there, none has a status or a Secret, and the controller has its identity. The clock runs from
  the start of the process. The end is read off the audit log: nobody looks while it works.
- *The ceiling* is a bare client that knows its requests beforehand, with a ServiceAccount of its own, in the same control
  plane: server-side applies of Secrets of the same shape and size; then the same with a write of the status of a document
  of the same size each, of a copy of the custom resource in another group. It tries {at_once} requests at a time, a
  thousand Secrets or more in a row at each, before the controller and again after it, and the best counts. All of this is
  done three times, in a control plane each; a row shows the round that is in the middle of its own three, and the spread
  shows all.
- *A new document*, *a document changed*, *a Secret deleted*: one at a time, with a pause between. The clock runs from the
  moment the request is sent until a watch of Secrets shows what was waited for, so the request is in the time.
- *Ready*: `/readyz` says yes, from the start of the process. What it wrote and read is counted from the audit log,
  decryptions from its metrics.
- Memory is the kernel's `VmHWM` and `VmRSS`, the latter {settle} after all was done. Processor time is the kernel's, in user
  mode and in the kernel, over all threads, from the start of the process to three seconds after its last write.
- The peer is the controller of sealed-secrets v0.40.0, built from the Go module proxy, in a control plane of its own of the
  same kind, with `--kubeclient-qps=-1 --log-level=ERROR`: without its own limit on requests it is fastest. Its documents
  have the same values, sealed by kubeseal for its RSA-4096 certificate; its custom resource is without a schema.
- *Times as good* is ageseal's rate divided by the one beside it; for times and memory the one beside it, or the limit,
  divided by ageseal's.

`cargo xtask bench controller` measures again and writes this page (Go needed; half an hour).
";

/// What the page says besides its lines.
pub(crate) struct Facts {
    /// The load of the machine at the start.
    pub(crate) load: f64,
    /// The size of a document in bytes.
    pub(crate) size: usize,
    /// How long memory settles.
    pub(crate) settle: String,
    /// Why there is no peer, if there is none.
    pub(crate) no_peer: Option<String>,
    /// The table of spreads.
    pub(crate) spreads: Vec<[String; 5]>,
    /// The table of processor time.
    pub(crate) shares: Vec<Vec<String>>,
}

/// A load up to which a machine counts as quiet.
pub(crate) const QUIET: f64 = 0.5;

/// The page.
pub(crate) fn markdown(facts: &Facts, lines: &[Line]) -> String {
    let mut page = String::from(
        "# Performance of the controller\n\n<!-- Written by `cargo xtask bench controller`. What is edited here by hand is lost. -->\n\n",
    );
    // Writing into a String has no error, here and below.
    let _ = writeln!(page, "Measured on {}.\n", machine());
    if facts.load > QUIET {
        let load = facts.load;
        let _ =
            writeln!(page, "Other work was running on it (load {load} at the start): read all of this with care.\n");
    }
    if let Some(why) = &facts.no_peer {
        let _ = writeln!(
            page,
            "The peer is missing: it needs a mount namespace of its own, and `unshare -m` says: {why}.\n"
        );
    }
    page.push_str("## What must be reached, and what was\n\n");
    page.push_str(
        "| work | N | ageseal | beside it | times as good | must reach | verdict |\n|---|---|---|---|---|---|---|\n",
    );
    for line in lines {
        let beside = if line.beside.is_empty() { "–" } else { &line.beside };
        let (count, better, must, verdict) = (thousands(line.count), better(line), must(&line.must), verdict(line));
        let _ =
            writeln!(page, "| {} | {count} | {} | {beside} | {better} | {must} | {verdict} |", line.what, line.ours);
    }
    page.push_str("\n## The spread\n\n| what | how often | least | median | most |\n|---|---|---|---|---|\n");
    for row in &facts.spreads {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
    let _ = write!(page, "\n{SHARES}| what | N |");
    let _ = writeln!(page, " {} | all |\n|{}", SHARERS.join(" | "), "---|".repeat(SHARERS.len() + 3));
    for row in &facts.shares {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
    let at_once = super::ceiling::AT_ONCE.map(|at_once| at_once.to_string()).join(", ");
    let size = format!("{:.1} kB", f64::from(u32::try_from(facts.size).unwrap_or(u32::MAX)) / 1000.0);
    let how = HOW.replace("{size}", &size).replace("{at_once}", &at_once).replace("{settle}", &facts.settle);
    let _ = write!(page, "\n{how}");
    page
}

/// One line for the terminal.
pub(crate) fn text(line: &Line) -> String {
    let beside = if line.beside.is_empty() { String::new() } else { format!(" [{}]", line.beside) };
    let verdict = match line.holds() {
        Some(true) => ", reached",
        Some(false) => ", FALLS SHORT",
        None => "",
    };
    format!(
        "{} (N {}): {}{beside} {} (must: {}){verdict}",
        line.what,
        line.count,
        line.ours,
        better(line),
        must(&line.must)
    )
}

fn must(must: &Must) -> String {
    match must {
        Must::Times(least) => format!("at least {least} ×"),
        Must::Under(limit) => format!("under {limit}"),
        Must::Exactly(what, _) => (*what).to_owned(),
        Must::Nothing => "–".to_owned(),
    }
}

fn verdict(line: &Line) -> String {
    match line.holds() {
        None => "–".to_owned(),
        Some(true) => "reached".to_owned(),
        Some(false) => {
            let known = WHY.iter().find(|(row, _)| *row == line.row && !matches!(line.must, Must::Exactly(..)));
            let why = known.map_or("not looked into yet", |(_, why)| why);
            format!("**falls short**: {why}")
        }
    }
}

/// The machine: its cores, their make, the version of the Kubernetes programs and of Rust.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, model)| model);
    let kind = if info.contains("hypervisor") { "a virtual machine" } else { "a machine" };
    let (api_server, rust) = (first_line(ageseal_testkit::kube_apiserver()), first_line("rustc".as_ref()));
    let (os, arch) = (env::consts::OS, env::consts::ARCH);
    format!("{kind} with {cores} cores ({}, {os}-{arch}), {api_server}, {rust}", model.unwrap_or("unknown"))
}

fn first_line(program: &std::path::Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(better: f64, must: Must) -> Line {
        Line {
            row: "no-such-row",
            what: "work".to_owned(),
            count: 10_000,
            ours: "7.00 ms".to_owned(),
            beside: String::new(),
            better: Some(better),
            must,
        }
    }

    #[test]
    fn the_page_says_what_falls_short_and_that_there_is_no_peer() {
        let facts = Facts {
            load: 3.0,
            size: 7_512,
            settle: "30.0 s".to_owned(),
            no_peer: Some("Operation not permitted".to_owned()),
            spreads: vec![["a new document", "50", "6 ms", "7 ms", "9 ms"].map(str::to_owned)],
            shares: vec![["cold", "50", "1 ms", "4 ms", "1 ms", "1 ms", "7 ms"].map(str::to_owned).to_vec()],
        };
        let page = markdown(&facts, &[line(1.5, Must::Under("10.0 ms".to_owned())), line(0.5, Must::Times(0.7))]);
        assert!(page.contains("| work | 10,000 | 7.00 ms | – | 1.50 × | under 10.0 ms | reached |"), "{page}");
        assert!(page.contains("| 0.50 × | at least 0.7 × | **falls short**: not looked into yet |"), "{page}");
        assert!(page.contains("`unshare -m` says: Operation not permitted"), "{page}");
        assert!(page.contains("| a new document | 50 | 6 ms | 7 ms | 9 ms |"), "{page}");
        let head = "| what | N | whoever asks | kube-apiserver | etcd | kube-controller-manager | all |\n|---|---|---|---|---|---|---|\n";
        assert!(page.contains(&format!("{head}| cold | 50 | 1 ms | 4 ms | 1 ms | 1 ms | 7 ms |")), "{page}");
        assert!(page.contains("load 3 at the start") && page.contains("7.5 kB"), "{page}");
        assert!(!page.contains('{'), "{page}");
    }

    #[test]
    fn reasons_are_of_rows_that_there_are() {
        for (row, why) in WHY {
            assert!(crate::figures::ROWS.contains(row), "{row}");
            assert!(!why.is_empty() && !why.contains('|') && !why.contains('\n'), "{row} is one cell of a table");
        }
    }

    #[test]
    fn a_line_for_the_terminal_is_one_line() {
        let text = text(&line(0.5, Must::Times(0.7)));
        assert_eq!(text, "work (N 10000): 7.00 ms 0.50 × (must: at least 0.7 ×), FALLS SHORT");
    }
}
