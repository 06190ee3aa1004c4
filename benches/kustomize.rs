//! What it costs to resolve a large repository: 1,000 kustomizations, 10,000 files; alone, and with 750 objects of Flux that
//! deploy them.
//!
//! Prints the time beside that of a plain parse of the same files, which is the floor: the ratio of the two does not
//! depend on the machine. Beside it stand the limits: two seconds, and 200 MiB for files and answers together.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use ageseal::kustomize::{Memory, Options, resolve};
use ageseal::yaml::Stream;

const SERVICES: usize = 250;
const FILES: usize = 36;
const LIMIT: Duration = Duration::from_secs(2);
/// In MiB.
const MEMORY_LIMIT: u64 = 200;

/// 250 services, each a base of 36 files with three overlays: 1,000 kustomizations, and 10,000 files with them.
fn repository() -> Memory {
    let mut files = Memory::default();
    let mut write = |path: String, text: String| drop(files.0.insert(path, text.into_bytes()));
    for service in 0..SERVICES {
        let mut resources = String::from("resources:\n");
        for file in 0..FILES {
            resources += &format!("- r{file}.yaml\n");
            let text = match file % 3 {
                0 => format!(
                    "apiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: s{file}\nspec:\n  type: \
                     Opaque\n  encryptedData:\n    password:\n      value: ags1.0eb2bb51d46ac852.{}\n",
                    "c2VhbGVk".repeat(16)
                ),
                1 => format!(
                    "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: w{file}\nspec:\n  template:\n    spec:\n      \
                     containers:\n      - name: main\n        image: registry.example/app\n        envFrom:\n        - \
                     secretRef:\n            name: s{}\n",
                    file - 1
                ),
                _ => format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: p{file}\nstringData:\n  password: x\n"),
            };
            write(format!("services/{service}/base/r{file}.yaml"), text);
        }
        let generator = "secretGenerator:\n- name: generated\n  literals: [rev=1]\n";
        write(format!("services/{service}/base/kustomization.yaml"), resources + generator);
        for overlay in ["test", "stage", "prod"] {
            let text = format!(
                "namespace: {overlay}\nnamePrefix: {overlay}-\nresources: [../../base]\npatches:\n- target: {{kind: \
                 SealedSecret, name: s0}}\n  patch: |\n    - {{op: add, path: /metadata/labels, value: {{tier: back}}}}\n"
            );
            write(format!("services/{service}/overlays/{overlay}/kustomization.yaml"), text);
        }
    }
    files
}

/// The same with an object of Flux for each overlay.
fn deployed() -> Memory {
    let mut files = repository();
    for service in 0..SERVICES {
        for overlay in ["test", "stage", "prod"] {
            let text = format!(
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  name: {service}\nspec:\n  path: \
                 ./services/{service}/overlays/{overlay}\n  targetNamespace: live\n  sourceRef: {{kind: GitRepository, \
                 name: x}}\n"
            );
            files.0.insert(format!("clusters/{overlay}/{service}.yaml"), text.into_bytes());
        }
    }
    files
}

fn quickest(mut work: impl FnMut()) -> Duration {
    let times = (0..5).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().unwrap()
}

/// What was ever resident, in MiB, where the kernel says so.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB");
    Some(kilobytes.parse::<u64>().ok()?.div_ceil(1024))
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "FALLS SHORT" }
}

fn main() {
    let files = repository();
    black_box(resolve(&files, &Options::default()));
    let peak = peak();
    let kustomizations = files.0.keys().filter(|path| path.ends_with("kustomization.yaml")).count();
    assert_eq!((kustomizations, files.0.len()), (4 * SERVICES, 4 * SERVICES + FILES * SERVICES));
    let parse = quickest(|| {
        for bytes in files.0.values() {
            black_box(Stream::parse(String::from_utf8(bytes.clone()).unwrap()).unwrap());
        }
    });
    let mut objects = 0;
    let mut resolved = |files: &Memory, bare: bool| {
        quickest(|| {
            let resolution = resolve(files, &Options::default());
            assert!(resolution.roots.keys().all(|root| root.is_bare() == bare));
            objects = resolution.roots.values().map(|answer| answer.as_ref().unwrap().objects.len()).sum();
            assert_eq!(objects, SERVICES * 3 * (FILES + 1), "every root builds every object");
            black_box(resolution);
        })
    };
    let layered = resolved(&deployed(), false);
    let resolved = resolved(&files, true);
    println!(
        "{kustomizations} kustomizations, {} files, {objects} objects: parsed in {parse:.2?}, resolved in {resolved:.2?}, \
         {:.1} times as long; with 750 objects of Flux in {layered:.2?}",
        files.0.len(),
        resolved.as_secs_f64() / parse.as_secs_f64()
    );
    println!("limit {LIMIT:?}: {}", verdict(resolved < LIMIT && layered < LIMIT));
    match peak {
        Some(peak) => println!("{peak} MiB at most, limit {MEMORY_LIMIT} MiB: {}", verdict(peak < MEMORY_LIMIT)),
        None => println!("memory: the kernel does not say"),
    }
}
