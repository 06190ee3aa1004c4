//! What the policy says of folders that are deployed from elsewhere.

use std::sync::Arc;

use super::place::Where;
use super::{Content, Deployment, Plan, Setting, World};
use crate::kustomize::accumulate::Edits;
use crate::kustomize::fields::Entry;
use crate::kustomize::kustomization::Kustomization;
use crate::kustomize::refusal::At;
use crate::kustomize::root::{Layer, Root};
use crate::kustomize::session::Session;
use crate::policy::{Deployed, POLICY_PATH, Policy, Said};

/// What the policy says of deployments.
#[derive(Default)]
pub(super) struct ByHand {
    pub(super) deployed: Vec<Deployed>,
    pub(super) repositories: Vec<String>,
    pub(super) others: Vec<String>,
}

/// Reads it. A policy that is wrong says nothing here: whoever seals or checks reads it as well, and refuses it.
pub(super) fn read(session: &Session<'_>) -> ByHand {
    let policy = session.read(POLICY_PATH).and_then(|bytes| Policy::parse(bytes.to_vec()).ok());
    policy.map_or_else(ByHand::default, |policy| ByHand {
        deployed: policy.deployed().to_vec(),
        repositories: policy.repositories().to_vec(),
        others: policy.other_repositories().to_vec(),
    })
}

impl ByHand {
    /// Whether it says how a folder is deployed. Then it is the answer to every layer that is not understood.
    pub(super) fn says(&self, folder: &str) -> bool {
        self.deployed.iter().any(|one| one.path.text == folder)
    }

    /// One deployment for each entry.
    pub(super) fn deployments(&self, world: &World<'_, '_>) -> Vec<Deployment> {
        self.deployed.iter().map(|one| deployment(one, world)).collect()
    }
}

fn deployment(one: &Deployed, world: &World<'_, '_>) -> Deployment {
    let at = At::new(POLICY_PATH, one.path.at.line);
    let folder = &one.path.text;
    let what = "deployed in the policy".to_owned();
    let layer = Layer { what, file: POLICY_PATH.to_owned(), line: one.at.line, by: None };
    let root = Root { folder: folder.as_str().into(), layer: Some(Arc::new(layer)) };
    let real = world.session.real(folder).filter(|real| world.session.is_folder(real));
    match real {
        None => {
            let refusal = at.broken("missing-path", format!("there is no folder {folder}")).hinted("mend the path");
            Deployment { root, reach: Where::Nothing, plan: Err(refusal) }
        }
        Some(real) => Deployment { root, reach: Where::Folder(real.clone()), plan: Ok(plan(one, at, real)) },
    }
}

fn plan(one: &Deployed, at: At, folder: String) -> Plan {
    let entry = |said: &Option<Said>| said.as_ref().map(|said| Entry { text: said.text.clone(), line: said.at.line });
    let mut kustomization = Kustomization::empty(&at);
    kustomization.namespace = entry(&one.namespace);
    kustomization.name_prefix = entry(&one.name_prefix);
    kustomization.name_suffix = entry(&one.name_suffix);
    let field = "defaultNamespace";
    let default_namespace = entry(&one.default_namespace).map(|entry| Setting { at: at.clone(), entry, field });
    Plan {
        folder,
        what: format!("deployed: {}", if one.path.text.is_empty() { "." } else { &one.path.text }),
        named: at,
        edits: Edits { kustomization, namespace_field: "namespace", components_once: false },
        restriction: None,
        default_namespace,
        // A folder without a kustomization is taken whole.
        content: Content::Flux,
    }
}
