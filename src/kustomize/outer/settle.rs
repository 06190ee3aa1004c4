//! Building what outer layers deploy, until the objects that come out are the ones that were read.
//!
//! An object of Flux or Argo CD may itself come out of a kustomization that changes it, which another such object deploys.
//! Each round reads the objects as the round before has built them. The first one has none, and builds every
//! kustomization on its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::instance::Instance;
use super::place::Where;
use super::{Content, Deployment, Plan, Setting, World, argo, by_hand, change, directory, find, flux, generated, sets};
use crate::kustomize::accumulate;
use crate::kustomize::files::is_walked;
use crate::kustomize::finish::{Ending, Finished, finish};
use crate::kustomize::kustomization::Kustomization;
use crate::kustomize::model::{Build, Reach, Source, Step};
use crate::kustomize::refusal::{At, Refusal};
use crate::kustomize::resolve::{self, Bare};
use crate::kustomize::root::{Layer, Root};
use crate::kustomize::session::{Session, below};
use crate::kustomize::value::Value;

/// How often objects may change each other. Each round goes one layer deeper.
const MAX_ROUNDS: usize = 24;

/// What one root builds; if it is refused, what it may read.
pub(in crate::kustomize) struct Answer {
    pub(in crate::kustomize) root: Root,
    pub(in crate::kustomize) built: Result<Build, Refusal>,
    pub(in crate::kustomize) reach: Reach,
    /// The namespace that the outer layer sets.
    pub(in crate::kustomize) namespace: Option<(String, Step)>,
}

/// Finds all roots and builds each.
pub(in crate::kustomize) fn settle(
    session: &mut Session<'_>,
    paths: &[String],
    kustomizations: &BTreeSet<String>,
) -> Vec<Answer> {
    let bare = Bare::find(session, kustomizations);
    let (written, unread) = find::find(session, paths);
    let hand = by_hand::read(session);
    let known = !written.is_empty() || !hand.deployed.is_empty();
    let remotes = if known { remotes(session, &hand.repositories) } else { Vec::new() };
    let others = hand.others.iter().map(|url| super::repository::normalized(url)).collect();
    let ignoring = paths.iter().filter(|path| path.rsplit('/').next() == Some(".sourceignore")).cloned().collect();
    let tree = Tree { paths, kustomizations, ignoring, remotes, others, written, unread, hand, bare };
    let mut cache = Cache::default();
    let mut instances = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let round = tree.round(session, &instances, &mut cache, Which::Holding);
        let next = tree.instances(session, &round);
        if next == instances {
            let round = tree.round(session, &instances, &mut cache, Which::All);
            drop(cache);
            return round.into_iter().map(Built::answer).collect();
        }
        instances = next;
    }
    tree.endless(session, &instances)
}

/// Which roots a round builds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those that may hold objects of outer layers: the others say nothing of what is deployed.
    Holding,
    All,
}

fn remotes(session: &Session<'_>, more: &[String]) -> Vec<String> {
    let all = session.remotes();
    all.iter().chain(more).map(|url| super::repository::normalized(url)).collect()
}

/// What does not change from round to round.
struct Tree<'t> {
    paths: &'t [String],
    kustomizations: &'t BTreeSet<String>,
    /// The files `.sourceignore`.
    ignoring: Vec<String>,
    remotes: Vec<String>,
    others: Vec<String>,
    written: Vec<Instance>,
    /// Files that may hold outer layers and cannot be read.
    unread: Vec<Refusal>,
    hand: by_hand::ByHand,
    bare: Bare,
}

/// What a root builds, shared by rounds.
type Done = Rc<Result<Finished, Refusal>>;

/// What is kept from round to round.
#[derive(Default)]
struct Cache {
    /// What roots build, with the object that it was built for.
    built: HashMap<Root, (Option<Value>, Done)>,
    /// Which files with objects of outer layers a build may read, by what it begins at.
    holding: HashMap<Starts, Rc<BTreeSet<String>>>,
}

/// Where a build begins: kustomizations, and folders that are read as a whole.
type Starts = (BTreeSet<String>, BTreeSet<String>);

/// What one root builds in a round.
struct Built {
    root: Root,
    /// Where the object is written that it is built for.
    of: Option<Source>,
    done: Done,
    reach: Reach,
    namespace: Option<(String, Step)>,
    /// The files with objects of outer layers that its kustomizations list.
    lists: Rc<BTreeSet<String>>,
}

impl Built {
    fn answer(self) -> Answer {
        let done = Rc::try_unwrap(self.done).unwrap_or_else(|shared| match &*shared {
            Ok(finished) => Ok(Finished { build: finished.build.clone(), outer: Vec::new() }),
            Err(refusal) => Err(refusal.clone()),
        });
        Answer {
            root: self.root,
            built: done.map(|finished| finished.build),
            reach: self.reach,
            namespace: self.namespace,
        }
    }
}

/// A deployment with the object that it is made of; none if it is said by hand.
type Made<'i> = (Deployment, Option<&'i Instance>);

impl Tree<'_> {
    fn round(&self, session: &mut Session<'_>, instances: &[Instance], cache: &mut Cache, which: Which) -> Vec<Built> {
        let mut round = Vec::new();
        let mut named = BTreeSet::new();
        for (deployment, instance) in self.deployments(session, instances) {
            let Deployment { root, reach, plan } = deployment;
            let said = instance.is_none();
            let mut namespace = None;
            let mut lists = Rc::default();
            let contents = plan.and_then(|plan| {
                let contents = self.contents(session, &plan)?;
                Ok((plan, contents))
            });
            let (done, starts) = match contents {
                Ok((plan, contents)) => {
                    named.insert(plan.folder.clone());
                    named.extend(contents.includes(&plan.folder));
                    namespace = namespace_of(&plan, &contents);
                    let starts = starts(session, &plan, &contents);
                    let holds = self.holds(session, cache, &starts);
                    if which == Which::Holding && holds.is_empty() {
                        continue;
                    }
                    if matches!(contents, Contents::Kustomization(_)) {
                        lists = holds;
                    }
                    let value = instance.map(|instance| instance.value.clone());
                    let known = cache.built.get(&root).filter(|(of, _)| *of == value);
                    let known = known.map(|(_, done)| done.clone());
                    let done = known.unwrap_or_else(|| Rc::new(build(session, &root, &plan, &contents)));
                    cache.built.insert(root.clone(), (value, done.clone()));
                    (done, starts)
                }
                Err(refusal) => {
                    if reach == Where::Everything && self.kustomizations.contains(&*root.folder) {
                        named.insert(root.folder.to_string());
                    }
                    let (with, without) = match reach {
                        // Where it is said by hand what is deployed how, the rest is what nothing else includes.
                        Where::Everything if !self.hand.deployed.is_empty() => {
                            (self.bare.folders(&BTreeSet::new()).map(str::to_owned).collect(), BTreeSet::new())
                        }
                        _ => reach.folders(&self.world(session, instances)),
                    };
                    let ours = |folder: &String| said || !self.hand.says(folder);
                    let (with, without): (BTreeSet<_>, BTreeSet<_>) =
                        (with.into_iter().filter(ours).collect(), without.into_iter().filter(ours).collect());
                    if with.is_empty() && without.is_empty() && reach != Where::Nothing {
                        continue;
                    }
                    named.extend(with.iter().chain(&without).filter(|folder| !folder.is_empty()).cloned());
                    (Rc::new(Err(refusal)), (with, without))
                }
            };
            let of = instance.map(|instance| instance.source.clone());
            round.push(Built { of, namespace, lists, ..with_reach(session, root, done, starts) });
        }
        for folder in self.bare.folders(&named) {
            let root = Root::bare(folder);
            let starts = (BTreeSet::from([folder.to_owned()]), BTreeSet::new());
            let lists = self.holds(session, cache, &starts);
            if which == Which::Holding && lists.is_empty() {
                continue;
            }
            let done = match cache.built.get(&root) {
                Some((_, done)) => done.clone(),
                None => Rc::new(resolve::build_in(session, folder)),
            };
            cache.built.insert(root.clone(), (None, done.clone()));
            round.push(Built { lists, ..with_reach(session, root, done, starts) });
        }
        for refusal in &self.unread {
            let reason = refusal.reason();
            let (what, file) = ("a file that is not YAML".to_owned(), reason.file.clone());
            let layer = Layer { what, file, line: reason.line, by: None };
            let root = Root { folder: "".into(), layer: Some(layer.into()) };
            let done = Rc::new(Err(refusal.clone()));
            let starts = (BTreeSet::new(), BTreeSet::from([String::new()]));
            round.push(with_reach(session, root, done, starts));
        }
        round
    }

    /// The files with objects of outer layers that a build may read that begins there, as far as its lists tell.
    fn holds(&self, session: &mut Session<'_>, cache: &mut Cache, starts: &Starts) -> Rc<BTreeSet<String>> {
        if self.written.is_empty() {
            return Rc::default();
        }
        if let Some(known) = cache.holding.get(starts) {
            return known.clone();
        }
        let reach = reach(session, starts);
        let files = self.written.iter().map(|written| &written.source.file);
        let holds: Rc<BTreeSet<String>> = Rc::new(files.filter(|file| reach.may_read(file)).cloned().collect());
        cache.holding.insert(starts.clone(), holds.clone());
        holds
    }

    /// Whether a build that is refused may change the spec of an object that it reads.
    fn may_change(&self, session: &mut Session<'_>, built: &Built, written: &Instance) -> bool {
        let layer = self.written.iter().find(|layer| built.of.as_ref() == Some(&layer.source));
        if layer.is_some_and(|layer| change::changes(&layer.value)) {
            return true;
        }
        // It is not known what is deployed at all.
        let everything = |folder: &String| folder.is_empty() && !built.reach.folders.contains(folder);
        if built.reach.unknown.iter().any(everything) {
            return true;
        }
        built.reach.folders.iter().any(|folder| match session.kustomization(folder) {
            Ok(read) => change::may_change(session, folder, &read, written.kind()),
            Err(_) => change::may_change_unread(session, folder),
        })
    }

    fn world<'w, 'f>(&'w self, session: &'w Session<'f>, instances: &'w [Instance]) -> World<'w, 'f> {
        let sources = instances.iter().filter(|instance| instance.kind() == "GitRepository").collect();
        let Self { paths, kustomizations, ignoring, remotes, others, .. } = self;
        World { session, paths, kustomizations, ignoring, remotes, others, sources }
    }

    /// What all outer layers deploy, each root once.
    fn deployments<'i>(&self, session: &Session<'_>, instances: &'i [Instance]) -> Vec<Made<'i>> {
        let world = self.world(session, instances);
        let mut made: Vec<Made<'i>> = self.hand.deployments(&world).into_iter().map(|one| (one, None)).collect();
        for instance in instances {
            let found = match instance.kind() {
                "Kustomization" => flux::deployment(instance, &world).into_iter().collect(),
                "Application" => argo::deployments(instance, &world),
                "ApplicationSet" => sets::deployments(instance, &world),
                _ => Vec::new(),
            };
            made.extend(found.into_iter().map(|one| (one, Some(instance))));
        }
        let mut roots: BTreeMap<Root, usize> = BTreeMap::new();
        let mut twice = Vec::new();
        for (index, (deployment, _)) in made.iter().enumerate() {
            if let Some(first) = roots.insert(deployment.root.clone(), index) {
                twice.push((first, index));
            }
        }
        for (first, index) in twice.into_iter().rev() {
            let at = made[first].1.map_or_else(|| At::new("", 1), Instance::at);
            made[first].0.plan = Err(at.unmodelled("same-name", "this makes two objects of one name for one folder"));
            made.remove(index);
        }
        made
    }

    /// What a plan builds, before its edits.
    fn contents(&self, session: &mut Session<'_>, plan: &Plan) -> Result<Contents, Refusal> {
        session.restrict(plan.restriction);
        let folder = plan.folder.as_str();
        let contents = match &plan.content {
            Content::Directory(selection) => {
                let world = self.world(session, &[]);
                directory::files(&world, &plan.named, folder, selection).map(Contents::Files)
            }
            Content::Flux if !self.has_kustomization(session, folder) => {
                let world = self.world(session, &[]);
                let generated = generated::kustomization(&world, &plan.named, folder);
                generated.map(|generated| Contents::Generated(Rc::new(generated)))
            }
            Content::Flux | Content::Kustomization => session.kustomization(folder).map(Contents::Kustomization),
        };
        session.restrict(None);
        contents
    }

    /// Whether there is a kustomization of this folder's own, and no link to one, which is in no artifact of Flux.
    fn has_kustomization(&self, session: &Session<'_>, folder: &str) -> bool {
        self.kustomizations.contains(folder) || (!is_walked(folder) && session.has_kustomization(folder))
    }

    /// The objects of outer layers as a round has built them; as they are written, where nothing builds them.
    fn instances(&self, session: &mut Session<'_>, round: &[Built]) -> Vec<Instance> {
        let mut found: BTreeMap<Source, Vec<Instance>> = BTreeMap::new();
        let mut add = |instance: Instance| {
            let same = found.entry(instance.source.clone()).or_default();
            if !same.contains(&instance) {
                same.push(instance);
            }
        };
        let mut seen = BTreeSet::new();
        for Built { root, done, .. } in round {
            let Ok(finished) = &**done else { continue };
            for resource in &finished.outer {
                seen.insert(&resource.origin.source);
                add(find::instance_of(resource, &self.written, &root.to_string()));
            }
        }
        for written in &self.written {
            // What is refused for its own sake keeps its own reason.
            let may_read = |built: &&Built| {
                built.of.as_ref() != Some(&written.source) && built.reach.may_read(&written.source.file)
            };
            let unknown: Vec<&Built> = round.iter().filter(may_read).collect();
            let dropped = |built: &Built| built.done.is_ok() && built.lists.contains(&written.source.file);
            match unknown.iter().find(|built| self.may_change(session, built, written)) {
                Some(built) => add(Instance { unsure: Some(changed(written, built)), ..written.clone() }),
                None if seen.contains(&written.source) => {}
                // A build that is known reads it and does not have it: it was taken out.
                None if unknown.is_empty() && round.iter().any(dropped) => {}
                None => add(written.clone()),
            }
        }
        found.into_values().flatten().collect()
    }

    /// Every layer refused: they change each other, and no round is like the one before.
    fn endless(&self, session: &mut Session<'_>, instances: &[Instance]) -> Vec<Answer> {
        let refuse = |instance: &Instance| {
            let message = "this object changes what deploys it, or what it deploys changes it, without an end";
            let unsure = Some(instance.at().unmodelled("outer-cycle", message));
            Instance { unsure, ..instance.clone() }
        };
        let refused: Vec<Instance> = instances.iter().map(refuse).collect();
        let round = self.round(session, &refused, &mut Cache::default(), Which::All);
        round.into_iter().map(Built::answer).collect()
    }
}

const UNSURE: &str = "outer-layer-changed";

/// The refusal of an object that a kustomization lists whose build is not known.
fn changed(written: &Instance, built: &Built) -> Refusal {
    const WHAT: &str = "what becomes of this object is not known: ";
    let cause = match &*built.done {
        Err(refusal) if refusal.reason().code == UNSURE => {
            let message = &refusal.reason().message;
            message.strip_prefix(WHAT).unwrap_or(message).to_owned()
        }
        Err(refusal) => refusal.to_string(),
        Ok(_) => built.root.to_string(),
    };
    written.at().unmodelled(UNSURE, format!("{WHAT}{cause}")).hinted(super::instance::BY_HAND)
}

/// What one root builds, with what it may read if it is refused: kustomizations, and folders that are read as a whole.
fn with_reach(session: &mut Session<'_>, root: Root, done: Done, starts: Starts) -> Built {
    let reach = if done.is_err() { reach(session, &starts) } else { Reach::default() };
    Built { root, of: None, done, reach, namespace: None, lists: Rc::default() }
}

/// What a build may read that begins there.
fn reach(session: &mut Session<'_>, (with, without): &Starts) -> Reach {
    let mut reach = resolve::reach(session, with.iter().cloned().collect());
    reach.unknown.extend(without.iter().cloned());
    reach.starts.extend(with.iter().chain(without).cloned());
    reach
}

/// What is built of a folder.
enum Contents {
    Kustomization(Rc<Kustomization>),
    Generated(Rc<Kustomization>),
    Files(Vec<crate::kustomize::resource::Res>),
}

impl Contents {
    /// The folders that a generated kustomization includes, if they are folders.
    fn includes(&self, folder: &str) -> Vec<String> {
        match self {
            Self::Generated(generated) => {
                let paths = generated.resources.iter().map(|entry| entry.text.trim_start_matches("./"));
                paths.map(|path| below(folder, path)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The namespace that a layer sets: of everything, or of what has none where the kustomization says none either.
fn namespace_of(plan: &Plan, contents: &Contents) -> Option<(String, Step)> {
    let own = matches!(contents, Contents::Kustomization(own) if own.namespace.is_some());
    let edits = &plan.edits;
    let set = edits.kustomization.namespace.clone();
    let set = set.map(|entry| Setting { at: edits.kustomization.at.clone(), entry, field: edits.namespace_field });
    let Setting { at, entry, field } = set.or_else(|| plan.default_namespace.clone().filter(|_| !own))?;
    let step = Step { file: at.file.to_string(), line: entry.line, what: format!("{field}: {}", entry.text) };
    Some((entry.text, step))
}

/// Where the build of a folder begins.
fn starts(session: &Session<'_>, plan: &Plan, contents: &Contents) -> Starts {
    let folder = plan.folder.as_str();
    let (mut with, mut without) = (BTreeSet::new(), BTreeSet::new());
    match contents {
        Contents::Kustomization(_) => drop(with.insert(folder.to_owned())),
        Contents::Generated(_) => {
            without.insert(folder.to_owned());
            with.extend(contents.includes(folder).into_iter().filter(|inner| session.has_kustomization(inner)));
        }
        Contents::Files(_) => drop(without.insert(folder.to_owned())),
    }
    let components = plan.edits.kustomization.components.iter();
    with.extend(components.filter_map(|component| session.folder(&plan.named, folder, &component.text).ok()));
    (with, without)
}

/// Builds a folder for an outer layer.
fn build(session: &mut Session<'_>, root: &Root, plan: &Plan, contents: &Contents) -> Result<Finished, Refusal> {
    session.restrict(plan.restriction);
    let acc = match contents {
        Contents::Kustomization(kustomization) | Contents::Generated(kustomization) => accumulate::enter(
            session,
            &mut Vec::new(),
            &plan.folder,
            kustomization,
            Some(&plan.edits),
            Default::default(),
        ),
        Contents::Files(files) => accumulate::of_files(&plan.named, files),
    };
    session.restrict(None);
    let ending =
        Ending { default_namespace: plan.default_namespace.as_ref(), plain: matches!(contents, Contents::Files(_)) };
    let mut finished = finish(&plan.named, &acc?, &ending)?;
    let layer = root.layer.as_deref();
    for object in &mut finished.build.objects {
        // What the layer says comes last, as it is the last word.
        let by_layer = |step: &Step| layer.is_some_and(|layer| layer.file == step.file);
        let (mut last, chain): (Vec<Step>, Vec<Step>) = object.chain.drain(..).partition(by_layer);
        object.chain = chain;
        let file = plan.named.file.to_string();
        object.chain.push(Step { file, line: plan.named.line, what: plan.what.clone() });
        object.chain.append(&mut last);
    }
    Ok(finished)
}
