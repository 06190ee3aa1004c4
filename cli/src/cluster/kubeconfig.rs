//! Which kubeconfig, and which context of it.

use std::path::{Path, PathBuf};

use age::secrecy::{ExposeSecret, SecretString};
use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError};
use zeroize::Zeroizing;

use super::{Options, access};
use crate::error::{CliError, Place, io_fact};
use crate::keys::identities::CONTENT_VARIABLE;
use crate::keys::shown_from_home;

/// The environment variable that lists kubeconfigs.
const VARIABLE: &str = "KUBECONFIG";

/// What the cluster of a pod is called where a context's name is shown.
const IN_CLUSTER: &str = "in-cluster";

/// A way to a cluster that was found and not yet followed.
pub enum Chosen {
    /// A context of a kubeconfig.
    Context { kubeconfig: Box<Kubeconfig>, context: String },
    /// The ServiceAccount of the pod that this runs in.
    Pod,
}

/// Finds the kubeconfig and the context in it.
///
/// In a pod without a kubeconfig it is the pod's own ServiceAccount, as it is for kubectl.
pub fn choose(options: &Options) -> Result<Chosen, CliError> {
    let (mut kubeconfig, from) = match read(options.kubeconfig.as_deref())? {
        Some(read) => read,
        None if options.context.is_none() && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() => {
            return Ok(Chosen::Pod);
        }
        None => {
            return Err(CliError::usage("there is no kubeconfig, which says where the cluster is")
                .detail(format!("looked for: --kubeconfig, {VARIABLE}, ~/.kube/config"))
                .hint("name one: --kubeconfig FILE"));
        }
    };
    let names = || kubeconfig.contexts.iter().map(|named| named.name.as_str()).collect::<Vec<_>>().join(", ");
    let at = |error: CliError| from.iter().fold(error, |error, path| error.place(place(path)));
    let context = match options.context.clone().or_else(|| kubeconfig.current_context.clone()) {
        Some(context) if !context.is_empty() => context,
        _ => {
            let error = at(CliError::usage("the kubeconfig has no current context, and none was named"));
            return Err(match names() {
                names if names.is_empty() => error.hint("name another kubeconfig: --kubeconfig FILE"),
                names => error.hint(format!("name one of its contexts, --context {names}")),
            });
        }
    };
    if !kubeconfig.contexts.iter().any(|named| named.name == context) {
        let error = at(CliError::usage(format!("the kubeconfig has no context {context:?}")));
        return Err(match names() {
            names if names.is_empty() => error,
            names => error.detail(format!("it has: {names}")),
        });
    }
    let user = user_of(&kubeconfig, &context);
    let users = kubeconfig.auth_infos.iter_mut().filter(|named| Some(&named.name) == user.as_ref());
    users.filter_map(|named| named.auth_info.as_mut()).try_for_each(prepare)?;
    Ok(Chosen::Context { kubeconfig: Box::new(kubeconfig), context })
}

fn user_of(kubeconfig: &Kubeconfig, context: &str) -> Option<String> {
    let named = kubeconfig.contexts.iter().find(|named| named.name == context);
    named.and_then(|named| named.context.as_ref()).and_then(|context| context.user.clone())
}

/// Makes the credentials of a user fit for one command.
fn prepare(user: &mut AuthInfo) -> Result<(), CliError> {
    // A plugin that makes credentials for the cluster needs no private key of ours.
    if let Some(exec) = &mut user.exec {
        exec.drop_env = Some(vec![CONTENT_VARIABLE.to_owned()]);
    }
    // The older form of a plugin has a list of its own for that, divided by spaces.
    if let Some(provider) = &mut user.auth_provider {
        let dropped = provider.config.entry("cmd-drop-env".to_owned()).or_default();
        *dropped = format!("{dropped} {CONTENT_VARIABLE}").trim().to_owned();
    }
    // What no header can hold would end the program inside the client.
    let fits = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
    let unfit = || CliError::input("the token of the kubeconfig has characters that none can have");
    if user.token.as_ref().is_some_and(|token| !fits(token.expose_secret())) {
        return Err(unfit());
    }
    // A token file may end in a newline, which kubectl takes off and the client here does not.
    if let (None, Some(path)) = (&user.token, &user.token_file) {
        let path = Path::new(path);
        let token = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
            CliError::input("the token file that the kubeconfig names cannot be read")
                .place(place(path))
                .cause(io_fact(&error))
        })?;
        if !fits(token.trim()) {
            return Err(unfit());
        }
        user.token = Some(SecretString::from(token.trim().to_owned()));
    }
    Ok(())
}

impl Chosen {
    /// What a client is made of, and the context's name.
    pub async fn config(self) -> Result<(Config, String), CliError> {
        match self {
            Self::Pod => Config::incluster()
                .map(|config| (config, IN_CLUSTER.to_owned()))
                .map_err(|_| CliError::input("this looks like a pod, and has no ServiceAccount that can be used")),
            Self::Context { kubeconfig, context } => {
                let mut kubeconfig = kubeconfig;
                let own_proxy = own_proxy(&mut kubeconfig, &context);
                let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
                let mut config =
                    Config::from_custom_kubeconfig(*kubeconfig, &options).await.map_err(|error| told(&error, None))?;
                if !own_proxy {
                    config.proxy_url = access::proxy_of(&config.cluster_url)?;
                }
                Ok((config, context))
            }
        }
    }
}

/// Whether the kubeconfig itself names a proxy for the cluster of a context. If it does not, one stands there afterwards
/// that is never asked: else the client would take the environment's, whatever the environment exempts from it.
fn own_proxy(kubeconfig: &mut Kubeconfig, context: &str) -> bool {
    let named = kubeconfig.contexts.iter().find(|named| named.name == context);
    let cluster = named.and_then(|named| named.context.as_ref()).map(|context| context.cluster.clone());
    let named = kubeconfig.clusters.iter_mut().find(|named| Some(&named.name) == cluster.as_ref());
    let Some(cluster) = named.and_then(|named| named.cluster.as_mut()) else { return false };
    let own = cluster.proxy_url.as_ref().is_some_and(|proxy| !proxy.is_empty());
    if !own {
        cluster.proxy_url = Some("http://proxy.invalid".to_owned());
    }
    own
}

type Read = (Kubeconfig, Vec<PathBuf>);

/// The kubeconfig, and the files that it came from; nothing if nobody named one and there is none.
fn read(named: Option<&Path>) -> Result<Option<Read>, CliError> {
    if let Some(path) = named {
        return one(path).map(|read| Some((read, vec![path.to_owned()])));
    }
    let listed: Vec<PathBuf> = std::env::var_os(VARIABLE)
        .map(|list| std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect())
        .unwrap_or_default();
    if listed.is_empty() {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let Some(path) = home.map(|home| home.join(".kube/config")).filter(|path| path.exists()) else {
            return Ok(None);
        };
        return one(&path).map(|read| Some((read, vec![path])));
    }
    // As for kubectl, a file of the list that is not there is passed over, unless none is.
    let there: Vec<PathBuf> = listed.iter().filter(|path| path.exists()).cloned().collect();
    if there.is_empty() {
        let error = CliError::input(format!("{VARIABLE} names no file that is there"));
        return Err(listed.iter().fold(error, |error, path| error.place(place(path))));
    }
    let mut merged = Kubeconfig::default();
    for path in &there {
        merged = merged.merge(one(path)?).map_err(|error| told(&error, Some(path)))?;
    }
    Ok(Some((merged, there)))
}

fn one(path: &Path) -> Result<Kubeconfig, CliError> {
    Kubeconfig::read_from(path).map_err(|error| told(&error, Some(path)))
}

fn place(path: &Path) -> Place {
    Place { path: shown_from_home(path), at: None, detail: None }
}

/// What is wrong with a kubeconfig. Its content is never repeated: there are credentials in it.
fn told(error: &KubeconfigError, path: Option<&Path>) -> CliError {
    let at = |error: CliError| path.into_iter().fold(error, |error, path| error.place(place(path)));
    match error {
        KubeconfigError::ReadConfig(cause, path) => {
            CliError::input("the kubeconfig cannot be read").place(place(path)).cause(io_fact(cause))
        }
        KubeconfigError::Parse(error) => {
            let line = error.location().map_or_else(String::new, |at| format!(", at line {}", at.line()));
            at(CliError::input(format!("this is not a kubeconfig{line}")))
        }
        KubeconfigError::LoadClusterOfContext(name) => {
            CliError::input(format!("the context's cluster {name:?} is not in the kubeconfig"))
        }
        KubeconfigError::LoadCertificateAuthority(_) | KubeconfigError::ParseCertificates(_) => {
            CliError::input("the cluster's certificate authority in the kubeconfig cannot be read")
        }
        KubeconfigError::LoadClientCertificate(_) | KubeconfigError::LoadClientKey(_) => {
            CliError::input("the client certificate in the kubeconfig cannot be read")
        }
        KubeconfigError::MissingClusterUrl | KubeconfigError::ParseClusterUrl(_) => {
            CliError::input("the kubeconfig says no address of the cluster that could be used")
        }
        KubeconfigError::ParseProxyUrl(_) => {
            CliError::input("the proxy-url of the cluster in the kubeconfig is not the address of a proxy")
        }
        KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
            at(CliError::input("this is a file of another kind than the other kubeconfigs"))
        }
        // The rest is about the context, which is looked at before.
        _ => at(CliError::input("the kubeconfig cannot be used")),
    }
}
