//! The controller's Deployment, as far as its arguments tell what it does.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;

use super::{AskError, Asked, Cluster};

/// The Deployment of `deploy/`.
pub const DEPLOYMENT: &str = "ageseal-controller";

const FLAG: &str = "--namespaces";
const VARIABLE: &str = "AGESEAL_NAMESPACES";

/// The Deployment; nothing if there is none.
///
/// # Errors
/// It may not be read.
pub fn deployment(cluster: &Cluster) -> Result<Option<Deployment>, AskError> {
    let asked = Asked::new("get", "deployments.apps").named(DEPLOYMENT).within(cluster.namespace());
    cluster.find(&asked, cluster.namespaced::<Deployment>(cluster.namespace()).get(DEPLOYMENT))
}

/// Which namespaces a controller serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// All of the cluster.
    All,
    /// These.
    These(BTreeSet<String>),
    /// Its Deployment does not say it in a way that can be read.
    Unsaid,
}

impl Served {
    /// What the arguments and the variables of a Deployment say.
    pub fn of(deployment: &Deployment) -> Self {
        let containers = deployment.spec.iter().flat_map(|spec| &spec.template.spec).flat_map(|spec| &spec.containers);
        let mut containers: Vec<_> = containers.collect();
        // Others may have been put beside it.
        if containers.len() > 1 {
            containers.retain(|container| container.name == "controller");
        }
        match containers.as_slice() {
            [one] => said(one),
            _ => Self::Unsaid,
        }
    }
}

/// What one container is told. What is not a list in plain text, because it comes from elsewhere or is filled in later, is
/// not guessed.
fn said(container: &Container) -> Served {
    let mut words = container.command.iter().chain(&container.args).flatten();
    let mut lists: Vec<Option<&str>> = vec![];
    while let Some(word) = words.next() {
        match word.strip_prefix(FLAG) {
            Some("") => lists.push(words.next().map(String::as_str)),
            Some(rest) => lists.extend(rest.strip_prefix('=').map(Some)),
            None => {}
        }
    }
    // As for every flag, a variable counts where there is none.
    if lists.is_empty() {
        // What a whole ConfigMap or Secret brings into the environment is not to be seen here.
        if container.env_from.as_ref().is_some_and(|sources| !sources.is_empty()) {
            return Served::Unsaid;
        }
        let set = container.env.iter().flatten().filter(|variable| variable.name == VARIABLE);
        lists.extend(set.map(|variable| if variable.value_from.is_some() { None } else { variable.value.as_deref() }));
    }
    if lists.is_empty() {
        return Served::All;
    }
    let mut names = BTreeSet::new();
    for list in lists {
        let Some(list) = list.filter(|list| !list.contains('$')) else { return Served::Unsaid };
        names.extend(list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    if names.is_empty() { Served::Unsaid } else { Served::These(names) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn served(containers: Value) -> Served {
        let spec = json!({"selector": {}, "template": {"spec": {"containers": containers}}});
        Served::of(&serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap())
    }

    fn these(names: &[&str]) -> Served {
        Served::These(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn the_arguments_of_the_controller_say_what_it_serves() {
        for (container, expected) in [
            (json!({"name": "x", "args": ["--log-level=info"]}), Served::All),
            (json!({"name": "x"}), Served::All),
            (json!({"name": "x", "args": ["--namespaces=b,a", "--namespaces", "c"]}), these(&["a", "b", "c"])),
            (json!({"name": "x", "command": ["/ageseal-controller", "--namespaces=a"]}), these(&["a"])),
            (json!({"name": "x", "env": [{"name": "AGESEAL_NAMESPACES", "value": "a, b"}]}), these(&["a", "b"])),
            // A flag goes before the variable.
            (
                json!({"name": "x", "args": ["--namespaces=a"], "env": [{"name": "AGESEAL_NAMESPACES", "value": "b"}]}),
                these(&["a"]),
            ),
            (json!({"name": "x", "args": ["--namespaces="]}), Served::Unsaid),
            (json!({"name": "x", "args": ["--namespaces"]}), Served::Unsaid),
            (json!({"name": "x", "args": ["--namespaces=$(LIST)"]}), Served::Unsaid),
            (json!({"name": "x", "envFrom": [{"configMapRef": {"name": "y"}}]}), Served::Unsaid),
            (
                json!({"name": "x", "env": [{"name": "AGESEAL_NAMESPACES", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]}),
                Served::Unsaid,
            ),
        ] {
            assert_eq!(served(json!([container])), expected, "{container}");
        }
        let beside = json!([{"name": "proxy"}, {"name": "controller", "args": ["--namespaces=a"]}]);
        assert_eq!(served(beside), these(&["a"]));
        assert_eq!(served(json!([])), Served::Unsaid);
        assert_eq!(Served::of(&Deployment::default()), Served::Unsaid);
    }
}
