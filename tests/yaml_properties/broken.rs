//! Texts that are cut and changed at random: whatever they are, nothing panics.

use std::fs;
use std::path::{Path, PathBuf};

use ageseal::yaml::{EditError, Editor, Node, Place, Stream};
use ageseal_testkit::Random;

use crate::generate;
use crate::{oracle, run};

/// Bytes that mean something to YAML, or break UTF-8.
const ODD: &[u8] = b"\n\r\t -?:,[]{}#&*!|>'\"%@`~+.0aZ\\\xc3\xef\xff\0";

#[test]
fn nothing_panics_on_broken_texts() {
    run(4000, |random, size| {
        let mut bytes = generate::text(random, size).into_bytes();
        change(&mut bytes, random);
        try_everything(bytes, random);
        Ok(())
    });
}

#[test]
fn nothing_panics_on_broken_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(&folder.join("examples/shop"), &mut paths);
    files(&folder.join("tests/yaml_edits"), &mut paths);
    let texts: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(texts.len() > 100, "{} files", texts.len());
    run(3000, |random, _| {
        let mut bytes = texts[random.below(texts.len())].clone();
        change(&mut bytes, random);
        try_everything(bytes, random);
        Ok(())
    });
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "json") {
            found.push(path);
        }
    }
    found.sort();
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len());
        let byte = ODD[random.below(ODD.len())];
        match random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, byte),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            _ if !bytes.is_empty() => bytes[at] = byte,
            _ => {}
        }
    }
}

/// Every operation, at one random node and document. Each is refused, or made and then reads.
fn try_everything(bytes: Vec<u8>, random: &mut Random) {
    let Ok(stream) = Stream::from_bytes(bytes) else { return };
    touch(&stream);
    let value = generate::value(random, 0);
    let made = |asked: Result<(), EditError>, editor: Editor<'_>| {
        if asked.is_ok()
            && let Ok(made) = editor.finish()
        {
            touch(&made);
        }
    };
    let mut editor = Editor::new(&stream);
    made(editor.append_document(&value), editor);
    if stream.documents().len() > 0 {
        let document = stream.documents().nth(random.below(stream.documents().len())).unwrap();
        let mut editor = Editor::new(&stream);
        made(editor.remove_document(document), editor);
        let mut editor = Editor::new(&stream);
        made(editor.replace_document(document, &value), editor);
    }
    let mut nodes: Vec<Node<'_>> = stream.documents().filter_map(|document| document.root()).collect();
    let mut index = 0;
    while let Some(node) = nodes.get(index).copied() {
        nodes.extend(node.entries().flat_map(|(key, value)| [key, value]).chain(node.items()));
        index += 1;
    }
    if nodes.is_empty() {
        return;
    }
    let node = nodes[random.below(nodes.len())];
    let mut editor = Editor::new(&stream);
    made(editor.replace(node, &value), editor);
    let keys: Vec<&str> = node.entries().filter_map(|(key, _)| key.str()).collect();
    let key = keys.get(random.below(keys.len())).copied().unwrap_or_default();
    let beside = key.to_owned();
    for place in [Place::First, Place::Last, Place::Sorted, Place::Before(beside.clone()), Place::After(beside)] {
        let mut editor = Editor::new(&stream);
        made(editor.insert(node, "new-key", &value, place), editor);
    }
    let mut editor = Editor::new(&stream);
    made(editor.set(node, key, &value, Place::Last), editor);
    let mut editor = Editor::new(&stream);
    made(editor.remove(node, key), editor);
    let count = node.items().count();
    let mut editor = Editor::new(&stream);
    made(editor.insert_item(node, random.below(count + 2), &value), editor);
    let mut editor = Editor::new(&stream);
    made(editor.remove_item(node, random.below(count + 1)), editor);
}

/// Looks at everything of a stream.
fn touch(stream: &Stream) {
    for document in stream.documents() {
        assert!(document.span().end <= stream.text().len());
        let _ = document.comments().map(|comment| comment.text().len()).sum::<usize>();
        if let Some(root) = document.root() {
            touch_node(root);
        }
    }
    oracle::tell_stream(stream);
}

fn touch_node(node: Node<'_>) {
    let (span, full) = (node.span(), node.full_span());
    assert!(full.start <= span.start && span.start <= span.end && full.end == span.end, "{span:?} {full:?}");
    let _ = (node.source(), node.location(), node.as_string(), node.plain_type(), node.comments().count());
    for (key, value) in node.entries() {
        assert!(node.span().start <= key.full_span().start && value.full_span().end <= node.span().end);
        assert!(key.full_span().end <= value.full_span().start, "{:?}", node.source());
        touch_node(key);
        touch_node(value);
    }
    for item in node.items() {
        assert!(node.span().start <= item.full_span().start && item.full_span().end <= node.span().end);
        touch_node(item);
    }
}
