//! The real controller: a process with its own ServiceAccount.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ageseal::api::{Published, RECIPIENTS_CONFIGMAP};
use ageseal::recipient::Recipient;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use rustix::process::Signal;

use crate::eventually::eventually;
use crate::files;
use crate::plane::ControlPlane;
use crate::ports;
use crate::process::{self, Process};
use crate::programs;
use crate::roles;

/// The ServiceAccount of a controller, in its system namespace: the name that the manifests give it.
pub(crate) const ACCOUNT: &str = "ageseal-controller";
/// Replicas take turns quickly, so that a test need not wait for the defaults.
const LEASE: [(&str, &str); 3] = [("--lease-duration", "3s"), ("--renew-deadline", "2s"), ("--retry-period", "300ms")];
const SOON: Duration = Duration::from_secs(60);

/// How a controller is started. `system` has to be set; everything else has a default.
#[derive(Clone, Debug, Default)]
pub struct ControllerOptions {
    /// Its own namespace, which has to be there.
    pub system: String,
    /// The namespaces that it serves (`--namespaces`); empty means all of the cluster.
    pub namespaces: Vec<String>,
    /// More flags. One that the harness would set itself (`--lease-duration` and the like) is left to these.
    pub args: Vec<String>,
    /// Variables of its environment, which is empty otherwise.
    pub env: Vec<(String, String)>,
    /// Whom it speaks as; none is the ServiceAccount `ageseal-controller` of its own namespace.
    pub kubeconfig: Option<PathBuf>,
    /// The program; none is the one of this workspace, built as the test is.
    pub program: Option<PathBuf>,
}

/// A running controller. Dropping it kills it.
#[derive(Debug)]
pub struct Controller {
    process: Mutex<Process>,
    port: u16,
    name: String,
    credential: String,
}

impl Controller {
    /// Starts a controller, and does not wait until it is ready.
    ///
    /// # Panics
    /// If it does not build, or its ServiceAccount or Roles are refused.
    #[must_use]
    pub fn start(plane: &ControlPlane, options: ControllerOptions) -> Self {
        let kubeconfig = options.kubeconfig.clone().unwrap_or_else(|| plane.wait_for(account(plane, &options)));
        let [port] = ports::free();
        let name = format!("controller-{}", files::suffix());
        let mut arguments = options.args.clone();
        let mut set = |flag: &str, value: &str| {
            let given = options.args.iter().any(|arg| arg == flag || arg.starts_with(&format!("{flag}=")));
            if !given {
                arguments.push(format!("{flag}={value}"));
            }
        };
        set("--namespace", &options.system);
        set("--listen", &format!("127.0.0.1:{port}"));
        set("--pod-name", &name);
        if !options.namespaces.is_empty() {
            set("--namespaces", &options.namespaces.join(","));
        }
        for (flag, value) in LEASE {
            set(flag, value);
        }
        let mut environment = options.env.clone();
        environment.push(("KUBECONFIG".to_owned(), kubeconfig.display().to_string()));
        let program = options.program.as_deref().unwrap_or_else(|| programs::controller());
        let process = Process::start(plane.guard(), program, &arguments, &environment, plane.log_path(&name));
        Self { process: Mutex::new(process), port, name, credential: credential(&kubeconfig) }
    }

    /// Waits until `/readyz` says so.
    ///
    /// # Panics
    /// If it ends, or is not ready within a minute; the text has the end of its log.
    pub async fn ready(&self) {
        eventually(SOON, "the controller is ready", || async {
            if let Some(status) = self.ended() {
                panic!("the controller ended with {status}\n{}", process::tail(&self.log()));
            }
            match self.get("/readyz").await {
                Ok((200, _)) => Ok(()),
                Ok((code, text)) => Err(format!("{code} {text}\n{}", process::tail(&self.log()))),
                Err(e) => Err(format!("{e}\n{}", process::tail(&self.log()))),
            }
        })
        .await;
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// The name that it takes the Lease by, unless other options set another.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which token it speaks with, as the audit log names it ([`AuditEvent::credential`](crate::AuditEvent)): every start has
    /// one of its own, whatever the ServiceAccount. Empty if it speaks as somebody else.
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// The port of `/livez`, `/readyz` and `/metrics` on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Asks it for a path, and gives the HTTP code and the body.
    ///
    /// # Errors
    /// If it does not answer within five seconds, or not in HTTP.
    pub async fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        let (port, path) = (self.port, path.to_owned());
        let asked = tokio::task::spawn_blocking(move || ask(port, &path)).await;
        asked.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
    }

    /// The text of `/metrics`.
    ///
    /// # Panics
    /// If it does not answer with 200.
    pub async fn metrics(&self) -> String {
        match self.get("/metrics").await {
            Ok((200, text)) => text,
            other => panic!("/metrics: {other:?}"),
        }
    }

    /// Everything that it logged.
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.process().ended()
    }

    /// Sends SIGTERM and waits for its end.
    ///
    /// # Panics
    /// If it still runs after a minute.
    pub async fn terminate(&self) -> ExitStatus {
        self.process().signal(Signal::TERM);
        self.wait().await
    }

    /// Sends SIGTERM and does not wait.
    pub fn interrupt(&self) {
        self.process().signal(Signal::TERM);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it still runs after a minute.
    pub async fn wait(&self) -> ExitStatus {
        eventually(SOON, "the controller ends", || async { self.ended() }).await
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Stops it in its tracks (SIGSTOP).
    pub fn freeze(&self) {
        self.process().signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.process().signal(Signal::CONT);
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The recipient that the controller of that namespace publishes, once it does.
///
/// # Panics
/// If it is not there within a minute.
pub async fn recipient_of(plane: &ControlPlane, system: &str) -> Recipient {
    let maps = Api::<ConfigMap>::namespaced(plane.client().await, system);
    eventually(SOON, "the controller publishes a recipient", || async {
        let map = maps.get_opt(RECIPIENTS_CONFIGMAP).await.map_err(|e| e.to_string())?;
        let map = map.ok_or_else(|| format!("no ConfigMap {RECIPIENTS_CONFIGMAP}"))?;
        let published = Published::from_data(&map.data.unwrap_or_default()).map_err(|e| e.to_string())?;
        published.current.recipient.parse::<Recipient>().map_err(|e| e.to_string())
    })
    .await
}

/// The ServiceAccount of a controller with what it may do, and a kubeconfig of it.
async fn account(plane: &ControlPlane, options: &ControllerOptions) -> PathBuf {
    let kubeconfig = plane.service_account(&options.system, ACCOUNT).await;
    roles::grant(&plane.client().await, options).await;
    kubeconfig
}

/// The `jti` of the token in a kubeconfig. RFC 7519: three parts in base64url, the second of them JSON.
fn credential(kubeconfig: &Path) -> String {
    let text = fs::read_to_string(kubeconfig).unwrap_or_else(|e| panic!("{}: {e}", kubeconfig.display()));
    let token = text.split_once("token: \"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
    let claims = token.split('.').nth(1).and_then(|claims| BASE64_URL_SAFE_NO_PAD.decode(claims).ok());
    let claims: Option<serde_json::Value> = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
    let id = claims.as_ref().and_then(|claims| claims["jti"].as_str());
    id.map_or_else(String::new, |id| format!("JTI={id}"))
}

/// One HTTP request, without a client library: the answer is a few lines of text.
fn ask(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    // HTTP/1.0: the body comes whole, and ends with the connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let parsed = answer.split_once("\r\n\r\n").and_then(|(head, body)| {
        let code = head.split_whitespace().nth(1)?.parse().ok()?;
        Some((code, body.to_owned()))
    });
    parsed.ok_or_else(|| std::io::Error::other(format!("not HTTP: {answer}")))
}
