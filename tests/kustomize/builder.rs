//! The programs that build a tree: kustomize as it is, as it was, and as kubectl carries it.

use std::path::Path;

use ageseal_testkit::{Command, kubectl_with_kustomize, kustomize, kustomize_5_6};

/// A program that builds a kustomization.
#[derive(Debug)]
pub struct Builder {
    /// How it is named in what a run prints and in the table of differences.
    pub name: &'static str,
    program: fn() -> &'static Path,
    build: &'static [&'static str],
    version: &'static [&'static str],
    /// What stands at the end of what it says of its version.
    says: &'static str,
    /// How many of the random trees it builds, where not all of them are for it.
    pub trees: usize,
}

/// The kustomize that every case file is held against.
pub const KUSTOMIZE: Builder =
    Builder { name: "5.8", program: kustomize, build: &["build"], version: &["version"], says: "v5.8.2", trees: 0 };

/// The others that have to give the same answers.
pub const OTHERS: &[Builder] = &[
    Builder {
        name: "5.6",
        program: kustomize_5_6,
        build: &["build"],
        version: &["version"],
        says: "v5.6.0",
        trees: 400,
    },
    Builder {
        name: "kubectl",
        program: kubectl_with_kustomize,
        build: &["kustomize"],
        version: &["version", "--client"],
        says: "Kustomize Version: v5.8.2",
        // The same library, four times as long.
        trees: 100,
    },
];

impl Builder {
    /// The command that builds a folder of a tree.
    pub fn command(&self, root: &Path, folder: &str, load_any: bool) -> Command {
        let mut command = Command::new((self.program)()).args(self.build).current_dir(root);
        if load_any {
            command = command.args(["--load-restrictor", "LoadRestrictionsNone"]);
        }
        command.arg(root.join(folder)).env("HOME", root)
    }
}

/// The versions stand in the manual: another one is another claim.
#[test]
fn every_builder_is_of_the_version_that_it_is_named_after() {
    for builder in [KUSTOMIZE].iter().chain(OTHERS) {
        let said = Command::new((builder.program)()).args(builder.version).run();
        assert!(said.stdout_text().trim().ends_with(builder.says), "{builder:?}: {said:?}");
    }
}
