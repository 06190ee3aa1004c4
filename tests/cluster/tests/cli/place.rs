//! A repository, a cluster, and the program between them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ageseal::api::{IDENTITY_KEY, LABEL_IDENTITY, Published, RECIPIENTS_CONFIGMAP, SealedSecret};
use ageseal::recipient::{Identity, Recipient};
use ageseal_cluster::{ControlPlane, Controller, ControllerOptions, Namespace, eventually, programs, sealed};
use ageseal_testkit::{Command, Outcome, Scratch};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use rand_core::OsRng;
use serde_json::{Value, json};

/// Long enough for a machine that does much else.
pub const SOON: Duration = Duration::from_secs(60);

const POLICY: &str = "\
apiVersion: ageseal.dev/v1alpha1
kind: Policy
rules:
- paths: [\"prod/**\"]
  recipients: [prod]
  scopes: [\"*/*\"]
";

/// A namespace for a controller, one that it serves, and a repository outside of them.
pub struct Place {
    pub plane: &'static ControlPlane,
    pub system: Namespace,
    pub served: Namespace,
    pub repository: Scratch,
    kubeconfig: PathBuf,
}

impl Place {
    pub async fn new(prefix: &str) -> Self {
        let plane = ControlPlane::shared();
        let system = plane.namespace(&format!("{prefix}-system")).await;
        let served = plane.namespace(prefix).await;
        let repository = Scratch::new();
        repository.write(".ageseal/policy.yaml", POLICY);
        fs::create_dir(repository.path().join("home")).unwrap();
        Self { plane, system, served, repository, kubeconfig: plane.kubeconfig().to_owned() }
    }

    /// A controller that serves the one namespace.
    pub async fn controller(&self, args: &[&str]) -> Controller {
        let options = ControllerOptions {
            system: self.system.name().to_owned(),
            namespaces: vec![self.served.name().to_owned()],
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            ..ControllerOptions::default()
        };
        let controller = Controller::start(self.plane, options);
        controller.ready().await;
        controller
    }

    /// Whoever runs the commands from now on: a ServiceAccount with these rules in the controller's namespace.
    pub async fn as_account(&mut self, name: &str, rules: Value) {
        let system = self.system.name();
        self.kubeconfig = self.plane.service_account(system, name).await;
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": system}, "rules": rules});
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name, "namespace": system},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": system}],
        });
        self.plane.apply(&format!("{role}\n---\n{binding}\n"));
    }

    /// The administrator runs them again.
    pub fn as_admin(&mut self) {
        self.kubeconfig = self.plane.kubeconfig().to_owned();
    }

    /// Runs `ageseal` in the repository, for the controller of this place.
    pub fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, "")
    }

    pub fn run_with(&self, args: &[&str], stdin: impl AsRef<[u8]>) -> Run {
        self.run_bare(&[args, &["--controller-namespace", self.system.name()]].concat(), stdin)
    }

    /// The same, and nothing says where the controller is.
    pub fn run_bare(&self, args: &[&str], stdin: impl AsRef<[u8]>) -> Run {
        let home = self.repository.path().join("home");
        let mut command = Command::new(programs::ageseal())
            .args(args)
            .current_dir(self.repository.path())
            .stdin(stdin)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &home);
        for name in
            ["XDG_CONFIG_HOME", "AGESEAL_IDENTITY", "AGESEAL_IDENTITY_FILE", "HTTPS_PROXY", "https_proxy", "NO_COLOR"]
        {
            command = command.env_remove(name);
        }
        Run { told: format!("$ ageseal {}", args.join(" ")), outcome: command.run() }
    }

    /// The same, and `--json` read.
    #[track_caller]
    pub fn json(&self, args: &[&str], code: i32) -> Value {
        let run = self.run(&[args, &["--json"]].concat()).exit(code);
        serde_json::from_str(&run.stdout()).unwrap_or_else(|error| panic!("{error}: {}", run.stdout()))
    }

    pub async fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.plane.client().await, self.system.name())
    }

    pub async fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.plane.client().await, self.system.name())
    }

    pub async fn documents(&self) -> Api<SealedSecret> {
        Api::namespaced(self.plane.client().await, self.served.name())
    }

    /// What is published.
    pub async fn published(&self) -> Published {
        eventually(SOON, "something is published", || async {
            let map =
                self.maps().await.get_opt(RECIPIENTS_CONFIGMAP).await.unwrap().ok_or("no ConfigMap".to_owned())?;
            Published::from_data(&map.data.unwrap_or_default()).map_err(|error| error.to_string())
        })
        .await
    }

    /// Publishes as a controller would, without one.
    pub async fn publish(&self, published: &Published) {
        self.publish_data(published.to_data()).await;
    }

    pub async fn publish_data(&self, data: BTreeMap<String, String>) {
        let map =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": RECIPIENTS_CONFIGMAP}, "data": data});
        let params = PatchParams::apply("stand-in").force();
        self.maps().await.patch(RECIPIENTS_CONFIGMAP, &params, &Patch::Apply(map)).await.unwrap();
    }

    /// Puts an identity Secret there by hand.
    pub async fn bring(&self, name: &str, label: &str, identities: &[&Identity]) {
        let text: String =
            identities.iter().map(|identity| format!("{}\n", *identity.to_secret_string().unwrap())).collect();
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some([(LABEL_IDENTITY.to_owned(), label.to_owned())].into()),
                ..ObjectMeta::default()
            },
            string_data: Some([(IDENTITY_KEY.to_owned(), text)].into()),
            ..Secret::default()
        };
        self.secrets().await.create(&PostParams::default(), &secret).await.unwrap();
    }

    /// The labels of the identity Secrets, by name.
    pub async fn labels(&self) -> BTreeMap<String, String> {
        let list = self.secrets().await.list(&ListParams::default().labels(LABEL_IDENTITY)).await.unwrap();
        let named =
            |secret: Secret| (secret.metadata.name.unwrap(), secret.metadata.labels.unwrap()[LABEL_IDENTITY].clone());
        list.items.into_iter().map(named).collect()
    }

    /// Applies a document of one value, sealed for these.
    pub async fn seal(&self, name: &str, recipients: &[&Recipient]) {
        let document = sealed::document(self.served.name(), name).value("key", b"not a real one").seal_for(recipients);
        let mut object = json!(document);
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
        let params = PatchParams::apply("gitops").force();
        self.documents().await.patch(name, &params, &Patch::Apply(object)).await.unwrap();
    }

    /// Waits until a document's status gives this reason for its present generation.
    pub async fn until(&self, name: &str, reason: &str) {
        let api = self.documents().await;
        eventually(SOON, &format!("{name} is {reason}"), || async {
            let document = api.get(name).await.map_err(|error| error.to_string())?;
            let status = document.status.clone().unwrap_or_default();
            let ready = status.conditions.iter().any(|one| one.type_ == "Ready" && one.reason == reason);
            let present = status.observed_generation == document.metadata.generation;
            if ready && present { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    }

    /// The Deployment of a controller that would serve these namespaces: nothing makes a pod of it here.
    pub fn deployment(&self, namespaces: &str) {
        let labels = json!({"app": "ageseal"});
        let container = json!({"name": "controller", "image": "x", "args": [format!("--namespaces={namespaces}")]});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "ageseal-controller", "namespace": self.system.name()},
            "spec": {
                "replicas": 2, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        });
        self.plane.apply(&deployment.to_string());
    }

    /// The administrator, to whom nothing proves that it is the cluster that answers.
    pub fn as_unproved(&mut self) {
        let text = fs::read_to_string(self.plane.kubeconfig()).unwrap();
        let proof = format!("certificate-authority: \"{}\"", self.plane.certificate_authority().display());
        assert!(text.contains(&proof), "{text}");
        self.kubeconfig = self.repository.path().join("home/unproved.yaml");
        fs::write(&self.kubeconfig, text.replace(&proof, "insecure-skip-tls-verify: true")).unwrap();
    }

    /// Gives the documents that this controller serves, and those alone.
    pub fn only_here(&self) -> String {
        format!("--namespaces={}", self.served.name())
    }

    /// Every file of the repository and the home, with its bytes.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(self.repository.path(), &mut files);
        files
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

/// A post-quantum identity.
pub fn identity() -> Identity {
    Identity::generate_hybrid(&mut OsRng)
}

/// What a run left.
pub struct Run {
    told: String,
    outcome: Outcome,
}

impl Run {
    pub fn stdout(&self) -> String {
        self.outcome.stdout_text()
    }

    pub fn stderr(&self) -> String {
        self.outcome.stderr_text()
    }

    #[track_caller]
    pub fn exit(self, code: i32) -> Self {
        assert_eq!(
            self.outcome.code,
            Some(code),
            "{}\n-- stdout\n{}\n-- stderr\n{}",
            self.told,
            self.stdout(),
            self.stderr()
        );
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.exit(0)
    }

    /// The same run, which said this on stderr.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr().contains(text), "{}: stderr lacks {text:?}:\n{}", self.told, self.stderr());
        self
    }

    /// The same run, which printed this to stdout.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout().contains(text), "{}: stdout lacks {text:?}:\n{}", self.told, self.stdout());
        self
    }

    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        assert!(!self.stderr().contains(text) && !self.stdout().contains(text), "{}: {text:?} was said", self.told);
        self
    }
}

/// Every field of a JSON value is in the manual.
#[track_caller]
pub fn documented(value: &Value) {
    let page = include_str!("../../../../docs/cluster-json.md");
    match value {
        Value::Object(map) => {
            for (field, value) in map {
                assert!(page.contains(&format!("`{field}`")), "docs/cluster-json.md does not name {field}");
                documented(value);
            }
        }
        Value::Array(list) => list.iter().for_each(documented),
        _ => {}
    }
}
