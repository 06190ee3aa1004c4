//! The resolver against the real kustomize.
//!
//! [`catalogue`]: case files, each with what it shows and what kustomize makes of it. [`forest`]: random trees.
//! [`versions`]: the same through other versions of kustomize. [`bad`]: input that needs no oracle. [`outer`]: what Flux and
//! Argo CD make of a folder.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
// What a run compared, and what it refused, is for whoever reads its output.
#![allow(clippy::print_stdout)]

mod archive;
mod bad;
mod builder;
mod catalogue;
mod compare;
mod forest;
mod manual;
mod oracle;
mod outer;
mod versions;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `work` for every number below `count`, on all processors; what it gives, in order.
fn parallel<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let came = work(number);
                    done.lock().unwrap().push((number, came));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, came)| came).collect()
}
