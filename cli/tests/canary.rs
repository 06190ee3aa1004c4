//! The canary rule: a known value goes through every command, in success and in failure, and is seen nowhere but where
//! it is asked for: on stdout of `open` and `get`.
//!
//! Every run is searched: stdout, stderr, and every file of the working folder, the home, the configuration and the
//! temporary folder that is new or changed. What is looked for is any piece of the value, as it is, reversed, in base64
//! at every alignment, in hex. The private key of the identity in use is looked for in the same way.
//!
//! A command that `ageseal --help` lists and that has no case here fails the test.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/repo.rs"]
mod repo;
mod support;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread;

use repo::{CANARY, b64, changes, identity, keys, leak, repo, sealed, secret, state};
use support::Scratch;

/// Where the value may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// On stdout: that is what the command is for.
    Stdout,
    /// Nowhere.
    Nowhere,
}

use Asked::{Nowhere, Stdout};

/// A line of shell for one command; `$C` is the canary, `$ID` the identity that opens, `$R` a recipient.
struct Case {
    command: &'static str,
    line: String,
    asked: Asked,
}

fn case(command: &'static str, line: impl Into<String>) -> Case {
    Case { command, line: line.into(), asked: Nowhere }
}

fn asked(command: &'static str, line: impl Into<String>) -> Case {
    Case { command, line: line.into(), asked: Stdout }
}

/// Each command in its ordinary use, and in the refusals that come to mind. Files are those of [`folder`].
fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("init", "cd $HOME/.. && mkdir new && cd new && cp -r ../work/prod . && ageseal init --no-recovery"),
        case("init", "cd $HOME/.. && mkdir new && cd new && cp -r ../work/prod . && ageseal init --recovery $R"),
        case("init", "ageseal init --recovery \"$C\""),
        case("init", "ageseal init"),
        case("keygen", "ageseal keygen"),
        case("keygen", "ageseal keygen -o prod/db.secret.yaml"),
        case(
            "keygen",
            "ageseal keygen -o id.txt -q > /dev/null; chmod 644 id.txt; ageseal open prod/db.sealed.yaml -i id.txt; rm id.txt",
        ),
        case("seal", "ageseal seal prod/db.secret.yaml"),
        case("seal", "ageseal seal prod/db.secret.yaml -i $ID"),
        case("seal", "ageseal seal prod/db.secret.yaml --fresh"),
        case("seal", "ageseal seal prod/db.secret.yaml --dry-run"),
        case("seal", "ageseal seal prod/db.secret.yaml -o -"),
        case("seal", "ageseal seal prod/db.secret.yaml -o new.sealed.yaml"),
        case("seal", "ageseal seal prod/db.secret.yaml -o prod/new.sealed.yaml -n other"),
        case("seal", "ageseal seal --in-place prod/db.secret.yaml; rm -r c"),
        case("seal", "ageseal seal --in-place prod/mixed.yaml"),
        case("seal", "ageseal seal prod/mixed.yaml"),
        case("seal", "ageseal seal prod"),
        case("seal", "ageseal seal - -o - --as prod/x < prod/db.secret.yaml"),
        case("seal", "ageseal seal - < prod/db.secret.yaml"),
        case("seal", "ageseal seal prod/less.secret.yaml -o prod/db.sealed.yaml"),
        case("seal", "ageseal seal prod/less.secret.yaml -o prod/db.sealed.yaml --prune -i $ID"),
        case("seal", "ageseal seal prod/db.secret.yaml --scope '*/*'"),
        case("seal", "ageseal seal prod/db.secret.yaml -r \"$C\""),
        case("seal", "ageseal seal prod/db.secret.yaml -R prod/db.secret.yaml"),
        case("seal", "ageseal seal prod/db.secret.yaml -i prod/db.secret.yaml"),
        case("seal", "ageseal seal prod/leaky.secret.yaml"),
        case("seal", "git init -q && git add -A && ageseal seal prod/db.secret.yaml"),
        case("seal", "trap '' XFSZ; ulimit -f 0; ageseal seal prod/db.secret.yaml"),
        case("create", "ageseal create opaque new -n shop-prod --from-literal password=\"$C\" -o prod/new.sealed.yaml"),
        case("create", "ageseal create opaque new -n shop-prod --from-literal \"$C\" -o prod/new.sealed.yaml"),
        case(
            "create",
            "ageseal create opaque new -n shop-prod --from-literal \"$C with blank=x\" -o prod/new.sealed.yaml",
        ),
        case(
            "create",
            "ageseal create opaque new -n shop-prod --from-literal a=x --from-literal a=\"$C\" -o prod/new.sealed.yaml",
        ),
        case("create", "ageseal create opaque new -n shop-prod --from-file value.txt -o prod/new.sealed.yaml"),
        case("create", "ageseal create opaque new -n shop-prod --from-file values -o prod/new.sealed.yaml"),
        case("create", "ageseal create opaque new -n shop-prod --from-env-file good.env -o prod/new.sealed.yaml"),
        case("create", "ageseal create opaque new -n shop-prod --from-env-file bad.env -o prod/new.sealed.yaml"),
        case("create", "ageseal create opaque new -n shop-prod --from-env-file value.txt -o prod/new.sealed.yaml"),
        case("create", "printf %s \"$C\" | ageseal create opaque new -n shop-prod --stdin a -o prod/new.sealed.yaml"),
        case(
            "create",
            "printf '%s\\n' \"$C\" | ageseal create opaque new -n shop-prod --stdin a -o prod/new.sealed.yaml",
        ),
        case("create", "printf %s \"$C\" | ageseal create opaque new -n shop-prod --stdin a -o - --as prod/x"),
        case(
            "create",
            "printf %s \"$C\" | ageseal create opaque new -n shop-prod --stdin a -o prod/new.sealed.yaml --dry-run",
        ),
        case("create", "printf %s \"$C\" | ageseal create opaque new --stdin a -o prod/new.sealed.yaml"),
        case("create", "printf %s \"$C\" | ageseal create opaque new -n shop-prod --stdin a -o prod/db.sealed.yaml"),
        case("create", "printf %s \"$C\" | ageseal create opaque new -n shop-test --stdin a -o prod/new.sealed.yaml"),
        case("create", "ageseal create opaque new -n shop-prod \"$C\" -o prod/new.sealed.yaml"),
        case("create", "ageseal create tls new -n shop-prod --cert value.txt --key value.txt -o prod/new.sealed.yaml"),
        case("create", "ageseal create tls new -n shop-prod --cert junk.pem --key junk.pem -o prod/new.sealed.yaml"),
        case(
            "create",
            "ageseal create ssh-auth new -n shop-prod --from-file ssh-privatekey=value.txt -o prod/new.sealed.yaml",
        ),
        case("create", "ageseal create basic-auth new -n shop-prod --from-literal pass=\"$C\" -o prod/new.sealed.yaml"),
        case(
            "create",
            "ageseal create dockerconfigjson new -n shop-prod --from-file .dockerconfigjson=bad.json -o prod/new.sealed.yaml",
        ),
        case(
            "create",
            "ageseal create dockercfg new -n shop-prod --from-file .dockercfg=bad.json -o prod/new.sealed.yaml",
        ),
        case(
            "create",
            "ageseal create bootstrap-token new -n shop-prod --from-file token-secret=value.txt --from-file token-id=value.txt -o prod/new.sealed.yaml",
        ),
        case("create", "ageseal create opaque new -n shop-prod --prompt a -o prod/new.sealed.yaml"),
        case("create", typed("ageseal create opaque new -n shop-prod --prompt a -o prod/new.sealed.yaml")),
        case(
            "create",
            typed(
                "ageseal create dockerconfigjson new -n shop-prod --docker-server r --docker-username u -o prod/new.sealed.yaml",
            ),
        ),
        asked("open", "ageseal open prod/db.sealed.yaml -i $ID"),
        asked("open", "ageseal open --string-data prod/db.sealed.yaml -i $ID"),
        asked("open", "ageseal open - -i $ID < prod/db.sealed.yaml"),
        asked("open", "mkdir prod/o && cp prod/db.sealed.yaml prod/o && ageseal open prod/o -i $ID"),
        case("open", "ageseal open prod -i $ID"),
        case("open", "ageseal open prod/db.sealed.yaml -i $ID > /dev/full"),
        case("open", "ageseal open prod/db.sealed.yaml -i $ID | true"),
        case("open", "ageseal open prod/db.sealed.yaml -i $ID >&-"),
        case("open", "ageseal open prod/db.sealed.yaml"),
        case("open", "ageseal open prod/db.sealed.yaml -i value.txt"),
        case("open", "AGESEAL_IDENTITY=\"$C\" ageseal open prod/db.sealed.yaml"),
        case("open", "AGESEAL_IDENTITY_FILE=\"$C\" ageseal open prod/none.yaml"),
        // All or nothing: one broken document, and nothing of the good one is shown.
        case("open", "ageseal open prod/db.sealed.yaml prod/broken.sealed.yaml -i $ID"),
        case("open", "ageseal open prod/db.secret.yaml -i $ID"),
        asked("get", "ageseal get prod/db.sealed.yaml password -i $ID"),
        case("get", "ageseal get prod/db.sealed.yaml host -i $ID"),
        case("get", "ageseal get prod/db.sealed.yaml none -i $ID"),
        case("get", "ageseal get prod/db.sealed.yaml password -i $ID > /dev/full"),
        case("get", "ageseal get prod/db.sealed.yaml password"),
        case("get", "ageseal get prod/broken.sealed.yaml password -i $ID"),
        case("get", "script -qec \"ageseal get prod/db.sealed.yaml control -i $ID\" /dev/null"),
        case("set", "printf %s \"$C\" | ageseal set prod/db.sealed.yaml password"),
        case("set", "printf %s \"$C\" | ageseal set prod/db.sealed.yaml new"),
        case("set", "printf '%s\\n' \"$C\" | ageseal set prod/db.sealed.yaml password"),
        case("set", "printf '%s\\n' \"$C\" | ageseal set prod/db.sealed.yaml password --trim-newline"),
        case("set", "printf '%s\\n' \"$C\" | ageseal set prod/db.sealed.yaml password --keep-newline"),
        case("set", "ageseal set prod/db.sealed.yaml password --value \"$C\""),
        case("set", "ageseal set prod/db.sealed.yaml password --value \"$C\" --from-file value.txt"),
        case("set", "ageseal set prod/db.sealed.yaml password \"$C\""),
        case("set", "ageseal set prod/db.sealed.yaml password --trim-newline=\"$C\""),
        case(
            "set",
            "ageseal set prod/db.sealed.yaml password --vlaue \"$C\"; ageseal set prod/db.sealed.yaml password --vlaue=\"$C\"",
        ),
        case(
            "set",
            "ageseal set prod/db.sealed.yaml password -p\"$C\"; ageseal set prod/db.sealed.yaml -- password \"$C\" \"$C\"",
        ),
        case("set", "ageseal set prod/db.sealed.yaml password=\"$C with blank\""),
        case("set", "ageseal set prod/db.sealed.yaml password --from-file value.txt"),
        case("set", "ageseal set prod/db.sealed.yaml password --from-file none"),
        case("set", "printf %s \"$C\" | ageseal set prod/db.sealed.yaml password --scope '*/*'"),
        case("set", "printf %s \"$C\" | ageseal set prod/broken.sealed.yaml password"),
        case("set", "printf %s \"$C\" | ageseal set prod/db.secret.yaml password"),
        case("set", "printf %s \"$C\" | ageseal set prod/none.yaml password"),
        case("set", "trap '' XFSZ; printf %s \"$C\" | (ulimit -f 0; ageseal set prod/db.sealed.yaml password)"),
        case("set", typed("ageseal set prod/db.sealed.yaml password")),
        case("set", typed("ageseal set prod/db.sealed.yaml bad/key")),
        case("set", "printf %s \"$C\" | ageseal set prod/db.patch.yaml password --for prod/db.sealed.yaml"),
        case(
            "set",
            "printf %s \"$C\" | ageseal set prod/db.patch.yaml password --for prod/db.sealed.yaml --scope shop-prod/db --wire",
        ),
        case(
            "set",
            "printf %s \"$C\" | ageseal set prod/db.patch.yaml password --for prod/db.sealed.yaml --scope shop-prod/db",
        ),
        case(
            "set",
            "printf %s \"$C\" | ageseal set prod/db.secret.yaml password --for prod/db.sealed.yaml --scope shop-prod/db",
        ),
        case("set", "ageseal set prod/db.patch.yaml password --for prod/db.secret.yaml --value \"$C\""),
        case("kustomize", "ageseal kustomize generator < list.yaml"),
        asked("kustomize", "sed 's/files:/emit: Secret, files:/' list.yaml | ageseal kustomize generator -i $ID"),
        asked(
            "kustomize",
            "sed -n 's/^functionConfig: //p' list.yaml | sed 's/files:/emit: Secret, files:/' > config.yaml; ageseal kustomize generator config.yaml -i $ID",
        ),
        case("kustomize", "sed 's/files:/emit: Secret, files:/' list.yaml | ageseal kustomize generator"),
        case(
            "kustomize",
            "sed 's/files:/emit: Secret, namespace: other, files:/' list.yaml | ageseal kustomize generator -i $ID",
        ),
        case("kustomize", "sed 's/db.sealed/db.secret/' list.yaml | ageseal kustomize generator"),
        case(
            "kustomize",
            "sed 's/db.sealed/broken.sealed/; s/files:/emit: Secret, files:/' list.yaml | ageseal kustomize generator -i $ID",
        ),
        case(
            "kustomize",
            "ageseal kustomize generator prod/db.secret.yaml; ageseal kustomize generator < prod/db.secret.yaml",
        ),
        case("kustomize", "ageseal kustomize generator value.txt; ageseal kustomize generator \"$C\" \"$C\""),
        case("kustomize", "ageseal kustomize config; ageseal kustomize config -o value.txt"),
        case(
            "kustomize",
            "printf 'resources: [db.sealed.yaml]\\n' > prod/kustomization.yaml; ageseal kustomize shadow prod/db.sealed.yaml; printf %s \"$C\" | ageseal set prod/db.sealed.yaml password; ageseal seal prod/db.secret.yaml -i $ID; ageseal unset prod/db.sealed.yaml password",
        ),
        case(
            "kustomize",
            "ageseal kustomize shadow prod/db.secret.yaml; ageseal kustomize shadow prod/db.sealed.yaml --doc \"$C\"",
        ),
        case("import", "ageseal import generator prod/made -n shop-prod"),
        case("import", "ageseal import generator prod/made -n shop-prod --dry-run"),
        case("import", "ageseal import generator prod/made"),
        case("import", "ageseal import generator prod/bad -n shop-prod"),
        case("import", "ageseal import generator hidden; ageseal import generator value.txt"),
        case("import", "ageseal import generator prod/made -n \"$C\""),
        case("unset", "ageseal unset prod/db.sealed.yaml password"),
        case("unset", "ageseal unset prod/db.sealed.yaml \"none\""),
        case("unset", "ageseal unset prod/db.secret.yaml password"),
        case("rescope", "ageseal rescope prod/db.sealed.yaml -i $ID"),
        case("rescope", "ageseal rescope prod -i $ID"),
        case("rescope", "ageseal rescope prod/db.sealed.yaml -i $ID --scope '*/*'"),
        case("rescope", "ageseal rescope prod/db.sealed.yaml -i $ID --scope 'shop-prod/*' --widen 'shop-prod/*'"),
        case("rescope", "ageseal rescope prod/db.sealed.yaml --scope 'shop-prod/*' --widen \"$C\""),
        case("rescope", "ageseal rescope prod/db.secret.yaml -i $ID"),
        case("show", "ageseal show"),
        case("show", "ageseal show --json"),
        case("show", "ageseal show --long -i $ID prod"),
        case("show", "ageseal show --json -i $ID prod"),
        case("show", "ageseal show prod/db.secret.yaml"),
        case("show", "ageseal show prod/broken.sealed.yaml -i $ID"),
        case("show", "ageseal show - < prod/db.secret.yaml"),
        case("check", "ageseal check"),
        case("check", "ageseal check --strict -i $ID"),
        case("check", "ageseal check --json"),
        case("check", "ageseal check --format sarif"),
        case("check", "ageseal check --format github"),
        case("check", "ageseal check - < prod/db.secret.yaml"),
        case("check", "ageseal check - --as prod/db.sealed.yaml < prod/mixed.yaml"),
        case("check", "ageseal check hidden"),
        case("check", outer("kind: Secret\\nstringData: {a: %s}\\n\\tbad: [\\n")),
        case(
            "check",
            outer("kind: Application\\nspec: {source: {path: prod, kustomize: {namespace: \\042{{%s}}\\042}}}\\n"),
        ),
        case(
            "check",
            outer(
                "kind: Application\\nspec: {source: {path: prod, kustomize: {patches: [{patch: \\042%s ${x}\\042}]}}}\\n",
            ),
        ),
        case(
            "check",
            outer(
                "kind: ApplicationSet\\nspec: {generators: [{list: {elements: [{x: %s}]}}], template: {spec: {source: {path: prod, plugin: {env: [\\042{{y}}\\042]}, odd: %s}}}}\\n",
            ),
        ),
        case("check", "git init -q && git add -A && ageseal check"),
        case("check", "ageseal check prod/db.sealed.yaml -i value.txt"),
        case("recipients", "ageseal recipients list"),
        case("recipients", "ageseal recipients list --json"),
        case("recipients", "ageseal recipients add new $R"),
        case("recipients", "ageseal recipients add prod \"$(tail -1 $ID)\""),
        case("recipients", "ageseal recipients add \"$(tail -1 $ID)\" $R"),
        case("recipients", "ageseal recipients remove prod \"$(tail -1 $ID)\""),
        case("install", "ageseal install"),
        case("install", "ageseal install --image \"$C\" --namespaces \"$C,$C\" --namespace \"$C\""),
        case("install", "ageseal install --image=\"-$C\" --namespaces \"$C,$C\" --namespace \"$C\""),
        case("install", "ageseal install --backup-recipient \"$C\" --backup-recipient \"$(tail -1 $ID)\""),
        case("install", "ageseal install \"$C\"; ageseal install --backup-recipient value.txt"),
        case("recipients", "KUBECONFIG=dead.yaml ageseal recipients sync prod --yes"),
        case("recipients", "KUBECONFIG=value.txt ageseal recipients sync prod"),
        case("recipients", "KUBECONFIG=plugin.yaml ageseal recipients sync prod"),
        case("keys", "KUBECONFIG=dead.yaml ageseal keys list; KUBECONFIG=dead.yaml ageseal keys usage --json"),
        case("keys", "KUBECONFIG=value.txt ageseal keys list; ageseal keys list --kubeconfig prod/db.secret.yaml"),
        case("keys", "KUBECONFIG=plugin.yaml ageseal keys list; KUBECONFIG=chatty.yaml ageseal keys list"),
        case(
            "keys",
            "KUBECONFIG=dead.yaml ageseal keys new --no-backup; KUBECONFIG=dead.yaml ageseal keys new --backup-recipient \"$C\"",
        ),
        case("keys", "KUBECONFIG=dead.yaml ageseal keys new --backup-recipient \"$(tail -1 $ID)\""),
        case(
            "keys",
            "KUBECONFIG=dead.yaml ageseal keys backup -r prod -o -; ageseal keys backup -r \"$(tail -1 $ID)\"",
        ),
        case(
            "keys",
            "KUBECONFIG=dead.yaml ageseal keys restore $ID; KUBECONFIG=dead.yaml ageseal keys restore - < $ID",
        ),
        case(
            "keys",
            "ageseal keys restore value.txt; ageseal keys restore prod/db.secret.yaml; ageseal keys restore prod/db.sealed.yaml",
        ),
        case(
            "keys",
            "KUBECONFIG=dead.yaml ageseal keys promote \"$(tail -1 $ID)\"; KUBECONFIG=dead.yaml ageseal keys retire r7d79",
        ),
        case("doctor", "ageseal doctor; ageseal doctor --offline --json"),
        case(
            "doctor",
            "KUBECONFIG=dead.yaml ageseal doctor; KUBECONFIG=plugin.yaml ageseal doctor; KUBECONFIG=value.txt ageseal doctor",
        ),
        case("doctor", "git init -q && git add -A && AGESEAL_IDENTITY=\"$(tail -1 $ID)\" ageseal doctor"),
        case("completions", "ageseal completions bash"),
        case("man", "ageseal man"),
    ];
    // The program's own words for a name that it does not know.
    cases.push(case("help", "ageseal help; ageseal --help; ageseal; ageseal sael prod/db.secret.yaml"));
    cases
}

/// A check, and a seal, beside an object of Argo CD with the canary in it; `printf` puts it in the place of `%s`.
fn outer(object: &str) -> String {
    let canaries = "\"$C\" ".repeat(object.matches("%s").count());
    format!(
        "mkdir c && printf 'apiVersion: argoproj.io/v1alpha1\\nmetadata: {{name: a}}\\n{object}' {canaries}> c/a.yaml && ageseal check; ageseal seal --in-place prod/db.secret.yaml; rm -r c"
    )
}

/// The line, on a terminal into which the canary is typed when it asks.
fn typed(line: &str) -> String {
    format!("(sleep 0.4; printf '%s\\n' \"$C\"; sleep 0.6) | script -qec '{line}' /dev/null")
}

/// Everything that the cases name; each file but the sealed ones holds the canary.
fn folder() -> Scratch {
    let t = repo();
    sealed(
        &t,
        "prod/db.sealed.yaml",
        "db",
        &[("host", "h"), ("password", CANARY), ("control", &format!("{CANARY}\x1b[2J"))],
    );
    let text = t.read("prod/db.sealed.yaml");
    t.write("prod/broken.sealed.yaml", text.replace("- 'shop-prod/db'", "- 'shop-prod/*'"));
    let body = format!("stringData:\n  host: h\n  control: {CANARY}\n  password: {CANARY}\n");
    t.write("prod/db.secret.yaml", secret("db", &body));
    t.write("prod/less.secret.yaml", secret("db", &format!("stringData:\n  password: {CANARY}\n")));
    let other = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: shop-prod}}\ndata: {{a: b}}\n---\n{}",
        secret("mixed", &body)
    );
    t.write("prod/mixed.yaml", other);
    t.write("prod/leaky.secret.yaml", format!("# was: {CANARY}\n{}", secret("leaky", &body)));
    t.write("value.txt", CANARY);
    t.write("list.yaml", "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nfunctionConfig: {apiVersion: ageseal.dev/v1alpha1, kind: AgesealGenerator, files: [prod/db.sealed.yaml]}\n");
    t.write("values/a", CANARY);
    t.write("values/bad name", CANARY);
    t.write("good.env", format!("# {CANARY}\npassword={CANARY}\n\n  other='{CANARY}'\n"));
    t.write("bad.env", format!("export password={CANARY}\n{CANARY}\n{CANARY} = x\n={CANARY}\n"));
    for (folder, env) in [("made", "good.env"), ("bad", "bad.env")] {
        let literals = format!("literals: [\"key={CANARY}\", 'quoted=\"{CANARY}\"']");
        let generator =
            format!("secretGenerator:\n- name: g # {CANARY}\n  {literals}\n  envs: [{env}]\n  files: [value.txt]\n");
        t.write(format!("prod/{folder}/kustomization.yaml"), generator);
        t.write(format!("prod/{folder}/{env}"), t.read(env));
        t.write(format!("prod/{folder}/value.txt"), CANARY);
    }
    t.write("junk.pem", format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", b64(CANARY), b64(CANARY)));
    t.write("bad.json", format!("{{\"auths\": {{\"r\": {{\"auth\": \"{}\", {CANARY}", b64(CANARY)));
    // Ways to a cluster that nobody answers at, with credentials that must not be seen either.
    let kubeconfig = |user: &str| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: prod\nclusters:\n- name: c\n  cluster: {{server: 'https://127.0.0.1:1'}}\ncontexts:\n- name: prod\n  context: {{cluster: c, user: u}}\nusers:\n- name: u\n  user: {user}\n"
        )
    };
    let plugin = |line: &str| {
        kubeconfig(&format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: [-c, '{line}']}}}}"
        ))
    };
    t.write("dead.yaml", kubeconfig(&format!("{{token: '{CANARY}'}}")));
    t.write("plugin.yaml", plugin(&format!("echo {CANARY}; exit 3")));
    t.write("chatty.yaml", plugin(&format!("echo token: {CANARY}")));
    // Plaintext where one does not look for it.
    let inner = secret("inner", &format!("stringData:\n  password: {CANARY}\n")).replace('\n', "\n    ");
    t.write(
        "hidden/configmap.yaml",
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  secret.yaml: |\n    {inner}\n"),
    );
    let applied = format!(
        "{{\\\"kind\\\":\\\"Secret\\\",\\\"apiVersion\\\":\\\"v1\\\",\\\"data\\\":{{\\\"a\\\":\\\"{}\\\"}}}}",
        b64(CANARY)
    );
    t.write("hidden/applied.yaml", format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: c\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: \"{applied}\"\ndata: {{}}\n"));
    t.write("hidden/kustomization.yaml", format!("secretGenerator:\n- name: g\n  literals: [password={CANARY}]\n  envs: [good.env]\npatches:\n- patch: |-\n    apiVersion: v1\n    kind: Secret\n    metadata: {{name: x}}\n    stringData: {{a: {CANARY}}}\n"));
    t.write("hidden/secret.json", format!("{{\"apiVersion\":\"v1\",\"kind\":\"SecretList\",\"items\":[{{\"metadata\":{{\"name\":\"a\"}},\"data\":{{\"a\":\"{}\"}}}}]}}", b64(CANARY)));
    t.write("hidden/.env", format!("password={CANARY}\n"));
    t
}

/// Whether a private key of these tests stands in the bytes.
fn shows_key(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_uppercase();
    keys().values().any(|pair| {
        let line = pair.identity.lines().last().unwrap();
        (20..line.len() - 16).step_by(4).any(|at| text.contains(&line[at..at + 12]))
    })
}

/// Runs a line and searches all that came of it. Gives back what was found.
fn run_and_search(t: &Scratch, line: &str, asked: Asked) -> Vec<String> {
    let before = state(t);
    let vars = format!(
        "export C='{CANARY}' ID='{}' R='{}' RUST_LOG=trace RUST_BACKTRACE=full; ",
        identity(t, "prod"),
        keys()["recovery"].recipient
    );
    let run = t.shell(&format!("{vars}{line}"));
    let mut found = Vec::new();
    let search = |found: &mut Vec<String>, place: &str, bytes: &[u8], allowed: bool| {
        if !allowed && let Some(text) = leak(bytes) {
            found.push(format!("{place}: …{text}…"));
        }
        if shows_key(bytes) {
            found.push(format!("{place}: the private key"));
        }
    };
    search(&mut found, "stdout", &run.bytes, asked == Stdout);
    search(&mut found, "stderr", run.stderr.as_bytes(), false);
    let after = state(t);
    for name in changes(&before, &after) {
        search(&mut found, &format!("name of {name}"), name.as_bytes(), false);
        if let Some((bytes, _)) = after.get(&name) {
            search(&mut found, &name, bytes, false);
        }
        if name.rsplit('/').next().is_some_and(|name| name == "core" || name.starts_with("core.")) {
            found.push(format!("a core file: {name}"));
        }
    }
    if asked == Stdout && leak(&run.bytes).is_none() {
        found.push(format!("the value is not there where it was asked for: {}", run.stderr));
    }
    if run.stderr.contains("panicked") {
        found.push(format!("a panic: {}", run.stderr));
    }
    found
}

/// Runs work on all items, on a few threads, and gives back everything that was found.
fn all<T: Sync>(items: &[T], work: impl Fn(&T) -> Vec<String> + Sync) -> Vec<String> {
    let chunks: Vec<&[T]> = items.chunks(items.len().div_ceil(6).max(1)).collect();
    let work = &work;
    thread::scope(|scope| {
        let handles: Vec<_> = chunks
            .into_iter()
            .map(|chunk| scope.spawn(move || chunk.iter().flat_map(work).collect::<Vec<_>>()))
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
    })
}

#[test]
fn the_value_is_nowhere_but_where_it_is_asked_for() {
    let found = all(&cases(), |case| {
        let found = run_and_search(&folder(), &case.line, case.asked);
        found.into_iter().map(|found| format!("$ {}\n    {found}", case.line)).collect()
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_command_has_a_case() {
    let t = Scratch::new();
    let help = t.run(&["--help"]).ok().stdout;
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<&str> = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"seal") && commands.contains(&"open"), "{help}");
    let cases = cases();
    let counts: BTreeMap<&str, usize> = cases.iter().fold(BTreeMap::new(), |mut counts, case| {
        *counts.entry(case.command).or_default() += 1;
        counts
    });
    for command in commands.into_iter().filter(|command| *command != "help") {
        assert!(counts.contains_key(command), "{command} has no case: add its uses and its refusals to cases()");
    }
    for case in &cases {
        assert!(case.line.contains(&format!("ageseal {}", case.command)), "{}: {}", case.command, case.line);
    }
}

/// Sources that are broken at, before, after and inside the value.
fn broken() -> Vec<String> {
    let encoded = b64(CANARY);
    let bodies = [
        format!("data:\n  password: {CANARY}\n"),
        format!("data:\n  password: {encoded}=\n"),
        format!("data:\n  password: {}\n", &encoded[..encoded.len() - 2]),
        format!("data:\n  password: \" {encoded}\"\n"),
        format!("data:\n  password: [{encoded}]\n"),
        format!("data:\n  password: {{{encoded}: x}}\n"),
        format!("data: {encoded}\n"),
        format!("data: [{encoded}]\n"),
        format!("data:\n- {encoded}\n"),
        format!("stringData: {CANARY}\n"),
        format!("stringData:\n- {CANARY}\n"),
        format!("stringData:\n  password: {CANARY}\n  password: {CANARY}\n"),
        format!("stringData:\n  password: \"{CANARY}\n"),
        format!("stringData:\n  password: '{CANARY}\n"),
        format!("stringData:\n  password: \"{CANARY}\\q\"\n"),
        format!("stringData:\n  password: \"\\{CANARY}\"\n"),
        format!("stringData:\n  password: \"{CANARY}\"{CANARY}\n"),
        format!("stringData:\n  password: {CANARY}: x\n"),
        format!("stringData:\n  password: @{CANARY}\n"),
        format!("stringData:\n  password: `{CANARY}\n"),
        format!("stringData:\n  password: %{CANARY}\n"),
        format!("stringData:\n  password: *{CANARY}\n"),
        format!("stringData:\n  password: &{CANARY}\n"),
        format!("stringData:\n  password: &{CANARY} &x y\n"),
        format!("stringData:\n  password: !{CANARY}\n"),
        format!("stringData:\n  password: !<{CANARY}> x\n"),
        format!("stringData:\n  password: !!{CANARY} x\n"),
        format!("stringData:\n  password: !{CANARY}!x y\n"),
        format!("stringData:\n  password: |{CANARY}\n"),
        format!("stringData:\n  password: >-{CANARY}\n    x\n"),
        format!("stringData:\n  password: |\n  {CANARY}\n"),
        format!("stringData:\n  password: {CANARY}\n  {CANARY}\n"),
        format!("stringData:\n\tpassword: {CANARY}\n"),
        format!("stringData:\n  password:\t{CANARY}\n   x: y\n"),
        format!("stringData: {{password: {CANARY}\n"),
        format!("stringData: {{password: {CANARY}]\n"),
        format!("stringData:\n  <<: {{password: {CANARY}}}\n"),
        format!("stringData:\n  <<: *{CANARY}\n"),
        format!("stringData:\n  ? [{CANARY}]\n  : x\n"),
        format!("stringData:\n  ? {{{CANARY}: a}}\n  : x\n"),
        format!("stringData:\n  pass word: {CANARY}\n"),
        format!("stringData:\n  password: {CANARY}\nstringdata:\n  x: {CANARY}\n"),
        format!("stringData:\n  password: {CANARY}\nimmutable: {CANARY}\n"),
        format!("stringData:\n  password: {CANARY}\n...\n{CANARY}\n"),
        format!("stringData:\n  password: {CANARY}\n...\n{CANARY}: [\n"),
        format!("stringData:\n  password: {CANARY}\n---\n{CANARY}\n"),
        format!("stringData:\n  password: {CANARY}\n---\n%{CANARY}\n"),
        format!("stringData:\n  password: {CANARY}\n%{CANARY} x\n"),
        format!("stringData:\n  password: {CANARY}\n# {CANARY}\n"),
        format!("stringData:\n  password: {CANARY}\u{7}\n"),
        format!("stringData:\n  password: \"{CANARY}\u{2028}\"\n"),
        format!(
            "type: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: '{{\"auths\": {{\"r\": {{\"auth\": \"{CANARY}\"}}}}}}'\n"
        ),
        format!(
            "type: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: '{{\"auths\": {{\"{CANARY}\": {{\"auth\": {CANARY}}}}}}}'\n"
        ),
        format!(
            "type: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: '{{\"{CANARY}\": 1, \"{CANARY}\": 2}}'\n"
        ),
        format!(
            "type: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: '{{\"auths\": {{\"{CANARY}\": \"{CANARY}\"}}}}'\n"
        ),
        format!("type: kubernetes.io/dockercfg\nstringData:\n  .dockercfg: '{{\"auths\": {{\"{CANARY}\": {{}}}}}}'\n"),
        format!("type: kubernetes.io/tls\nstringData:\n  tls.crt: {CANARY}\n  tls.key: {CANARY}\n"),
        format!(
            "type: kubernetes.io/tls\nstringData:\n  tls.crt: \"-----BEGIN {CANARY}-----\\n{encoded}\\n-----END {CANARY}-----\"\n  tls.key: x\n"
        ),
        format!(
            "type: kubernetes.io/tls\nstringData:\n  tls.crt: \"-----BEGIN CERTIFICATE-----\\n{encoded}\\n-----END CERTIFICATE-----\"\n  tls.key: \"-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: {CANARY}\\n{encoded}\\n-----END RSA PRIVATE KEY-----\"\n"
        ),
        format!("type: kubernetes.io/ssh-auth\nstringData:\n  ssh-privatekey: {CANARY}\n"),
        format!("type: kubernetes.io/basic-auth\nstringData:\n  passwort: {CANARY}\n"),
        format!(
            "type: bootstrap.kubernetes.io/token\nstringData:\n  token-id: {CANARY}\n  token-secret: {CANARY}\n  expiration: {CANARY}\n  usage-bootstrap-signing: {CANARY}\n"
        ),
        format!("type: kubernetes.io/service-account-token\nstringData:\n  token: {CANARY}\n"),
    ];
    let mut texts: Vec<String> = bodies.iter().map(|body| secret("db", body)).collect();
    texts.extend([
        format!("{CANARY}\n"),
        format!("{CANARY}: x\n"),
        format!("- {CANARY}\n"),
        format!("\"{CANARY}"),
        format!("%{CANARY}\n---\na: b\n"),
        format!("password={CANARY}\n"),
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{{\"a\":\"{CANARY}\"}},}}"),
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{{\"a\":\"{CANARY}\"}} {CANARY}"),
        format!("apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db, namespace: shop-prod}}\nspec:\n  scope: ['shop-prod/db']\n  encryptedData:\n    password: {{value: {CANARY}}}\n"),
        format!("apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db, namespace: shop-prod}}\nspec:\n  scope: ['shop-prod/db']\n  encryptedData:\n    password: {CANARY}\n"),
        format!("apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db, namespace: shop-prod}}\nspec:\n  scope: ['shop-prod/db']\n  stringData:\n    password: {CANARY}\n"),
        format!("apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db, namespace: shop-prod}}\nspec:\n  scope: ['shop-prod/db']\n  encryptedData:\n    password: {{value: ags1.{CANARY}}}\n  envelopes: {{k: {CANARY}}}\n"),
        format!("apiVersion: v1\nkind: List\nitems:\n- {}\n", secret("db", &format!("data: {{a: {CANARY}}}\n")).replace('\n', "\n  ")),
    ]);
    texts
}

#[test]
fn a_broken_file_is_told_without_what_is_in_it() {
    let commands = [
        "ageseal seal $F",
        "ageseal seal --in-place $F; ageseal seal --dry-run $F",
        "ageseal seal - -o - --as $F < $F",
        "ageseal seal prod -i $ID",
        "ageseal check $F; ageseal check --json; ageseal check - < $F",
        "ageseal check --format sarif $F; ageseal check --format github $F",
        "ageseal show $F; ageseal show --json; ageseal show - < $F",
        // Where it opens, because the file was not so broken, the value may be there.
        "O=$(ageseal open $F -i $ID) || printf %s \"$O\"; O=$(ageseal open prod -i $ID) || printf %s \"$O\"",
        "O=$(ageseal get $F password -i $ID) || printf %s \"$O\"",
        "printf %s \"$C\" | ageseal set $F password",
        "ageseal unset $F password",
        "ageseal seal prod/good.secret.yaml -o $F",
        "ageseal keygen -o $F 2>&1; ageseal open prod/good.secret.yaml -i $F; ageseal seal prod/good.secret.yaml -R $F",
    ];
    let found = all(&broken(), |text| {
        let mut found = Vec::new();
        let t = repo();
        t.write("prod/good.secret.yaml", secret("db", &format!("stringData:\n  password: {CANARY}\n")));
        // Named as a source, as a sealed file and as neither: what a file is called decides nothing.
        for file in ["prod/db.secret.yaml", "prod/db.sealed.yaml"] {
            t.write(file, text);
            let line = format!("export F={file}; {}", commands.join("; "));
            let told = run_and_search(&t, &line, Nowhere);
            found.extend(told.into_iter().map(|told| format!("{file}:\n{text}\n    {told}")));
            t.write("prod/good.secret.yaml", secret("db", &format!("stringData:\n  password: {CANARY}\n")));
            let _ = std::fs::remove_file(t.path(file));
        }
        found
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_broken_policy_is_told_without_what_is_in_it() {
    let key = keys()["prod"].identity.lines().last().unwrap().to_owned();
    let files: Vec<(&str, String)> = vec![
        (".ageseal/recipients/prod.pub", key.clone()),
        (".ageseal/recipients/prod.pub", format!("{} {CANARY}\n", keys()["prod"].recipient)),
        (".ageseal/recipients/prod.pub", format!("{CANARY}\n")),
        (".ageseal/recipients/prod.pub", format!("# superseded {CANARY}\n{}\n", keys()["prod"].recipient)),
        (".ageseal/policy.yaml", repo::POLICY.replace("[prod, recovery]", &format!("[\"{key}\"]"))),
        (".ageseal/policy.yaml", repo::POLICY.replace("rules:", &format!("password: \"{CANARY}\nrules:"))),
    ];
    let found = all(&files, |(file, text)| {
        let t = folder();
        t.write(file, text);
        let line = "ageseal seal prod/db.secret.yaml; ageseal check; ageseal show; ageseal recipients list; printf %s \"$C\" | ageseal set prod/db.sealed.yaml password; ageseal open prod/db.sealed.yaml";
        run_and_search(&t, line, Nowhere).into_iter().map(|told| format!("{file}:\n{text}\n    {told}")).collect()
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_holds_a_value_leaves_no_core_file() {
    use std::io::Write;
    let t = folder();
    for args in [
        &["set", "prod/db.sealed.yaml", "password"][..],
        &["create", "opaque", "x", "-n", "shop-prod", "--stdin", "a", "-o", "prod/x.yaml"],
        &["seal", "-", "--as", "prod/x.yaml"],
    ] {
        let mut command = t.command();
        let mut child =
            command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(CANARY.as_bytes()).unwrap();
        let mut soft = String::new();
        for _ in 0..200 {
            let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap_or_default();
            let line =
                limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default().to_owned();
            soft = line.split_whitespace().nth(4).unwrap_or_default().to_owned();
            if soft == "0" {
                break;
            }
            thread::sleep(std::time::Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
        assert_eq!(soft, "0", "{args:?}");
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let reversed: String = CANARY.chars().rev().collect();
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02X}")).collect();
    for text in [
        CANARY,
        &CANARY[3..14],
        &reversed,
        &hex,
        &b64(CANARY),
        &b64(&format!("a{CANARY}")),
        &b64(&format!("user:{CANARY}!")),
    ] {
        assert!(leak(format!("x {text} y").as_bytes()).is_some(), "{text}");
    }
    assert_eq!(leak(b"password <redacted>"), None);
    assert!(shows_key(keys()["prod"].identity.to_lowercase().as_bytes()));
    assert!(!shows_key(keys()["prod"].recipient.as_bytes()));
}
