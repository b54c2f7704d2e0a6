//! The page as the OpenTelemetry collector scrapes it, read by Prometheus' own parsers.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::http::post;
use crate::support::{eventually, prepared, root, rounds_for, Connection, Over, Server};

/// The page may take so many bytes without a GPU; `docs/metrics.md` says so.
const PAGE_BYTES: u64 = 20_000;
/// And so many of them compressed.
const PACKED_BYTES: u64 = 4_000;
/// A scrape computes a millisecond or two; the machine may be busy.
const LONGEST_MS: f64 = 2000.0;

/// What `tests/support/scrape.py` found, by the way of asking.
fn scrape(server: &Server, times: u32) -> BTreeMap<String, Value> {
    let output = Command::new("python3")
        .arg(root().join("tests/support/scrape.py"))
        .args(["127.0.0.1", &server.port.to_string(), &times.to_string()])
        .env("PYTHONPATH", prepared("python-cloudwatch"))
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .map(|row: Value| (row["way"].as_str().expect("a way").to_owned(), row))
        .collect()
}

fn check(found: &BTreeMap<String, Value>) {
    let ways: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(ways, ["bare", "collector", "text"]);
    for (way, row) in found {
        let bytes = row["bytes"].as_u64().expect("a size");
        assert!(
            (2_000..=PAGE_BYTES).contains(&bytes),
            "{way}: {bytes} bytes"
        );
        let longest = row["longest_ms"].as_f64().expect("a time");
        assert!(longest < LONGEST_MS, "{way}: {longest} ms");
    }
    let wire = found["collector"]["wire"].as_u64().expect("a size");
    assert!(wire <= PACKED_BYTES, "{wire} bytes compressed");
    assert!(found["text"]["wire"] == found["text"]["bytes"]);
}

#[test]
fn the_collector_and_prometheus_read_the_page_while_every_slot_is_busy() {
    let server = Server::on("busy").env("PLIMSOLL_SLOTS", "1").ready();
    let rounds = rounds_for(&server, Duration::from_secs(4));
    std::thread::scope(|scope| {
        let long = scope.spawn(|| {
            let body = format!("[[{rounds},0,0,0]]");
            server.invoke("application/json", body).status
        });
        // The run is seen on the page before the scrapes begin.
        eventually("the slot is busy", Duration::from_secs(4), || {
            let page = server.get("/metrics").text();
            let level = "plimsoll_slot_utilization_ratio 1";
            page.lines().any(|line| line == level).then_some(())
        });
        let found = scrape(&server, 20);
        assert!(!long.is_finished(), "the slot was busy all the while");
        check(&found);
        // The parsers read the same families out of both formats.
        assert_eq!(found["text"]["families"], found["collector"]["families"]);
        let families = &found["text"]["families"];
        assert_eq!(families["plimsoll_request_latency_seconds"], "histogram");
        assert_eq!(families["plimsoll_batch_size"], "histogram");
        assert_eq!(families["plimsoll_invocations"], "counter");
        assert_eq!(families["plimsoll_offered_load_ratio"], "gauge");
        assert_eq!(long.join().expect("a reply"), 200);
    });
}

#[test]
fn histograms_agree_with_themselves_while_requests_pour_in() {
    let server = Server::on("sum4").ready();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pour = scope.spawn(|| {
            let mut connection = Connection::open(&server);
            let mut answered = 0;
            while !is_over.load(Ordering::Relaxed) {
                let reply = connection.ask(&post("text/csv", "1,2,3,4"));
                assert_eq!(reply.status, 200, "{}", reply.text());
                answered += 1;
            }
            answered
        });
        let found = {
            let _over = Over(&is_over);
            scrape(&server, 30)
        };
        check(&found);
        let answered = pour.join().expect("answers");
        assert!(answered > 30, "{answered} requests");
    });
}

#[test]
fn the_page_can_be_scraped_while_the_model_loads() {
    let server = Server::on("slower").bound();
    assert_eq!(server.get("/ping").status, 503);
    let found = scrape(&server, 1);
    assert_eq!(
        server.get("/ping").status,
        503,
        "it was loading all the while"
    );
    check(&found);
    let families = &found["collector"]["families"];
    assert_eq!(families["plimsoll_invocations"], "counter");
}
