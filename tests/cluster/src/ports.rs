//! Free ports on 127.0.0.1.

use std::net::{Ipv4Addr, TcpListener};

use rand_core::{OsRng, RngCore};

/// Below what systems give to outgoing connections. From there, a client that knocks at a port while its server is
/// restarted would sooner or later be given that very port, and be connected with itself.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// Ports that were free a moment ago, all different. Somebody may take one before it is used: whoever starts a program
/// on it has to try again.
///
/// # Panics
/// If none is found in a thousand attempts.
pub(crate) fn free<const N: usize>() -> [u16; N] {
    let mut held = Vec::new();
    for _ in 0..1_000 {
        if held.len() == N {
            break;
        }
        let port = FIRST + u16::try_from(OsRng.next_u32() % u32::from(COUNT)).expect("it is below COUNT");
        // Held until all are found, so that no two are the same.
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(|listener| (port, listener)));
    }
    let ports: Vec<u16> = held.iter().map(|(port, _)| *port).collect();
    ports.try_into().unwrap_or_else(|_| panic!("no {N} free ports on 127.0.0.1"))
}
