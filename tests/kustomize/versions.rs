//! The cases and a share of the random trees through other versions of kustomize.
//!
//! A repository is built by whatever Flux, Argo CD and kubectl carry: an answer that holds for one version alone is none.

use std::collections::{BTreeMap, BTreeSet};

use ageseal_testkit::Scratch;

use crate::archive;
use crate::builder::{Builder, OTHERS};
use crate::catalogue::{Answered, answered};
use crate::compare::{Agreed, Both, compare, ours};
use crate::forest::grow::Forest;
use crate::oracle::{self, Built, Thing};
use crate::{manual, parallel};

/// How one version differs from the one of the case files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    /// It refuses what the other one builds.
    Refuses,
    /// It builds what the other one refuses.
    Builds,
    /// Both build, and not the same: the resolver has to refuse it.
    Otherwise,
}

/// The cases that a version builds otherwise than the case file says: the case, the version, how, and why.
///
/// Where one of the two refuses, the resolver says what the other one builds, or refuses as well: whoever has that one
/// deploys nothing of it.
const DIFFERENCES: &[(&str, &str, How, &str)] = &[
    ("generator-merge-onto-string-data", "5.6", How::Otherwise, "stringData of a Secret that is merged onto was lost"),
    ("patch-empty-file", "5.6", How::Refuses, "a patch without anything in it was an error"),
    ("patch-options-unknown", "5.6", How::Builds, "the options of a patch were a map of any names"),
    ("replacement-reject-is-a-regex", "5.6", How::Otherwise, "what is rejected was a name and no expression"),
    ("replacement-select-is-a-regex", "5.6", How::Otherwise, "what is selected was a name and no expression"),
    (
        "replacement-select-is-a-regex-into-reference",
        "5.6",
        How::Otherwise,
        "what is selected was a name and no expression",
    ),
    (
        "replacement-select-is-a-regex-without-the-field",
        "5.6",
        How::Builds,
        "what is selected was a name and no expression, so nothing was",
    ),
    (
        "replacement-select-namespace-default",
        "5.6",
        How::Otherwise,
        "the namespace was compared as one that is `default` if it is left out",
    ),
    ("replacement-source-value", "5.6", How::Refuses, "a replacement had no sourceValue"),
];

fn how(real: &Result<Vec<Built>, String>, other: &Result<Vec<Built>, String>) -> Option<How> {
    let things = |built: &[Built]| {
        let mut things: Vec<Thing> = built.iter().map(|built| built.thing.clone()).collect();
        things.sort();
        things
    };
    match (real, other) {
        (Err(_), Err(_)) => None,
        (Ok(_), Err(_)) => Some(How::Refuses),
        (Err(_), Ok(_)) => Some(How::Builds),
        (Ok(real), Ok(other)) => (things(real) != things(other)).then_some(How::Otherwise),
    }
}

#[test]
fn other_versions_build_the_cases_alike_but_for_those_that_are_named() {
    let cases = answered();
    let mut wrong = Vec::new();
    let mut unused: BTreeSet<(&str, &str)> = DIFFERENCES.iter().map(|(case, version, ..)| (*case, *version)).collect();
    assert_eq!(unused.len(), DIFFERENCES.len(), "a case stands there twice");
    for builder in OTHERS {
        let came = parallel(cases.len(), |number| {
            let Answered { case, answers } = &cases[number];
            let scratch = Scratch::new();
            archive::write(&case.tree, scratch.path());
            let build = |folder: &str| oracle::build(builder, scratch.path(), folder, case.load_any);
            answers.iter().map(|(folder, _)| build(folder)).collect::<Vec<_>>()
        });
        let (mut builds, mut apart) = (0, BTreeMap::<How, usize>::new());
        for (Answered { case, answers }, others) in cases.iter().zip(came) {
            for ((folder, both), other) in answers.iter().zip(others) {
                builds += 1;
                let Some(how) = how(&both.real, &other) else { continue };
                *apart.entry(how).or_default() += 1;
                let listed = DIFFERENCES.iter().any(|(name, version, known, _)| {
                    (*name, *version, *known) == (case.name.as_str(), builder.name, how)
                });
                unused.remove(&(case.name.as_str(), builder.name));
                if !listed {
                    let said = |real: &Result<Vec<Built>, String>| match real {
                        Ok(built) => built.iter().map(|one| oracle::line(&one.thing)).collect::<Vec<_>>().join("; "),
                        Err(text) => text.trim().to_owned(),
                    };
                    wrong.push(format!(
                        "{} {folder:?}: {how:?} with {}\n  {}\n  not {}",
                        case.name,
                        builder.name,
                        said(&other),
                        said(&both.real)
                    ));
                }
                // An answer that depends on the version is no answer.
                if how == How::Otherwise && both.ours.is_ok() {
                    wrong.push(format!("{} {folder:?}: the resolver takes one version for all", case.name));
                }
            }
        }
        println!(
            "kustomize {}: {} cases, {builds} builds; not as 5.8 builds them: {apart:?}",
            builder.name,
            cases.len()
        );
    }
    for (case, version, how, why) in DIFFERENCES {
        println!("{case}: {how:?} with {version}: {why}");
    }
    assert!(wrong.is_empty(), "{} answers differ, and are not named:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        unused.is_empty() || std::env::var_os("KUSTOMIZE_CASES").is_some(),
        "these cases do not differ any more: {unused:?}"
    );
    manual::says(&format!("{} cases are named in the tests", DIFFERENCES.len()));
}

/// What a version makes of the first random trees, and how that agrees with the resolver.
fn random_trees(builder: &Builder) -> Vec<(u64, String, Result<Agreed, String>)> {
    let came = parallel(builder.trees, |seed| {
        let forest = Forest::grow(seed as u64);
        let tree = forest.tree();
        let scratch = Scratch::new();
        archive::write(&tree, scratch.path());
        let agreed = |folder: &String| {
            let real = oracle::build(builder, scratch.path(), folder, false);
            let both = Both { real, ours: ours(&tree, scratch.path(), folder, false) };
            (seed as u64, folder.clone(), compare(&both, &tree))
        };
        forest.roots.iter().map(agreed).collect::<Vec<_>>()
    });
    came.into_iter().flatten().collect()
}

#[test]
fn other_versions_build_random_trees_as_the_resolver_does() {
    for builder in OTHERS {
        let mut counts = BTreeMap::<Agreed, usize>::new();
        let came = random_trees(builder);
        let (builds, mut wrong) = (came.len(), Vec::new());
        for (seed, folder, agreed) in came {
            match agreed {
                Ok(agreed) => *counts.entry(agreed).or_default() += 1,
                Err(text) => wrong.push(format!("tree {seed}, built at {folder:?}:\n{text}")),
            }
        }
        println!("kustomize {}: trees 0 to {}, {builds} builds: {counts:?}", builder.name, builder.trees);
        let first = wrong.iter().take(4).cloned().collect::<Vec<_>>().join("\n\n");
        assert!(wrong.is_empty(), "{} builds of kustomize {} differ:\n\n{first}", wrong.len(), builder.name);
        let same = counts.get(&Agreed::Same).copied().unwrap_or_default();
        assert!(same * 2 > builds, "{same} of {builds}");
    }
    let [old, kubectl] = OTHERS else { panic!("the manual tells of two others") };
    manual::says(&format!(
        "the first {} of the random trees through kustomize 5.6.0, and the first {} through `kubectl kustomize`",
        old.trees, kubectl.trees
    ));
}
