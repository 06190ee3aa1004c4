//! Random trees: bases, overlays and components, one above the other, with everything that changes a name.
//!
//! `KUSTOMIZE_TREES` sets how many, `KUSTOMIZE_SEED` the number of the first: the same number gives the same tree. A
//! tree that fails is cut down to what still fails and printed as a case file.

pub mod grow;

use std::collections::BTreeMap;

use ageseal_testkit::Scratch;

use crate::archive::{self, Entry, Tree};
use crate::compare::{Agreed, Both, both, compare};
use crate::{manual, parallel};
use grow::Forest;

/// How many trees a normal run tries.
const TREES: usize = 2000;

/// How many failures are cut down: each takes some hundred builds.
const CUT: usize = 4;

fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn answer(tree: &Tree, folder: &str) -> Both {
    let scratch = Scratch::new();
    archive::write(tree, scratch.path());
    both(tree, scratch.path(), folder, false)
}

/// The kind of a disagreement: what must stay the same while a tree is cut down.
fn kind(text: &str) -> String {
    text.lines().next().unwrap_or_default().split([':', '/']).next().unwrap_or_default().to_owned()
}

/// The smallest tree on the way down that still fails in the same way.
fn cut(mut forest: Forest, folder: &str, mut text: String) -> (Tree, String) {
    let wanted = kind(&text);
    let mut again = true;
    while again {
        again = false;
        for smaller in 0..forest.parts() {
            // The parts change under this loop; what is no longer there is simply not removed.
            let Some(tried) = forest.without(smaller) else { continue };
            let tree = tried.tree();
            match compare(&answer(&tree, folder), &tree) {
                Err(found) if kind(&found) == wanted => {
                    (forest, text, again) = (tried, found, true);
                }
                _ => {}
            }
        }
    }
    (forest.tree(), text)
}

fn printed(tree: &Tree) -> String {
    let files = tree.iter().map(|(path, entry)| match entry {
        Entry::File(bytes) => format!("-- {path} --\n{}", String::from_utf8_lossy(bytes)),
        Entry::Link(target) => format!("-- {path} -> {target} --\n"),
    });
    files.collect()
}

#[test]
fn random_trees_are_built_as_kustomize_builds_them() {
    let (count, first) = (number("KUSTOMIZE_TREES", TREES), number("KUSTOMIZE_SEED", 0));
    let came = parallel(count, |number| {
        let seed = (first + number) as u64;
        let forest = Forest::grow(seed);
        let tree = forest.tree();
        let answers = forest.roots.iter().map(|folder| {
            let both = answer(&tree, folder);
            let why = both.ours.as_ref().err().map(|refusal| refusal.reason().code);
            (seed, folder.clone(), compare(&both, &tree), why)
        });
        answers.collect::<Vec<_>>()
    });
    let (mut counts, mut codes, mut wrong) =
        (BTreeMap::<Agreed, usize>::new(), BTreeMap::<_, usize>::new(), Vec::new());
    let builds = came.iter().flatten().count();
    for (seed, folder, agreed, code) in came.into_iter().flatten() {
        match agreed {
            Ok(agreed) => {
                *counts.entry(agreed).or_default() += 1;
                if let Some(code) = code {
                    *codes.entry((agreed, code)).or_default() += 1;
                }
            }
            Err(text) => wrong.push((seed, folder, text)),
        }
    }
    let count_of = |agreed| counts.get(&agreed).copied().unwrap_or(0);
    let (same, both_refuse, unmodelled) =
        (count_of(Agreed::Same), count_of(Agreed::BothRefuse), count_of(Agreed::Unmodelled));
    println!(
        "trees {first} to {}: {builds} builds, {same} the same, {both_refuse} refused by both, {unmodelled} built by \
         kustomize and refused here\n{codes:#?}",
        first + count
    );

    let seeds: Vec<String> = wrong.iter().map(|(seed, ..)| seed.to_string()).collect();
    if !wrong.is_empty() {
        println!("{} builds differ, of the trees {}; some of them are cut down now", wrong.len(), seeds.join(" "));
    }
    let mut seen = BTreeMap::<String, usize>::new();
    let mut told = Vec::new();
    for (seed, folder, text) in wrong {
        let times = seen.entry(kind(&text)).or_default();
        *times += 1;
        if *times <= CUT / 2 && told.len() < CUT {
            let (tree, text) = cut(Forest::grow(seed), &folder, text);
            told.push(format!("tree {seed}, built at {folder:?}:\n{text}\n\n{}", printed(&tree)));
        }
    }
    assert!(
        told.is_empty(),
        "{} builds differ, of the trees {}:\n\n{}",
        seeds.len(),
        seeds.join(" "),
        told.join("\n\n")
    );
    let of_versions = codes.get(&(Agreed::Unmodelled, "selector-of-versions")).copied().unwrap_or(0);
    if (count, first) == (TREES, 0) {
        let refused = codes.into_iter().filter(|((agreed, _), _)| *agreed == Agreed::Unmodelled);
        let mut by_code = BTreeMap::<String, usize>::new();
        refused.for_each(|((_, code), count)| *by_code.entry(code.to_owned()).or_default() += count);
        assert_eq!(manual::refusals(1), by_code, "docs/kustomize.md, left, has other numbers of random trees");
        manual::says(&format!("in {TREES} random trees {}", same + unmodelled));
    }
    // A forest in which nothing stands, or nothing falls, would prove nothing.
    assert!(same * 2 > builds && both_refuse * 20 > builds, "{same} and {both_refuse} of {builds}");
    // What is refused here on purpose, such as a merge onto stringData, grows now and then by chance. What hangs on the
    // version of kustomize is no lack of the resolver, and expressions are in many of these trees.
    let modelled = unmodelled - of_versions;
    assert!(modelled * 100 <= same * 2, "{modelled} refusals beside {same} builds");
}
