//! What the figures are made on: keys, repositories, Secrets with invented values, and the peers' calls.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ageseal_testkit::{age_keygen, kubeseal, sops, target_directory};
use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::process::Call;

/// How many values a Secret has.
pub const VALUES: usize = 10;

const NAMESPACE: &str = "shop-prod";

/// Who a repository seals for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// One X25519 recipient: what SOPS is given as well.
    OneClassic,
    /// Two post-quantum recipients: a cluster and a recovery key, as `init` makes them.
    TwoHybrid,
}

/// A folder on the disk that holds the build, gone when the value is dropped.
///
/// The system's folder for temporary files may be memory, where making a file durable costs nothing.
pub struct Fixture {
    folder: TempDir,
    ageseal: PathBuf,
}

impl Fixture {
    /// Makes the folder, the identities and the certificate.
    pub fn new(ageseal: PathBuf) -> Result<Self> {
        let target = target_directory();
        fs::create_dir_all(&target)?;
        let fixture = Self { folder: TempDir::with_prefix_in("bench-", target)?, ageseal };
        for (name, hybrid) in [("classic", false), ("hybrid", true), ("recovery", true)] {
            let mut command = Command::new(age_keygen());
            command.arg("-o").arg(fixture.identity(name)).args(hybrid.then_some("-pq"));
            let output = command.output()?;
            ensure!(output.status.success(), "age-keygen: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(fixture)
    }

    /// The file of an identity: `classic`, `hybrid` or `recovery`.
    pub fn identity(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.txt"))
    }

    /// The recipient of an identity, from the comment that age-keygen writes into its file.
    pub fn recipient(&self, name: &str) -> Result<String> {
        let text = fs::read_to_string(self.identity(name))?;
        let line = text.lines().find_map(|line| line.strip_prefix("# public key: "));
        line.map(str::to_owned).with_context(|| format!("{name}: no public key in what age-keygen wrote"))
    }

    /// A git repository with a policy that seals everything for these readers.
    pub fn repository(&self, name: &str, readers: Readers) -> Result<Repository> {
        let folder = self.folder.path().join(name);
        let recipients = folder.join(".ageseal/recipients");
        fs::create_dir_all(&recipients)?;
        let names: &[&str] = match readers {
            Readers::OneClassic => &["classic"],
            Readers::TwoHybrid => &["hybrid", "recovery"],
        };
        for name in names {
            fs::write(recipients.join(format!("{name}.pub")), self.recipient(name)? + "\n")?;
        }
        fs::write(
            folder.join(".ageseal/policy.yaml"),
            format!(
                "apiVersion: ageseal.dev/v1alpha1\nkind: Policy\nrules:\n- paths: [\"**\"]\n  recipients: [{}]\n  \
                 scopes: [\"{NAMESPACE}/*\"]\n",
                names.join(", ")
            ),
        )?;
        let status = Command::new("git").args(["init", "--quiet"]).current_dir(&folder).status();
        ensure!(status.context("git does not start")?.success(), "git init: not done");
        let identity = self.identity(names.first().context("a reader")?);
        Ok(Repository { folder, identity, ageseal: self.ageseal.clone() })
    }

    /// A self-signed RSA-4096 certificate, as the controller of sealed-secrets makes one.
    pub fn certificate(&self) -> Result<PathBuf> {
        let path = self.folder.path().join("certificate.pem");
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "rsa:4096", "-nodes", "-days", "30", "-subj", "/CN=sealed-secret"]);
        command.arg("-keyout").arg(self.folder.path().join("certificate.key")).arg("-out").arg(&path);
        let output = command.output().context("openssl does not start")?;
        ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        Ok(path)
    }

    /// kubeseal on one file.
    pub fn kubeseal(&self, certificate: &Path, source: &Path) -> Call {
        let call = Call::new(kubeseal(), self.folder.path()).args(["--format", "yaml", "--cert"]).args([certificate]);
        call.args(["--secret-file"]).args([source]).args(["--sealed-secret-file"]).args([self.output("kubeseal")])
    }

    /// SOPS on one file, for one X25519 recipient.
    pub fn sops(&self, source: &Path) -> Result<Call> {
        let call = Call::new(sops(), self.folder.path()).args(["encrypt", "--age", &self.recipient("classic")?]);
        let call = call.args(["--encrypted-regex", "^(data|stringData)$", "--output"]).args([self.output("sops")]);
        Ok(call.args([source]))
    }

    fn output(&self, who: &str) -> PathBuf {
        self.folder.path().join(format!("{who}.out.yaml"))
    }
}

/// A repository that ageseal works in.
pub struct Repository {
    folder: PathBuf,
    identity: PathBuf,
    ageseal: PathBuf,
}

impl Repository {
    /// ageseal in this repository.
    pub fn ageseal(&self) -> Call {
        Call::new(&self.ageseal, &self.folder)
    }

    /// The repository's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of an identity that opens everything in it.
    pub fn identity(&self) -> &Path {
        &self.identity
    }

    /// Writes this many Secrets into folders of a hundred, and gives their paths.
    pub fn write_secrets(&self, count: usize) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join("overlays/prod");
        (0..count)
            .map(|number| {
                let folder = folder.join(format!("part-{:03}", number / 100));
                fs::create_dir_all(&folder)?;
                let path = folder.join(format!("db-{number:05}.secret.yaml"));
                fs::write(&path, secret(number))?;
                Ok(path)
            })
            .collect()
    }

    /// Writes this many manifests that are no Secrets, of the kinds and sizes that a repository is made of.
    pub fn write_manifests(&self, count: usize) -> Result<()> {
        for number in 0..count {
            let folder = self.folder.join(format!("base/part-{:03}", number / 100));
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(format!("app-{number:05}.yaml")), manifest(number))?;
        }
        Ok(())
    }

    /// Removes the plaintext.
    pub fn remove_sources(&self) -> Result<()> {
        for entry in walkdir::WalkDir::new(self.folder.join("overlays")) {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(".secret.yaml") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Waits until everything written is on the disk, so that nobody's turn pays for it.
    pub fn settle(&self) -> Result<()> {
        let status = Command::new("sync").arg("-f").arg(&self.folder).status();
        ensure!(status.context("sync does not start")?.success(), "sync: not done");
        Ok(())
    }
}

/// A Secret with ten invented values of 16 to 43 characters.
fn secret(number: usize) -> String {
    let mut text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db-{number:05}\n  namespace: {NAMESPACE}\ntype: \
         Opaque\nstringData:\n"
    );
    for value in 0..VALUES {
        let filler = &"abcdefghijklmnopqrstuvwxyz0"[..value * 3];
        // Writing into a String has no error.
        let _ = writeln!(text, "  key-{value}: not-real-{number:05}-{value}{filler}");
    }
    text
}

/// A Deployment, a Service or a ConfigMap, in turns.
fn manifest(number: usize) -> String {
    let head = |version: &str, kind: &str| {
        format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: app-{number:05}\n  namespace: {NAMESPACE}\n  \
             labels:\n    app.kubernetes.io/name: app-{number:05}\n    app.kubernetes.io/part-of: shop\n"
        )
    };
    match number % 3 {
        0 => {
            head("apps/v1", "Deployment")
                + &format!(
                    "spec:\n  replicas: 2\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: \
                     app-{number:05}\n  template:\n    metadata:\n      labels:\n        app.kubernetes.io/name: \
                     app-{number:05}\n    spec:\n      containers:\n      - name: app\n        image: \
                     registry.example.com/shop/app:{number}\n        args: [\"--listen\", \":8080\", \
                     \"--log-level=info\"]\n        ports:\n        - name: http\n          containerPort: 8080\n        \
                     env:\n        - name: DB_PASSWORD\n          valueFrom:\n            secretKeyRef:\n              \
                     name: db-{number:05}\n              key: password\n        resources:\n          requests:\n            \
                     cpu: 100m\n            memory: 128Mi\n          limits:\n            memory: 256Mi\n        \
                     readinessProbe:\n          httpGet:\n            path: /ready\n            port: http\n          \
                     periodSeconds: 5\n        securityContext:\n          allowPrivilegeEscalation: false\n          \
                     readOnlyRootFilesystem: true\n          runAsNonRoot: true\n"
                )
        }
        1 => {
            head("v1", "Service")
                + &format!(
                    "spec:\n  selector:\n    app.kubernetes.io/name: app-{number:05}\n  ports:\n  - name: http\n    \
                     port: 80\n    targetPort: http\n"
                )
        }
        _ => {
            let mut text = head("v1", "ConfigMap") + "data:\n";
            for line in 0..12 {
                // Writing into a String has no error.
                let _ = writeln!(text, "  SETTING_{line}: \"https://app-{number:05}.example.com/path/{line}\"");
            }
            text
        }
    }
}
