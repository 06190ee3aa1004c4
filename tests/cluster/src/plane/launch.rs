//! The flags of the three programs, and when each of them serves.

use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};

use super::{API_SERVER, CONTROLLER_MANAGER, ControlPlane, ETCD};
use crate::process::{self, Process};

/// Long enough for a machine that does much else.
const START: Duration = Duration::from_secs(120);

/// What a cluster without nodes needs: garbage collection of owned objects, namespaces that end, ServiceAccounts and
/// their tokens, aggregated ClusterRoles, quotas.
const CONTROLLERS: &[&str] = &[
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "resourcequota-controller",
];

/// Why a program does not serve.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Somebody took its port: other ports may do.
    pub(super) port_taken: bool,
    /// What happened, and the end of its log.
    pub(super) text: String,
}

impl ControlPlane {
    /// Starts the three programs, each when the one before serves.
    pub(super) async fn launch(&self) -> Result<(), Trouble> {
        self.start_etcd();
        self.spawn_api_server();
        let client = self.api_server_serves().await?;
        let client = self.client.get_or_init(|| client).clone();
        if self.options.crds {
            self.install_crds_by(&client).await;
        }
        self.start_controller_manager();
        self.controller_manager_serves(client).await
    }

    fn start_etcd(&self) {
        let (client, peer) = (url(self.ports.etcd), url(self.ports.peer));
        let mut flags = vec![
            "--name=test".to_owned(),
            format!("--data-dir={}", self.data_dir().display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=test={peer}"),
            "--quota-backend-bytes=8589934592".to_owned(),
        ];
        if !self.options.fsync {
            flags.push("--unsafe-no-fsync".to_owned());
        }
        self.spawn(ETCD, ageseal_testkit::etcd(), &flags);
    }

    pub(super) fn spawn_api_server(&self) {
        let mut flags = vec![
            format!("--etcd-servers={}", url(self.ports.etcd)),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.ports.api_server),
            format!("--cert-dir={}", self.file("certs").display()),
            format!("--token-auth-file={}", self.file("tokens.csv").display()),
            "--authorization-mode=RBAC".to_owned(),
            format!("--service-account-key-file={}", self.file("serviceaccounts.pub").display()),
            format!("--service-account-signing-key-file={}", self.file("serviceaccounts.key").display()),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            // There are no nodes that could reach the address.
            "--endpoint-reconciler-type=none".to_owned(),
            "--enable-priority-and-fairness=true".to_owned(),
        ];
        if self.options.encryption {
            flags.push(format!("--encryption-provider-config={}", self.file("encryption.yaml").display()));
        }
        if self.options.audit {
            flags.push(format!("--audit-policy-file={}", self.file("audit-policy.yaml").display()));
            flags.push(format!("--audit-log-path={}", self.audit_path().display()));
        }
        if let Some((reading, changing)) = self.options.max_inflight {
            flags.push(format!("--max-requests-inflight={reading}"));
            flags.push(format!("--max-mutating-requests-inflight={changing}"));
        }
        flags.extend(self.options.apiserver_flags.iter().cloned());
        self.spawn(API_SERVER, ageseal_testkit::kube_apiserver(), &flags);
    }

    fn start_controller_manager(&self) {
        let controllers: Vec<&str> =
            CONTROLLERS.iter().copied().chain(self.options.controllers.iter().map(String::as_str)).collect();
        let mut flags = vec![
            format!("--kubeconfig={}", self.file("manager.kubeconfig").display()),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.ports.controller_manager),
            format!("--cert-dir={}", self.file("manager").display()),
            format!("--controllers={}", controllers.join(",")),
            format!("--service-account-private-key-file={}", self.file("serviceaccounts.key").display()),
            format!("--root-ca-file={}", self.file("certs/apiserver.crt").display()),
            "--leader-elect=false".to_owned(),
            "--kube-api-qps=200".to_owned(),
            "--kube-api-burst=400".to_owned(),
        ];
        flags.extend(self.options.controller_manager_flags.iter().cloned());
        self.spawn(CONTROLLER_MANAGER, ageseal_testkit::kube_controller_manager(), &flags);
    }

    fn spawn(&self, name: &'static str, program: &Path, flags: &[String]) {
        let process = Process::start(&self.guard, program, flags, &[], self.log_path(name));
        self.programs().insert(name, process);
    }

    /// Waits until the API server says that it is ready, and gives a client.
    pub(super) async fn api_server_serves(&self) -> Result<Client, Trouble> {
        let start = Instant::now();
        let mut last = String::new();
        while start.elapsed() < START {
            self.check(ETCD)?;
            self.check(API_SERVER)?;
            // The certificate is made by the API server itself, at its first start.
            match self.client_of(&self.kubeconfig).await {
                Ok(client) => match ready(&client).await {
                    Ok(()) => return Ok(client),
                    Err(state) => last = state,
                },
                Err(state) => last = state,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(self.trouble(API_SERVER, &format!("was not ready within {START:?}: {last}")))
    }

    /// Waits until the controller manager does its work: the default namespace gets its ServiceAccount.
    async fn controller_manager_serves(&self, client: Client) -> Result<(), Trouble> {
        let start = Instant::now();
        let accounts = Api::<ServiceAccount>::namespaced(client, "default");
        while start.elapsed() < START {
            self.check(CONTROLLER_MANAGER)?;
            if let Ok(Some(_)) = accounts.get_opt("default").await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(self.trouble(CONTROLLER_MANAGER, &format!("did nothing within {START:?}")))
    }

    /// Errors: the program has ended.
    fn check(&self, name: &'static str) -> Result<(), Trouble> {
        let status = self.programs().get_mut(name).and_then(Process::ended);
        status.map_or(Ok(()), |status| Err(self.trouble(name, &format!("ended with {status}"))))
    }

    fn trouble(&self, name: &str, what: &str) -> Trouble {
        let log = self.log(name);
        Trouble {
            port_taken: log.contains("address already in use"),
            text: format!("{name} {what}\n{}", process::tail(&log)),
        }
    }
}

async fn ready(client: &Client) -> Result<(), String> {
    let request = http::Request::get("/readyz").body(Vec::new()).map_err(|e| e.to_string())?;
    let answer = tokio::time::timeout(Duration::from_secs(10), client.request_text(request)).await;
    match answer.map_err(|_| "no answer within 10 s".to_owned())?.map_err(|e| e.to_string())?.as_str() {
        "ok" => Ok(()),
        other => Err(other.to_owned()),
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::super::{Options, Ports};
    use super::*;

    #[test]
    fn a_port_that_somebody_took_is_told_from_other_trouble() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let free = Ports::free;
        let taken = [
            Ports { etcd: port, ..free() },
            Ports { peer: port, ..free() },
            Ports { api_server: port, ..free() },
            Ports { controller_manager: port, ..free() },
        ];
        for ports in taken {
            let plane = ControlPlane::new(Options { crds: false, ..Options::default() }, ports);
            let trouble = plane.wait_for(plane.launch()).unwrap_err();
            assert!(trouble.port_taken, "{ports:?}: {}", trouble.text);
        }
        let options = Options { apiserver_flags: vec!["--no-such-flag".to_owned()], ..Options::default() };
        let plane = ControlPlane::new(options, free());
        let trouble = plane.wait_for(plane.launch()).unwrap_err();
        assert!(!trouble.port_taken && trouble.text.contains("no-such-flag"), "{}", trouble.text);
    }
}
