//! What changes objects: generators, patches, names, replacements, transformers.

use super::super::Part;
use super::{AFFIXES, Grower, NAMESPACES, Seen, indented, metadata};

impl Grower<'_> {
    /// An entry of `secretGenerator` or `configMapGenerator`.
    pub(super) fn generator(&mut self, kind: &'static str, seen: &mut Vec<Seen>) -> String {
        let old: Vec<Seen> = seen.iter().filter(|seen| seen.kind == kind).cloned().collect();
        let generated: Vec<Seen> = old.iter().filter(|seen| seen.generated).cloned().collect();
        let from = if self.random.percent(92) { generated } else { old };
        let (mut entry, name);
        if !from.is_empty() && self.random.percent(60) {
            let target = from[self.random.below(from.len())].clone();
            name = self.name_of(&target);
            let behavior = self.random.pick(&["merge", "merge", "replace"]);
            entry = format!("- name: {name}\n  behavior: {behavior}\n");
            let namespace = self.namespace_of(&target);
            if !namespace.is_empty() {
                entry += &format!("  namespace: {namespace}\n");
            }
        } else {
            name = self.name();
            entry = format!("- name: {name}\n");
            let namespace = self.namespace(10);
            if !namespace.is_empty() {
                entry += &format!("  namespace: {namespace}\n");
            }
            if self.random.percent(10) {
                entry += "  behavior: create\n";
            }
            seen.push(Seen {
                kind,
                api_version: "v1",
                names: vec![name],
                namespaces: vec![namespace],
                generated: true,
            });
        }
        let key = self.random.pick(&["password", "user", "host", "rev"]);
        match self.random.below(6) {
            0 => {
                self.text_file("values.env", format!("{key}=x\n# a comment\nport=1\n"));
                entry += "  envs: [values.env]\n";
            }
            1 => {
                self.text_file("value.txt", "x\n".to_owned());
                entry += &format!("  files: [{key}=value.txt]\n");
            }
            2 if self.random.percent(30) => {}
            _ => entry += &format!("  literals: [{key}=x, also{}=y]\n", self.number),
        }
        if kind == "Secret" && self.random.percent(15) {
            entry += "  type: example.dev/x\n";
        }
        if self.random.percent(25) {
            let option = self.random.pick(&[
                "disableNameSuffixHash: true",
                "disableNameSuffixHash: false",
                "immutable: true",
                "labels: {tier: back}",
                "annotations: {config.kubernetes.io/local-config: \"true\"}",
            ]);
            entry += &format!("  options: {{{option}}}\n");
        }
        entry
    }

    /// A selector of a patch or a replacement, as flow YAML.
    fn target(&mut self, object: Option<&Seen>, seen: &[Seen]) -> String {
        let object = match object.filter(|_| self.random.percent(88)).or_else(|| self.some(seen, false)) {
            Some(object) => object.clone(),
            None => return "{kind: Secret}".to_owned(),
        };
        let mut fields = Vec::new();
        if self.random.percent(92) {
            fields.push(format!("kind: {}", object.kind));
        }
        if self.random.percent(15) {
            let (group, version) = object.api_version.split_once('/').unwrap_or(("", object.api_version));
            if !group.is_empty() {
                fields.push(format!("group: {group}"));
            }
            fields.push(format!("version: {version}"));
        }
        if self.random.percent(65) {
            let name = self.name_of(&object);
            let name = match self.random.below(10) {
                0 => format!("{}.*", &name[..1]),
                1 => format!(".*{}", &name[name.len() - 1..]),
                2 => format!("{name}|other"),
                3 => name[..1].to_owned(),
                _ => name,
            };
            fields.push(format!("name: {name}"));
        }
        if self.random.percent(12) {
            let namespace = self.namespace_of(&object);
            if !namespace.is_empty() {
                fields.push(format!("namespace: {namespace}"));
            }
        }
        if self.random.percent(10) {
            let selector = self.random.pick(&["tier=back", "tier in (back, front)", "!tier", "tier notin (front)"]);
            fields.push(format!("labelSelector: \"{selector}\""));
        }
        if self.random.percent(6) {
            fields.push("annotationSelector: rotate=never".to_owned());
        }
        format!("{{{}}}", fields.join(", "))
    }

    /// A strategic-merge patch for an object, or one that nearly is.
    fn strategic(&mut self, object: &Seen, seen: &[Seen]) -> String {
        let (name, namespace) = (self.name_of(object), self.namespace_of(object));
        let head =
            format!("apiVersion: {}\nkind: {}\n{}", object.api_version, object.kind, metadata(&name, &namespace, ""));
        let used = self.used(seen);
        let rest = match object.kind {
            _ if self.random.percent(12) => "$patch: delete\n".to_owned(),
            "Secret" => self
                .random
                .pick(&[
                    "data: {added: eA==}\n",
                    "data: {added: eA==, password: null}\n",
                    "immutable: true\n",
                    "type: example.dev/y\n",
                    "data: {$patch: replace, only: eA==}\n",
                ])
                .to_owned(),
            "SealedSecret" => self
                .random
                .pick(&[
                    "spec: {encryptedData: {added: {value: x}}}\n",
                    "spec: {encryptedData: {password: null}}\n",
                    "spec: {immutable: true}\n",
                ])
                .to_owned(),
            "Ingress" => format!("spec: {{tls: [{{secretName: {used}}}]}}\n"),
            "ServiceAccount" => format!("imagePullSecrets: [{{name: {used}}}]\n"),
            "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "Rollout" => {
                let pod = match self.random.below(5) {
                    0 => format!("{{imagePullSecrets: [{{name: {used}}}]}}"),
                    1 => format!("{{containers: [{{name: main, envFrom: [{{secretRef: {{name: {used}}}}}]}}]}}"),
                    2 => format!(
                        "{{containers: [{{name: main, env: [{{name: A, valueFrom: {{secretKeyRef: {{name: {used}}}}}}}, \
                         {{name: N, valueFrom: {{secretKeyRef: {{name: {used}, key: k}}}}}}]}}]}}"
                    ),
                    3 => format!("{{volumes: [{{name: v, secret: {{secretName: {used}}}}}]}}"),
                    _ => format!("{{containers: [{{name: side, envFrom: [{{secretRef: {{name: {used}}}}}]}}]}}"),
                };
                format!("spec: {{template: {{spec: {pod}}}}}\n")
            }
            _ => String::new(),
        };
        head + &rest
    }

    /// The operations of a JSON patch, as flow YAML a line each.
    fn operations(&mut self, kind: &str, seen: &[Seen]) -> String {
        let name = self.name();
        let mut lines = Vec::new();
        for _ in 0..=self.random.below(2) {
            lines.push(match (self.random.below(7), kind) {
                (0, _) => format!("- {{op: replace, path: /metadata/name, value: {name}}}"),
                (1, _) => format!("- {{op: add, path: /metadata/namespace, value: {}}}", self.random.pick(NAMESPACES)),
                (2, _) => "- {op: add, path: /metadata/labels, value: {tier: back}}".to_owned(),
                (3, _) if self.random.percent(20) => "- {op: remove, path: /metadata/namespace}".to_owned(),
                (_, "Secret") => "- {op: add, path: /data, value: {json: eA==}}".to_owned(),
                (_, "SealedSecret") => "- {op: add, path: /spec/encryptedData/json, value: {value: x}}".to_owned(),
                (4, "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "Rollout") => format!(
                    "- {{op: replace, path: /spec/template/spec/containers/0/envFrom/0/secretRef/name, value: {}}}",
                    self.used(seen)
                ),
                (_, "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "Rollout") => format!(
                    "- {{op: add, path: /spec/template/spec/imagePullSecrets, value: [{{name: {}}}]}}",
                    self.used(seen)
                ),
                _ => "- {op: add, path: /metadata/annotations, value: {rotate: never}}".to_owned(),
            });
        }
        lines.join("\n") + "\n"
    }

    pub(super) fn patches(&mut self, fields: &mut Vec<Part>, seen: &mut [Seen]) {
        let mut patches = Vec::new();
        for number in 0..[0, 0, 1, 1, 2, 3][self.random.below(6)] {
            let Some(object) = self.some(seen, false).cloned() else { break };
            let mut patch = String::from("- ");
            let strategic = self.random.percent(55);
            let mut targeted = !strategic;
            let text = if strategic {
                targeted = self.random.percent(30);
                self.strategic(&object, seen)
            } else {
                self.operations(object.kind, seen)
            };
            if self.random.percent(25) {
                let name = format!("patch{number}.yaml");
                self.text_file(&name, text);
                patch += &format!("path: {name}\n");
            } else {
                patch += &format!("patch: |\n{}", indented(&text, 4));
            }
            if targeted {
                patch += &format!("  target: {}\n", self.target(Some(&object), seen));
                if strategic && self.random.percent(30) {
                    let option = self.random.pick(&["allowNameChange", "allowKindChange"]);
                    patch += &format!("  options: {{{option}: true}}\n");
                }
            }
            patches.push(patch);
        }
        if !patches.is_empty() {
            fields.push(Part { head: "patches:\n".to_owned(), items: Some(patches) });
        }
        if self.random.percent(7)
            && let Some(object) = self.some(seen, false).cloned()
        {
            let text = self.strategic(&object, seen);
            self.text_file("strategic.yaml", text);
            fields.push(Part {
                head: "patchesStrategicMerge:\n".to_owned(),
                items: Some(vec!["- strategic.yaml\n".to_owned()]),
            });
        }
        if self.random.percent(7)
            && let Some(object) = self.some(seen, false).cloned()
        {
            let version = object.api_version.rsplit('/').next().unwrap_or_default();
            let group =
                object.api_version.split_once('/').map_or(String::new(), |(group, _)| format!("group: {group}, "));
            let name = self.name_of(&object);
            let text = indented(&self.operations(object.kind, seen), 4);
            let item = format!(
                "- target: {{{group}version: {version}, kind: {}, name: {name}}}\n  patch: |\n{text}",
                object.kind
            );
            fields.push(Part { head: "patchesJson6902:\n".to_owned(), items: Some(vec![item]) });
        }
    }

    /// Namespace, prefix, suffix; what they do to the names above.
    pub(super) fn names(&mut self, fields: &mut Vec<Part>, seen: &mut [Seen]) {
        let namespace = self.namespace(35);
        if !namespace.is_empty() {
            fields.push(Part { head: format!("namespace: {namespace}\n"), items: None });
            for seen in seen.iter_mut().filter(|seen| !["ClusterRole", "Namespace"].contains(&seen.kind)) {
                seen.namespaces.push(namespace.clone());
            }
        }
        let (prefix, suffix) = (
            if self.random.percent(40) { format!("{}-", self.random.pick(AFFIXES)) } else { String::new() },
            if self.random.percent(20) { format!("-{}", self.random.pick(AFFIXES)) } else { String::new() },
        );
        if !prefix.is_empty() {
            fields.push(Part { head: format!("namePrefix: {prefix}\n"), items: None });
        }
        if !suffix.is_empty() {
            fields.push(Part { head: format!("nameSuffix: {suffix}\n"), items: None });
        }
        if !prefix.is_empty() || !suffix.is_empty() {
            for seen in seen.iter_mut().filter(|seen| seen.kind != "Namespace") {
                let name = seen.names.last().map_or("", String::as_str);
                seen.names.push(format!("{prefix}{name}{suffix}"));
            }
        }
    }

    /// Labels, configurations, replacements, transformers.
    pub(super) fn later(&mut self, fields: &mut Vec<Part>, seen: &[Seen]) {
        let mut line = |text: &str| fields.push(Part { head: text.to_owned(), items: None });
        match self.random.below(14) {
            0 => line("commonLabels: {tier: back}\n"),
            1 => line("labels: [{pairs: {tier: back}}]\n"),
            2 => line("commonAnnotations: {rotate: never}\n"),
            3 => line("labels: [{pairs: {tier: front}, includeSelectors: true}]\n"),
            _ => {}
        }
        if self.random.percent(14) {
            let text = self.random.pick(&[
                "nameReference: [{kind: Secret, version: v1, fieldSpecs: [{group: ageseal.dev, kind: SealedSecret, path: \
                 metadata/name}]}]\n",
                "nameReference: [{kind: SealedSecret, group: ageseal.dev, fieldSpecs: [{kind: Deployment, path: \
                 spec/template/spec/containers/env/valueFrom/secretKeyRef/name}, {kind: ServiceAccount, path: \
                 imagePullSecrets/name}, {kind: Pod, path: spec/volumes/secret/secretName}]}]\n",
                "nameReference: [{kind: Secret, version: v1, fieldSpecs: [{kind: Rollout, path: \
                 spec/template/spec/containers/envFrom/secretRef/name}, {kind: ServiceAccount, path: secrets/name}]}]\n",
                "namePrefix: [{kind: SealedSecret, path: spec/type}]\n",
            ]);
            self.text_file("configuration.yaml", text.to_owned());
            fields.push(Part {
                head: "configurations:\n".to_owned(),
                items: Some(vec!["- configuration.yaml\n".to_owned()]),
            });
        }
        if self.random.percent(12)
            && let Some(source) = self.some(seen, false).cloned()
        {
            let name = self.name_of(&source);
            let target = self.target(None, seen);
            let path = self.random.pick(&["metadata.name", "metadata.namespace", "metadata.annotations.copied"]);
            let source_path = self.random.pick(&["", "", ", fieldPath: metadata.namespace"]);
            let options = self.random.pick(&[
                "",
                "    options: {create: true}\n",
                "    options: {create: true}\n",
                "    options: {delimiter: '-', index: 0}\n",
            ]);
            let item = format!(
                "- source: {{kind: {}, name: {name}{source_path}}}\n  targets:\n  - select: {target}\n    fieldPaths: \
                 [{path}]\n{options}",
                source.kind
            );
            fields.push(Part { head: "replacements:\n".to_owned(), items: Some(vec![item]) });
        }
        if self.random.percent(10) {
            let text = match self.random.below(5) {
                0 => "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: x}\nprefix: t-\nfieldSpecs: [{path: \
                      metadata/name}]\n"
                    .to_owned(),
                1 => "apiVersion: builtin\nkind: SuffixTransformer\nmetadata: {name: x}\nsuffix: -t\nfieldSpecs: [{path: \
                      metadata/name, kind: Secret}]\n"
                    .to_owned(),
                2 => format!(
                    "apiVersion: builtin\nkind: NamespaceTransformer\nmetadata: {{name: x, namespace: {}}}\nunsetOnly: \
                     true\nfieldSpecs: [{{path: metadata/namespace, create: true}}]\n",
                    self.random.pick(NAMESPACES)
                ),
                3 => "apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: x}\nlabels: {tier: \
                      back}\nfieldSpecs: [{path: metadata/labels, create: true}]\n"
                    .to_owned(),
                _ => {
                    let target = self.target(None, seen);
                    format!(
                        "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {{name: x}}\ntarget: {target}\npatch: \
                         '[{{\"op\": \"add\", \"path\": \"/metadata/namespace\", \"value\": \"prod\"}}]'\n"
                    )
                }
            };
            self.text_file("transformers.yaml", text);
            fields.push(Part {
                head: "transformers:\n".to_owned(),
                items: Some(vec!["- transformers.yaml\n".to_owned()]),
            });
        }
    }
}
