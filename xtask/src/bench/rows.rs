//! The rows of the table: what is measured, and what it has to reach.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use ageseal_testkit::{age, rsa_oaep};
use anyhow::{Result, ensure};

use super::Sizes;
use super::contest::{Contender, Times, contest, median, ratio};
use super::fixture::{Fixture, Readers};
use super::inside::{Document, READ, rsa};
use super::process::Call;
use crate::run::say;

/// One row.
pub struct Row {
    /// The word that `--only` takes.
    pub name: &'static str,
    /// The work.
    pub work: &'static str,
    /// What it must reach, in words.
    pub must: &'static str,
    /// What was found.
    pub claims: Vec<Claim>,
    /// The times behind it.
    pub times: Vec<Times>,
}

/// One number and its limit.
pub struct Claim {
    /// What is compared.
    pub what: String,
    /// What was measured.
    pub measured: f64,
    /// The unit, `×` for a ratio.
    pub unit: &'static str,
    /// The limit.
    pub limit: Limit,
}

/// What a number must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// This or more.
    AtLeast(f64),
    /// Less than this.
    Below(f64),
}

impl Claim {
    fn times_faster(what: impl Into<String>, peer: Duration, ours: Duration, at_least: f64) -> Self {
        Self { what: what.into(), measured: ratio(peer, ours), unit: "×", limit: Limit::AtLeast(at_least) }
    }

    /// Whether it is reached.
    pub fn holds(&self) -> bool {
        match self.limit {
            Limit::AtLeast(limit) => self.measured >= limit,
            Limit::Below(limit) => self.measured < limit,
        }
    }
}

impl Row {
    /// Whether everything in it is reached.
    pub fn holds(&self) -> bool {
        self.claims.iter().all(Claim::holds)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.measured < 10.0 { 2 } else { 1 };
        let (word, limit) = match self.limit {
            Limit::AtLeast(limit) => ("at least", limit),
            Limit::Below(limit) => ("below", limit),
        };
        let verdict = if self.holds() { "" } else { " — falls short" };
        write!(f, "{}: {:.digits$} {} ({word} {limit}){verdict}", self.what, self.measured, self.unit)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, self.work)?;
        for claim in &self.claims {
            writeln!(f, "  {claim}")?;
        }
        for times in &self.times {
            writeln!(f, "  {}: wall {:?}, processor {:?}", times.name, times.wall(), times.cpu())?;
        }
        Ok(())
    }
}

type Measure = fn(&Bench<'_>) -> Result<Row>;

const ROWS: &[(&str, Measure)] =
    &[("one", one), ("tree", tree), ("open", open), ("check", check), ("no-op", no_op), ("start", start)];

/// The names of all rows.
pub fn names() -> String {
    ROWS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Measures all rows, or only the one of this name.
pub fn measure(ageseal: &Path, sizes: Sizes, only: Option<&str>) -> Result<Vec<Row>> {
    let chosen: Vec<_> = ROWS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)).collect();
    ensure!(!chosen.is_empty(), "no such row; there are {}", names());
    let fixture = Fixture::new(ageseal.to_owned())?;
    let bench = Bench { fixture: &fixture, ageseal, sizes };
    let rows = chosen.into_iter().map(|(name, measure)| {
        say(&format!("measuring {name}"));
        measure(&bench)
    });
    rows.collect()
}

struct Bench<'a> {
    fixture: &'a Fixture,
    ageseal: &'a Path,
    sizes: Sizes,
}

impl Bench<'_> {
    /// The peers, each sealing these sources one process after the other, as a part of so many.
    fn sealing_peers(&self, sources: &[impl AsRef<Path>], all: usize) -> Result<Vec<Contender<'static>>> {
        if !self.sizes.peers {
            return Ok(vec![]);
        }
        let certificate = self.fixture.certificate()?;
        let scale = u32::try_from(all / sources.len())?;
        let kubeseal = sources.iter().map(|source| self.fixture.kubeseal(&certificate, source.as_ref())).collect();
        let sops = sources.iter().map(|source| self.fixture.sops(source.as_ref())).collect::<Result<_>>()?;
        Ok(vec![Contender::in_a_loop("kubeseal", kubeseal, scale), Contender::in_a_loop("sops", sops, scale)])
    }
}

/// A contender who seals so many Secrets from nothing.
///
/// Each turn has a repository of its own: ext4 takes its time to use the place of a file that was removed just now, and
/// that would be measured too.
fn sealing<'a>(
    name: &'static str,
    bench: &'a Bench<'_>,
    readers: Readers,
    secrets: usize,
    threads: Option<&'static str>,
) -> Contender<'a> {
    Contender::prepared(name, move |turn| {
        let repository = bench.fixture.repository(&format!("{name} {turn}"), readers)?;
        let sources = repository.write_secrets(secrets)?;
        repository.settle()?;
        let call = repository.ageseal().args([Path::new("seal")]);
        let call = match sources.as_slice() {
            [source] => call.args([source]),
            _ => call.args(["overlays"]),
        };
        Ok(match threads {
            Some(threads) => call.env("RAYON_NUM_THREADS", threads),
            None => call,
        })
    })
}

const CLASSIC: &str = "ageseal, one X25519 recipient";
const HYBRID: &str = "ageseal, two post-quantum recipients";

/// Ours and theirs: the first `ours` of the times against each of the others.
fn split(times: &[Times], ours: usize) -> impl Iterator<Item = (&Times, &Times)> {
    let (ours, peers) = times.split_at(ours);
    ours.iter().flat_map(move |our| peers.iter().map(move |peer| (our, peer)))
}

fn one(bench: &Bench<'_>) -> Result<Row> {
    let sources = bench.fixture.repository("one", Readers::OneClassic)?.write_secrets(1)?;
    let mut contenders = vec![
        sealing(CLASSIC, bench, Readers::OneClassic, 1, None),
        sealing(HYBRID, bench, Readers::TwoHybrid, 1, None),
    ];
    contenders.extend(bench.sealing_peers(&sources, 1)?);
    let times = contest(&contenders, bench.sizes.turns)?;
    let mut claims: Vec<Claim> = split(&times, 2)
        .map(|(our, peer)| Claim::times_faster(format!("{} : {}", peer.name, our.name), peer.wall(), our.wall(), 5.0))
        .collect();
    for (name, readers) in [(CLASSIC, Readers::OneClassic), (HYBRID, Readers::TwoHybrid)] {
        let repository = bench.fixture.repository(&format!("peak {name}"), readers)?;
        let source = repository.write_secrets(1)?;
        let kib = repository.ageseal().args(["seal"]).args(source).peak()?;
        let measured = u32::try_from(kib).map(f64::from)? / 1024.0;
        let what = format!("peak resident memory of {name}");
        claims.push(Claim { what, measured, unit: "MiB", limit: Limit::Below(15.0) });
    }
    Ok(Row {
        name: "one",
        work: "one process: seal one Secret of 10 values",
        must: "at least 5 × faster than kubeseal and than sops, below 15 MiB resident",
        claims,
        times,
    })
}

fn tree(bench: &Bench<'_>) -> Result<Row> {
    let Sizes { secrets, sample, tree_turns, .. } = bench.sizes;
    let sources = bench.fixture.repository("tree", Readers::OneClassic)?.write_secrets(sample)?;
    let mut contenders = vec![
        sealing(CLASSIC, bench, Readers::OneClassic, secrets, None),
        sealing(HYBRID, bench, Readers::TwoHybrid, secrets, None),
        sealing("ageseal, one X25519 recipient, one thread", bench, Readers::OneClassic, secrets, Some("1")),
        sealing("ageseal, two post-quantum recipients, one thread", bench, Readers::TwoHybrid, secrets, Some("1")),
    ];
    contenders.extend(bench.sealing_peers(&sources, secrets)?);
    let mut times = contest(&contenders, tree_turns)?;
    let single = times.drain(2..4).collect::<Vec<_>>();
    let mut claims = vec![];
    for (our, peer) in split(&times, 2) {
        let cpu = if our.name == CLASSIC { 60.0 } else { 25.0 };
        claims.push(Claim::times_faster(format!("{} : {}, wall", peer.name, our.name), peer.wall(), our.wall(), 30.0));
        claims.push(Claim::times_faster(
            format!("{} : {}, processor", peer.name, our.name),
            peer.cpu(),
            our.cpu(),
            cpu,
        ));
    }
    for (our, single) in times.iter().zip(&single) {
        claims.push(Claim::times_faster(format!("one thread : two, {}", our.name), single.wall(), our.wall(), 1.5));
    }
    times.extend(single);
    Ok(Row {
        name: "tree",
        work: "a tree of 1,000 Secrets, 10 values each, one command",
        must: "at least 30 × faster than kubeseal and sops in a loop (files made durable as promised); processor time at \
               least 60 × less with one X25519 recipient, 25 × with two post-quantum ones; scales with cores (taken as: at \
               least 1.5 × faster with two threads than with one)",
        claims,
        times,
    })
}

fn open(bench: &Bench<'_>) -> Result<Row> {
    const NAMES: [&str; 2] = ["ageseal, X25519 identity", "ageseal, post-quantum identity"];
    let documents = [Document::new(Readers::OneClassic)?, Document::new(Readers::TwoHybrid)?];
    let mut ours = [vec![], vec![]];
    let mut theirs = vec![];
    // In turns, so that a slow spell of the machine meets everybody.
    for _ in 0..5 {
        for (document, times) in documents.iter().zip(&mut ours) {
            times.extend(document.open(bench.sizes.opens)?);
        }
        if bench.sizes.peers {
            theirs.extend(rsa(rsa_oaep(), bench.sizes.opens / 5)?.into_iter().map(|one| one * 10));
        }
    }
    theirs.sort();
    let mut claims = vec![];
    let mut times = vec![];
    for (name, mut wall) in NAMES.into_iter().zip(ours) {
        wall.sort();
        if bench.sizes.peers {
            let what = format!("ten RSA-4096 OAEP decryptions : {name}");
            claims.push(Claim::times_faster(what, median(&theirs), median(&wall), 200.0));
        }
        times.push(Times { name, wall, cpu: vec![] });
    }
    if bench.sizes.peers {
        times.push(Times { name: "ten RSA-4096 OAEP decryptions by Go's crypto/rsa", wall: theirs, cpu: vec![] });
    }
    Ok(Row {
        name: "open",
        work: "open 10 values, in process",
        must: "at least 200 × faster than ten RSA-4096 OAEP decryptions by Go's crypto/rsa",
        claims,
        times,
    })
}

fn check(bench: &Bench<'_>) -> Result<Row> {
    let repository = bench.fixture.repository("check", Readers::TwoHybrid)?;
    repository.write_secrets(bench.sizes.files / 10)?;
    repository.ageseal().args(["seal", "overlays"]).run()?;
    repository.remove_sources()?;
    repository.write_manifests(bench.sizes.files - bench.sizes.files / 10)?;
    repository.settle()?;
    let reading = Call::new(std::env::current_exe()?, repository.folder()).args([READ, "."]);
    let contenders = [
        Contender::new("ageseal check", repository.ageseal().args(["check"])),
        Contender::new("reading and parsing alone", reading),
    ];
    let times = contest(&contenders, bench.sizes.tree_turns * 2)?;
    let claims = split(&times, 1)
        .flat_map(|(check, reading)| {
            let claim = |what: &str, measured| {
                let what = format!("ageseal check : reading and parsing alone, {what}");
                Claim { what, measured, unit: "×", limit: Limit::Below(2.0) }
            };
            [claim("wall", ratio(check.wall(), reading.wall())), claim("processor", ratio(check.cpu(), reading.cpu()))]
        })
        .collect();
    Ok(Row {
        name: "check",
        work: "`check` of 10,000 files of which 1,000 are sealed",
        must: "under 2 × the time of only reading and YAML-parsing the same files",
        claims,
        times,
    })
}

fn no_op(bench: &Bench<'_>) -> Result<Row> {
    let mut claims = vec![];
    let mut all = vec![];
    for (readers, sealing_name, again) in [
        (Readers::OneClassic, "sealing, one X25519 recipient", "sealing again, one X25519 recipient"),
        (Readers::TwoHybrid, "sealing, two post-quantum recipients", "sealing again, two post-quantum recipients"),
    ] {
        let again = Contender::prepared(again, |turn| {
            // The other's turn came before, so everything is sealed.
            let repository = bench.fixture.repository(&format!("{sealing_name} {turn}"), readers)?;
            repository.settle()?;
            Ok(repository.ageseal().args(["seal", "overlays"]).args([Path::new("-i"), repository.identity()]))
        });
        let contenders = [sealing(sealing_name, bench, readers, bench.sizes.secrets, None), again];
        let times = contest(&contenders, bench.sizes.tree_turns)?;
        for (first, again) in split(&times, 1) {
            claims.push(Claim::times_faster(
                format!("{} : {}", first.name, again.name),
                first.wall(),
                again.wall(),
                1.0,
            ));
        }
        all.extend(times);
    }
    Ok(Row {
        name: "no-op",
        work: "`seal` of 1,000 Secrets over a tree in which nothing changed, with an identity",
        must: "faster than sealing it",
        claims,
        times: all,
    })
}

fn start(bench: &Bench<'_>) -> Result<Row> {
    let folder = bench.ageseal.parent().unwrap_or(Path::new("."));
    let contenders = [
        Contender::new("ageseal --version", Call::new(bench.ageseal, folder).args(["--version"])),
        Contender::new("age --version", Call::new(age(), folder).args(["--version"])),
    ];
    let times = contest(&contenders, bench.sizes.turns * 5)?;
    let claims = split(&times, 1)
        .map(|(ours, age)| Claim::times_faster("age : ageseal", age.wall(), ours.wall(), 1.0))
        .collect();
    Ok(Row {
        name: "start",
        work: "start-up, `ageseal --version`",
        must: "not slower than `age --version` of the Go program",
        claims,
        times,
    })
}
