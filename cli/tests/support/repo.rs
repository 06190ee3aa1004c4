//! A repository with a policy, and a value that must never be seen: what the tests of refusals stand on.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

use crate::support::{Run, Scratch};

/// The value that is sealed, mistyped and broken everywhere in these tests.
pub const CANARY: &str = "Kanarie9vogel-Zq7xWm2pLt4s";

/// A piece of the canary this long, in any encoding, is a leak: an error that quotes "near" a place shows no more.
const PIECE: usize = 9;

const NAMES: [&str; 4] = ["prod", "test", "recovery", "stranger"];

/// An identity and its recipient.
pub struct Pair {
    pub identity: String,
    pub recipient: String,
}

/// Post-quantum identities by name, made once for all tests of a program.
pub fn keys() -> &'static BTreeMap<&'static str, Pair> {
    static KEYS: OnceLock<BTreeMap<&'static str, Pair>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let t = Scratch::new();
        let pair = |name: &str| {
            let recipient = t.identity(name);
            Pair { identity: t.read(format!("{name}.txt")), recipient }
        };
        NAMES.into_iter().map(|name| (name, pair(name))).collect()
    })
}

pub const POLICY: &str = "\
apiVersion: ageseal.dev/v1alpha1
kind: Policy
rules:
- paths: [\"prod/**\"]
  recipients: [prod, recovery]
  scopes: [\"shop-prod/*\"]
- paths: [\"test/**\"]
  recipients: [test]
  scopes: [\"shop-test/*\"]
- paths: [\"base/**\"]
  recipients: [prod]
  scopes: [\"shop-prod/*\", \"shop-test/*\"]
";

/// A folder with the policy above; the identities are `prod.txt` and so on in the home folder.
pub fn repo() -> Scratch {
    let t = Scratch::new();
    t.write(".ageseal/policy.yaml", POLICY);
    for (name, pair) in keys() {
        if *name != "stranger" {
            t.write(format!(".ageseal/recipients/{name}.pub"), format!("{}\n", pair.recipient));
        }
        private(&t.home().join(format!("{name}.txt")), &pair.identity);
    }
    t
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

/// The same in a git repository with a first commit.
pub fn git_repo() -> Scratch {
    let t = repo();
    fs::write(
        t.home().join(".gitconfig"),
        "[user]\nname = t\nemail = t@example.com\n[init]\ndefaultBranch = main\n[commit]\ngpgsign = false\n[core]\nautocrlf = false\n",
    )
    .unwrap();
    let _ = t.shell("git init -q && git add -A && git commit -qm policy").ok();
    t
}

/// The path of an identity, as an argument.
pub fn identity(t: &Scratch, name: &str) -> String {
    t.home().join(format!("{name}.txt")).to_str().unwrap().to_owned()
}

/// A Secret in `shop-prod` with these lines for its body.
pub fn secret(name: &str, body: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: shop-prod\n{body}")
}

/// Seals literals into a new file, whose document is `NAMESPACE/NAME`.
pub fn sealed(t: &Scratch, file: &str, name: &str, values: &[(&str, &str)]) {
    let namespace = if file.starts_with("test/") { "shop-test" } else { "shop-prod" };
    let data: BTreeMap<_, _> = values.iter().map(|(key, value)| (*key, b64(value))).collect();
    // JSON has no lines to keep, so the file has the usual shape.
    let text = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{{\"name\":\"{name}\",\"namespace\":\"{namespace}\"}},\"data\":{}}}",
        serde_json::to_string(&data).unwrap()
    );
    fs::create_dir_all(t.path(file).parent().unwrap()).unwrap();
    let _ = t.run_with(&["seal", "-q", "-", "-o", file], text.as_bytes(), &[]).ok();
}

pub fn b64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// `ageseal open` with the identity of a name.
pub fn open(t: &Scratch, file: &str, name: &str) -> Run {
    t.run(&["open", "-q", file, "-i", &identity(t, name)])
}

/// The value of a key by `ageseal get`, which has to work.
#[track_caller]
pub fn get(t: &Scratch, file: &str, key: &str) -> String {
    t.run(&["get", file, key, "-i", &identity(t, "prod")]).ok().stdout
}

/// The pieces of a text that must not be seen, in the encodings that a program might make of it.
fn pieces(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut forms = vec![bytes.to_vec(), bytes.iter().rev().copied().collect()];
    for skip in 0..3 {
        for engine in [&BASE64_STANDARD, &BASE64_URL_SAFE] {
            let text = engine.encode([&vec![b'x'; skip], bytes].concat());
            // The edges of base64 also depend on what stands beside.
            forms.push(text.as_bytes()[4..text.len() - 4].to_vec());
        }
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    forms.push(hex.to_uppercase().into_bytes());
    forms.push(hex.into_bytes());
    let size = |form: &Vec<u8>| if form.len() > 40 { 2 * PIECE } else { PIECE };
    let mut pieces: Vec<Vec<u8>> = forms.iter().flat_map(|form| form.windows(size(form)).map(<[u8]>::to_vec)).collect();
    pieces.sort();
    pieces.dedup();
    pieces
}

/// What of the canary stands in these bytes, with a little around it.
pub fn leak(bytes: &[u8]) -> Option<String> {
    static PIECES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let pieces = PIECES.get_or_init(|| pieces(CANARY));
    let first: [bool; 256] = std::array::from_fn(|byte| pieces.iter().any(|piece| usize::from(piece[0]) == byte));
    let at = (0..bytes.len())
        .filter(|at| first[usize::from(bytes[*at])])
        .find(|at| pieces.iter().any(|piece| bytes[*at..].starts_with(piece)))?;
    let around = &bytes[at.saturating_sub(60)..bytes.len().min(at + 60)];
    Some(String::from_utf8_lossy(around).into_owned())
}

/// Nothing of the canary is on either stream.
#[track_caller]
pub fn quiet(run: Run) -> Run {
    for (stream, bytes) in [("stdout", &run.bytes), ("stderr", &run.stderr.as_bytes().to_vec())] {
        if let Some(text) = leak(bytes) {
            panic!("{stream} shows the value: …{text}…");
        }
    }
    run
}

/// Everything of the scratch folder but the programs: bytes and modification times.
pub fn state(t: &Scratch) -> BTreeMap<String, (Vec<u8>, Option<std::time::SystemTime>)> {
    let mut state = BTreeMap::new();
    for root in [t.work(), t.home(), t.config(), t.tmp()] {
        for entry in walkdir::WalkDir::new(root) {
            let entry = entry.unwrap();
            let kind = entry.file_type();
            let name = entry.path().display().to_string();
            if kind.is_file() {
                let time = entry.metadata().unwrap().modified().ok();
                state.insert(name, (fs::read(entry.path()).unwrap_or_default(), time));
            } else if kind.is_symlink() {
                let end = fs::read_link(entry.path()).unwrap();
                state.insert(name, (end.to_string_lossy().into_owned().into_bytes(), None));
            } else {
                state.insert(name, (vec![], None));
            }
        }
    }
    state
}

/// What differs between two states, by name.
pub fn changes<T: PartialEq>(before: &BTreeMap<String, T>, after: &BTreeMap<String, T>) -> Vec<String> {
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

/// Runs a command that is refused: this exit code, an `error:` on stderr in words that help, nothing on stdout, no
/// value on either stream, and every file as it was.
#[track_caller]
pub fn refused(t: &Scratch, args: &[&str], code: i32) -> Run {
    refused_with(t, args, b"", code)
}

#[track_caller]
pub fn refused_with(t: &Scratch, args: &[&str], stdin: &[u8], code: i32) -> Run {
    let before = state(t);
    let run = t.run_with(args, stdin, &[]);
    let after = state(t);
    assert_eq!(changes(&before, &after), Vec::<String>::new(), "{args:?} changed files\n{run:?}");
    well_told(run.exit(code))
}

/// A refusal in the words that were promised.
#[track_caller]
pub fn well_told(run: Run) -> Run {
    let run = quiet(run);
    assert_eq!(run.stdout, "", "stdout is for data");
    assert!(run.stderr.starts_with("error: ") || run.stderr.contains("\nerror: "), "{}", run.stderr);
    let lower = run.stderr.to_lowercase();
    for word in ["failed to", "invalid input", "went wrong", "panicked", "rust_backtrace", "unwrap", "os error"] {
        assert!(!lower.contains(word), "{word:?} is no way to say it:\n{}", run.stderr);
    }
    run
}

/// Whether a named file is gone or as it was is for [`refused`]; this says that one file is byte for byte a text.
#[track_caller]
pub fn holds(t: &Scratch, file: impl AsRef<Path>, text: &str) {
    assert_eq!(t.read(file), text);
}
