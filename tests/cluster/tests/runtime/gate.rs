//! A way to the API server that can be shut: what a cut network is to a controller.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ageseal_cluster::ControlPlane;

/// A proxy on 127.0.0.1. While it is shut, bytes wait, and so do new connections: nobody is told anything.
pub struct Gate {
    kubeconfig: PathBuf,
    shut: Arc<AtomicBool>,
}

impl Gate {
    /// An open gate for whoever has this kubeconfig.
    pub fn open_for(plane: &ControlPlane, kubeconfig: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let here = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let there = plane.server();
        let text = fs::read_to_string(kubeconfig).unwrap();
        assert!(text.contains(&there), "{there} is not in {text}");
        let path = kubeconfig.with_extension("gate");
        fs::write(&path, text.replace(&there, &here)).unwrap();
        let shut = Arc::new(AtomicBool::new(false));
        let (gate, target) = (Arc::clone(&shut), there.trim_start_matches("https://").to_owned());
        // The threads end with the process of the test.
        thread::spawn(move || {
            for near in listener.incoming().filter_map(Result::ok) {
                let Ok(far) = TcpStream::connect(&target) else { continue };
                carry(near.try_clone().unwrap(), far.try_clone().unwrap(), Arc::clone(&gate));
                carry(far, near, Arc::clone(&gate));
            }
        });
        Self { kubeconfig: path, shut }
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    pub fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }

    pub fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, shut: Arc<AtomicBool>) {
    from.set_nodelay(true).unwrap();
    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if shut.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(10));
                continue;
            }
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    // What was read the moment it was shut waits, too.
                    while shut.load(Ordering::SeqCst) {
                        thread::sleep(Duration::from_millis(10));
                    }
                    if to.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                Err(e) if [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted].contains(&e.kind()) => {}
                Err(_) => break,
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    });
}
