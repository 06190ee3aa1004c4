//! The order of things in one kustomization: resources, generators, components, transformers.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::config::Config;
use super::fields::{Entry, Fields};
use super::files::is_within;
use super::kustomization::{Kustomization, Shared};
use super::model::{Place, Source, Step};
use super::names;
use super::patch::{self, Patch};
use super::plugin;
use super::read::{self, Document};
use super::refusal::{At, Refusal};
use super::replace;
use super::resource::{Res, distinct};
use super::session::{Session, show};
use super::{generate, labels};

/// How many kustomizations may include each other in a row.
const MAX_LEVELS: usize = 60;

/// What is gathered in one kustomization.
#[derive(Clone, Default)]
pub(super) struct Acc {
    pub(super) resources: Vec<Res>,
    /// The fields that transformers touch: nothing before the first kustomization is gone through.
    pub(super) config: Rc<Config>,
    /// The folders that were gone through.
    pub(super) visited: BTreeSet<String>,
}

impl Acc {
    /// Adds objects; two of one identity are refused.
    fn append(&mut self, at: &At, resources: Vec<Res>) -> Result<(), Refusal> {
        self.resources.extend(resources);
        distinct(at, &self.resources)
    }

    /// Adds what is configured. Of two entries for one field, the first one is kept, and an entry for one kind takes the
    /// place of the one for any: that is why nothing is copied without being merged.
    fn configure(&mut self, at: &At, config: &Rc<Config>) -> Result<(), Refusal> {
        if Rc::ptr_eq(&self.config, config) { Ok(()) } else { Rc::make_mut(&mut self.config).merge(at, config) }
    }

    /// Adds the defaults, shared as long as nothing else is configured.
    fn configure_defaults(&mut self, at: &At, defaults: &Rc<Config>) -> Result<(), Refusal> {
        if *self.config == Config::default() {
            self.config = defaults.clone();
        }
        self.configure(at, defaults)
    }
}

/// The kustomizations that are being gone through, the outermost first.
type Stack = Vec<String>;

/// Builds what a folder gives to whoever includes it, once.
pub(super) fn folder(session: &mut Session<'_>, stack: &mut Stack, folder: &str) -> Result<Rc<Acc>, Refusal> {
    if let Some(known) = session.built().get(folder) {
        return known.clone();
    }
    let kustomization = session.kustomization(folder)?;
    let built = enter(session, stack, folder, &kustomization, None, Acc::default()).map(Rc::new);
    // Whether there is a cycle depends on where one comes from.
    if !matches!(&built, Err(refusal) if refusal.reason().code == "cycle") {
        session.built().insert(folder.to_owned(), built.clone());
    }
    built
}

/// Objects of files that are applied as they are.
pub(super) fn of_files(at: &At, files: &[Res]) -> Result<Acc, Refusal> {
    let mut acc = Acc::default();
    acc.append(at, files.to_vec())?;
    Ok(acc)
}

/// What an outer layer writes into the kustomization of the folder that it deploys.
pub(super) struct Edits {
    /// The settings, at the file of the layer.
    pub(super) kustomization: Kustomization,
    /// What the layer calls the field for the namespace.
    pub(super) namespace_field: &'static str,
    /// Whether a component that is listed already is not listed again.
    pub(super) components_once: bool,
}

/// Goes through one kustomization, on top of what a component finds there, with what an outer layer writes into it.
pub(super) fn enter(
    session: &mut Session<'_>,
    stack: &mut Stack,
    folder: &str,
    kustomization: &Kustomization,
    edits: Option<&Edits>,
    mut acc: Acc,
) -> Result<Acc, Refusal> {
    if stack.len() >= MAX_LEVELS {
        let message = format!("more than {MAX_LEVELS} kustomizations include each other in a row");
        return Err(kustomization.at.unmodelled("nested-too-deep", message));
    }
    stack.push(folder.to_owned());
    acc.visited.insert(folder.to_owned());
    let mut level = Level { session, stack, folder, kustomization, edits };
    let done = level.run(acc);
    stack.pop();
    done
}

/// One kustomization at work.
pub(super) struct Level<'l, 'f> {
    pub(super) session: &'l mut Session<'f>,
    stack: &'l mut Stack,
    pub(super) folder: &'l str,
    kustomization: &'l Kustomization,
    edits: Option<&'l Edits>,
}

impl<'l, 'f> Level<'l, 'f> {
    /// The same folder, seen from the file of the outer layer: its lines are those of that file.
    fn outer(&mut self) -> Option<Level<'_, 'f>> {
        let kustomization = &self.edits?.kustomization;
        Some(Level { session: self.session, stack: self.stack, folder: self.folder, kustomization, edits: None })
    }

    /// A setting, with the kustomization that says it: what the outer layer writes takes the place of what is there.
    fn setting(&self, field: impl Fn(&'l Kustomization) -> &'l Option<Entry>) -> Option<(&'l At, &'l Entry)> {
        let both = [self.edits.map(|edits| &edits.kustomization), Some(self.kustomization)];
        both.into_iter().flatten().find_map(|from| Some((&from.at, field(from).as_ref()?)))
    }

    fn run(&mut self, mut acc: Acc) -> Result<Acc, Refusal> {
        let kustomization = self.kustomization;
        self.resources(&mut acc, &kustomization.resources, "resources")?;
        self.configurations(&mut acc)?;
        self.generators(&mut acc)?;
        for entry in &kustomization.components {
            acc = self.component(acc, entry)?;
        }
        let once = self.edits.is_some_and(|edits| edits.components_once);
        if let Some(mut outer) = self.outer() {
            let more = &outer.kustomization.components;
            for (index, entry) in more.iter().enumerate() {
                let mut listed = kustomization.components.iter().chain(&more[..index]);
                if !(once && listed.any(|other| other.text == entry.text)) {
                    acc = outer.component(acc, entry)?;
                }
            }
        }
        self.transformers(&mut acc)?;
        Ok(acc)
    }

    pub(super) fn at(&self, line: usize) -> At {
        self.kustomization.at.line(line)
    }

    pub(super) fn step(&self, line: usize, what: impl Into<String>) -> Rc<Step> {
        Rc::new(Step { file: self.kustomization.at.file.to_string(), line, what: what.into() })
    }

    /// Files and folders, in order.
    fn resources(&mut self, acc: &mut Acc, entries: &[Entry], field: &str) -> Result<(), Refusal> {
        let mut gathered = Vec::new();
        for entry in entries {
            let at = self.at(entry.line);
            let step = self.step(entry.line, format!("{field}: {}", show(&entry.text)));
            if self.session.is_file(self.folder, &entry.text) {
                let (file, documents) = self.session.objects(&at, self.folder, &entry.text)?;
                gathered.extend(documents.iter().map(|document| of_document(document, &file, &step)));
            } else if field == "resources" && self.session.passes_over(self.folder, &entry.text) {
                continue;
            } else {
                let inner = self.included(&at, &entry.text, acc)?;
                let defaults = self.session.defaults.clone();
                if Rc::ptr_eq(&inner.config, &defaults) {
                    acc.configure_defaults(&at, &defaults)?;
                } else {
                    acc.configure(&at, &inner.config)?;
                }
                gathered.extend(inner.resources.iter().map(|resource| {
                    let mut resource = resource.clone();
                    resource.step(&step);
                    resource
                }));
            }
        }
        if let (false, Some(first)) = (gathered.is_empty(), entries.first()) {
            let at = self.at(first.line);
            acc.append(&at, gathered)?;
        }
        Ok(())
    }

    /// What a folder that is no component builds.
    fn included(&mut self, at: &At, path: &str, acc: &mut Acc) -> Result<Rc<Acc>, Refusal> {
        let target = self.target(at, path)?;
        let kustomization = self.load(at, &target)?;
        if kustomization.is_component {
            return Err(at
                .broken("component-as-resource", format!("{} is a Component, listed as a resource", show(path)))
                .hinted("list it in components"));
        }
        let inner = folder(self.session, self.stack, &target)?;
        if let Some(visited) = inner.visited.iter().find(|visited| self.contains_visited(visited)) {
            return Err(cycle(at, visited));
        }
        acc.visited.extend(inner.visited.iter().cloned());
        Ok(inner)
    }

    fn component(&mut self, mut acc: Acc, entry: &Entry) -> Result<Acc, Refusal> {
        let at = self.at(entry.line);
        let target = self.target(&at, &entry.text)?;
        let kustomization = self.load(&at, &target)?;
        if !kustomization.is_component {
            return Err(at
                .broken("not-a-component", format!("{} is not a Component", show(&entry.text)))
                .hinted("list it in resources, or give it kind: Component"));
        }
        let step = self.step(entry.line, format!("components: {}", show(&entry.text)));
        acc.resources.iter_mut().for_each(|resource| resource.step(&step));
        let acc = enter(self.session, self.stack, &target, &kustomization, None, acc)?;
        distinct(&at, &acc.resources)?;
        Ok(acc)
    }

    fn target(&mut self, at: &At, path: &str) -> Result<String, Refusal> {
        let target = self.session.folder(at, self.folder, path)?;
        if self.contains_visited(&target) { Err(cycle(at, &target)) } else { Ok(target) }
    }

    /// Whether a folder is, or holds, one that is being gone through.
    fn contains_visited(&self, target: &str) -> bool {
        self.stack.iter().any(|visited| is_within(visited, target))
    }

    /// The kustomization of a folder; if there is none, that is said of the line that names it.
    fn load(&mut self, at: &At, target: &str) -> Result<Shared, Refusal> {
        self.session.kustomization(target).map_err(|refusal| match refusal.reason().code {
            "no-kustomization" => at.broken("no-kustomization", format!("there is no kustomization in {target}")),
            _ => refusal,
        })
    }

    fn configurations(&mut self, acc: &mut Acc) -> Result<(), Refusal> {
        let defaults = self.session.defaults.clone();
        if self.kustomization.configurations.is_empty() {
            return acc.configure_defaults(&self.kustomization.at, &defaults);
        }
        let mut own = Config::default();
        for entry in &self.kustomization.configurations {
            let at = self.at(entry.line);
            let (file, value) = self.session.plain(&at, self.folder, &entry.text)?;
            let at = At::new(&file, 1);
            own.merge(&at, &Config::read(&at, &value)?)?;
        }
        let mut config = Config::clone(&defaults);
        config.merge(&self.kustomization.at, &own)?;
        acc.configure(&self.kustomization.at, &Rc::new(config))
    }

    fn generators(&mut self, acc: &mut Acc) -> Result<(), Refusal> {
        let kustomization = self.kustomization;
        for (field, kind, entries) in [
            ("configMapGenerator", "ConfigMap", &kustomization.config_maps),
            ("secretGenerator", "Secret", &kustomization.secrets),
        ] {
            for (index, generator) in entries.iter().enumerate() {
                let at = self.at(generator.line);
                let place = Place::Generator { field, entry: index };
                generate::add(self, acc, &at, place, kind, generator)?;
            }
        }
        for (at, resource) in self.plugins(&kustomization.generators, "generators")? {
            plugin::generate(self, acc, &at, &resource)?;
        }
        Ok(())
    }

    fn transformers(&mut self, acc: &mut Acc) -> Result<(), Refusal> {
        let kustomization = self.kustomization;
        let config = acc.config.clone();
        for patch in self.strategic()? {
            patch.apply(acc, false)?;
        }
        let mut patches: Vec<Patch> =
            kustomization.patches.iter().map(|value| patch::read(self, value, "patches")).collect::<Result<_, _>>()?;
        if let Some(mut outer) = self.outer() {
            for value in &outer.kustomization.patches {
                patches.push(patch::read(&mut outer, value, "patches")?);
            }
        }
        // All of them are read before the first one is applied.
        let json: Vec<Patch> = kustomization
            .json_patches
            .iter()
            .map(|value| patch::read(self, value, "patchesJson6902"))
            .collect::<Result<_, _>>()?;
        for patch in &patches {
            patch.apply(acc, true)?;
        }
        if let Some((at, entry)) = self.setting(|from| &from.namespace) {
            let field = match self.edits {
                Some(edits) if edits.kustomization.namespace.is_some() => edits.namespace_field,
                _ => "namespace",
            };
            let step = said(at, entry, field);
            let setting = names::Namespace::new(&entry.text, &config.namespace);
            setting.apply(&at.line(entry.line), acc, &step)?;
        }
        for (setting, specs, field) in [
            (self.setting(|from| &from.name_prefix), &config.prefix, names::Affix::Prefix),
            (self.setting(|from| &from.name_suffix), &config.suffix, names::Affix::Suffix),
        ] {
            if let Some((at, entry)) = setting {
                let step = said(at, entry, field.name());
                names::affix(&at.line(entry.line), acc, field, &entry.text, specs, &step)?;
            }
        }
        self.labels(acc)?;
        for patch in &json {
            patch.apply(acc, false)?;
        }
        for from in self.both() {
            for replica in &from.replicas {
                labels::check_replica(&from.at.line(replica.line), acc, &replica.text)?;
            }
        }
        let replacements = replace::read(self, &kustomization.replacements)?;
        replace::apply(&replacements, acc)?;
        for (at, resource) in self.plugins(&kustomization.transformers, "transformers")? {
            plugin::transform(self, acc, &at, &resource)?;
        }
        Ok(())
    }

    /// The kustomization, and then what the outer layer writes into it.
    fn both(&self) -> impl Iterator<Item = &'l Kustomization> {
        [Some(self.kustomization), self.edits.map(|edits| &edits.kustomization)].into_iter().flatten()
    }

    fn labels(&self, acc: &mut Acc) -> Result<(), Refusal> {
        for from in self.both() {
            for value in &from.labels {
                labels::apply(&from.at, acc, value)?;
            }
        }
        for from in self.both() {
            labels::set_with_selectors(&from.at, acc, &from.common_labels)?;
        }
        for from in self.both() {
            labels::set(acc, "annotations", &from.common_annotations);
        }
        Ok(())
    }

    /// `patchesStrategicMerge`: each entry is a patch, or else the path of one.
    fn strategic(&mut self) -> Result<Vec<Patch>, Refusal> {
        let entries = &self.kustomization.strategic;
        let mut patches = Vec::new();
        for entry in entries {
            let at = self.at(entry.line);
            let step = self.step(entry.line, "patchesStrategicMerge");
            patches.extend(patch::strategic(self, &at, &entry.text, &step)?);
        }
        if patches.is_empty()
            && let Some(first) = entries.first()
        {
            return Err(self.at(first.line).broken("empty-patch", "patchesStrategicMerge has no patch in it"));
        }
        Ok(patches)
    }

    /// The objects that say which transformers or generators to run: inline, in files, or built by folders.
    fn plugins(&mut self, entries: &[Entry], field: &str) -> Result<Vec<(At, Res)>, Refusal> {
        let mut found = Vec::new();
        for entry in entries {
            let at = self.at(entry.line);
            let step = self.step(entry.line, field);
            if let Ok(documents) = read::read_objects(&at, entry.text.as_bytes(), true) {
                let file = at.file.to_string();
                found.extend(documents.iter().map(|document| (at.clone(), of_document(document, &file, &step))));
                continue;
            }
            let mut acc = Acc::default();
            self.resources(&mut acc, std::slice::from_ref(entry), field)?;
            found.extend(acc.resources.into_iter().map(|resource| {
                let source = &resource.origin.source;
                (At::new(&source.file, source.line), resource)
            }));
        }
        Ok(found)
    }
}

fn said(at: &At, entry: &Entry, field: &str) -> Rc<Step> {
    Rc::new(Step { file: at.file.to_string(), line: entry.line, what: format!("{field}: {}", entry.text) })
}

fn cycle(at: &At, folder: &str) -> Refusal {
    let folder = if folder.is_empty() { "the top folder" } else { folder };
    at.broken("cycle", format!("{folder} is, or holds, a kustomization that leads here"))
}

/// An object of a file as it stands there.
pub(super) fn as_written(document: &Document, file: &str) -> Res {
    let place = Place::Document { document: document.document, items: document.items.clone() };
    Res::new(document.value.clone(), Source { file: file.to_owned(), line: document.line, place })
}

fn of_document(document: &Document, file: &str, step: &Rc<Step>) -> Res {
    let mut resource = as_written(document, file);
    // An annotation of kustomize's own, which asks for a hash of the content even on an object of a file.
    resource.needs_hash = generate::asks_for_hash(&resource);
    resource.step(step);
    resource
}

/// The fields of an object that configures a transformer, without what every object has.
pub(super) fn plugin_fields<'v>(at: &At, resource: &'v Res, what: &'static str) -> Result<Fields<'v>, Refusal> {
    let mut fields = Fields::new(at, &resource.value, what)?.lenient();
    fields.take("apiVersion")?;
    fields.take("kind")?;
    Ok(fields)
}
