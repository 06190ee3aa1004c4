//! Random documents and random edits, with yaml-rust2 as the judge.
//!
//! `PROPTEST_CASES` sets how many, `YAML_SEED` where to start: the same numbers give the same texts.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod broken;
mod generate;
mod oracle;

use std::cell::Cell;

use ageseal::yaml::{EditError, Editor, Node, Place, Stream, Value};
use ageseal_testkit::Random;
use oracle::Tree;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

fn runner(cases: u32) -> TestRunner {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    let seed = std::env::var("YAML_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0_u64);
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// A seed and a size: a failure is found again in smaller texts.
fn cases() -> impl Strategy<Value = (usize, u64)> {
    (1_usize..30, any::<u64>())
}

fn run(count: u32, check: impl Fn(&mut Random, usize) -> Result<(), String>) {
    let result =
        runner(count).run(&cases(), |(size, seed)| check(&mut Random::new(seed), size).map_err(TestCaseError::fail));
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn the_reader_agrees_with_another_parser() {
    let (refused, tried) = (Cell::new(0), Cell::new(0));
    run(3000, |random, size| {
        tried.set(tried.get() + 1);
        let text = generate::text(random, size);
        let Some(documents) = oracle::documents(&text) else {
            refused.set(refused.get() + 1);
            return Ok(());
        };
        let stream = Stream::parse(text.clone()).map_err(|error| format!("{error} in {text:?}"))?;
        let (wanted, found) = (oracle::tell(&documents), oracle::tell_stream(&stream));
        if wanted == found { Ok(()) } else { Err(format!("{wanted:?}\n{found:?}\nin {text:?}")) }
    });
    assert!(refused.get() * 100 < tried.get(), "{} texts were refused by the other parser", refused.get());
}

/// Where a node is: the document, then the number of the entry or item.
type Path = Vec<usize>;

/// Something to do to one place.
#[derive(Clone, Debug)]
enum Edit {
    Replace(Value),
    /// A new child before the one of this number.
    Insert(usize, Value),
    Remove(usize),
}

fn paths(documents: &[Tree]) -> Vec<Path> {
    fn visit(tree: &Tree, path: &mut Path, found: &mut Vec<Path>) {
        found.push(path.clone());
        let children: Vec<&Tree> = match tree {
            Tree::Sequence { items, .. } => items.iter().collect(),
            Tree::Mapping { entries, .. } => entries.iter().map(|(_, value)| value).collect(),
            _ => vec![],
        };
        for (index, child) in children.into_iter().enumerate() {
            path.push(index);
            visit(child, path, found);
            path.pop();
        }
    }
    let mut found = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        visit(document, &mut vec![index], &mut found);
    }
    found
}

fn at<'t>(documents: &'t mut [Tree], path: &[usize]) -> &'t mut Tree {
    let mut tree = &mut documents[path[0]];
    for &index in &path[1..] {
        tree = match tree {
            Tree::Sequence { items, .. } => &mut items[index],
            Tree::Mapping { entries, .. } => &mut entries[index].1,
            _ => unreachable!(),
        };
    }
    tree
}

fn node_at<'a>(stream: &'a Stream, path: &[usize]) -> Option<Node<'a>> {
    let mut node = stream.documents().nth(path[0])?.root()?;
    for &index in &path[1..] {
        node = if node.is_mapping() { node.entries().nth(index)?.1 } else { node.items().nth(index)? };
    }
    Some(node)
}

fn count(tree: &Tree) -> Option<usize> {
    match tree {
        Tree::Sequence { items, .. } => Some(items.len()),
        Tree::Mapping { entries, .. } => Some(entries.len()),
        _ => None,
    }
}

/// What the edit makes of the tree. Edits of one collection are made from its end, so that numbers stay right.
fn make(documents: &mut [Tree], path: &[usize], edit: &Edit, key: &str) {
    let plain = |text: &str| Tree::New { value: Value::Str(text.to_owned()), properties: (0, String::new()) };
    let new = |value: &Value| Tree::New { value: value.clone(), properties: (0, String::new()) };
    let tree = at(documents, path);
    match (edit, tree) {
        (Edit::Replace(value), tree) => {
            let properties = match tree {
                Tree::Scalar { properties, .. }
                | Tree::Sequence { properties, .. }
                | Tree::Mapping { properties, .. } => properties.clone(),
                _ => (0, String::new()),
            };
            *tree = Tree::New { value: value.clone(), properties };
        }
        (Edit::Insert(index, value), Tree::Sequence { items, .. }) => items.insert(*index, new(value)),
        (Edit::Insert(index, value), Tree::Mapping { entries, .. }) => entries.insert(*index, (plain(key), new(value))),
        (Edit::Remove(index), Tree::Sequence { items, .. }) => drop(items.remove(*index)),
        (Edit::Remove(index), Tree::Mapping { entries, .. }) => drop(entries.remove(*index)),
        _ => unreachable!(),
    }
}

fn ask<'a>(
    editor: &mut Editor<'a>,
    random: &mut Random,
    node: Node<'a>,
    edit: &Edit,
    key: &str,
) -> Result<(), EditError> {
    let name = |index: usize| node.entries().nth(index).and_then(|(key, _)| key.str()).unwrap_or_default().to_owned();
    match edit {
        Edit::Replace(value) => editor.replace(node, value),
        Edit::Remove(index) if node.is_mapping() => editor.remove(node, &name(*index)),
        Edit::Remove(index) => editor.remove_item(node, *index),
        Edit::Insert(index, value) if node.is_mapping() => {
            let place = match *index {
                0 if random.percent(50) || node.entries().count() == 0 => Place::First,
                0 => Place::Before(name(0)),
                index if index == node.entries().count() && random.percent(50) => Place::Last,
                index if index < node.entries().count() && random.percent(50) => Place::Before(name(index)),
                index => Place::After(name(index - 1)),
            };
            editor.insert(node, key, value, place)
        }
        Edit::Insert(index, value) => editor.insert_item(node, *index, value),
    }
}

fn some_edit(random: &mut Random, tree: &Tree) -> Edit {
    match (random.below(3), count(tree)) {
        (0, Some(count)) => Edit::Insert(random.below(count + 1), generate::value(random, 0)),
        (1, Some(count)) if count > 0 => Edit::Remove(random.below(count)),
        _ => Edit::Replace(generate::value(random, 0)),
    }
}

/// yaml-rust2 refuses `[key: {…}, more]`, a pair without braces whose value is a collection.
fn not_for_the_judge(node: Node<'_>, edit: &Edit) -> bool {
    let pair = node.parent().is_some_and(|pair| pair.is_flow() && pair.is_mapping() && !pair.source().starts_with('{'));
    pair && matches!(edit, Edit::Replace(Value::Map(_) | Value::Seq(_) | Value::FlowSeq(_)))
}

/// The edits that may be refused: what is said of them in the errors.
fn may_be_refused(error: &EditError, documents: &[Tree]) -> bool {
    let anchors = oracle::tell(documents).iter().any(|said| said.starts_with("alias"));
    match error {
        EditError::Unsupported { reason, .. } => *reason == "a pair without braces",
        // An alias may lose its anchor, or find another of that name.
        EditError::Reparse(error) => anchors && error.code() == "unknown-anchor",
        EditError::NotEqual { .. } => anchors,
        _ => false,
    }
}

fn check_result(
    text: &str,
    made: Result<Stream, EditError>,
    documents: &[Tree],
    refused: &Cell<u32>,
) -> Result<Option<Stream>, String> {
    let made = match made {
        Ok(made) => made,
        Err(error) if may_be_refused(&error, documents) => {
            refused.set(refused.get() + 1);
            return Ok(None);
        }
        Err(error) => return Err(format!("{error:?} for {text:?}")),
    };
    let found = oracle::documents(made.text()).ok_or_else(|| format!("{:?} is refused, from {text:?}", made.text()))?;
    let (wanted, found) = (oracle::tell(documents), oracle::tell(&found));
    if !oracle::agree(&wanted, &found) {
        return Err(format!("{text:?}\nbecame {:?}\nwanted {wanted:?}\nfound {found:?}", made.text()));
    }
    Ok(Some(made))
}

/// The bytes before what an edit touches, and the bytes after it: these stay.
fn outside(stream: &Stream, node: Node<'_>, edit: &Edit) -> (usize, usize) {
    fn visit<'a>(node: Node<'a>, found: &mut Vec<Node<'a>>) {
        found.push(node);
        for (key, value) in node.entries() {
            visit(key, found);
            visit(value, found);
        }
        node.items().for_each(|item| visit(item, found));
    }
    let mut nodes = Vec::new();
    stream.documents().filter_map(|document| document.root()).for_each(|root| visit(root, &mut nodes));
    let children: Vec<Node<'_>> =
        if node.is_mapping() { node.entries().map(|(key, _)| key).collect() } else { node.items().collect() };
    let first = match edit {
        Edit::Replace(_) => Some(node),
        // The last one takes its comma or its braces with it.
        Edit::Remove(index) if children.len() == 1 || *index + 1 == children.len() => Some(node),
        Edit::Remove(index) => Some(children[*index]),
        Edit::Insert(..) if children.is_empty() => Some(node),
        Edit::Insert(index, _) => children.get(*index).copied(),
    };
    let after = match edit {
        Edit::Insert(index, _) if *index < children.len() => Some(children[*index]),
        Edit::Remove(index) if index + 1 < children.len() => Some(children[index + 1]),
        _ => {
            let last = nodes
                .iter()
                .rposition(|other| std::iter::successors(Some(*other), Node::parent).any(|ancestor| ancestor == node));
            nodes.get(last.unwrap() + 1).copied()
        }
    };
    let end = after.map_or(stream.text().len(), |node| node.full_span().start);
    let position = match first {
        Some(first) => nodes.iter().position(|other| *other == first).unwrap(),
        None => nodes.iter().position(|other| Some(*other) == after).unwrap_or(nodes.len()),
    };
    // A block collection starts where its first child does, and comments may stand above it.
    let before = nodes[..position]
        .iter()
        .rev()
        .find(|node| node.is_flow() || node.entries().next().is_none() && node.items().next().is_none());
    let start = before.map_or(0, |node| if node.is_flow() { node.span().start } else { node.span().end.min(end) });
    (start, end)
}

#[test]
fn one_edit_changes_one_place() {
    let (refused, tried) = (Cell::new(0), Cell::new(0));
    run(4000, |random, size| {
        tried.set(tried.get() + 1);
        let text = generate::text(random, size);
        let Some(mut documents) = oracle::documents(&text) else { return Ok(()) };
        let stream = Stream::parse(text.clone()).map_err(|error| error.to_string())?;
        let paths = paths(&documents);
        let path = &paths[random.below(paths.len())];
        let Some(node) = node_at(&stream, path) else { return Ok(()) };
        let edit = some_edit(random, at(&mut documents, path));
        if not_for_the_judge(node, &edit) {
            return Ok(());
        }
        make(&mut documents, path, &edit, "new-key");
        let mut editor = Editor::new(&stream);
        let asked = ask(&mut editor, random, node, &edit, "new-key");
        let about = |error: String| format!("{edit:?} at {path:?}: {error}");
        asked.map_err(|error| about(error.to_string()))?;
        let Some(made) = check_result(&text, editor.finish(), &documents, &refused).map_err(about)? else {
            return Ok(());
        };
        let (start, end) = outside(&stream, node, &edit);
        let (head, tail) = (&text[..start], &text[end..]);
        // A block scalar at the end that had no line break gets a `-` into its header.
        if !made.text().starts_with(head) || !made.text().ends_with(tail) || made.text().len() < head.len() + tail.len()
        {
            return Err(about(format!("{text:?}\nbecame {:?}, outside {start}..{end}", made.text())));
        }
        Ok(())
    });
    assert!(refused.get() * 50 < tried.get(), "{} edits were refused", refused.get());
}

#[test]
fn many_edits_are_made_at_once() {
    let (refused, tried) = (Cell::new(0), Cell::new(0));
    run(3000, |random, size| {
        tried.set(tried.get() + 1);
        let text = generate::text(random, size);
        let Some(mut documents) = oracle::documents(&text) else { return Ok(()) };
        let stream = Stream::parse(text.clone()).map_err(|error| error.to_string())?;
        let paths = paths(&documents);
        let mut edits: Vec<(Path, Edit, String)> = Vec::new();
        for number in 0..2 + random.below(6) {
            let path = paths[random.below(paths.len())].clone();
            let Some(node) = node_at(&stream, &path) else { continue };
            let edit = some_edit(random, at(&mut documents, &path));
            if !not_for_the_judge(node, &edit)
                && edits.iter().all(|(other, before, _)| apart(&path, &edit, other, before))
            {
                edits.push((path, edit, format!("new-{number}")));
            }
        }
        let mut editor = Editor::new(&stream);
        for (path, edit, key) in &edits {
            let node = node_at(&stream, path).unwrap();
            ask(&mut editor, random, node, edit, key).map_err(|error| format!("{error} {edits:?} in {text:?}"))?;
        }
        // From the end of the stream to its start, so that paths and numbers stay right. At one number: what is removed
        // goes first, and what was inserted last.
        let mut order: Vec<usize> = (0..edits.len()).collect();
        order.sort_by_key(|&index| {
            let (path, edit, _) = &edits[index];
            let (number, rank) = match edit {
                Edit::Replace(_) => (usize::MAX, 0),
                Edit::Remove(number) => (*number, 1),
                Edit::Insert(number, _) => (*number, 2),
            };
            (std::cmp::Reverse(path.len()), std::cmp::Reverse((path.clone(), number)), rank, std::cmp::Reverse(index))
        });
        for index in order {
            let (path, edit, key) = &edits[index];
            make(&mut documents, path, edit, key);
        }
        check_result(&text, editor.finish(), &documents, &refused).map_err(|error| format!("{edits:?}: {error}"))?;
        Ok(())
    });
    assert!(refused.get() * 25 < tried.get(), "{} edits were refused", refused.get());
}

/// Whether two edits may be made at once: neither is within what the other takes away or replaces, and no two insert at
/// one gap from its two sides.
fn apart(path: &[usize], edit: &Edit, other: &[usize], before: &Edit) -> bool {
    let takes = |path: &[usize], edit: &Edit, other: &[usize]| match edit {
        Edit::Replace(_) => other.starts_with(path),
        Edit::Remove(number) => other.len() > path.len() && other.starts_with(path) && other[path.len()] == *number,
        Edit::Insert(..) => false,
    };
    let same = path == other
        && match (edit, before) {
            (Edit::Remove(one), Edit::Remove(two)) => one == two,
            (Edit::Insert(one, _), Edit::Insert(two, _)) => one == two,
            _ => false,
        };
    !takes(path, edit, other) && !takes(other, before, path) && !same
}
