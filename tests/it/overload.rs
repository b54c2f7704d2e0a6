//! More work than there are slots: refused early, counted, and over when it is over.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::{eventually, Server};

#[test]
fn a_full_queue_is_503_with_retry_after_and_ping_stays_200() {
    let server = Server::on("slow")
        .env("PLIMSOLL_SLOTS", "1")
        .env("PLIMSOLL_QUEUE_LIMIT", "2")
        .ready();
    let (served, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let reply = server.invoke("application/json", "[[1,2,3,4]]");
                match reply.status {
                    200 => served.fetch_add(1, Ordering::Relaxed),
                    503 => {
                        let after: u64 = reply
                            .header("retry-after")
                            .and_then(|seconds| seconds.parse().ok())
                            .expect("seconds");
                        assert!(after >= 1);
                        assert!(reply.refused(503).contains("queue is full"));
                        refused.fetch_add(1, Ordering::Relaxed)
                    }
                    other => panic!("{other}: {}", reply.text()),
                };
            });
        }
        assert_eq!(server.get("/ping").status, 200);
    });
    let (served, refused) = (served.into_inner(), refused.into_inner());
    assert_eq!(served + refused, 12);
    // Two may wait; whether a third is running already when the others come is a race.
    assert!(
        served >= 2 && refused >= 1,
        "{served} served, {refused} refused"
    );

    // All of it is counted, and the server is as good as new.
    assert_eq!(server.ask(&json!([[1, 2, 3, 4]])), json!([[10.0]]));
    let page = server.get("/metrics").text();
    let counted = |name: &str| metric(&page, name);
    assert_eq!(counted("plimsoll_invocations_total"), 13.0, "{page}");
    assert_eq!(counted("plimsoll_rejected_total"), refused as f64);
    assert_eq!(counted("plimsoll_server_errors_total"), refused as f64);
}

#[test]
fn what_cannot_be_in_time_is_refused_or_ends_at_its_limit() {
    let server = Server::on("busy")
        .env("PLIMSOLL_SLOTS", "1")
        .env("SAGEMAKER_MODEL_SERVER_TIMEOUT", "1")
        .ready();
    // The first value is the number of rounds; this many take far longer than a second.
    let reply = server.invoke("application/json", "[[2000,0,0,0]]");
    assert!([503, 504].contains(&reply.status), "{}", reply.text());
    let error = reply.refused(reply.status);
    assert!(error.contains("1s"), "{error}");
    assert_eq!(server.get("/ping").status, 200);
    eventually("the slot is free again", Duration::from_secs(60), || {
        (server.invoke("application/json", "[[1,2,3,4]]").status == 200).then_some(())
    });
}

/// The value of a metric without labels on the Prometheus page.
pub fn metric(page: &str, name: &str) -> f64 {
    page.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in:\n{page}"))
}
