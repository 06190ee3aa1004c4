//! A restart with nothing to do.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use ageseal_cluster::{ControlPlane, Controller, eventually};
use serde_json::json;

use crate::SOON;
use crate::site::{Site, metric, names, now, writes};

/// How much memory it may have used at most, in KiB, with a thousand documents.
const MEMORY: u64 = 150 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_a_thousand_current_documents_writes_and_opens_nothing() {
    let site = Site::new(ControlPlane::shared(), "restart").await;
    let controller = site.start(&[]);
    controller.ready().await;
    let recipient = site.recipient().await;
    let expected = names("db", 1000, 1);
    site.apply(site.sealed(&recipient, &expected, &json!({}))).await.unwrap();
    site.until_opened(SOON * 5, &expected).await;
    assert!(peak(&controller) < MEMORY, "{} KiB", peak(&controller));
    assert!(controller.terminate().await.success());

    let since = now();
    let controller = site.start(&[]);
    controller.ready().await;
    site.until_leads(&controller).await;
    // Whatever it finds to do, it finds now; the depth is counted every five seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    eventually(SOON, "nothing waits", || async {
        let depth = metric(&controller, "ageseal_queue_depth").await;
        if depth == 0.0 { Ok(()) } else { Err(depth.to_string()) }
    })
    .await;
    for name in ["ageseal_decryptions_total", "ageseal_writes_total"] {
        assert_eq!(metric(&controller, name).await, 0.0, "{name}");
    }
    let asked = site.asked(&since);
    let of = |resource: &'static str| asked.iter().filter(move |event| event.resource == resource);
    let written: Vec<_> = asked.iter().filter(|event| writes(event) && event.resource != "leases").collect();
    assert!(written.is_empty(), "{written:#?}");
    let fetched: Vec<_> = of("sealedsecrets").chain(of("secrets")).filter(|event| event.verb == "get").collect();
    assert!(fetched.is_empty(), "{} objects were fetched twice: {:#?}", fetched.len(), fetched.first());
    // In pages, each once; and one look at whether there is such a resource.
    let pages: BTreeSet<_> = of("sealedsecrets").filter(|event| event.verb == "list").map(|event| &event.uri).collect();
    let lists = of("sealedsecrets").filter(|event| event.verb == "list").count();
    assert!(lists == pages.len() && (2..=10).contains(&lists), "{pages:#?}");
    assert!(peak(&controller) < MEMORY, "{} KiB", peak(&controller));

    let new = names("new", 1, 1);
    site.apply(site.sealed(&recipient, &new, &json!({}))).await.unwrap();
    site.until_opened(SOON, &new).await;
    assert_eq!(metric(&controller, "ageseal_decryptions_total").await, 1.0);
}

/// The most memory that was ever resident, in KiB, as the kernel counts it.
fn peak(controller: &Controller) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", controller.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}
