//! etcd, kube-apiserver and kube-controller-manager, started and hurt on purpose.

mod launch;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use memchr::memmem;
use rustix::process::Signal;
use tokio::runtime::Runtime;

use crate::audit::{self, AuditEvent};
use crate::files;
use crate::guard::Guard;
use crate::ports;
use crate::process::{self, Process};
use crate::programs;
use launch::Trouble;

const ETCD: &str = "etcd";
const API_SERVER: &str = "kube-apiserver";
const CONTROLLER_MANAGER: &str = "kube-controller-manager";

/// How a control plane is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether etcd waits for the disk: for figures. Otherwise it does not.
    pub fsync: bool,
    /// Whether Secrets are encrypted at rest.
    pub encryption: bool,
    /// Whether there is an audit log.
    pub audit: bool,
    /// Whether the custom resource is there before kube-controller-manager starts. Its garbage collector takes up to a
    /// minute to notice one that comes later. The default: if `deploy/crd` is there.
    pub crds: bool,
    /// How many requests the API server works on at once, `(reading, changing)`; none leaves its own limits.
    pub max_inflight: Option<(u32, u32)>,
    /// More flags for kube-apiserver; a flag that is given twice has its last value.
    pub apiserver_flags: Vec<String>,
    /// More flags for kube-controller-manager.
    pub controller_manager_flags: Vec<String>,
    /// More controllers of kube-controller-manager, by name.
    pub controllers: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            fsync: false,
            encryption: true,
            audit: true,
            crds: programs::crd_folder().is_dir(),
            max_inflight: None,
            apiserver_flags: Vec::new(),
            controller_manager_flags: Vec::new(),
            controllers: Vec::new(),
        }
    }
}

/// A running control plane. Dropping it ends it at once.
pub struct ControlPlane {
    // The first field: it is dropped first, and takes everything down.
    guard: Guard,
    programs: Mutex<BTreeMap<&'static str, Process>>,
    /// For what is done without a test's own runtime. Some, until it is dropped.
    runtime: Option<Runtime>,
    options: Options,
    ports: Ports,
    kubeconfig: PathBuf,
    /// Of that runtime. Some, once the API server answered.
    client: OnceLock<Client>,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    etcd: u16,
    peer: u16,
    api_server: u16,
    controller_manager: u16,
}

impl Ports {
    fn free() -> Self {
        let [etcd, peer, api_server, controller_manager] = ports::free();
        Self { etcd, peer, api_server, controller_manager }
    }
}

impl ControlPlane {
    /// The control plane of this process: one a test binary, started at the first call, gone with the process.
    ///
    /// # Panics
    /// As [`ControlPlane::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Options::default()))
    }

    /// Starts a control plane of its own and waits until it serves.
    ///
    /// # Panics
    /// If a program cannot be built or does not serve; the text has the end of its log.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let mut reasons = Vec::new();
        // Somebody may take a port between the moment it was found free and its use.
        for _ in 0..4 {
            let plane = Self::new(options.clone(), Ports::free());
            match plane.wait_for(plane.launch()) {
                Ok(()) => return plane,
                Err(Trouble { port_taken: true, text }) => reasons.push(text),
                Err(Trouble { text, .. }) => panic!("{text}"),
            }
        }
        panic!("{}", reasons.join("\n"));
    }

    fn new(options: Options, ports: Ports) -> Self {
        let guard = Guard::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let kubeconfig = guard.folder().join("admin.kubeconfig");
        let plane = Self {
            guard,
            programs: Mutex::default(),
            runtime: Some(runtime.unwrap_or_else(|e| panic!("no runtime: {e}"))),
            options,
            ports,
            kubeconfig,
            client: OnceLock::new(),
        };
        plane.write_files();
        plane
    }

    fn write_files(&self) {
        let (admin, manager) = (files::token(), files::token());
        let users = [
            format!("{admin},admin,admin,system:masters\n"),
            format!("{manager},system:kube-controller-manager,manager,system:masters\n"),
        ];
        files::write(&self.file("tokens.csv"), users.concat());
        files::write(&self.kubeconfig, self.kubeconfig_text("default", "admin", &admin));
        files::write(&self.file("manager.kubeconfig"), self.kubeconfig_text("default", "manager", &manager));
        let (private, public) = files::signing_keys();
        files::write(&self.file("serviceaccounts.key"), private);
        files::write(&self.file("serviceaccounts.pub"), public);
        files::write(&self.file("encryption.yaml"), files::encryption_configuration());
        files::write(&self.file("audit-policy.yaml"), files::AUDIT_POLICY);
        for folder in ["log", "etcd", "certs", "kubeconfigs", "kubectl"] {
            fs::create_dir_all(self.file(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
        }
    }

    /// A path in the control plane's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.guard.folder().join(name)
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// A kubeconfig of this control plane for a bearer token.
    pub(crate) fn kubeconfig_text(&self, namespace: &str, user: &str, token: &str) -> String {
        let authority = self.file("certs/apiserver.crt");
        files::kubeconfig(self.ports.api_server, &authority, namespace, user, token)
    }

    fn programs(&self) -> MutexGuard<'_, BTreeMap<&'static str, Process>> {
        // A test that panicked with it left a map of processes all the same.
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, name: &'static str, signal: Signal) {
        if let Some(process) = self.programs().get_mut(name) {
            process.signal(signal);
        }
    }

    /// The kubeconfig of the administrator, who is in `system:masters`: nothing is forbidden to him, and priority and
    /// fairness passes him by.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Where the API server listens, as `https://127.0.0.1:PORT`.
    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api_server)
    }

    /// The certificates that the API server is recognized by.
    pub fn certificate_authority(&self) -> PathBuf {
        self.file("certs/apiserver.crt")
    }

    /// A client of the administrator, for the runtime of the caller.
    ///
    /// # Panics
    /// If the kubeconfig is not one.
    pub async fn client(&self) -> Client {
        self.client_with(&self.kubeconfig).await
    }

    /// A client for the user of a kubeconfig, for the runtime of the caller.
    ///
    /// # Panics
    /// If the kubeconfig is not one.
    pub async fn client_with(&self, kubeconfig: &Path) -> Client {
        self.client_of(kubeconfig).await.unwrap_or_else(|e| panic!("{}: {e}", kubeconfig.display()))
    }

    async fn client_of(&self, kubeconfig: &Path) -> Result<Client, String> {
        let file = Kubeconfig::read_from(kubeconfig).map_err(|e| e.to_string())?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
        let mut config = config.map_err(|e| e.to_string())?;
        // A proxy of the environment has no business on the loopback.
        config.proxy_url = None;
        // What a test sees is what the API server said, the first time.
        config.default_retry = false;
        Client::try_from(config).map_err(|e| e.to_string())
    }

    /// The harness's own client, for its own runtime.
    pub(crate) fn own_client(&self) -> Client {
        self.client.get().expect("it is set before the control plane is handed out").clone()
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until the control plane is dropped")
    }

    /// Drives a future on the harness's own runtime and waits for it: also where a runtime is running already.
    pub(crate) fn wait_for<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        let result = thread::scope(|scope| scope.spawn(|| self.runtime().block_on(future)).join());
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The folder with etcd's files.
    pub fn data_dir(&self) -> PathBuf {
        self.file("etcd")
    }

    /// Whether these bytes are in a file of etcd's. What was written a moment ago may not be there yet.
    ///
    /// # Panics
    /// If a folder cannot be read.
    pub fn data_holds(&self, bytes: impl AsRef<[u8]>) -> bool {
        holds(&self.data_dir(), &memmem::Finder::new(bytes.as_ref()))
    }

    /// What a program said so far: `etcd`, `kube-apiserver`, `kube-controller-manager`.
    pub fn log(&self, name: &str) -> String {
        process::read_log(&self.log_path(name))
    }

    pub(crate) fn log_path(&self, name: &str) -> PathBuf {
        self.file("log").join(name)
    }

    /// The process ids of the programs, by name.
    pub fn pids(&self) -> BTreeMap<&'static str, u32> {
        self.programs().iter().map(|(name, process)| (*name, process.pid())).collect()
    }

    fn audit_path(&self) -> PathBuf {
        self.file("audit.log")
    }

    /// The audit log so far. It only grows: what came after a moment is what comes after its length at that moment.
    ///
    /// # Panics
    /// If a line is not one of an audit log.
    pub fn audit(&self) -> Vec<AuditEvent> {
        audit::parse(&self.audit_text())
    }

    /// The bytes of the audit log so far, as text.
    pub fn audit_text(&self) -> String {
        process::read_log(&self.audit_path())
    }

    /// Kills the API server (SIGKILL): its port refuses from then on.
    pub fn kill_api_server(&self) {
        if let Some(process) = self.programs().get_mut(API_SERVER) {
            process.kill();
        }
    }

    /// Starts the API server again, on the same port, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not serve.
    pub fn start_api_server(&self) {
        self.spawn_api_server();
        self.wait_for(self.api_server_serves()).unwrap_or_else(|trouble| panic!("{}", trouble.text));
    }

    /// Stops the API server in its tracks (SIGSTOP): its port accepts, and nothing answers.
    pub fn freeze_api_server(&self) {
        self.signal(API_SERVER, Signal::STOP);
    }

    /// Lets the API server go on.
    pub fn thaw_api_server(&self) {
        self.signal(API_SERVER, Signal::CONT);
    }

    /// Stops etcd in its tracks (SIGSTOP): a disk that does not answer.
    pub fn freeze_etcd(&self) {
        self.signal(ETCD, Signal::STOP);
    }

    /// Lets etcd go on.
    pub fn thaw_etcd(&self) {
        self.signal(ETCD, Signal::CONT);
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlane").field("folder", &self.guard.folder()).field("ports", &self.ports).finish()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // Not by its own drop: that waits, and may not in a test's runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn holds(folder: &Path, wanted: &memmem::Finder<'_>) -> bool {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.filter_map(Result::ok).any(|entry| {
        let path = entry.path();
        // etcd may remove a file in the meantime.
        if path.is_dir() {
            holds(&path, wanted)
        } else {
            fs::read(&path).is_ok_and(|file| wanted.find(&file).is_some())
        }
    })
}
