//! Bad input that needs no oracle: whatever it is, there is an answer, soon, and it names the place.

use std::time::{Duration, Instant};

use ageseal::kustomize::{Build, Memory, Options, Refusal, build};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: not-a-real-one}\n";

fn memory(files: &[(&str, &[u8])]) -> Memory {
    Memory(files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect())
}

/// Builds on a stack of the size that a test has, and no larger: an answer that needs more is none.
fn top(files: &[(&str, &[u8])]) -> Result<Build, Refusal> {
    let start = Instant::now();
    let came = build(&memory(files), "", &Options::default());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    came
}

#[track_caller]
fn refused(files: &[(&str, &[u8])], file: &str) -> Refusal {
    let refusal = top(files).expect_err("it must not be built");
    assert_eq!(refusal.file(), file, "{refusal}");
    assert!(refusal.line() >= 1, "{refusal}");
    refusal
}

/// Everything that may hold YAML, in a tree that names it.
const PLACES: &[(&str, &str)] = &[
    ("db.yaml", "resources: [db.yaml]\n"),
    ("patch.yaml", "resources: [good.yaml]\npatches: [{path: patch.yaml}]\n"),
    ("strategic.yaml", "resources: [good.yaml]\npatchesStrategicMerge: [strategic.yaml]\n"),
    (
        "json.yaml",
        "resources: [good.yaml]\npatchesJson6902: [{target: {version: v1, kind: Secret, name: db}, path: json.yaml}]\n",
    ),
    ("replacement.yaml", "resources: [good.yaml]\nreplacements: [{path: replacement.yaml}]\n"),
    ("configuration.yaml", "resources: [good.yaml]\nconfigurations: [configuration.yaml]\n"),
    ("transformer.yaml", "resources: [good.yaml]\ntransformers: [transformer.yaml]\n"),
    ("generator.yaml", "resources: [good.yaml]\ngenerators: [generator.yaml]\n"),
    ("base/kustomization.yaml", "resources: [base]\n"),
    ("kustomization.yaml", ""),
];

fn everywhere(bytes: &[u8]) {
    for (file, kustomization) in PLACES {
        let mut files = vec![("good.yaml", SECRET.as_bytes())];
        if !kustomization.is_empty() {
            files.push(("kustomization.yaml", kustomization.as_bytes()));
        }
        files.push((file, bytes));
        let refusal = top(&files).expect_err(file);
        assert_eq!(refusal.file(), *file, "{refusal}");
    }
}

#[test]
fn nesting_of_ten_thousand_is_refused_wherever_it_stands() {
    let depth = 10_000;
    everywhere(("a: ".to_owned() + &"[".repeat(depth) + &"]".repeat(depth) + "\n").as_bytes());
    everywhere(("a: ".to_owned() + &"{b: ".repeat(depth) + "x" + &"}".repeat(depth) + "\n").as_bytes());
    let block: String = (0..depth).map(|level| " ".repeat(level) + "a:\n").collect();
    everywhere(block.as_bytes());
    everywhere(("- ".repeat(depth) + "x\n").as_bytes());
}

#[test]
fn a_base_under_ten_thousand_bases_is_built_or_refused() {
    let mut files = Memory::default();
    for level in 0..10_000 {
        let text = format!("namePrefix: a-\nresources: [../f{}]\n", level + 1);
        files.0.insert(format!("f{level}/kustomization.yaml"), text.into_bytes());
    }
    files.0.insert("f10000/kustomization.yaml".to_owned(), b"resources: [db.yaml]\n".to_vec());
    files.0.insert("f10000/db.yaml".to_owned(), SECRET.as_bytes().to_vec());
    match build(&files, "f0", &Options::default()) {
        Ok(build) => assert_eq!(build.objects[0].name, "a-".repeat(10_000) + "db"),
        Err(refusal) => assert!(!refusal.is_broken(), "{refusal}"),
    }
}

#[test]
fn a_bomb_of_aliases_is_refused_wherever_it_stands() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    everywhere(bomb.as_bytes());
}

#[test]
fn a_bomb_in_a_regular_expression_is_refused_or_takes_no_time() {
    let long = "a".repeat(5000);
    let secret = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {long}b}}\n");
    for (expression, builds) in [
        ("(a+)+", true),
        ("((a|a)*)*c", true),
        ("(((((a?){30}){30})?)?)?", false),
        ("(a{1000}){1000}", false),
        ("((((a{100}){100}){100}){100}){100}", false),
        (&*format!("{}a{}", "(".repeat(5000), ")".repeat(5000)), false),
        (&*"a?".repeat(50_000), true),
    ] {
        for field in ["name", "kind", "group"] {
            let kustomization = format!(
                "resources: [db.yaml]\npatches:\n- target: {{{field}: \"{expression}\"}}\n  patch: '[{{\"op\": \"add\", \
                 \"path\": \"/data\", \"value\": {{}}}}]'\n"
            );
            let came = top(&[("kustomization.yaml", kustomization.as_bytes()), ("db.yaml", secret.as_bytes())]);
            // What our engine builds is refused by Go's or the other way round: an answer, and never a wrong one.
            if let Ok(build) = &came {
                assert!(builds, "{:.60} was built", expression);
                assert_eq!(build.objects.len(), 1);
            }
        }
    }
}

#[test]
fn a_file_outside_of_the_repository_is_refused() {
    for path in ["../db.yaml", "../../../../etc/passwd", "/etc/passwd", "a/../../db.yaml", "../outside/"] {
        let kustomization = format!("\nresources:\n- good.yaml\n- {path}\n");
        let files: &[(&str, &[u8])] =
            &[("kustomization.yaml", kustomization.as_bytes()), ("good.yaml", SECRET.as_bytes())];
        let refusal = refused(files, "kustomization.yaml");
        assert_eq!(refusal.line(), 4, "{refusal}");
        assert!(refusal.to_string().contains(path.trim_end_matches('/')), "{refusal}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused_wherever_they_stand() {
    everywhere(b"a: \xff\xfe\n");
    everywhere(b"apiVersion: v1\nkind: Secret\nmetadata: {name: db\xc3}\n");
}

#[test]
fn a_line_too_long_for_kustomize_in_an_environment_file_is_refused() {
    // kustomize ends the file there, in silence, and loses the keys below.
    let text = format!("A=1\nB={}\nC=2\n", "x".repeat(70_000));
    refused(
        &[("kustomization.yaml", b"secretGenerator: [{name: db, envs: [a.env]}]\n"), ("a.env", text.as_bytes())],
        "a.env",
    );
}

#[test]
fn no_refusal_says_a_value() {
    let value = "not-a-real-one";
    for (kustomization, file, text) in [
        ("resources: [db.yaml]\n", "db.yaml", format!("{SECRET}stringData: {{x: {value}}}\n")),
        ("resources: [db.yaml]\n", "db.yaml", format!("{SECRET}  broken: {value}: {value}\n")),
        ("resources: [db.yaml]\n", "db.yaml", format!("kind: Secret\nmetadata: {{}}\nstringData: {{x: {value}}}\n")),
        ("resources: [db.yaml]\n", "db.yaml", format!("{value}\n")),
        ("resources: [db.yaml]\n", "db.yaml", format!("{SECRET}{value}\n")),
        ("secretGenerator: [{name: db, literals: [not-a-real-one]}]\n", "x", String::new()),
        ("secretGenerator: [{name: db, literals: [a=not-a-real-one, a=not-a-real-one]}]\n", "x", String::new()),
        (
            "secretGenerator: [{name: db, literals: [a=not-a-real-one], literal: [not-a-real-one]}]\n",
            "x",
            String::new(),
        ),
        ("secretGenerator: [{name: db, envs: [a.env]}]\n", "a.env", format!("A={value}\nA={value}\n")),
        ("resources: [db.yaml, db.yaml]\n", "db.yaml", SECRET.to_owned()),
        ("resources: [db.yaml]\npatches: [{path: patch.yaml}]\n", "db.yaml", SECRET.to_owned()),
        (
            "resources: [db.yaml]\npatches:\n- target: {kind: Secret}\n  patch: '[{\"op\": \"test\", \"path\": \
             \"/stringData/password\", \"value\": \"other\"}]'\n",
            "db.yaml",
            SECRET.to_owned(),
        ),
        ("resources: [db.yaml]\npatches:\n- patch: 'stringData: {a: not-a-real-one}'\n", "db.yaml", SECRET.to_owned()),
    ] {
        let files: &[(&str, &[u8])] = &[("kustomization.yaml", kustomization.as_bytes()), (file, text.as_bytes())];
        let refusal = top(files).expect_err(kustomization);
        let told = format!("{refusal} {refusal:?} {}", refusal.hint().unwrap_or_default());
        assert!(!told.contains(value), "{kustomization}: {told}");
    }
}
