//! Case files: a comment, then files after lines of the form `-- path --`, as in Go's txtar.
//!
//! - `-- path -> target --` is a symbolic link.
//! - `-- path (crlf) --` says how the text below is stored: `bom`, `cr`, `crlf`, `hex`, `no-newline`, `utf-16`.
//! - In the comment: `build: FOLDER…` names the folders that are built (else every one with a kustomization),
//!   `load: any` lifts the restriction to a kustomization's own files, `refused: WHY` argues for a refusal of what
//!   kustomize builds, `gives FOLDER:` and indented lines say what
//!   kustomize builds there, `fails FOLDER: TEXT` what its refusal says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ageseal::kustomize::NAMES;

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    File(Vec<u8>),
    Link(String),
}

/// Files and links by path.
pub type Tree = BTreeMap<String, Entry>;

/// What kustomize is expected to make of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Gives(Vec<String>),
    Fails(String),
}

/// One case file.
pub struct Case {
    pub name: String,
    /// The comment without its directives.
    pub comment: Vec<String>,
    pub tree: Tree,
    /// The folders to build.
    pub build: Vec<String>,
    pub load_any: bool,
    /// Why we do not build what kustomize builds.
    pub refused: Option<String>,
    pub said: BTreeMap<String, Said>,
    pub path: PathBuf,
    /// Everything from the first `-- path --` on.
    pub body: String,
    /// The directives that choose what is built, as they are written.
    pub directives: Vec<String>,
}

/// Every case of a folder, sorted by name.
pub fn cases(folder: &Path) -> Vec<Case> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Case {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find("\n-- ").map_or(text.len(), |at| at + 1);
    let (head, body) = text.split_at(start);
    let tree = files(body, &name);

    let (mut comment, mut said, mut directives) = (Vec::new(), BTreeMap::new(), Vec::new());
    let (mut build, mut load_any, mut refused, mut giving) = (None, false, None, None::<String>);
    for line in head.lines() {
        if let (Some(object), Some(folder)) = (line.strip_prefix("  "), &giving) {
            if let Some(Said::Gives(objects)) = said.get_mut(folder) {
                objects.push(object.to_owned());
            }
            continue;
        }
        giving = None;
        if let Some(folders) = line.strip_prefix("build:") {
            build = Some(folders.split_whitespace().map(|folder| folder.replace('.', "")).collect());
            directives.push(line.to_owned());
        } else if line == "load: any" {
            load_any = true;
            directives.push(line.to_owned());
        } else if let Some(why) = line.strip_prefix("refused: ") {
            refused = Some(why.to_owned());
            directives.push(line.to_owned());
        } else if let Some(folder) = line.strip_prefix("gives ").and_then(|rest| rest.strip_suffix(':')) {
            let folder = folder.trim_matches('.').to_owned();
            said.insert(folder.clone(), Said::Gives(Vec::new()));
            giving = Some(folder);
        } else if let Some((folder, text)) = line.strip_prefix("fails ").and_then(|rest| rest.split_once(": ")) {
            said.insert(folder.trim_matches('.').to_owned(), Said::Fails(text.to_owned()));
        } else {
            comment.push(line.to_owned());
        }
    }
    let build = build.unwrap_or_else(|| kustomizations(&tree));
    Case { name, comment, build, load_any, refused, said, body: body.to_owned(), directives, tree, path }
}

/// The folders that hold a kustomization.
pub fn kustomizations(tree: &Tree) -> Vec<String> {
    let folders: BTreeSet<String> = tree
        .keys()
        .filter_map(|path| {
            let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
            NAMES.contains(&file).then(|| folder.to_owned())
        })
        .collect();
    folders.into_iter().collect()
}

fn files(body: &str, case: &str) -> Tree {
    let mut tree = Tree::new();
    let mut open: Option<(String, Vec<String>, String)> = None;
    let mut close = |open: Option<(String, Vec<String>, String)>| {
        if let Some((path, forms, text)) = open {
            let bytes = forms.iter().fold(text.into_bytes(), |bytes, form| stored(bytes, form, case));
            assert!(tree.insert(path.clone(), Entry::File(bytes)).is_none(), "{case}: {path} twice");
        }
    };
    let mut links = Vec::new();
    for line in body.split_inclusive('\n') {
        let marker = line.trim_end().strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --"));
        match marker {
            Some(marker) => {
                close(open.take());
                if let Some((path, target)) = marker.split_once(" -> ") {
                    links.push((path.to_owned(), Entry::Link(target.to_owned())));
                } else if let Some((path, forms)) = marker.split_once(" (") {
                    let forms = forms.trim_end_matches(')').split(' ').map(str::to_owned).collect();
                    open = Some((path.to_owned(), forms, String::new()));
                } else {
                    open = Some((marker.to_owned(), Vec::new(), String::new()));
                }
            }
            None => match &mut open {
                Some((_, _, text)) => text.push_str(line),
                None => assert!(line.trim().is_empty(), "{case}: text outside any file: {line:?}"),
            },
        }
    }
    close(open);
    tree.extend(links);
    tree
}

fn stored(bytes: Vec<u8>, form: &str, case: &str) -> Vec<u8> {
    let text = || String::from_utf8(bytes.clone()).unwrap();
    match form {
        "bom" => [b"\xef\xbb\xbf".as_slice(), &bytes].concat(),
        "cr" => text().replace('\n', "\r").into_bytes(),
        "crlf" => text().replace('\n', "\r\n").into_bytes(),
        "no-newline" => text().trim_end_matches('\n').to_owned().into_bytes(),
        "utf-16" => [0xfeff].into_iter().chain(text().encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        "hex" => {
            let digits: Vec<char> = text().chars().filter(|c| !c.is_whitespace()).collect();
            digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
        }
        _ => panic!("{case}: {form} is no form"),
    }
}

impl Case {
    /// The file with other expectations.
    pub fn with(&self, said: &BTreeMap<String, Said>) -> String {
        let mut lines: Vec<String> = self.comment.clone();
        lines.extend(self.directives.clone());
        for (folder, said) in said {
            let folder = if folder.is_empty() { "." } else { folder };
            match said {
                Said::Gives(objects) => {
                    lines.push(format!("gives {folder}:"));
                    lines.extend(objects.iter().map(|object| format!("  {object}")));
                }
                Said::Fails(text) => lines.push(format!("fails {folder}: {text}")),
            }
        }
        lines.join("\n") + "\n" + &self.body
    }
}

/// Writes a tree below a folder.
pub fn write(tree: &Tree, root: &Path) {
    for (path, entry) in tree {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match entry {
            Entry::File(bytes) => fs::write(&path, bytes).unwrap(),
            Entry::Link(target) => std::os::unix::fs::symlink(target, &path).unwrap(),
        }
    }
}
