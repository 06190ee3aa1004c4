//! What tests put into a control plane: the custom resource, namespaces, ServiceAccounts, anything in YAML.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ageseal_testkit::{Command, Outcome};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleRef, Subject};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};

use crate::eventually::eventually;
use crate::files;
use crate::plane::ControlPlane;
use crate::programs;

/// The namespace of one test. Dropping it asks for its deletion and does not wait.
pub struct Namespace {
    name: String,
    client: Client,
    runtime: tokio::runtime::Handle,
}

impl Namespace {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Namespace").field(&self.name).finish()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let (namespaces, name) = (Api::<core::Namespace>::all(self.client.clone()), std::mem::take(&mut self.name));
        self.runtime.spawn(async move {
            // Whether it comes to that or not: the whole control plane goes soon after.
            let _ = namespaces.delete(&name, &DeleteParams::default()).await;
        });
    }
}

impl ControlPlane {
    /// Makes a namespace that no other test has: the prefix, a hyphen and six letters or digits.
    ///
    /// # Panics
    /// If the API server refuses.
    pub async fn namespace(&self, prefix: &str) -> Namespace {
        let name = format!("{prefix}-{}", files::suffix());
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = core::Namespace { metadata, ..core::Namespace::default() };
        let namespaces = Api::<core::Namespace>::all(self.client().await);
        namespaces.create(&PostParams::default(), &namespace).await.unwrap_or_else(|e| panic!("namespace {name}: {e}"));
        Namespace { name, client: self.own_client(), runtime: self.runtime().handle().clone() }
    }

    /// Installs the custom resources of `deploy/crd`, or brings them up to date, and waits until they are served.
    ///
    /// # Panics
    /// If the folder is not there, or the API server refuses.
    pub async fn install_crds(&self) {
        self.install_crds_by(&self.client().await).await;
    }

    pub(crate) async fn install_crds_by(&self, client: &Client) {
        let mut arguments = vec!["apply".to_owned(), "--server-side".to_owned(), "--force-conflicts".to_owned()];
        for file in crd_files() {
            arguments.extend(["-f".to_owned(), file.display().to_string()]);
        }
        let applied = self.kubectl(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(applied.success(), "deploy/crd was refused: {}", applied.stderr_text());
        let resources = Api::<CustomResourceDefinition>::all(client.clone());
        eventually(Duration::from_secs(60), "the custom resources are served", || async {
            let list = resources.list(&Default::default()).await.map_err(|e| e.to_string())?;
            match list.items.iter().find(|resource| !established(resource)) {
                Some(waiting) => Err(format!("{:?} is not established", waiting.metadata.name)),
                None => Ok(()),
            }
        })
        .await;
    }

    /// Runs `kubectl` as the administrator.
    ///
    /// # Panics
    /// If it cannot be built or started.
    pub fn kubectl(&self, arguments: &[&str]) -> Outcome {
        self.kubectl_command().args(arguments).run()
    }

    /// `kubectl` of the administrator without arguments, for a standard input or another folder.
    ///
    /// # Panics
    /// If it cannot be built.
    pub fn kubectl_command(&self) -> Command {
        // Its cache of what the API server serves is no business of the user's home folder.
        let home = self.file("kubectl");
        let command = Command::new(ageseal_testkit::kubectl()).env("KUBECONFIG", self.kubeconfig()).env("HOME", &home);
        ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "KUBECACHEDIR"]
            .iter()
            .fold(command, |command, name| command.env_remove(name))
    }

    /// Applies objects in YAML, on the server side, as the administrator.
    ///
    /// # Panics
    /// If one is refused; the text says why.
    #[track_caller]
    pub fn apply(&self, yaml: &str) {
        let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        let outcome = self.kubectl_command().args(arguments).stdin(yaml).run();
        assert!(outcome.success(), "refused: {}", outcome.stderr_text());
    }

    /// Makes a ServiceAccount, if it is not there, and gives a kubeconfig with a token of it that lasts a day.
    ///
    /// # Panics
    /// If the API server refuses.
    pub async fn service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let accounts = Api::<core::ServiceAccount>::namespaced(self.client().await, namespace);
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let account = core::ServiceAccount { metadata, ..core::ServiceAccount::default() };
        there(accounts.create(&PostParams::default(), &account).await)
            .unwrap_or_else(|e| panic!("service account {namespace}/{name}: {e}"));
        let spec = TokenRequestSpec { expiration_seconds: Some(24 * 60 * 60), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let answer = answer.unwrap_or_else(|e| panic!("token of {namespace}/{name}: {e}"));
        let token = answer.status.and_then(|status| status.token);
        let token = token.unwrap_or_else(|| panic!("token of {namespace}/{name}: an answer without one"));
        let path = self.file("kubeconfigs").join(format!("{namespace}.{name}"));
        files::write(&path, self.kubeconfig_text(namespace, name, &token));
        path
    }

    /// Allows a ServiceAccount everything.
    ///
    /// # Panics
    /// If the API server refuses.
    pub async fn bind_cluster_admin(&self, namespace: &str, name: &str) {
        let subject = Subject {
            kind: "ServiceAccount".to_owned(),
            name: name.to_owned(),
            namespace: Some(namespace.to_owned()),
            ..Subject::default()
        };
        let binding = ClusterRoleBinding {
            metadata: ObjectMeta { name: Some(format!("admin:{namespace}:{name}")), ..ObjectMeta::default() },
            role_ref: RoleRef {
                api_group: Some("rbac.authorization.k8s.io".to_owned()),
                kind: "ClusterRole".to_owned(),
                name: "cluster-admin".to_owned(),
            },
            subjects: Some(vec![subject]),
        };
        let bindings = Api::<ClusterRoleBinding>::all(self.client().await);
        there(bindings.create(&PostParams::default(), &binding).await)
            .unwrap_or_else(|e| panic!("cluster-admin for {namespace}/{name}: {e}"));
    }
}

/// What was made, or was there already, is there.
fn there<T>(made: kube::Result<T>) -> kube::Result<()> {
    match made {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
        Err(e) => Err(e),
    }
}

fn established(resource: &CustomResourceDefinition) -> bool {
    let conditions = resource.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Established" && condition.status == "True")
}

fn crd_files() -> Vec<PathBuf> {
    let folder = programs::crd_folder();
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| {
        panic!("{}: {e}: the custom resources that the tests install are generated there", folder.display())
    });
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|path| path.file_name().is_some_and(|name| name != "kustomization.yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no custom resource", folder.display());
    files
}
