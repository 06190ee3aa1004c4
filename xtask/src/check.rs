//! What the compiler does not check: which crate may stand on which.

use anyhow::{Result, ensure};

use crate::run::{cargo, say};

/// A package, and the crates that must not be below it.
const LAYERS: &[(&str, &[&str])] = &[
    // The core is pure: no async runtime, no HTTP, no command line, no terminal, no file walking.
    (
        "ageseal",
        &[
            "tokio",
            "async-std",
            "hyper",
            "reqwest",
            "kube-client",
            "clap",
            "tracing",
            "rayon",
            "indicatif",
            "rpassword",
            "tempfile",
        ],
    ),
    // The command line opens and seals by itself; the commands that name a cluster are clients of its API server.
    ("ageseal-cli", &["ageseal-controller", "kube-runtime", "axum", "prometheus-client"]),
    // The controller has neither a terminal nor the kinds of recipients that run programs.
    ("ageseal-controller", &["ageseal-cli", "indicatif", "rpassword", "rsa"]),
];

/// Checks everything; the first thing that does not hold is the error.
pub fn check() -> Result<()> {
    layers()?;
    say("layers: hold");
    crate::generate::check()
}

fn layers() -> Result<()> {
    for (package, banned) in LAYERS {
        let tree = cargo(&["tree", "--locked", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}"])?;
        for name in *banned {
            let found = tree.lines().any(|line| line.split(' ').next() == Some(name));
            ensure!(!found, "{package} stands on {name}: see cargo tree -p {package} -i {name}");
        }
    }
    Ok(())
}
