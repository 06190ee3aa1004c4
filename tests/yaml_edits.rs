//! Edits of YAML, case by case: `tests/yaml_edits/NAME/` holds `before.yaml`, `edit.json` and `after.yaml`.
//!
//! `edit.json` is a list of edits, each `{"do": …, "at": [document, key or index, …], …}`. A case that must be refused
//! has `error.txt`, what the error says, in place of `after.yaml`.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};

use ageseal::yaml::{EditError, Editor, Node, Place, Stream, Value};
use serde_json::Value as Json;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/yaml_edits");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

fn find<'a>(stream: &'a Stream, at: &Json) -> Node<'a> {
    let mut at = at.as_array().unwrap().iter();
    let index = at.next().unwrap().as_u64().unwrap() as usize;
    let mut node = stream.documents().nth(index).unwrap().root().unwrap();
    for step in at {
        node = match step {
            Json::String(key) => node.get(key).unwrap_or_else(|| panic!("no key {key}")),
            index => node.items().nth(index.as_u64().unwrap() as usize).unwrap(),
        };
    }
    node
}

/// JSON as a value; `{"!literal": …}`, `{"!single": …}`, `{"!plain": …}` and `{"!flow": […]}` choose a style.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Plain(number.to_string()),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Seq(items.iter().map(value).collect()),
        Json::Object(entries) => match entries.iter().next() {
            Some((style, inner)) if style.starts_with('!') => {
                let text = || inner.as_str().unwrap().to_owned();
                match style.as_str() {
                    "!literal" => Value::Literal(text()),
                    "!single" => Value::SingleQuoted(text()),
                    "!plain" => Value::Plain(text()),
                    "!flow" => Value::FlowSeq(inner.as_array().unwrap().iter().map(value).collect()),
                    _ => panic!("{style} is no style"),
                }
            }
            _ => Value::map(entries.iter().map(|(key, inner)| (key.as_str(), value(inner)))),
        },
    }
}

fn place(json: &Json) -> Place {
    match json {
        Json::Null => Place::Last,
        Json::String(name) => match name.as_str() {
            "first" => Place::First,
            "last" => Place::Last,
            "sorted" => Place::Sorted,
            _ => panic!("{name} is no place"),
        },
        _ => match (json["before"].as_str(), json["after"].as_str()) {
            (Some(key), _) => Place::Before(key.to_owned()),
            (_, Some(key)) => Place::After(key.to_owned()),
            _ => panic!("{json} is no place"),
        },
    }
}

fn apply(stream: &Stream, edits: &Json) -> Result<Stream, EditError> {
    let mut editor = Editor::new(stream);
    for edit in edits.as_array().unwrap() {
        let node = || find(stream, &edit["at"]);
        let key = || edit["key"].as_str().unwrap();
        let index = || edit["index"].as_u64().unwrap() as usize;
        let document = || stream.documents().nth(index()).unwrap();
        let new = || value(&edit["value"]);
        match edit["do"].as_str().unwrap() {
            "replace" => editor.replace(node(), &new()),
            "insert" => editor.insert(node(), key(), &new(), place(&edit["place"])),
            "set" => editor.set(node(), key(), &new(), place(&edit["place"])),
            "remove" => editor.remove(node(), key()),
            "insert-item" => editor.insert_item(node(), index(), &new()),
            "remove-item" => editor.remove_item(node(), index()),
            "replace-document" => editor.replace_document(document(), &new()),
            "append-document" => editor.append_document(&new()),
            "remove-document" => editor.remove_document(document()),
            other => panic!("{other} is no edit"),
        }?;
    }
    editor.finish()
}

#[test]
fn every_case_changes_what_it_says_and_nothing_else() {
    let cases = cases();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let mut wrong = String::new();
    for case in &cases {
        let read = |name: &str| fs::read_to_string(case.join(name)).ok();
        let stream = Stream::parse(read("before.yaml").unwrap()).unwrap();
        let edits: Json = serde_json::from_str(&read("edit.json").unwrap()).unwrap();
        let made = apply(&stream, &edits);
        let fits = match (&made, read("after.yaml"), read("error.txt")) {
            (Ok(made), Some(after), None) => made.text() == after,
            (Err(error), None, Some(text)) => error.to_string() == text.trim_end(),
            _ => false,
        };
        if !fits {
            let made = made.as_ref().map(Stream::text);
            let want = read("after.yaml").or_else(|| read("error.txt"));
            wrong += &format!("{}:\n{made:?}\nbut wanted\n{want:?}\n\n", case.file_name().unwrap().display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn no_edit_changes_no_byte() {
    for case in cases() {
        let Ok(after) = fs::read_to_string(case.join("after.yaml")) else { continue };
        let stream = Stream::parse(after.clone()).unwrap();
        assert_eq!(Editor::new(&stream).finish().unwrap().text(), after, "{}", case.display());
    }
}

/// A hundredfold more than it takes, and a third of what it took when every value was looked for among its siblings.
#[test]
fn the_time_grows_with_the_text_and_not_with_its_square() {
    let count = 16_000;
    let text: String = (0..count).map(|index| format!("- v{index}\n")).collect();
    let stream = Stream::parse(text).unwrap();
    let root = stream.documents().next().unwrap().root().unwrap();
    let mut editor = Editor::new(&stream);
    for item in root.items() {
        editor.replace(item, &Value::from("new")).unwrap();
    }
    let start = std::time::Instant::now();
    assert_eq!(editor.finish().unwrap().text(), "- new\n".repeat(count));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
