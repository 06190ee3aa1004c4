//! The built-in transformers and generators that are configured in files of their own.

use std::rc::Rc;

use super::accumulate::{Acc, Level, plugin_fields};
use super::config::{self, FieldSpec};
use super::fields::Fields;
use super::generate;
use super::kustomization::Generator;
use super::labels;
use super::model::{Place, Step};
use super::names::{self, Affix, Namespace, Subjects};
use super::patch;
use super::refusal::{At, Refusal};
use super::replace;
use super::resource::Res;
use super::value::Value;

fn is_builtin(resource: &Res) -> bool {
    resource.api_version() == "builtin"
}

fn not_builtin(at: &At, resource: &Res) -> Refusal {
    let what = format!("what the plugin {} ({}) makes is not known here", resource.kind(), resource.api_version());
    at.unmodelled("plugin", what).hinted("say the namespace and the name yourself")
}

/// Runs a generator.
pub(super) fn generate(level: &mut Level<'_, '_>, acc: &mut Acc, at: &At, resource: &Res) -> Result<(), Refusal> {
    let (field, kind) = match resource.kind() {
        "SecretGenerator" if is_builtin(resource) => ("SecretGenerator", "Secret"),
        "ConfigMapGenerator" if is_builtin(resource) => ("ConfigMapGenerator", "ConfigMap"),
        _ => return Err(not_builtin(at, resource)),
    };
    let mut generator = Generator::read(at, &resource.value, false)?;
    if generator.name.is_empty() {
        generator.name = resource.name().to_owned();
    }
    if generator.namespace.is_empty() {
        generator.namespace = resource.namespace().to_owned();
    }
    let place = Place::Generator { field, entry: 0 };
    generate::add(level, acc, at, place, kind, &generator)
}

/// Runs a transformer.
pub(super) fn transform(level: &mut Level<'_, '_>, acc: &mut Acc, at: &At, resource: &Res) -> Result<(), Refusal> {
    if !is_builtin(resource) {
        return Err(not_builtin(at, resource));
    }
    let kind = resource.kind().to_owned();
    let mut fields = plugin_fields(at, resource, "the configuration of a transformer")?;
    let said = |what: &str| Rc::new(Step { file: at.file.to_string(), line: at.line, what: what.to_owned() });
    match kind.as_str() {
        "NamespaceTransformer" => {
            namespace(acc, at, resource, fields, &said(&format!("{kind}: {}", resource.namespace())))
        }
        "PrefixTransformer" | "SuffixTransformer" => {
            let (affix, field) =
                if kind.starts_with('P') { (Affix::Prefix, "prefix") } else { (Affix::Suffix, "suffix") };
            let text = fields.text_or_empty(field)?;
            if fields_of(&resource.value, "fieldSpecs").is_none() {
                return Err(at.broken("no-field-specs", format!("a {kind} needs fieldSpecs")));
            }
            let specs = config::specs(&mut fields, "fieldSpecs")?;
            names::affix(at, acc, affix, &text, &specs, &said(&format!("{kind}: {text}")))
        }
        "LabelTransformer" | "AnnotationsTransformer" => {
            let field = if kind.starts_with('L') { "labels" } else { "annotations" };
            let pairs = fields.text_map(field)?;
            let specs = config::specs(&mut fields, "fieldSpecs")?;
            labels::set_fields(at, acc, &specs, &pairs)
        }
        "PatchTransformer" => {
            let patch = patch::of_fields(level, without_metadata(fields)?, "patch", &said(&kind), false, false)?;
            patch.apply(acc, true)
        }
        "PatchJson6902Transformer" => {
            let patch = patch::of_fields(level, without_metadata(fields)?, "jsonOp", &said(&kind), true, false)?;
            patch.apply(acc, false)
        }
        "PatchStrategicMergeTransformer" => strategic(level, acc, at, fields, &said(&kind)),
        "ReplacementTransformer" => {
            let mut replacements = Vec::new();
            for item in fields.list("replacements")? {
                replace::read_one(level, at, item, &mut replacements)?;
            }
            replace::apply(&replacements, acc)
        }
        "ImageTagTransformer" | "ReplicaCountTransformer" => Ok(()),
        _ => Err(not_builtin(at, resource)),
    }
}

fn fields_of<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    value
        .as_map()?
        .iter()
        .find(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_null())
        .map(|(_, value)| value)
}

fn without_metadata(mut fields: Fields<'_>) -> Result<Fields<'_>, Refusal> {
    fields.take("metadata")?;
    Ok(fields)
}

fn namespace(acc: &mut Acc, at: &At, resource: &Res, mut fields: Fields<'_>, step: &Rc<Step>) -> Result<(), Refusal> {
    let text = resource.namespace();
    if text.is_empty() {
        return Ok(());
    }
    let specs: Vec<FieldSpec> = config::specs(&mut fields, "fieldSpecs")?;
    let mut setting = Namespace::new(text, &specs);
    setting.unset_only = fields.flag("unsetOnly")?;
    setting.subjects = match fields.text_or_empty("setRoleBindingSubjects")?.as_str() {
        "" | "defaultOnly" => Subjects::Default,
        "allServiceAccounts" => Subjects::All,
        "none" => Subjects::None,
        _ => return Err(at.broken("bad-field", "setRoleBindingSubjects is none of its three values")),
    };
    setting.apply(at, acc, step)
}

fn strategic(
    level: &mut Level<'_, '_>,
    acc: &mut Acc,
    at: &At,
    mut fields: Fields<'_>,
    step: &Rc<Step>,
) -> Result<(), Refusal> {
    let mut patches = Vec::new();
    for entry in fields.texts("paths")? {
        patches.extend(patch::strategic(level, at, &entry.text, step)?);
    }
    if let Some(text) = fields.text("patches")? {
        patches.extend(patch::inline(at, &text.text, step)?);
    }
    if patches.is_empty() {
        return Err(at.broken("empty-patch", "a PatchStrategicMergeTransformer has no patch"));
    }
    patches.iter().try_for_each(|patch| patch.apply(acc, false))
}
