//! Where folders are deployed to, said by hand: for what deploys them from another repository.

use crate::manifest::names::{namespace_fault, object_name_fault};
use crate::problem::{Location, Problem};
use crate::yaml::Node;

use super::read::Reader;

const FIELDS: [&str; 5] = ["path", "namespace", "defaultNamespace", "namePrefix", "nameSuffix"];

const EXAMPLE: &str = "{path: overlays/prod, namespace: shop-prod}";

/// One deployment of a folder: what somebody says that Flux, Argo CD or a script sets there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The folder from the top of the repository, without `.` and `..`; empty for the top itself.
    pub path: Said,
    /// The namespace of everything in it, in the place of the one that its kustomization says: `targetNamespace` of Flux,
    /// `kustomize.namespace` of Argo CD.
    pub namespace: Option<Said>,
    /// The namespace of what has none after the build: `destination.namespace` of Argo CD, `-n` of kubectl.
    pub default_namespace: Option<Said>,
    /// The prefix of names, in the place of the one that its kustomization says.
    pub name_prefix: Option<Said>,
    /// The suffix of names, in the place of the one that its kustomization says.
    pub name_suffix: Option<Said>,
    /// Where the entry begins.
    pub at: Location,
}

/// A text of the policy with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The text.
    pub text: String,
    /// Where.
    pub at: Location,
}

impl Reader {
    /// Reads the field `deployed`.
    pub(super) fn deployed(&mut self, node: Node<'_>) -> Vec<Deployed> {
        let items = self.items(node, "deployed", EXAMPLE);
        let read = items.into_iter().enumerate().filter_map(|(index, node)| self.deployment(index, node));
        let all: Vec<Deployed> = read.collect();
        for (index, one) in all.iter().enumerate() {
            let same = |other: &&Deployed| texts(other) == texts(one);
            if let Some(first) = all[..index].iter().find(same) {
                let message = format!("deployed[{index}] says what the entry at {} says", first.at);
                self.note(Problem::error("duplicate-item", message).hint("keep one of them"), one.at);
            }
        }
        all
    }

    fn deployment(&mut self, index: usize, node: Node<'_>) -> Option<Deployed> {
        let what = format!("deployed[{index}]");
        if !self.mapping(node, &what, &FIELDS) {
            return None;
        }
        let path = self.required(node, &what, "path", "overlays/prod");
        let path = path.and_then(|field| self.folder(field, &what));
        let mut text =
            |field: &str, fault: &dyn Fn(&str) -> Option<&'static str>| self.named(node, &what, field, fault);
        let namespace = text("namespace", &namespace_fault);
        let default_namespace = text("defaultNamespace", &namespace_fault);
        let name_prefix = text("namePrefix", &|prefix| object_name_fault(&format!("{prefix}x")));
        let name_suffix = text("nameSuffix", &|suffix| object_name_fault(&format!("x{suffix}")));
        if let (Some(_), Some(default)) = (&namespace, &default_namespace) {
            let message = format!("{what} has a namespace for everything, so defaultNamespace says nothing");
            let problem = Problem::error("two-namespaces", message);
            self.note(
                problem.hint("keep the one that is meant: namespace overrides, defaultNamespace fills in"),
                default.at,
            );
        }
        let at = node.location();
        Some(Deployed { path: path?, namespace, default_namespace, name_prefix, name_suffix, at })
    }

    fn folder(&mut self, node: Node<'_>, what: &str) -> Option<Said> {
        let found = self.string(node, &format!("{what}.path"))?;
        let odd = |part: &str| part == ".." || part.contains(['*', '?', '[', ']', '{', '}', '$', '\\']);
        let text = crate::kustomize::join("", found.text).filter(|_| !found.text.split('/').any(odd));
        match text {
            Some(text) if !found.text.is_empty() => Some(Said { text, at: found.at }),
            _ => {
                let problem = Problem::error("bad-path", format!("{what}.path is not a folder of the repository"));
                let hint = "write one folder from the top of the repository, such as overlays/prod; . is the top";
                self.note(problem.hint(hint), found.at);
                None
            }
        }
    }

    fn named(
        &mut self,
        node: Node<'_>,
        what: &str,
        field: &str,
        fault: &dyn Fn(&str) -> Option<&'static str>,
    ) -> Option<Said> {
        let found = self.string(node.get(field)?, &format!("{what}.{field}"))?;
        let reason = if found.text.is_empty() { Some("is empty") } else { fault(found.text) };
        if let Some(reason) = reason {
            let problem = Problem::error("bad-name", format!("{what}.{field} {reason}"));
            self.note(problem.hint("write it as it is set there, or leave the field out"), found.at);
            return None;
        }
        Some(Said { text: found.text.to_owned(), at: found.at })
    }
}

/// What an entry says, without its places.
fn texts(one: &Deployed) -> [Option<&str>; 5] {
    let said = [Some(&one.path), one.namespace.as_ref(), one.default_namespace.as_ref()];
    let [path, namespace, default] = said.map(|said| said.map(|said| said.text.as_str()));
    let affixes = [one.name_prefix.as_ref(), one.name_suffix.as_ref()];
    let [prefix, suffix] = affixes.map(|said| said.map(|said| said.text.as_str()));
    [path, namespace, default, prefix, suffix]
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;

    const HEAD: &str =
        "apiVersion: ageseal.dev/v1alpha1\nkind: Policy\nrules: [{paths: ['**'], recipients: [a], scopes: ['*/*']}]\n";

    fn faults(text: &str) -> Vec<String> {
        match Policy::parse(format!("{HEAD}{text}").into_bytes()) {
            Ok(policy) => panic!("it is read: {:?}", policy.deployed()),
            Err(problems) => problems.iter().map(|one| format!("{} {}", one.code, one.at.unwrap())).collect(),
        }
    }

    #[test]
    fn entries_are_read_with_their_places() {
        let text = "deployed:\n- {path: ./overlays/prod/, namespace: shop-prod, namePrefix: x-, nameSuffix: -y}\n- path: .\n  defaultNamespace: shop\nrepositories: ['https://example.com/a']\notherRepositories: ['https://example.com/b']\n";
        let policy = Policy::parse(format!("{HEAD}{text}").into_bytes()).unwrap();
        let [first, second] = policy.deployed() else { panic!("{:?}", policy.deployed()) };
        assert_eq!((first.path.text.as_str(), first.at.line), ("overlays/prod", 5));
        let texts = [&first.namespace, &first.name_prefix, &first.name_suffix, &second.default_namespace];
        let texts = texts.map(|said| said.as_ref().unwrap().text.as_str());
        assert_eq!(texts, ["shop-prod", "x-", "-y", "shop"]);
        assert_eq!((second.path.text.as_str(), second.default_namespace.as_ref().unwrap().at.line), ("", 7));
        assert_eq!(policy.repositories(), ["https://example.com/a"]);
        assert_eq!(policy.other_repositories(), ["https://example.com/b"]);
    }

    #[test]
    fn every_fault_has_its_place() {
        for (text, found) in [
            ("deployed: []\n", "empty-list 4:11"),
            ("deployed: {path: a}\n", "wrong-type 4:11"),
            ("deployed: [{namespace: a}]\n", "missing-field 4:12"),
            ("deployed: [{path: a, nameSpace: b}]\n", "unknown-field 4:22"),
            ("deployed: [{path: ../a}]\n", "bad-path 4:19"),
            ("deployed: [{path: /a}]\n", "bad-path 4:19"),
            ("deployed: [{path: ''}]\n", "bad-path 4:19"),
            ("deployed: [{path: 'apps/*'}]\n", "bad-path 4:19"),
            ("deployed: [{path: a, namespace: Prod}]\n", "bad-name 4:33"),
            ("deployed: [{path: a, namespace: '${ns}'}]\n", "bad-name 4:33"),
            ("deployed: [{path: a, namePrefix: 'X-'}]\n", "bad-name 4:34"),
            ("deployed: [{path: a, nameSuffix: ''}]\n", "bad-name 4:34"),
            ("deployed: [{path: a, namespace: 1}]\n", "wrong-type 4:33"),
            ("deployed: [{path: a, namespace: b, defaultNamespace: c}]\n", "two-namespaces 4:54"),
            ("deployed: [{path: a}, {path: ./a}]\n", "duplicate-item 4:23"),
            ("repositories: x\n", "wrong-type 4:15"),
            ("otherRepositories: x\n", "wrong-type 4:20"),
        ] {
            assert_eq!(faults(text), [found], "{text}");
        }
    }
}
