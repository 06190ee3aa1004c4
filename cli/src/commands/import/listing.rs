//! One kustomization whose generators become sealed files: what is read, what is planned, what is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ageseal::generator::{self, Behavior, Generator};
use ageseal::kustomize::{Object, Reach, Root, list};
use ageseal::manifest::{SecretManifest, objects};
use ageseal::problem::{Location, Problem};
use ageseal::recipient::KeyRing;
use ageseal::rewrite::{self, Asked as Typed, Order};
use ageseal::scope::Scope;
use ageseal::secret::Plaintext;
use ageseal::shadow::{self, Document, Sealed};
use ageseal::yaml::{Editor, Node, Place, Stream, Value, render};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand_core::OsRng;
use zeroize::Zeroizing;

use super::scope::{Asked, built_of, scope_for};
use super::today::Today;
use super::values::{Values, collect};
use crate::clock;
use crate::commands::kustomize::References;
use crate::error::CliError;
use crate::files::{self, Batch, Before, Want};
use crate::readers::Readers;
use crate::ui::Row;

/// A kustomization with generators of Secrets.
pub(super) struct Listing {
    pub(super) path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    stream: Stream,
}

/// One generator that becomes a sealed file.
pub(super) struct Import {
    /// Its number among the generators.
    pub(super) index: usize,
    /// Where it stands.
    pub(super) at: Location,
    name: String,
    namespace: Option<String>,
    keys: Vec<String>,
    hashed: bool,
    sealed: Vec<u8>,
    scope: Scope,
    readers: String,
    /// The plaintext files that it named.
    pub(super) files: Vec<PathBuf>,
    /// The keys of its literals.
    pub(super) literals: Vec<String>,
    pub(super) warnings: Vec<CliError>,
}

impl Import {
    /// The name of the sealed file.
    pub(super) fn file_name(&self) -> String {
        file_name(&self.name)
    }
}

fn file_name(name: &str) -> String {
    format!("{name}.sealed.yaml")
}

/// Everything that is to be written for one kustomization.
pub(super) struct Plan {
    pub(super) path: PathBuf,
    before: Zeroizing<Vec<u8>>,
    text: Vec<u8>,
    references: Option<References>,
    pub(super) imports: Vec<Import>,
}

impl Listing {
    /// Reads a kustomization; none if it has no generator of Secrets.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Vec<CliError>> {
        let bytes = files::read(path, Want { empty: true, ..Want::DOCUMENT }).map_err(|error| vec![error])?;
        let bytes = Zeroizing::new(bytes);
        if !crate::shadow::may_generate(&bytes) {
            return Ok(None);
        }
        let stream =
            Stream::from_bytes(bytes.to_vec()).map_err(|error| vec![CliError::problem(path, &error.to_problem())])?;
        Ok(Some(Self { path: path.to_owned(), bytes, stream }))
    }

    /// Seals the values of every generator, and edits the kustomization.
    ///
    /// # Errors
    /// Everything that stands in the way, at once.
    pub(super) fn plan(
        &self,
        relative: &str,
        today: &Today,
        asked: &Asked<'_>,
        readers: &Readers<'_>,
    ) -> Result<Plan, Vec<CliError>> {
        let said = |problem: &Problem| CliError::problem(&self.path, problem);
        let generators =
            generator::read(&self.stream).map_err(|problems| problems.iter().map(said).collect::<Vec<_>>())?;
        let mut errors = Vec::new();
        let (mut imports, mut names) = (Vec::new(), BTreeSet::new());
        for generator in generators.iter().filter(|generator| !generator.is_dropped()) {
            if !names.insert(generator.name) {
                errors.push(self.twice(generator));
                continue;
            }
            match self.import(generator, relative, today, asked, readers) {
                Ok(import) => imports.push(import),
                Err(several) => errors.extend(several),
            }
        }
        if errors.is_empty() { self.edit(imports).map_err(|error| vec![error]) } else { Err(errors) }
    }

    fn at(&self, error: CliError, generator: &Generator<'_>) -> CliError {
        error.at(&self.path, generator.at, Some(format!("secretGenerator: {}", generator.name)))
    }

    fn twice(&self, generator: &Generator<'_>) -> CliError {
        let fact = format!("two generators would both become {}", file_name(generator.name));
        self.at(CliError::input(fact), generator).hint("seal one of them by hand: ageseal create")
    }

    fn import(
        &self,
        generator: &Generator<'_>,
        relative: &str,
        today: &Today,
        asked: &Asked<'_>,
        readers: &Readers<'_>,
    ) -> Result<Import, Vec<CliError>> {
        let one = |error: CliError| vec![self.at(error, generator)];
        let output = self.path.with_file_name(file_name(generator.name));
        if generator.behavior != Behavior::Create {
            let fact = "this generator adds to the Secret of a base, or takes its place";
            return Err(one(CliError::input(fact).hint(format!(
                "import the base without it, then give this overlay its own values: ageseal set PATCH KEY --for BASE/{}",
                file_name(generator.name)
            ))));
        }
        if output.symlink_metadata().is_ok() {
            let error = CliError::input("the sealed file exists").path(&output);
            return Err(one(
                error.hint("remove the generator if the file has its values, or give the file another name")
            ));
        }
        let built: Vec<(&Root, &Object)> = built_of(&today.resolution, relative, generator.index).collect();
        acted_on(&built, today, relative, generator).map_err(one)?;
        let Values { data, files, literals, warnings } = collect(&self.path, generator)?;
        let scope = scope_for(&built, generator.name, asked).map_err(one)?;
        let readers = readers.for_path(Some(&output)).map_err(|errors| errors.into_iter().collect::<Vec<_>>())?;
        let set = readers.set().map_err(|errors| errors.into_iter().collect::<Vec<_>>())?;
        readers.check_scope(&scope).map_err(one)?;

        let recipients: Vec<_> = set.recipients().collect();
        let order = Order {
            recipients: &recipients,
            asked: Typed { namespace: None, scope: Some(&scope) },
            targets: &[],
            ring: &KeyRing::default(),
            prune: false,
            fresh: false,
            rescope: false,
            server_side: readers.server_side(),
        };
        let (sealed, more) = self.seal(generator, &data, &order)?;
        Ok(Import {
            index: generator.index,
            at: generator.at,
            name: generator.name.to_owned(),
            namespace: generator.namespace.map(str::to_owned),
            keys: data.keys().cloned().collect(),
            hashed: generator.hashed,
            sealed,
            scope,
            readers: set.names().join(", "),
            files,
            literals,
            warnings: warnings.into_iter().chain(more).collect(),
        })
    }

    /// The sealed file of a generator, with what is to be said of it.
    fn seal(
        &self,
        generator: &Generator<'_>,
        data: &BTreeMap<String, Plaintext>,
        order: &Order<'_>,
    ) -> Result<(Vec<u8>, Vec<CliError>), Vec<CliError>> {
        // The manifest was never a file: what is wrong with it is told where the generator stands.
        let said = |problem: &Problem| {
            let key = problem.key.as_ref().map_or_else(String::new, |key| format!(": {key} <redacted>"));
            let error = CliError::input(problem.message.clone());
            let error = error.at(&self.path, generator.at, Some(format!("secretGenerator: {}{key}", generator.name)));
            problem.hint.iter().fold(error, |error, hint| error.hint(hint.clone()))
        };
        let source =
            Stream::parse(render(&manifest(generator, data), "\n")).map_err(|error| vec![said(&error.to_problem())])?;
        let mut secrets = Vec::new();
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        for object in objects(&source) {
            let reading = SecretManifest::read(object.node, clock::now());
            for problem in &reading.problems {
                if problem.is_error() { errors.push(said(problem)) } else { warnings.push(said(problem)) }
            }
            secrets.extend(reading.manifest);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let made = rewrite::create(&secrets, order, &mut OsRng)
            .map_err(|refusals| refusals.source.iter().chain(&refusals.existing).map(said).collect::<Vec<_>>())?;
        let Some(text) = made.text else { return Err(vec![said(&Problem::error("nothing", "nothing was sealed"))]) };
        let text = match generator.namespace {
            None => text,
            // It is written as the generator says it; what the values are sealed for, kustomize decides.
            Some(namespace) => with_namespace(&text, namespace).map_err(|problem| vec![said(&problem)])?,
        };
        Ok((text.text().as_bytes().to_vec(), warnings))
    }

    /// The kustomization with shadows in the place of the generators, and the sealed files listed.
    fn edit(&self, imports: Vec<Import>) -> Result<Plan, CliError> {
        let said = |problem: Problem| CliError::problem(&self.path, &problem);
        let plan = |text: &[u8], references, imports| Plan {
            path: self.path.clone(),
            before: self.bytes.clone(),
            text: text.to_vec(),
            references,
            imports,
        };
        if imports.is_empty() {
            return Ok(plan(&self.bytes, None, imports));
        }
        let keys: Vec<Vec<&str>> = imports.iter().map(|one| one.keys.iter().map(String::as_str).collect()).collect();
        let entries = imports.iter().zip(&keys).map(|(one, keys)| {
            let document = Document { name: &one.name, namespace: one.namespace.as_deref() };
            (one.index, Sealed { document, keys, hashed: one.hashed })
        });
        let mut stream = shadow::turn(&self.stream, &entries.collect::<Vec<_>>(), &mut OsRng).map_err(said)?;
        for one in &imports {
            let listed = list(&stream, "", &one.file_name()).map_err(|error| {
                CliError::input(error.to_string()).path(&self.path).hint("write resources as a list")
            })?;
            stream = listed.unwrap_or(stream);
        }
        // Without a hash, a prefix renames the Secret of the shadow and the sealed document alike.
        let mut references = None;
        if imports.iter().any(|one| one.hashed) {
            let found = References::of(&self.path, &stream)?;
            stream = found.list(&self.path, stream)?;
            references = Some(found);
        }
        Ok(plan(stream.text().as_bytes(), references, imports))
    }
}

/// Refuses a generator whose Secret something else acts on: that would go unsaid, and act on the shadow.
fn acted_on(
    built: &[(&Root, &Object)],
    today: &Today,
    relative: &str,
    generator: &Generator<'_>,
) -> Result<(), CliError> {
    let mut acts: Vec<String> = Vec::new();
    for step in built.iter().flat_map(|(_, object)| &object.chain) {
        let own = step.file == relative && step.line == generator.at.line;
        let lower = step.what.to_ascii_lowercase();
        let acting = ["patch", "replacement", "secretgenerator"].iter().any(|word| lower.starts_with(word));
        if acting && !own {
            acts.push(format!("{}:{}: {}", step.file, step.line, step.what));
        }
    }
    // What a root that cannot be worked out adds to the Secret stands in no chain.
    if today.resolution.refused.values().any(|reach| *reach != Reach::default()) {
        let of_name = today.additions.iter().filter(|addition| addition.name == generator.name);
        acts.extend(
            of_name.map(|addition| format!("{}:{}: secretGenerator: {}", addition.file, addition.at, addition.name)),
        );
    }
    acts.sort();
    acts.dedup();
    if acts.is_empty() {
        return Ok(());
    }
    let fact = "something acts on the Secret of this generator, and would not act on a sealed one";
    Err(acts
        .into_iter()
        .fold(CliError::input(fact), CliError::detail)
        .hint("take it away first, import, then give that overlay its own values: ageseal set PATCH KEY --for FILE"))
}

impl Plan {
    /// A warning for the comments that stay among the generators, should one tell a value. Their text is not shown.
    pub(super) fn comments(&self) -> Option<CliError> {
        let stream = Stream::from_bytes(self.text.to_vec()).ok()?;
        let root = stream.documents().find_map(|document| document.root())?;
        let is_list = |key: &Node<'_>| key.str().is_some_and(|key| key.eq_ignore_ascii_case("secretGenerator"));
        let keys: Vec<Node<'_>> = root.entries().map(|(key, _)| key).collect();
        let index = keys.iter().position(is_list)?;
        let from = keys[index].location().line;
        let until = keys.get(index + 1).map_or(usize::MAX, |key| key.location().line);
        let lines: Vec<Location> = stream
            .comments()
            .map(|comment| stream.location(comment.span().start))
            .filter(|at| (from..until).contains(&at.line))
            .collect();
        if lines.is_empty() {
            return None;
        }
        let error = CliError::finding("these comments stay: remove them if they tell a value");
        Some(lines.into_iter().fold(error, |error, at| error.at(&self.path, at, None)))
    }

    /// What is written beside the kustomization and it itself, by name.
    pub(super) fn written(&self) -> Vec<(String, Vec<u8>)> {
        let mut written: Vec<_> = self.imports.iter().map(|one| (one.file_name(), one.sealed.clone())).collect();
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        written.push((name(&self.path), self.text.clone()));
        if let Some(references) = self.references.as_ref().filter(|references| references.new) {
            written.push((name(&references.path), ageseal::kustomize::configuration().into_bytes()));
        }
        written
    }

    /// A row for each sealed file, and what became of the kustomization.
    pub(super) fn rows(&self, dry_run: bool) -> Vec<Row> {
        let verb = if dry_run { "would" } else { "sealed" };
        let shown = |path: &Path| path.display().to_string();
        self.imports
            .iter()
            .map(|one| {
                let file = shown(&self.path.with_file_name(one.file_name()));
                let shadow = if one.hashed { "shadow generator" } else { "shadow generator without a hash" };
                Row::new(verb, &[&file, &one.name, &one.keys.join(", ")])
                    .detail("opens as", one.scope.to_string(), None)
                    .detail("read by", &one.readers, None)
                    .detail("follows", shadow, Some(&shown(&self.path)))
            })
            .collect()
    }

    /// Adds everything to what is written.
    pub(super) fn add_to(self, batch: &mut Batch) {
        for import in &self.imports {
            batch.add(self.path.with_file_name(import.file_name()), Before::Absent, import.sealed.clone());
        }
        if let Some(references) = &self.references {
            references.add_to(batch);
        }
        batch.add(self.path, Before::Holds(self.before.to_vec()), self.text);
    }
}

/// The Secret that kustomize would generate, in memory only.
fn manifest(generator: &Generator<'_>, data: &BTreeMap<String, Plaintext>) -> Value {
    let quoted = |text: &str| Value::SingleQuoted(text.to_owned());
    let mut metadata = vec![("name", quoted(generator.name))];
    for (field, map) in [("labels", &generator.labels), ("annotations", &generator.annotations)] {
        if !map.is_empty() {
            metadata.push((field, Value::map(map.iter().map(|(key, value)| (key.as_str(), quoted(value))))));
        }
    }
    let data = data.iter().map(|(key, value)| (key.as_str(), quoted(&BASE64_STANDARD.encode(value.expose()))));
    let mut secret = vec![
        ("apiVersion", Value::Plain("v1".to_owned())),
        ("kind", Value::Plain("Secret".to_owned())),
        ("metadata", Value::map(metadata)),
        ("type", quoted(generator.secret_type.unwrap_or("Opaque"))),
        ("data", Value::map(data)),
    ];
    if generator.immutable {
        secret.push(("immutable", Value::Bool(true)));
    }
    Value::map(secret)
}

fn with_namespace(text: &Stream, namespace: &str) -> Result<Stream, Problem> {
    let mut editor = Editor::new(text);
    let metadata = text.documents().find_map(|document| document.root()).and_then(|root| root.get("metadata"));
    if let Some(metadata) = metadata {
        let after = Place::After("name".to_owned());
        editor
            .insert(metadata, "namespace", &Value::from(namespace), after)
            .map_err(|error| Problem::error("cannot-edit", error.to_string()))?;
    }
    editor.finish().map_err(|error| Problem::error("cannot-edit", error.to_string()))
}
