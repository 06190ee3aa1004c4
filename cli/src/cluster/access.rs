//! How a cluster is reached: its address, its certificates, a proxy on the way.

use std::net::IpAddr;

use http::Uri;
use kube::Config;
use sha2::{Digest, Sha256};

use crate::error::CliError;

/// What a kubeconfig says of a cluster that bears on whether its answers can be trusted.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The address. Its path is part of it: behind one host there may be several clusters.
    pub address: String,
    /// `sha256:` and the hash of each certificate that the API server may prove itself by, sorted. None if those of the
    /// operating system are meant.
    pub certificates: Vec<String>,
    /// Whether anybody on the way can answer in the cluster's place: the certificate is not looked at, or there is none.
    pub unproved: Option<&'static str>,
}

impl Seen {
    pub(super) fn of(config: &Config) -> Self {
        let hash = |certificate: &Vec<u8>| {
            let digest = Sha256::digest(certificate);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("sha256:{hex}")
        };
        let mut certificates: Vec<_> = config.root_cert.iter().flatten().map(hash).collect();
        certificates.sort();
        certificates.dedup();
        let host = config.cluster_url.host().unwrap_or_default();
        let plain = config.cluster_url.scheme_str() != Some("https");
        let unproved = match () {
            () if plain && !is_loopback(host) => Some("its address has no https"),
            () if !plain && config.accept_invalid_certs => Some("the kubeconfig says insecure-skip-tls-verify"),
            () => None,
        };
        Self { address: config.cluster_url.to_string().trim_end_matches('/').to_owned(), certificates, unproved }
    }
}

/// The proxy that the environment names for an address: `HTTPS_PROXY`, unless `NO_PROXY` has the host; never for this
/// machine itself.
pub(super) fn proxy_of(address: &Uri) -> Result<Option<Uri>, CliError> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let either = |name: &str| set(name).or_else(|| set(&name.to_lowercase()));
    let host = address.host().unwrap_or_default();
    let scheme = if address.scheme_str() == Some("http") { "HTTP_PROXY" } else { "HTTPS_PROXY" };
    let Some(proxy) = either(scheme) else { return Ok(None) };
    if is_loopback(host) || either("NO_PROXY").is_some_and(|list| is_exempt(host, &list)) {
        return Ok(None);
    }
    let proxy = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
    // The proxy's address may hold a password: it is not repeated.
    proxy.parse().map(Some).map_err(|_| CliError::usage(format!("{scheme} is not the address of a proxy")))
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || bare(host).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a host stands in a list of exceptions: a name, a name's domain, an address, a range of addresses, `*`.
fn is_exempt(host: &str, list: &str) -> bool {
    let host = bare(host).to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    list.split(',').map(|entry| entry.trim().to_ascii_lowercase()).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" || entry == host {
            return true;
        }
        if let (Some(address), Some((network, bits))) = (address, entry.split_once('/')) {
            return in_range(address, network, bits);
        }
        let domain = entry.trim_start_matches("*.").trim_start_matches('.');
        address.is_none() && host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn in_range(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((one, length), (other, of)) = (number(address), number(network));
    length == of && bits <= length && (bits == 0 || (one ^ other) >> (128 - bits) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_names_domains_and_ranges() {
        let list = "localhost, .svc.cluster.local,example.com,10.0.0.0/8,192.168.1.7,fd00::/8";
        for host in ["api.example.com", "EXAMPLE.com", "k.svc.cluster.local", "10.1.2.3", "192.168.1.7", "[fd00::1]"] {
            assert!(is_exempt(host, list), "{host}");
        }
        for host in
            ["example.com.evil.net", "notexample.com", "11.0.0.1", "192.168.1.8", "[fe80::1]", "k8s.example.org"]
        {
            assert!(!is_exempt(host, list), "{host}");
        }
        assert!(is_exempt("anything", "*") && !is_exempt("1.2.3.4", "0.0.0.0/33") && is_exempt("1.2.3.4", "0.0.0.0/0"));
    }

    #[test]
    fn an_address_without_proof_is_known() {
        let seen = |url: &str| Seen::of(&Config::new(url.parse().unwrap()));
        assert_eq!(seen("https://k8s.example.com").unproved, None);
        assert_eq!(seen("http://127.0.0.1:8001").unproved, None);
        assert!(seen("http://k8s.example.com").unproved.is_some());
        let mut config = Config::new("https://k8s.example.com".parse().unwrap());
        config.accept_invalid_certs = true;
        assert!(Seen::of(&config).unproved.is_some());
        config.root_cert = Some(vec![b"b".to_vec(), b"a".to_vec(), b"b".to_vec()]);
        let certificates = Seen::of(&config).certificates;
        assert_eq!(certificates.len(), 2);
        // The hash of "b" is below that of "a".
        assert!(certificates[0].starts_with("sha256:3e23e816") && certificates[1].starts_with("sha256:ca978112"));
    }
}
