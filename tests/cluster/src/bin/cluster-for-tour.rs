//! The control plane of the tour, as a program: `cargo demo` builds it, starts it and speaks with it in lines.
//!
//! - When it serves, it prints a line of JSON: the path of the administrator's `kubeconfig`.
//! - At a line `controller` it starts the controller that was installed meanwhile: the program of this workspace, as
//!   the ServiceAccount and with the arguments of the Deployment, because there is no kubelet that would. When that is
//!   ready, it prints a line with the name of the `controller`.
//! - When its standard input ends, everything ends.
#![allow(clippy::panic, reason = "as in the library: a panic is how it fails")]

use std::io::{BufRead, Write, stdin, stdout};

use ageseal::api::DEFAULT_NAMESPACE;
use ageseal_cluster::{ControlPlane, Controller, ControllerOptions, Options};
use serde_json::{Value, json};

/// The ServiceAccount and the Deployment that are installed.
const INSTALLED: &str = "ageseal-controller";

#[tokio::main]
async fn main() {
    // The custom resource comes with the installation.
    let plane = ControlPlane::start(Options { crds: false, ..Options::default() });
    answer(&json!({ "kubeconfig": plane.kubeconfig() }));
    // They are dropped before the control plane is.
    let mut controllers = Vec::new();
    for line in stdin().lock().lines() {
        match line.as_deref() {
            Ok("controller") => {
                let controller = start(&plane).await;
                answer(&json!({ "controller": controller.name() }));
                controllers.push(controller);
            }
            other => panic!("neither a request nor the end: {other:?}"),
        }
    }
}

async fn start(plane: &ControlPlane) -> Controller {
    let path = "jsonpath={.spec.template.spec.containers[0].args}";
    let args = plane.kubectl(&["get", "deployment", "-n", DEFAULT_NAMESPACE, INSTALLED, "-o", path]);
    assert!(args.success(), "nothing is installed: {}", args.stderr_text());
    let kubeconfig = plane.service_account(DEFAULT_NAMESPACE, INSTALLED).await;
    // Built together with this one.
    let program = std::env::current_exe().unwrap_or_else(|e| panic!("the path of this program: {e}"));
    let controller = Controller::start(
        plane,
        ControllerOptions {
            system: DEFAULT_NAMESPACE.to_owned(),
            args: serde_json::from_slice(&args.stdout)
                .unwrap_or_else(|e| panic!("the arguments of the Deployment: {e}")),
            kubeconfig: Some(kubeconfig),
            program: Some(program.with_file_name("ageseal-controller")),
            ..ControllerOptions::default()
        },
    );
    controller.ready().await;
    controller
}

fn answer(line: &Value) {
    let mut stdout = stdout();
    // Nobody is left to tell when it is closed; then standard input ends as well.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
