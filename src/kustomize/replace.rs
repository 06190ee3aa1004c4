//! Replacements: a value of one object copied into others.

use super::accumulate::{Acc, Level};
use super::fields::{Fields, place, text};
use super::ident::{DEFAULT, Gvk, Id, group_version};
use super::model::Step;
use super::path::{self, Part};
use super::read;
use super::refusal::{At, Refusal};
use super::resource::Res;
use super::select::Selector;
use super::value::{Data, Value};
use std::rc::Rc;

/// One replacement.
pub(super) struct Replacement {
    at: At,
    source: Source,
    targets: Vec<Target>,
}

enum Source {
    Value(Value),
    Object { gvk: Gvk, name: String, namespace: String, path: Vec<Part>, written: String, options: Options },
}

struct Target {
    at: At,
    select: Selector,
    reject: Vec<Selector>,
    paths: Vec<(String, Vec<Part>)>,
    options: Options,
    step: Rc<Step>,
}

/// How a value is cut out or put in.
#[derive(Clone, Default)]
struct Options {
    delimiter: String,
    index: i64,
    create: bool,
}

/// Reads `replacements`, inline and in files.
pub(super) fn read(level: &mut Level<'_, '_>, items: &[Value]) -> Result<Vec<Replacement>, Refusal> {
    let mut found = Vec::new();
    for item in items {
        let at = level.at(item.line as usize);
        read_one(level, &at, item, &mut found)?;
    }
    Ok(found)
}

/// Reads one entry: a replacement, or the path of a file of them.
pub(super) fn read_one(
    level: &mut Level<'_, '_>,
    at: &At,
    item: &Value,
    found: &mut Vec<Replacement>,
) -> Result<(), Refusal> {
    let mut fields = Fields::new(at, item, "a replacement")?;
    let Some(path) = fields.text("path")? else {
        found.push(replacement(fields)?);
        return Ok(());
    };
    if fields.take("source")?.is_some() || fields.take("targets")?.is_some() {
        return Err(at.broken("bad-replacement", "a replacement has both a path and a text of its own"));
    }
    fields.finish()?;
    let (file, value) = level.session.plain(&at.line(path.line), level.folder, &path.text)?;
    let at = At::new(&file, 1);
    match &value.data {
        Data::Seq(items) => {
            for item in items.iter() {
                found.push(replacement(Fields::new(&at, item, "a replacement")?.lenient())?);
            }
        }
        Data::Map(_) => found.push(replacement(Fields::new(&at, &value, "a replacement")?.lenient())?),
        _ => return Err(at.broken("bad-replacement", "a file of replacements holds neither a list nor a mapping")),
    }
    Ok(())
}

fn replacement(mut fields: Fields<'_>) -> Result<Replacement, Refusal> {
    let at = fields.at().clone();
    let source = fields.take("source")?;
    let fixed = fields.take("sourceValue")?;
    let targets = fields.list("targets")?;
    fields.finish()?;
    let source = match (source, fixed) {
        (Some(source), None) => read_source(&at, source)?,
        (None, Some(value)) => Source::Value(Value::str(&text(&at, value, "sourceValue")?)),
        _ => return Err(at.broken("bad-replacement", "a replacement needs a source, and one of them only")),
    };
    if targets.is_empty() {
        return Err(at.broken("bad-replacement", "a replacement has no target"));
    }
    let targets = targets.iter().map(|target| read_target(&at, target)).collect::<Result<_, _>>()?;
    Ok(Replacement { at, source, targets })
}

fn read_source(at: &At, value: &Value) -> Result<Source, Refusal> {
    let mut fields = Fields::new(at, value, "the source of a replacement")?.lenient();
    let at = fields.at().clone();
    let part = |fields: &mut Fields<'_>, name| fields.text_or_empty(name);
    let gvk = Gvk::new(&part(&mut fields, "group")?, &part(&mut fields, "version")?, &part(&mut fields, "kind")?);
    let (name, namespace) = (fields.text_or_empty("name")?, fields.text_or_empty("namespace")?);
    let written = fields.text("fieldPath")?.map_or("metadata.name".to_owned(), |entry| entry.text);
    let path = path::parse(&at, &written)?;
    let options = read_options(&at, fields.take("options")?)?;
    Ok(Source::Object { gvk, name, namespace, path, written, options })
}

fn read_target(at: &At, value: &Value) -> Result<Target, Refusal> {
    let mut fields = Fields::new(at, value, "the target of a replacement")?.lenient();
    let at = fields.at().clone();
    let Some(select) = fields.take("select")? else {
        return Err(at.broken("bad-replacement", "a target of a replacement selects nothing"));
    };
    let select = Selector::read(&at, select, "select", false)?;
    let reject = fields.list("reject")?.iter().map(|item| Selector::read(&at, item, "reject", false));
    let reject = reject.collect::<Result<_, _>>()?;
    let mut paths: Vec<String> = fields.texts("fieldPaths")?.into_iter().map(|entry| entry.text).collect();
    if paths.is_empty() {
        paths.push("metadata.name".to_owned());
    }
    let step = Step { file: at.file.to_string(), line: at.line, what: format!("replacements: {}", paths.join(", ")) };
    let paths =
        paths.into_iter().map(|path| Ok((path.clone(), path::parse(&at, &path)?))).collect::<Result<_, Refusal>>()?;
    let options = read_options(&at, fields.take("options")?)?;
    Ok(Target { at, select, reject, paths, options, step: Rc::new(step) })
}

fn read_options(at: &At, value: Option<&Value>) -> Result<Options, Refusal> {
    let Some(value) = value else { return Ok(Options::default()) };
    let mut fields = Fields::new(at, value, "the options of a replacement")?.lenient();
    if fields.text("encoding")?.is_some() {
        return Err(place(at, value).unmodelled("encoding", "the encoding of a replacement is not modelled"));
    }
    Ok(Options {
        delimiter: fields.text_or_empty("delimiter")?,
        index: fields.number("index")?.unwrap_or(0),
        create: fields.flag("create")?,
    })
}

/// Applies replacements, one after the other.
pub(super) fn apply(replacements: &[Replacement], acc: &mut Acc) -> Result<(), Refusal> {
    for replacement in replacements {
        let (source, mut value) = replacement.value(acc)?;
        for target in &replacement.targets {
            for (index, resource) in acc.resources.iter_mut().enumerate() {
                let chosen = target.chooses(resource, Selector::selects_id);
                if chosen != target.chooses(resource, Selector::selects_id_as_written) {
                    target.write_unsure(resource, chosen)?;
                    if source == Some(index) {
                        value = replacement.again(resource)?.unwrap_or(value);
                    }
                    continue;
                }
                if !chosen {
                    continue;
                }
                for path in &target.paths {
                    target.write(resource, path, &value)?;
                    // kustomize keeps hold of the field itself: what is written there is what is copied from then on.
                    if source == Some(index) {
                        value = replacement.again(resource)?.unwrap_or(value);
                    }
                }
                target.after(resource)?;
            }
        }
    }
    Ok(())
}

impl Replacement {
    /// The value, and the index of the object that it is a field of.
    fn value(&self, acc: &Acc) -> Result<(Option<usize>, Value), Refusal> {
        let at = &self.at;
        let (gvk, name, namespace, path, written, options) = match &self.source {
            Source::Value(value) => return Ok((None, value.clone())),
            Source::Object { gvk, name, namespace, path, written, options } => {
                (gvk, name, namespace, path, written, options)
            }
        };
        let mut chosen = acc.resources.iter().enumerate().filter(|(_, resource)| {
            ids(resource).any(|id| {
                let (group, version) = group_version(id.api_version);
                (name.is_empty() || name == id.name)
                    && (namespace.is_empty() || or_default(namespace) == or_default(id.namespace))
                    && gvk.selects(group, version, id.kind)
            })
        });
        let Some((index, resource)) = chosen.next() else {
            return Err(at.broken("no-source", "there is no object for the source of a replacement"));
        };
        if chosen.next().is_some() {
            return Err(at.broken("several-sources", "several objects fit the source of a replacement"));
        }
        let Some(found) = path::look_up(at, &resource.value, path)? else {
            return Err(at.broken("no-source", "the source of a replacement has no such field"));
        };
        match &found.data {
            Data::Null => Err(at.broken("no-source", "the source of a replacement is null")),
            Data::Map(map) if map.is_empty() => Err(at.broken("no-source", "the source of a replacement is empty")),
            Data::Seq(items) if items.is_empty() => Err(at.broken("no-source", "the source of a replacement is empty")),
            _ if is_stale(written) => Ok((None, Value::hidden())),
            _ => Ok((options.delimiter.is_empty().then_some(index), refine(at, found, options)?)),
        }
    }

    /// What the field of the source holds now.
    fn again(&self, resource: &Res) -> Result<Option<Value>, Refusal> {
        match &self.source {
            Source::Value(_) => Ok(None),
            Source::Object { path, .. } => Ok(path::look_up(&self.at, &resource.value, path)?.cloned()),
        }
    }
}

/// Whether something that is not modelled may have written a field: images, counts, labels of selectors.
fn is_stale(path: &str) -> bool {
    let labels = path.contains("abels") || path.contains("nnotations") || path.contains("elector");
    labels && !path.starts_with("metadata.") || ["image", "replicas"].iter().any(|field| path.ends_with(field))
}

/// Cuts the part out that the options ask for.
fn refine(at: &At, value: &Value, options: &Options) -> Result<Value, Refusal> {
    if options.delimiter.is_empty() {
        return Ok(value.clone());
    }
    let text = match &value.data {
        Data::Str(text) | Data::Plain(text, _) => text,
        Data::Hidden => return Err(at.unmodelled("hidden-value", "the source of a replacement is not kept")),
        _ => return Err(at.broken("bad-replacement", "a delimiter needs a source that is a text")),
    };
    let part = usize::try_from(options.index).ok().and_then(|index| text.split(options.delimiter.as_str()).nth(index));
    match part {
        Some(part) => Ok(Value::str(part)),
        None => Err(at.broken("bad-replacement", "the source of a replacement has no part of this index")),
    }
}

/// What an object is and was, the namespace as it is written.
fn ids(resource: &Res) -> impl Iterator<Item = Id<'_>> {
    let now = Id { namespace: resource.namespace(), ..resource.id() };
    std::iter::once(now).chain(resource.previous_ids())
}

fn or_default(namespace: &str) -> &str {
    if namespace.is_empty() { DEFAULT } else { namespace }
}

impl Target {
    fn chooses(&self, resource: &Res, selects: impl Fn(&Selector, &Id<'_>) -> bool) -> bool {
        let rejected = |selector: &Selector| {
            selector.asks_metadata() && selector.fits_metadata(resource)
                || !selector.names_nothing() && ids(resource).any(|id| selects(selector, &id))
        };
        self.select.fits_metadata(resource)
            && !self.reject.iter().any(rejected)
            && ids(resource).any(|id| selects(&self.select, &id))
    }

    /// Writes into an object that one version of kustomize chooses and another one does not: 5.6 takes the parts of a
    /// selector for names, 5.8 for expressions. What stands in the fields then is not known.
    fn write_unsure(&self, resource: &mut Res, chosen: bool) -> Result<(), Refusal> {
        let decides = |path: &(String, Vec<Part>)| match path.1.first() {
            Some(Part::Field(name)) => ["apiVersion", "kind", "metadata"].contains(&name.as_str()),
            _ => true,
        };
        if self.paths.iter().any(decides) {
            let fact = "a selector of a replacement is a name to some versions of kustomize, and an expression to others: \
                        they choose different objects";
            return Err(self
                .at
                .unmodelled("selector-of-versions", fact)
                .hinted("write a target for each object, with its name and namespace as they are"));
        }
        let mut written = resource.clone();
        for path in &self.paths {
            match self.write(&mut written, path, &Value::hidden()) {
                // The version that chooses it refuses to build.
                Err(refusal) if refusal.is_broken() && !chosen => return Ok(()),
                other => other?,
            }
        }
        self.after(&mut written)?;
        *resource = written;
        Ok(())
    }

    fn write(&self, resource: &mut Res, path: &(String, Vec<Part>), value: &Value) -> Result<(), Refusal> {
        let at = &self.at;
        let create = self.options.create.then_some(value);
        match path::visit(at, &mut resource.value, &path.1, create, &mut |field| self.set(at, field, value))? {
            0 => {
                let message = format!("a target of a replacement has no field {}", super::session::show(&path.0));
                Err(at.broken("no-such-field", message))
            }
            _ => Ok(()),
        }
    }

    fn after(&self, resource: &mut Res) -> Result<(), Refusal> {
        read::hide_secret(&mut resource.value);
        resource.check(&self.at)?;
        super::names::too_long(&self.at, resource)?;
        resource.step(&self.step.clone());
        Ok(())
    }

    fn set(&self, at: &At, field: &mut Value, value: &Value) -> Result<(), Refusal> {
        let mut value = value.clone();
        let delimiter = self.options.delimiter.as_str();
        if !delimiter.is_empty() {
            let old = match &field.data {
                Data::Str(text) | Data::Plain(text, _) => Some(text.to_string()),
                Data::Null => Some(String::new()),
                Data::Hidden => None,
                _ => return Err(at.broken("bad-replacement", "a delimiter needs a target that is a text")),
            };
            value = match (old, value.scalar()) {
                (Some(old), Some(new)) => Value::str(&self.put(&old, new)),
                _ => Value::hidden(),
            };
        }
        let is_scalar = matches!(field.data, Data::Str(_) | Data::Plain(..) | Data::Hidden | Data::Null);
        match (&field.data, &value.data) {
            // A scalar takes the text and keeps its own type.
            (Data::Str(_), Data::Plain(text, _)) => field.data = Data::Str(text.clone()),
            (_, Data::Map(_) | Data::Seq(_)) if is_scalar && !field.is_null() => field.data = Data::Str("".into()),
            _ => field.data = value.data,
        }
        Ok(())
    }

    fn put(&self, old: &str, new: &str) -> String {
        let mut parts: Vec<&str> = old.split(self.options.delimiter.as_str()).collect();
        match usize::try_from(self.options.index) {
            Err(_) => parts.insert(0, new),
            Ok(index) if index >= parts.len() => parts.push(new),
            Ok(index) => parts[index] = new,
        }
        parts.join(&self.options.delimiter)
    }
}
