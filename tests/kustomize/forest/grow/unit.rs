//! One folder: what it takes from others, its resources and its names.

mod change;

use std::collections::BTreeMap;

use super::{File, Part};
use ageseal_testkit::Random;

/// An object as a unit above sees it, near enough to write patches that mostly meet it.
#[derive(Clone)]
pub struct Seen {
    kind: &'static str,
    api_version: &'static str,
    names: Vec<String>,
    namespaces: Vec<String>,
    generated: bool,
}

/// One folder with a kustomization.
pub struct Unit {
    pub folder: String,
    pub component: bool,
    pub seen: Vec<Seen>,
    pub used: bool,
}

const NAMES: &[&str] = &["db", "api", "tls", "app", "mail", "queue"];
const NAMESPACES: &[&str] = &["prod", "test", "default"];
const AFFIXES: &[&str] = &["p", "a", "x1", "shop"];
const WORKLOADS: &[(&str, &str)] = &[
    ("Deployment", "apps/v1"),
    ("Deployment", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("DaemonSet", "apps/v1"),
    ("Job", "batch/v1"),
    ("CronJob", "batch/v1"),
    ("Pod", "v1"),
    ("Rollout", "argoproj.io/v1alpha1"),
];

pub struct Grower<'r> {
    pub random: &'r mut Random,
    pub files: BTreeMap<String, File>,
    pub folder: String,
    pub number: usize,
    pub component: bool,
}

fn metadata(name: &str, namespace: &str, more: &str) -> String {
    let namespace = if namespace.is_empty() { String::new() } else { format!(", namespace: {namespace}") };
    format!("metadata: {{name: {name}{namespace}{more}}}\n")
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

impl Grower<'_> {
    fn file(&mut self, name: &str, parts: Vec<Part>) {
        let crlf = self.random.percent(3);
        let file = File { parts, crlf };
        self.files.insert(format!("{}/{name}", self.folder), file);
    }

    fn text_file(&mut self, name: &str, text: String) {
        self.file(name, vec![Part { head: text, items: None }]);
    }

    fn name(&mut self) -> String {
        let name = self.random.pick(NAMES);
        match self.random.below(10) {
            0..=5 => format!("{name}{}{}", self.number, self.random.pick(&["", "a", "b", "c", "d"])),
            6..=8 => format!("{name}{}", self.number),
            _ => name.to_owned(),
        }
    }

    fn namespace(&mut self, chance: usize) -> String {
        if self.random.percent(chance) { self.random.pick(NAMESPACES).to_owned() } else { String::new() }
    }

    /// One of the names that an object has or had, mostly one of the last.
    fn name_of(&mut self, seen: &Seen) -> String {
        let at = if self.random.percent(50) { seen.names.len() - 1 } else { self.random.below(seen.names.len()) };
        seen.names[at].clone()
    }

    fn namespace_of(&mut self, seen: &Seen) -> String {
        match self.random.below(10) {
            0 => self.namespace(50),
            1..=2 => seen.namespaces[self.random.below(seen.namespaces.len())].clone(),
            _ => seen.namespaces.last().cloned().unwrap_or_default(),
        }
    }

    fn some<'a>(&mut self, seen: &'a [Seen], secrets: bool) -> Option<&'a Seen> {
        let fitting: Vec<&Seen> =
            seen.iter().filter(|seen| !secrets || ["Secret", "SealedSecret"].contains(&seen.kind)).collect();
        if fitting.is_empty() { None } else { Some(fitting[self.random.below(fitting.len())]) }
    }

    /// Grows the folder, on those that are there.
    pub fn unit(&mut self, units: &mut [Unit]) -> Unit {
        let mut fields: Vec<Part> = Vec::new();
        let mut seen: Vec<Seen> = Vec::new();
        let mut resources = Vec::new();
        let field = |head: &str, items: Vec<String>| Part { head: format!("{head}:\n"), items: Some(items) };
        let line = |text: String| Part { head: text, items: None };

        if self.component {
            let head = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n";
            fields.push(line(head.to_owned()));
        }
        let mut components = Vec::new();
        for unit in units.iter_mut() {
            if unit.component {
                if self.random.percent(45) {
                    components.push((unit.folder.clone(), unit.seen.clone()));
                }
            } else if self.random.percent(if unit.used { 6 } else { 65 }) {
                unit.used = true;
                resources.push(format!("- ../{}\n", unit.folder));
                seen.extend(unit.seen.iter().cloned());
            }
        }

        for number in 0..self.random.below(3) + usize::from(resources.is_empty()) {
            let name = format!("r{number}.yaml");
            let parts = self.documents(&mut seen);
            self.file(&name, parts);
            resources.push(format!("- {name}\n"));
        }
        if self.random.percent(25) {
            resources.reverse();
        }
        if self.random.percent(2) {
            resources.push("- nothing.yaml\n".to_owned());
        }
        fields.push(field("resources", resources));

        if self.random.percent(45) {
            let entries = (0..=self.random.below(2)).map(|_| self.generator("Secret", &mut seen)).collect();
            fields.push(field("secretGenerator", entries));
        }
        if self.random.percent(12) {
            let entries = vec![self.generator("ConfigMap", &mut seen)];
            fields.push(field("configMapGenerator", entries));
        }
        if self.random.percent(10) {
            let option = self.random.pick(&[
                "disableNameSuffixHash: true",
                "immutable: true",
                "labels: {tier: back}",
                "annotations: {config.kubernetes.io/local-config: \"true\"}",
            ]);
            fields.push(line(format!("generatorOptions: {{{option}}}\n")));
        }
        if self.random.percent(6) {
            let name = self.name();
            let text =
                format!("apiVersion: builtin\nkind: SecretGenerator\n{}literals: [made=x]\n", metadata(&name, "", ""));
            self.text_file("generators.yaml", text);
            seen.push(Seen {
                kind: "Secret",
                api_version: "v1",
                names: vec![name],
                namespaces: vec![String::new()],
                generated: true,
            });
            fields.push(field("generators", vec!["- generators.yaml\n".to_owned()]));
        }

        if !components.is_empty() {
            if self.random.percent(30) {
                components.reverse();
            }
            let items = components.iter().map(|(folder, _)| format!("- ../{folder}\n")).collect();
            fields.push(field("components", items));
            seen.extend(components.into_iter().flat_map(|(_, seen)| seen));
        }

        self.patches(&mut fields, &mut seen);
        self.names(&mut fields, &mut seen);
        self.later(&mut fields, &seen);

        if self.random.percent(3) {
            let odd = self.random.pick(&[
                "nameprefix: odd-\n",
                "namespace: 123\n",
                "unknownField: x\n",
                "namePrefix: [p-]\n",
                "sortOptions: {order: legacy}\n",
                "buildMetadata: [originAnnotations]\n",
                "components: [../nothing]\n",
                "configurations: [nothing.yaml]\n",
                "images: [{name: x, newTag: v2}]\n",
            ]);
            fields.push(line(odd.to_owned()));
        }
        let file =
            self.random.pick(&["kustomization.yaml", "kustomization.yaml", "kustomization.yml", "Kustomization"]);
        self.file(file, fields);
        Unit { folder: self.folder.clone(), component: self.component, seen, used: false }
    }

    /// The documents of one file.
    fn documents(&mut self, seen: &mut Vec<Seen>) -> Vec<Part> {
        let mut parts = Vec::new();
        let as_list = self.random.percent(6);
        for _ in 0..=self.random.below(3) {
            let document = self.document(seen);
            parts.push(if as_list {
                let mut lines = document.lines();
                let first = lines.next().unwrap_or_default();
                format!("- {first}\n{}", indented(&lines.collect::<Vec<_>>().join("\n"), 2))
            } else {
                format!("---\n{document}")
            });
        }
        if as_list {
            return vec![Part { head: "apiVersion: v1\nkind: List\nitems:\n".to_owned(), items: Some(parts) }];
        }
        parts.into_iter().map(|head| Part { head, items: None }).collect()
    }

    fn document(&mut self, seen: &mut Vec<Seen>) -> String {
        let (name, namespace) = (self.name(), self.namespace(20));
        let more = self.random.pick(&["", "", "", ", labels: {tier: back}", ", annotations: {rotate: never}"]);
        let more =
            if self.random.percent(2) { ", annotations: {config.kubernetes.io/local-config: \"true\"}" } else { more };
        let metadata = metadata(&name, &namespace, more);
        let (kind, api_version, rest) = match self.random.below(20) {
            0..=5 => {
                let field = self.random.pick(&["stringData", "data", "data"]);
                ("Secret", "v1", format!("{field}: {{password: eA==, user: eA==}}\n"))
            }
            6..=8 => {
                let rest = "spec: {type: Opaque, encryptedData: {password: {value: x}, user: {value: y}}}\n";
                ("SealedSecret", "ageseal.dev/v1alpha1", rest.to_owned())
            }
            9 => ("ConfigMap", "v1", format!("data: {{name: {}}}\n", self.random.pick(NAMES))),
            10 => {
                let used = self.used(seen);
                (
                    "Ingress",
                    "networking.k8s.io/v1",
                    format!("spec:\n  tls:\n  - {{hosts: [a.example], secretName: {used}}}\n"),
                )
            }
            11 => {
                let (one, two) = (self.used(seen), self.used(seen));
                ("ServiceAccount", "v1", format!("imagePullSecrets: [{{name: {one}}}]\nsecrets: [{{name: {two}}}]\n"))
            }
            12 => {
                let (kind, used) = (self.random.pick(&["Role", "ClusterRole"]), self.used(seen));
                let kind = if kind == "Role" { "Role" } else { "ClusterRole" };
                let rest = format!(
                    "rules: [{{apiGroups: [''], resources: [secrets], resourceNames: [{used}], verbs: [get]}}]\n"
                );
                (kind, "rbac.authorization.k8s.io/v1", rest)
            }
            13 if self.random.percent(40) => ("Namespace", "v1", String::new()),
            _ => {
                let (kind, api_version) = WORKLOADS[self.random.below(WORKLOADS.len())];
                let pod = self.pod(seen);
                let rest = match kind {
                    "Pod" => format!("spec:\n{}", indented(&pod, 2)),
                    "CronJob" => format!(
                        "spec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n{}",
                        indented(&pod, 10)
                    ),
                    _ => format!("spec:\n  template:\n    spec:\n{}", indented(&pod, 6)),
                };
                (kind, api_version, rest)
            }
        };
        seen.push(Seen { kind, api_version, names: vec![name], namespaces: vec![namespace], generated: false });
        format!("apiVersion: {api_version}\nkind: {kind}\n{metadata}{rest}")
    }

    /// The name of a Secret to refer to: one that is there, or any.
    fn used(&mut self, seen: &[Seen]) -> String {
        match self.some(seen, true).cloned() {
            Some(secret) if self.random.percent(80) => self.name_of(&secret),
            _ => self.name(),
        }
    }

    fn pod(&mut self, seen: &[Seen]) -> String {
        let mut pod = String::from("containers:\n- name: main\n  image: x\n");
        let mut used = || self.used(seen);
        pod += &format!(
            "  env:\n  - name: A\n    valueFrom: {{secretKeyRef: {{name: {}, key: password}}}}\n  - name: B\n    \
             valueFrom: {{secretKeyRef: {{name: {}, key: user, optional: true}}}}\n",
            used(),
            used()
        );
        pod += &format!("  envFrom:\n  - secretRef: {{name: {}}}\n", used());
        if self.random.percent(50) {
            let mut used = || self.used(seen);
            pod += &format!(
                "volumes:\n- name: v\n  secret: {{secretName: {}}}\n- name: w\n  projected:\n    sources:\n    - secret: \
                 {{name: {}, optional: true}}\n",
                used(),
                used()
            );
        }
        if self.random.percent(30) {
            pod += &format!("imagePullSecrets: [{{name: {}}}]\n", self.used(seen));
            pod += &format!(
                "initContainers:\n- name: first\n  image: x\n  envFrom: [{{secretRef: {{name: {}}}}}]\n",
                self.used(seen)
            );
        }
        pod
    }
}
