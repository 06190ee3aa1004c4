//! What a patch in a file changes: the objects, in every root that is built with it.

use std::collections::BTreeSet;

use super::files::{Files, is_within, join, parent};
use super::model::{Object, Options, Step};
use super::refusal::Refusal;
use super::resolve;
use super::root::Root;
use super::session::Session;

/// The fields of a kustomization that list patches.
const FIELDS: [&str; 3] = ["patches", "patchesStrategicMerge", "patchesJson6902"];

/// The objects that the patches in a file change, each with the root that builds it.
///
/// `listed_in` are the kustomizations that list the file: paths from the top, as `patch` is.
///
/// # Errors
/// A root that is built with the patch, or may be, and whose build is not known: its objects would be missing here.
pub fn patched_by(
    files: &dyn Files,
    patch: &str,
    listed_in: &[String],
    options: &Options,
) -> Result<Vec<(Root, Object)>, Refusal> {
    let resolution = resolve::resolve(files, options);
    let mut session = Session::new(files, options);
    for (root, reach) in &resolution.refused {
        let Some(Err(refusal)) = resolution.roots.get(root) else { continue };
        let mut leads_to = |file: &String| {
            let mut starts = reach.starts.iter();
            let within = |folder: &String| !root.is_bare() && is_within(file, folder);
            starts.any(|start| resolve::may_reach(&mut session, start, parent(file)))
                || reach.unknown.iter().any(within)
        };
        if listed_in.iter().any(&mut leads_to) {
            return Err(refusal.clone());
        }
    }
    Ok(resolution.of_patch(patch).map(|(root, object)| (root.clone(), object.clone())).collect())
}

/// The files of patches among the steps on the way of an object, each once: paths from the top.
pub fn patches_on(chain: &[Step]) -> BTreeSet<String> {
    let path = |step: &Step| {
        let (_, path) = step.what.split_once(": ").filter(|(field, _)| FIELDS.contains(field))?;
        join(parent(&step.file), path)
    };
    chain.iter().filter_map(path).collect()
}
