//! A kustomization as it is written: every field that kustomize has, read as strictly.

use std::rc::Rc;

use super::fields::{Entry, Fields, place};
use super::refusal::{At, Refusal};
use super::value::Value;

/// One kustomization. Entries that depend on other files are kept as values.
pub(super) struct Kustomization {
    /// The file, at its first line.
    pub(super) at: At,
    pub(super) is_component: bool,
    pub(super) namespace: Option<Entry>,
    pub(super) name_prefix: Option<Entry>,
    pub(super) name_suffix: Option<Entry>,
    /// `resources`, then `bases`.
    pub(super) resources: Vec<Entry>,
    pub(super) components: Vec<Entry>,
    pub(super) configurations: Vec<Entry>,
    pub(super) config_maps: Vec<Generator>,
    pub(super) secrets: Vec<Generator>,
    pub(super) generators: Vec<Entry>,
    pub(super) transformers: Vec<Entry>,
    pub(super) strategic: Vec<Entry>,
    pub(super) patches: Vec<Value>,
    pub(super) json_patches: Vec<Value>,
    pub(super) labels: Vec<Value>,
    pub(super) common_labels: Vec<(String, String)>,
    pub(super) common_annotations: Vec<(String, String)>,
    pub(super) replacements: Vec<Value>,
    /// The names in `replicas`.
    pub(super) replicas: Vec<Entry>,
}

/// An entry of a generator. The values of its literals are not kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Generator {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) behavior: String,
    /// Of a Secret.
    pub(super) secret_type: String,
    /// The keys of the literals.
    pub(super) literals: Vec<Entry>,
    pub(super) files: Vec<Entry>,
    pub(super) envs: Vec<Entry>,
    pub(super) options: GeneratorOptions,
}

/// What holds for the objects of a generator.
#[derive(Clone, Debug, Default)]
pub(super) struct GeneratorOptions {
    pub(super) labels: Vec<(String, String)>,
    pub(super) annotations: Vec<(String, String)>,
    pub(super) no_hash: bool,
    pub(super) immutable: bool,
}

impl GeneratorOptions {
    fn read(at: &At, value: Option<&Value>) -> Result<Self, Refusal> {
        let Some(value) = value else { return Ok(Self::default()) };
        let mut fields = Fields::new(at, value, "the options of a generator")?;
        let options = Self {
            labels: fields.text_map("labels")?,
            annotations: fields.text_map("annotations")?,
            no_hash: fields.flag("disableNameSuffixHash")?,
            immutable: fields.flag("immutable")?,
        };
        fields.finish()?;
        Ok(options)
    }

    /// Adds the options of the whole kustomization: what is said locally wins, and true cannot be taken back.
    fn add(&mut self, global: &Self) {
        for (own, all) in [(&mut self.labels, &global.labels), (&mut self.annotations, &global.annotations)] {
            for (key, value) in all {
                if !own.iter().any(|(known, _)| known == key) {
                    own.push((key.clone(), value.clone()));
                }
            }
        }
        self.no_hash |= global.no_hash;
        self.immutable |= global.immutable;
    }
}

impl Generator {
    /// Reads an entry of `secretGenerator` or `configMapGenerator`.
    pub(super) fn read(at: &At, value: &Value, strict: bool) -> Result<Self, Refusal> {
        let mut fields = Fields::new(at, value, "a generator")?;
        if !strict {
            fields = fields.lenient();
        }
        let at = fields.at().clone();
        let mut generator = Self {
            line: at.line,
            name: fields.text_or_empty("name")?,
            namespace: fields.text_or_empty("namespace")?,
            behavior: fields.text_or_empty("behavior")?,
            secret_type: fields.text_or_empty("type")?,
            literals: literals(&at, fields.texts("literals")?)?,
            files: fields.texts("files")?,
            envs: fields.texts("envs")?,
            options: GeneratorOptions::read(&at, fields.take("options")?)?,
        };
        generator.envs.extend(fields.text("env")?);
        fields.finish()?;
        Ok(generator)
    }
}

fn literals(at: &At, entries: Vec<Entry>) -> Result<Vec<Entry>, Refusal> {
    entries
        .into_iter()
        .map(|entry| match entry.text.split_once('=') {
            Some((key, _)) if !key.is_empty() => Ok(Entry { text: key.to_owned(), line: entry.line }),
            _ => Err(at.line(entry.line).broken("bad-literal", "a literal is not of the form key=value")),
        })
        .collect()
}

impl Kustomization {
    /// A kustomization that says nothing.
    pub(super) fn empty(at: &At) -> Self {
        Self {
            at: at.clone(),
            is_component: false,
            namespace: None,
            name_prefix: None,
            name_suffix: None,
            resources: Vec::new(),
            components: Vec::new(),
            configurations: Vec::new(),
            config_maps: Vec::new(),
            secrets: Vec::new(),
            generators: Vec::new(),
            transformers: Vec::new(),
            strategic: Vec::new(),
            patches: Vec::new(),
            json_patches: Vec::new(),
            labels: Vec::new(),
            common_labels: Vec::new(),
            common_annotations: Vec::new(),
            replacements: Vec::new(),
            replicas: Vec::new(),
        }
    }

    /// Reads a kustomization.
    pub(super) fn read(at: &At, value: &Value) -> Result<Self, Refusal> {
        let mut fields = Fields::new(at, value, "a kustomization")?;
        let at = at.clone();
        let kind = fields.text("kind")?;
        let api_version = fields.text("apiVersion")?;
        if is_empty(value) {
            return Err(at.broken("empty-kustomization", "the kustomization is empty"));
        }
        let is_component = check_kind(&at, kind, api_version)?;
        refuse_unmodelled(&at, &mut fields)?;
        let options = GeneratorOptions::read(&at, fields.take("generatorOptions")?)?;
        let mut generators = |name: &'static str, secret: bool| -> Result<Vec<Generator>, Refusal> {
            fields.list(name)?.iter().map(|item| generator(&at, item, secret, &options)).collect()
        };
        let [config_maps, secrets] = [generators("configMapGenerator", false)?, generators("secretGenerator", true)?];
        let mut resources = fields.texts("resources")?;
        resources.extend(fields.texts("bases")?);
        let kustomization = Self {
            is_component,
            namespace: fields.text("namespace")?,
            name_prefix: fields.text("namePrefix")?,
            name_suffix: fields.text("nameSuffix")?,
            resources,
            components: fields.texts("components")?,
            configurations: fields.texts("configurations")?,
            config_maps,
            secrets,
            generators: fields.texts("generators")?,
            transformers: fields.texts("transformers")?,
            strategic: fields.texts("patchesStrategicMerge")?,
            patches: fields.list("patches")?.to_vec(),
            json_patches: fields.list("patchesJson6902")?.to_vec(),
            labels: fields.list("labels")?.to_vec(),
            common_labels: fields.text_map("commonLabels")?,
            common_annotations: fields.text_map("commonAnnotations")?,
            replacements: fields.list("replacements")?.to_vec(),
            replicas: replicas(&at, &mut fields)?,
            at: at.clone(),
        };
        no_effect(&at, &mut fields)?;
        fields.finish()?;
        Ok(kustomization)
    }
}

fn generator(at: &At, item: &Value, secret: bool, options: &GeneratorOptions) -> Result<Generator, Refusal> {
    let mut generator = Generator::read(at, item, true)?;
    if !secret && !generator.secret_type.is_empty() {
        return Err(place(at, item).broken("unknown-field", "a generator of ConfigMaps has no field type"));
    }
    generator.options.add(options);
    Ok(generator)
}

/// Whether only `apiVersion` and `kind` say anything.
fn is_empty(value: &Value) -> bool {
    value.as_map().into_iter().flatten().all(|(key, value)| {
        key.eq_ignore_ascii_case("apiVersion")
            || key.eq_ignore_ascii_case("kind")
            || value.is_null()
            || value.scalar().is_some_and(str::is_empty)
    })
}

fn check_kind(at: &At, kind: Option<Entry>, api_version: Option<Entry>) -> Result<bool, Refusal> {
    let is_component = match &kind {
        None => false,
        Some(kind) if kind.text == "Kustomization" => false,
        Some(kind) if kind.text == "Component" => true,
        Some(kind) => {
            return Err(at.line(kind.line).broken("bad-kind", "kind is neither Kustomization nor Component"));
        }
    };
    let wanted = if is_component { "kustomize.config.k8s.io/v1alpha1" } else { "kustomize.config.k8s.io/v1beta1" };
    match api_version {
        Some(version) if version.text != wanted => {
            Err(at.line(version.line).broken("bad-api-version", format!("apiVersion is not {wanted}")))
        }
        _ => Ok(is_component),
    }
}

fn replicas(at: &At, fields: &mut Fields<'_>) -> Result<Vec<Entry>, Refusal> {
    let items = fields.list("replicas")?;
    items
        .iter()
        .map(|replica| {
            let mut inner = Fields::new(at, replica, "an entry of replicas")?;
            let name = Entry { text: inner.text_or_empty("name")?, line: inner.at().line };
            inner.number("count")?;
            inner.finish()?;
            Ok(name)
        })
        .collect()
}

/// What is refused by name, wherever it stands.
fn refuse_unmodelled(at: &At, fields: &mut Fields<'_>) -> Result<(), Refusal> {
    for (field, code, what) in [
        ("helmCharts", "helm", "what a Helm chart holds"),
        ("helmChartInflationGenerator", "helm", "what a Helm chart holds"),
        ("vars", "vars", "what a variable stands for"),
        ("validators", "plugin", "whether a validator refuses the tree"),
        ("crds", "crds", "what a schema says about names"),
        ("openapi", "openapi", "what another schema says about scopes and lists"),
    ] {
        if let Some(value) = fields.take(field)? {
            let empty =
                value.as_seq().is_some_and(<[Value]>::is_empty) || value.as_map().is_some_and(|map| map.is_empty());
            if !empty {
                return Err(place(at, value)
                    .unmodelled(code, format!("{field}: {what} is not known here"))
                    .hinted("say the namespace and the name yourself"));
            }
        }
    }
    Ok(())
}

/// Fields that are checked and change no name, no namespace and no reference.
fn no_effect(at: &At, fields: &mut Fields<'_>) -> Result<(), Refusal> {
    if let Some(metadata) = fields.take("metadata")? {
        let mut inner = Fields::new(at, metadata, "metadata of a kustomization")?;
        inner.text("name")?;
        inner.text("namespace")?;
        inner.text_map("labels")?;
        inner.text_map("annotations")?;
        inner.finish()?;
    }
    for name in ["images", "imageTags"] {
        for image in fields.list(name)? {
            let mut inner = Fields::new(at, image, "an image")?;
            for field in ["name", "newName", "tagSuffix", "newTag", "digest"] {
                inner.take(field)?;
            }
            inner.finish()?;
        }
    }
    if let Some(sort) = fields.take("sortOptions")? {
        let mut inner = Fields::new(at, sort, "sortOptions")?;
        if let Some(order) = inner.text("order")?.filter(|order| !["fifo", "legacy"].contains(&order.text.as_str())) {
            return Err(at.line(order.line).broken("bad-field", "sortOptions.order is neither fifo nor legacy"));
        }
        inner.take("legacySortOptions")?;
        inner.finish()?;
    }
    // Annotations and labels that are added at the end, and which nothing asks for any more.
    fields.texts("buildMetadata")?;
    fields.take("helmGlobals")?;
    Ok(())
}

/// A kustomization, shared by all who include it.
pub(super) type Shared = Rc<Kustomization>;
