//! The second part of the tour: a real cluster, to which the repository of the first part is deployed.

use std::fs;
use std::path::{Path, PathBuf};

use ageseal_testkit::{etcd, kube_apiserver, kube_controller_manager, kubectl, kustomize, target_directory};
use anyhow::{Context, Result, ensure};

use super::plane::{self, Plane};
use super::step::{Step, read, run_all, step};
use super::{offline, references};
use crate::run::{Profile, build, print, say};
use crate::secrets::{self, Secrets};
use crate::shell::Shell;

/// What the control plane calls its context, and what its administrator calls it.
const RENAME: &str = "kubectl config rename-context test eu";

const NAMESPACES: [&str; 2] = ["shop-prod", "shop-test"];

const INSTALL: &[Step<'_>] = &[
    step("", "kubectl version", &["Server Version"]),
    step("", "kubectl get nodes", &["No resources found"]),
    step(
        "The controller is installed. Its key will have a backup that the recovery key opens.",
        "ageseal install --image registry.example.com/ageseal-controller:0.1.0 | kubectl apply --server-side -f -",
        &["recovery", "customresourcedefinition", "deployment.apps/ageseal-controller serverside-applied"],
    )
    .lines(6),
    step(
        "Its pods need a node. In their place the same program is started here, with their rights and arguments.",
        "kubectl scale deployment ageseal-controller -n ageseal-system --replicas=0",
        &["scaled"],
    ),
];

const SEAL: &[Step<'_>] = &[
    step(
        "It made a key for this cluster. The public half is in a ConfigMap.",
        "kubectl get secrets,configmaps -n ageseal-system --field-selector metadata.name!=kube-root-ca.crt",
        &["ageseal-identity-1", "ageseal-backup-", "ageseal-recipients"],
    ),
    step(
        "The repository learns it, and knows this cluster from now on.",
        "ageseal recipients sync eu --context eu --yes",
        &["synced", ".ageseal/recipients/eu.pub", ".ageseal/clusters/eu.yaml"],
    ),
    step(
        "The cluster is to read both environments, in place of the two key files.",
        "for rule in overlays/prod overlays/test base components/debug; do\n  \
         ageseal recipients add -q eu --rule \"$rule/**\"\ndone\n\
         for rule in overlays/prod base; do ageseal recipients remove -q prod --rule \"$rule/**\"; done\n\
         for rule in overlays/test base components/debug; do ageseal recipients remove -q test --rule \"$rule/**\"; done",
        &[],
    ),
    step("", "grep recipients: .ageseal/policy.yaml", &["recipients: [recovery, eu]"]),
    step(
        "Nobody kept the plaintext: the recovery key opens what is there, and it is sealed anew.",
        "for file in */*.sealed.yaml */*/*.sealed.yaml; do\n  \
         ageseal open -i ../recovery.txt $file > ${file%.sealed.yaml}.secret.yaml\ndone\n\
         ageseal seal -q . && rm */*.secret.yaml */*/*.secret.yaml",
        &[],
    ),
    step(
        "",
        "ageseal get -i ../recovery.txt overlays/prod/session.patch.yaml password |\n  \
         ageseal set -q overlays/prod/session.patch.yaml password && ageseal check",
        &["no findings"],
    ),
    step("", "git add . && git commit -q -m 'Seal for the cluster eu' && git show --stat --format=%s | tail -n 1", &[]),
];

const APPLY: &[Step<'_>] = &[
    step(
        "What is in git is what is deployed. Whoever deploys it has no private key.",
        "kustomize build overlays/prod | kubectl apply --server-side -f -",
        &["sealedsecret.ageseal.dev/db-credentials", "deployment.apps/api"],
    )
    .lines(4),
    step(
        "",
        "kustomize build overlays/test | kubectl apply --server-side -f -",
        &["sealedsecret.ageseal.dev/test-db-credentials", "deployment.apps/test-api"],
    )
    .lines(4),
    step("", "kubectl wait ags --all -A --for=condition=Ready --timeout=60s", &["db-credentials condition met"])
        .lines(2),
    step("", "kubectl get ags -A", &["shop-prod", "shop-test", "Opened"]),
    step("Each document became the Secret of its name.", "kubectl get secrets -n shop-prod", &["kubernetes.io/tls"]),
];

/// What the cluster holds, values and all.
const SECRETS: &str = "for name in shop-prod shop-test; do\n  echo ---; kubectl get secrets -n $name -o yaml\ndone";

/// One value, as a pod would get it.
const PASSWORD: &str = "kubectl get secret db-credentials -n shop-prod -o jsonpath={.data.password} | base64 -d; echo";

const GUARD: &[Step<'_>] = &[
    step(
        "Somebody changes a Secret by hand. Before the next command has asked, it is again what git says.",
        "kubectl patch secret db-credentials -n shop-prod -p '{\"stringData\":{\"password\":\"changed-by-hand\"}}'",
        &["secret/db-credentials patched"],
    ),
    step("", PASSWORD, &["not-a-real-new-password"]).within(10),
    step(
        "Somebody deletes one.",
        "kubectl delete secret shop-tls -n shop-prod\n\
         kubectl wait secret/shop-tls -n shop-prod --for=create --timeout=10s",
        &["deleted", "condition met"],
    ),
    step(
        "Somebody who cannot read shop-prod takes a sealed file out of git, into a namespace of their own.",
        "kubectl create namespace sandbox\n\
         kubectl apply -n sandbox -f overlays/prod/db.sealed.yaml\n\
         kubectl wait ags/db-credentials -n sandbox --for=condition=Stalled --timeout=10s",
        &["sealedsecret.ageseal.dev/db-credentials created", "condition met"],
    ),
    step("", "kubectl get ags -n sandbox", &["False", "ScopeMismatch"]),
    step(
        "",
        "kubectl get ags -n sandbox -o jsonpath='{..conditions[?(@.type==\"Ready\")].message}'; echo",
        &["sealed for shop-prod/db-credentials"],
    ),
    step(
        "To write another scope into it does not help: the scope is part of what is authenticated.",
        "sed 's/shop-prod/sandbox/' overlays/prod/db.sealed.yaml | kubectl apply -n sandbox -f -",
        &["sealedsecret.ageseal.dev/db-credentials configured"],
    ),
    step("", "kubectl get ags -n sandbox", &["False", "CannotOpen"]).within(10),
    step("", "kubectl get secrets -n sandbox", &["No resources found"]),
    step("", "kubectl delete namespace sandbox", &["deleted"]),
    step(
        "What is wrong on this machine, in this repository and in this cluster, and what mends it.",
        "ageseal doctor",
        &["29 documents are Ready", "encrypted"],
    ),
];

/// The versions of everything that a new key must leave as it is.
const VERSIONS: &str = "for name in shop-prod shop-test; do\n  kubectl get secrets,ags -n $name --no-headers \
     -o custom-columns=K:.kind,N:.metadata.name,V:.metadata.resourceVersion\ndone";

/// A value for the new key.
const RENEWED: &[Step<'_>] = &[
    step(
        "The next value is sealed for the new key.",
        "printf %s not-a-real-newer-password | ageseal set -q overlays/prod/db.sealed.yaml password\n\
         git commit -q -a -m 'Change the database password, for the new key of eu'\n\
         kustomize build overlays/prod | kubectl apply --server-side -f - | grep db-credentials",
        &["db-credentials serverside-applied"],
    ),
    step("", PASSWORD, &["not-a-real-newer-password"]).within(10),
    step("", "ageseal keys list", &["opened 1 document"]),
];

/// The Secret that the pods of both environments ask for, by the name that it has now.
const ASKED: &str = "for of in prod/api test/test-api; do\n  \
     kubectl get deployment ${of#*/} -n shop-${of%/*} \
     -o jsonpath='{..env[?(@.name==\"SESSION_URL\")].valueFrom.secretKeyRef.name}'; echo\ndone";

/// A value that rolls the pods.
const ROLL: &[Step<'_>] = &[
    step(
        "A value of the Secret that both environments share changes. Its name has a hash, which moves with it.",
        "printf %s redis://sessions-2.example.com:6379 | ageseal set base/session.sealed.yaml url",
        &["rolls", "the pods, for url", "base/kustomization.yaml"],
    ),
    step(
        "",
        "git commit -q -a -m 'Move the session store'\nfor name in prod test; do\n  \
         kustomize build overlays/$name | kubectl apply --server-side -f - | grep session-store\ndone",
        &["sealedsecret.ageseal.dev/session-store-", "sealedsecret.ageseal.dev/test-session-store-"],
    ),
    step("", "kubectl wait ags --all -A --for=condition=Ready --timeout=60s", &["condition met"]).lines(2),
    step(
        "What was there before is there until it is pruned: pods that still run keep their Secret.",
        "kubectl get secrets -n shop-test | grep session-store",
        &["test-session-store-"],
    ),
];

/// Builds what the tour runs, if it is not there, and gives the folders of its programs.
pub fn programs() -> Result<Vec<PathBuf>> {
    if !control_plane().is_file() {
        say("building what the tour runs, once");
    }
    let built = build(&["ageseal-cli", "ageseal-controller", "ageseal-cluster"], Profile::Dev, false)?;
    // Those of Kubernetes as well, before anything is shown.
    let others = [kubectl(), kustomize(), etcd(), kube_apiserver(), kube_controller_manager()];
    let folders = others.into_iter().take(2).filter_map(Path::parent).map(Path::to_owned);
    Ok(std::iter::once(built).chain(folders).collect())
}

/// The program that is the control plane.
fn control_plane() -> PathBuf {
    target_directory().join("debug").join(plane::PROGRAM)
}

/// Runs this part in the repository that the first one left, and says how many commands it had.
pub fn tour(shell: &Shell) -> Result<usize> {
    print(
        "\n# A cluster, started here: real etcd, kube-apiserver and kube-controller-manager, with encryption at rest.",
    )?;
    print("# There are no containers and no nodes, so no pod will run.")?;
    let mut plane = start(shell)?;
    let mut commands = run_all(shell, INSTALL)?;
    print(&format!("({} is ready)", plane.start_controller()?))?;
    commands += run_all(shell, SEAL)? + run_all(shell, APPLY)?;
    let says = "Every value in the cluster, compared with the plaintext of the example.";
    let found = offline::compare(&read(shell, says, SECRETS)?, &offline::expected()?)?;
    commands += 1 + resolve(shell, &found)?;
    Ok(commands + run_all(shell, GUARD)? + renew(shell)? + run_all(shell, RENEWED)? + roll(shell)?)
}

/// Changes a value of the Secret whose name has a hash, and shows that what asks for it moves to a new one.
fn roll(shell: &Shell) -> Result<usize> {
    let before =
        step("The name that the pods ask for.", ASKED, &["session-store-", "test-session-store-"]).run(shell)?;
    let commands = run_all(shell, ROLL)?;
    let after = step("The pods ask for the new one: they roll.", ASKED, &["test-session-store-"]).run(shell)?;
    let moved = before.text.lines().zip(after.text.lines()).filter(|(before, after)| before != after).count();
    ensure!(moved == NAMESPACES.len(), "the names did not move: {} {}", before.text, after.text);
    let mut found = Secrets::new();
    secrets::read(&read(shell, "", SECRETS)?, &mut found)?;
    Ok(commands + 3 + resolve(shell, &found)?)
}

/// Starts the control plane and makes its kubeconfig the one of the shell's user.
fn start(shell: &Shell) -> Result<Plane> {
    let plane = Plane::start(&control_plane())?;
    let folder = shell.home().join(".kube");
    fs::create_dir(&folder)?;
    fs::copy(plane.kubeconfig(), folder.join("config"))?;
    let renamed = shell.run(RENAME)?;
    ensure!(renamed.code == 0, "{}", renamed.text);
    Ok(plane)
}

/// Looks up what the workloads ask of Secrets.
fn resolve(shell: &Shell, found: &Secrets) -> Result<usize> {
    let mut says = "Everything that pods, service accounts and the ingress ask for is there, by Secret and by key.";
    for name in NAMESPACES {
        let list = read(shell, says, &format!("kubectl get {} -n {name} -o json", references::KINDS))?;
        print(&references::resolve(&list, name, found)?)?;
        says = "";
    }
    Ok(NAMESPACES.len())
}

/// Gives the cluster a new key, shows that nothing was written for that, and brings it into the repository.
fn renew(shell: &Shell) -> Result<usize> {
    let before = format!("{VERSIONS} > ../before.txt");
    let old = [
        step("The cluster gets a new key. First, the version of every Secret and document.", &before, &[]),
        step("", "ageseal keys list", &["current", "opened 29 documents"]),
    ];
    let mut commands = run_all(shell, &old)?;
    let new = "ageseal keys new --backup-recipient recovery > ../eu-2.pub";
    let made = step("", new, &["made", "ageseal-identity-2"]).run(shell)?;
    // As its hint has it.
    let id = made.text.split("--accept ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let accept = format!("ageseal recipients sync -q eu --yes --accept {}", id.context("it does not say which key")?);
    let after = format!("sleep 2\n{VERSIONS} > ../after.txt");
    let steps = [
        step("", "ageseal keys list", &["current", "active", "opened 29 documents"]),
        step("Nothing is written for that: the old key opens what was sealed for it.", &after, &[]),
        step("", "diff ../before.txt ../after.txt && wc -l < ../after.txt", &["58"]),
        step(
            "The repository does not take another key in passing: whoever made it says which one it is.",
            "ageseal recipients sync eu --yes",
            &["another than before"],
        )
        .exit(1),
        step("", &accept, &[]),
    ];
    commands += 1 + run_all(shell, &steps)?;
    Ok(commands)
}
