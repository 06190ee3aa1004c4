//! References that follow the names of what they refer to.

use std::collections::HashMap;
use std::rc::Rc;

use super::accumulate::Acc;
use super::config::{FieldSpec, NameReference};
use super::fieldspec;
use super::ident::{self, Gvk};
use super::refusal::{At, Refusal};
use super::resource::Res;
use super::value::{Data, Value};

/// What a reference needs to know of an object that it may refer to.
struct Candidate {
    names: Vec<String>,
    /// Group, version and former kinds.
    api_version: String,
    kinds: Vec<String>,
    name: String,
    kind: String,
    /// As it is written.
    namespace: String,
    effective: String,
    original_effective: String,
    prefixes: Vec<Rc<str>>,
    suffixes: Vec<Rc<str>>,
}

impl Candidate {
    fn new(resource: &Res) -> Self {
        Self {
            names: resource.previous_ids().map(|id| id.name.to_owned()).collect(),
            api_version: resource.api_version().to_owned(),
            kinds: resource.previous_ids().map(|id| id.kind.to_owned()).collect(),
            name: resource.name().to_owned(),
            kind: resource.kind().to_owned(),
            namespace: resource.namespace().to_owned(),
            effective: resource.effective_namespace().to_owned(),
            original_effective: resource.original_id().namespace.to_owned(),
            prefixes: resource.prefixes.clone(),
            suffixes: resource.suffixes.clone(),
        }
    }

    fn was_of(&self, gvk: &Gvk) -> bool {
        let (group, version) = ident::group_version(&self.api_version);
        self.kinds.iter().any(|kind| gvk.selects(group, version, kind))
    }

    fn is_cluster_scoped(&self) -> bool {
        ident::is_none(&self.effective)
    }
}

/// Lets every reference follow, as configured.
pub(super) fn fix(at: &At, acc: &mut Acc, references: &[NameReference]) -> Result<(), Refusal> {
    let mut candidates: Vec<Candidate> = acc.resources.iter().map(Candidate::new).collect();
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        for (position, name) in candidate.names.iter().enumerate() {
            if !candidate.names[..position].contains(name) {
                by_name.entry(name.clone()).or_default().push(index);
            }
        }
    }
    let mut chosen = Chosen { references, known: HashMap::new() };
    for index in 0..acc.resources.len() {
        let here = at_of(at, &acc.resources[index]);
        let referrer = Referrer::new(&here, &acc.resources[index])?;
        for (reference, spec) in chosen.of(&acc.resources[index]).iter() {
            let search = Search {
                at: &here,
                candidates: &candidates,
                by_name: &by_name,
                referrer: &referrer,
                target: &reference.target,
                role: role_of(spec, &acc.resources[index]),
            };
            fieldspec::apply(&here, spec, &mut acc.resources[index], false, &mut |value| search.set(value))?;
            if spec.path == "metadata/name" {
                candidates[index].name = acc.resources[index].name().to_owned();
            }
        }
    }
    Ok(())
}

/// The fields that apply to an object, worked out once for each kind.
struct Chosen<'r> {
    references: &'r [NameReference],
    known: HashMap<(String, String), Rc<Fields<'r>>>,
}

type Fields<'r> = Vec<(&'r NameReference, FieldSpec)>;

impl<'r> Chosen<'r> {
    fn of(&mut self, resource: &Res) -> Rc<Fields<'r>> {
        let kind = (resource.api_version().to_owned(), resource.original_id().kind.to_owned());
        let all = self.references.iter().flat_map(|one| one.fields.iter().map(move |spec| (one, spec)));
        let fields = self.known.entry(kind).or_insert_with(|| {
            let chosen = all.filter(|(_, spec)| resource.was_selected(&spec.gvk));
            // The kind is matched here, by what the object was first.
            let open = |spec: &FieldSpec| FieldSpec { gvk: Gvk::default(), path: spec.path.clone(), create: false };
            Rc::new(chosen.map(|(one, spec)| (one, open(spec))).collect())
        });
        fields.clone()
    }
}

/// A reference is refused at the object that holds it.
fn at_of(at: &At, resource: &Res) -> At {
    let source = &resource.origin.source;
    if source.file.is_empty() { at.clone() } else { At::new(&source.file, source.line) }
}

struct Referrer {
    effective: String,
    /// Namespaces of the service accounts that a RoleBinding names.
    subjects: Vec<String>,
    prefixes: Vec<Rc<str>>,
    suffixes: Vec<Rc<str>>,
}

impl Referrer {
    fn new(at: &At, resource: &Res) -> Result<Self, Refusal> {
        let subjects = resource.value.get("subjects").and_then(Value::as_seq).unwrap_or_default();
        let of_account = |subject: &Value| {
            let account = subject.get("kind").and_then(Value::scalar) == Some("ServiceAccount");
            subject.get("namespace").and_then(Value::scalar).filter(|_| account).map(str::to_owned)
        };
        let subjects = if resource.kind() == "RoleBinding" { subjects } else { &[] };
        let account = |subject: &&Value| subject.get("kind").and_then(Value::scalar) == Some("ServiceAccount");
        let text = |subject: &Value| subject.get("namespace").is_none_or(|found| matches!(found.data, Data::Str(_)));
        if !subjects.iter().filter(account).all(text) {
            return Err(at.unmodelled("bad-subject", "a subject of this binding has a namespace that is no text"));
        }
        Ok(Self {
            effective: resource.effective_namespace().to_owned(),
            subjects: subjects.iter().filter_map(of_account).collect(),
            prefixes: resource.prefixes.clone(),
            suffixes: resource.suffixes.clone(),
        })
    }

    fn is_cluster_scoped(&self) -> bool {
        ident::is_none(&self.effective)
    }
}

/// The kind that `roleRef` of a binding names, if the field is the name in it.
fn role_of(spec: &FieldSpec, resource: &Res) -> Option<Gvk> {
    if !spec.path.ends_with("roleRef/name") {
        return None;
    }
    let group = resource.value.at(&["roleRef", "apiGroup"])?.scalar()?;
    let kind = resource.value.at(&["roleRef", "kind"])?.scalar()?;
    Some(Gvk::new(group, "", kind))
}

struct Search<'s> {
    at: &'s At,
    candidates: &'s [Candidate],
    by_name: &'s HashMap<String, Vec<usize>>,
    referrer: &'s Referrer,
    target: &'s Gvk,
    role: Option<Gvk>,
}

impl Search<'_> {
    fn set(&self, value: &mut Value) -> Result<(), Refusal> {
        match &value.data {
            Data::Null => Ok(()),
            Data::Hidden => Err(self.at.unmodelled("hidden-value", "a reference comes from a value that is not kept")),
            Data::Str(_) | Data::Plain(..) => self.set_scalar(value),
            Data::Map(_) => self.set_map(value),
            Data::Seq(_) => {
                for item in value.as_seq_mut().into_iter().flatten() {
                    match &item.data {
                        Data::Str(_) | Data::Plain(..) => self.set_scalar(item)?,
                        Data::Map(_) => self.set_map(item)?,
                        Data::Null => {}
                        _ => {
                            return Err(self.at.unmodelled("bad-reference", "a list of references holds another list"));
                        }
                    }
                }
                Ok(())
            }
        }
    }

    fn set_scalar(&self, value: &mut Value) -> Result<(), Refusal> {
        let Some(old) = value.scalar() else { return Ok(()) };
        if let Some(found) = self.select(old, &|_| true, false)?
            && found.name != old
        {
            value.data = Data::Str(found.name.as_str().into());
        }
        Ok(())
    }

    /// A mapping with a name and perhaps a namespace.
    fn set_map(&self, value: &mut Value) -> Result<(), Refusal> {
        let Some(name) = value.get("name") else {
            return Err(self.at.broken("bad-reference", "a reference is configured where a mapping has no name"));
        };
        let Some(old) = name.scalar() else { return Ok(()) };
        let namespace = value.get("namespace").map(|namespace| namespace.scalar().unwrap_or_default());
        let found = match namespace {
            None => self.select(old, &|_| true, true)?,
            Some(namespace) => {
                let originally =
                    self.candidates.iter().any(|one| self.may_refer(one) && one.original_effective == namespace);
                let fits =
                    |one: &Candidate| namespace == if originally { &*one.original_effective } else { &*one.effective };
                self.select(old, &fits, true)?
            }
        };
        let Some(found) = found else { return Ok(()) };
        if found.name == old && found.namespace.is_empty() {
            return Ok(());
        }
        let (name, namespace) = (found.name.clone(), found.namespace.clone());
        value.set("name", Value::str(&name));
        if !namespace.is_empty() {
            value.set("namespace", Value::str(&namespace));
        }
        Ok(())
    }

    /// Whether the referrer may refer to an object at all.
    fn may_refer(&self, one: &Candidate) -> bool {
        self.referrer.is_cluster_scoped()
            || one.is_cluster_scoped()
            || one.effective == self.referrer.effective
            || self.referrer.subjects.contains(&one.namespace)
    }

    /// The one object that had a name, if there is one.
    fn select(
        &self,
        name: &str,
        fits: &dyn Fn(&Candidate) -> bool,
        with_namespace: bool,
    ) -> Result<Option<&Candidate>, Refusal> {
        let Some(indexes) = self.by_name.get(name) else { return Ok(None) };
        let mut found: Vec<&Candidate> = indexes
            .iter()
            .map(|index| &self.candidates[*index])
            .filter(|one| {
                self.may_refer(one)
                    && fits(one)
                    && one.was_of(self.target)
                    && self.role.as_ref().is_none_or(|role| one.was_of(role))
                    && (self.referrer.is_cluster_scoped()
                        || one.is_cluster_scoped()
                        || one.kind == "ServiceAccount"
                        || one.effective == self.referrer.effective)
            })
            .collect();
        if found.len() == 1 {
            return Ok(found.pop());
        }
        found.retain(|one| self.same_context(one, true));
        if found.len() > 1 {
            found.retain(|one| self.same_context(one, false));
        }
        let Some(first) = found.first().copied() else { return Ok(None) };
        let same = |one: &&Candidate| one.name == first.name && (!with_namespace || one.namespace == first.namespace);
        if found.iter().all(same) {
            return Ok(Some(first));
        }
        let message =
            format!("a reference to {} may mean several objects that were named so", super::session::show(name));
        Err(self.at.broken("ambiguous-reference", message))
    }

    fn same_context(&self, one: &Candidate, empty_fits: bool) -> bool {
        let same = |a: &[Rc<str>], b: &[Rc<str>]| empty_fits && (a.is_empty() || b.is_empty()) || same_ending(a, b);
        same(&one.prefixes, &self.referrer.prefixes) && same(&one.suffixes, &self.referrer.suffixes)
    }
}

fn same_ending(a: &[Rc<str>], b: &[Rc<str>]) -> bool {
    let (short, long) = if a.len() > b.len() { (b, a) } else { (a, b) };
    if short.is_empty() { long.is_empty() } else { long.ends_with(short) }
}
