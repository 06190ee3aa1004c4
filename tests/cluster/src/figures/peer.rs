//! The peer: the controller of sealed-secrets, built from the Go module proxy, over the same kind of control plane.
//!
//! It reads only the configuration that a pod has. So it gets a mount namespace of its own, in which the folder of a
//! ServiceAccount lies where a pod has it; where the kernel does not allow that, there is no peer.

use std::fs;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::bare::Bare;
use super::documents::{Document, name, values};
use super::site::{Running, Site};
use super::trace::{Request, all_there};
use super::usage::processor;
use crate::eventually::eventually;
use crate::plane::ControlPlane;
use crate::process::Process;
use crate::{files, ports};

/// Its best settings: no limit of its own on requests, and a log of errors alone.
pub(crate) const BEST: &[&str] = &["--kubeclient-qps=-1", "--log-level=ERROR"];
/// Its settings as they are, but for the log.
pub(crate) const DEFAULT: &[&str] = &["--log-level=ERROR"];

const ACCOUNT: &str = "sealed-secrets-controller";
const API: &str = "bitnami.com/v1alpha1";
/// After a restart it opens everything again and posts an event for each; without one for so long, it has done so.
const QUIET: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(120);

/// `$1` is a folder with the files of a ServiceAccount; the program and its arguments follow.
const IN_A_POD: &str = r#"
set -eu
mount -t tmpfs -o mode=0755 tmpfs /var/run
mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
cp "$1"/* /var/run/secrets/kubernetes.io/serviceaccount/
shift
exec "$@"
"#;

/// Its kind, without the schema that it ships: validation would only cost it time.
const CRD: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: sealedsecrets.bitnami.com}
spec:
  group: bitnami.com
  names: {kind: SealedSecret, listKind: SealedSecretList, plural: sealedsecrets, singular: sealedsecret}
  scope: Namespaced
  versions:
  - name: v1alpha1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

/// Whether this process may give a program the folder of a pod; if not, why not.
pub(crate) fn possible() -> Result<(), String> {
    let empty = tempfile::tempdir().map_err(|e| e.to_string())?;
    fs::write(empty.path().join("token"), "").map_err(|e| e.to_string())?;
    let mut command = Command::new("unshare");
    command.args(["-m", "--", "sh", "-c", IN_A_POD, "sh"]).arg(empty.path()).arg("true").stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(e) => Err(format!("unshare: {e}")),
    }
}

/// The peer in its control plane.
pub(crate) struct Peer<'a> {
    /// The place, with the peer at its best settings.
    pub(crate) site: Site<'a>,
    certificate: PathBuf,
}

/// Installs the peer, lets it make its key and ends it again.
///
/// # Panics
/// If it makes none.
pub(crate) async fn install(plane: &ControlPlane) -> Peer<'_> {
    plane.apply(CRD);
    let system = plane.namespace("sealed-secrets").await;
    let kubeconfig = plane.service_account(system.name(), ACCOUNT).await;
    plane.bind_cluster_admin(system.name(), ACCOUNT).await;
    let text = fs::read_to_string(&kubeconfig).unwrap_or_else(|e| panic!("{}: {e}", kubeconfig.display()));
    let token = text.split("token: \"").nth(1).and_then(|rest| rest.split('"').next());
    let pod = plane.file("peer");
    files::write(&pod.join("token"), token.unwrap_or_else(|| panic!("{}: no token", kubeconfig.display())));
    files::write(&pod.join("namespace"), system.name());
    fs::copy(plane.certificate_authority(), pod.join("ca.crt")).unwrap_or_else(|e| panic!("{}: {e}", pod.display()));

    let admin = Bare::new(plane.kubeconfig()).await;
    let mut first = start(plane, BEST);
    let keys = format!(
        "/api/v1/namespaces/{}/secrets?labelSelector=sealedsecrets.bitnami.com/sealed-secrets-key%3Dactive",
        system.name()
    );
    let certificate = eventually(SOON, "the peer makes its key", || async {
        let found = admin.json(&keys).await["items"][0]["data"]["tls.crt"].as_str().map(str::to_owned);
        found.ok_or_else(|| first_lines(&plane.log("peer")))
    })
    .await;
    first.kill();
    let certificate = BASE64_STANDARD.decode(certificate).unwrap_or_else(|e| panic!("the peer's certificate: {e}"));
    files::write(&pod.join("certificate.pem"), certificate);
    let user = format!("system:serviceaccount:{}:{ACCOUNT}", system.name());
    let site = Site {
        plane,
        admin,
        namespace: plane.namespace("figures").await,
        api: API,
        user,
        start: Box::new(move || {
            let _ = system.name();
            Running::Peer(start(plane, BEST))
        }),
    };
    Peer { site, certificate: pod.join("certificate.pem") }
}

/// Starts the peer with these flags.
pub(crate) fn start(plane: &ControlPlane, flags: &[&str]) -> Process {
    let server = plane.server();
    let (host, port) = server.trim_start_matches("https://").split_once(':').expect("it is HOST:PORT");
    let environment = [
        ("KUBERNETES_SERVICE_HOST".to_owned(), host.to_owned()),
        ("KUBERNETES_SERVICE_PORT".to_owned(), port.to_owned()),
    ];
    let [api, metrics] = ports::free();
    let mut arguments: Vec<String> = ["-m", "--", "sh", "-c", IN_A_POD, "sh"].map(str::to_owned).into();
    arguments.push(plane.file("peer").display().to_string());
    arguments.push(ageseal_testkit::sealed_secrets_controller().display().to_string());
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    arguments.extend([format!("--listen-addr=127.0.0.1:{api}"), format!("--listen-metrics-addr=127.0.0.1:{metrics}")]);
    Process::start(plane.guard(), Path::new("unshare"), &arguments, &environment, plane.log_path("peer"))
}

impl Peer<'_> {
    /// Seals the documents of these numbers, a process of kubeseal each.
    ///
    /// # Panics
    /// If kubeseal refuses.
    pub(crate) fn seal(&self, numbers: Range<usize>) -> Vec<Document> {
        let numbers: Vec<usize> = numbers.collect();
        let share = numbers.len().div_ceil(thread::available_parallelism().map_or(1, NonZero::get)).max(1);
        thread::scope(|scope| {
            let threads: Vec<_> = numbers
                .chunks(share)
                .map(|share| scope.spawn(|| share.iter().map(|number| self.seal_one(*number)).collect::<Vec<_>>()))
                .collect();
            let sealed = threads.into_iter().map(|thread| thread.join());
            sealed.flat_map(|shares| shares.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }

    fn seal_one(&self, number: usize) -> Document {
        let name = name(number);
        let data: serde_json::Value =
            values(number, 0).into_iter().map(|(key, value)| (key, BASE64_STANDARD.encode(value))).collect();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
            "metadata": {"name": name, "namespace": self.site.namespace.name()},
        });
        let kubeseal = ageseal_testkit::Command::new(ageseal_testkit::kubeseal());
        let certificate = self.certificate.display().to_string();
        let sealed = kubeseal.args(["--format", "json", "--cert", &certificate]).stdin(secret.to_string()).run();
        Document { name, json: sealed.expect_success().into() }
    }

    /// Restarts it with everything current, and gives how long it went on opening, and what processor time that took.
    pub(crate) async fn restart(&self, running: Running) -> (Running, Duration, Duration) {
        running.stop().await;
        let mut trace = self.site.trace();
        let begun = SystemTime::now();
        let running = (self.site.start)();
        let event = |request: &Request| request.wrote() && request.resource == "events";
        let (mut count, mut since) = (0, tokio::time::Instant::now());
        while since.elapsed() < QUIET || count == 0 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let now = trace.requests().iter().filter(|request| event(request)).count();
            if now != count {
                (count, since) = (now, tokio::time::Instant::now());
            }
            assert!(
                since.elapsed() < SOON,
                "the peer does nothing after a restart\n{}",
                first_lines(&self.site.plane.log("peer"))
            );
        }
        let took = all_there(trace.requests(), begun, event);
        let processor = processor(running.pid());
        (running, took, processor)
    }
}

fn first_lines(log: &str) -> String {
    log.lines().take(12).collect::<Vec<_>>().join("\n")
}
