//! I. Batch transform: what the job is told, and records in order.

use serde_json::{json, Value};

use crate::support::server::Start;
use crate::support::Server;

fn batch() -> Start {
    Server::on("sum4").env("SAGEMAKER_BATCH", "true")
}

fn parameters(server: &Server) -> Value {
    let reply = server.get("/execution-parameters");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    reply.json()
}

#[test]
fn case_111_execution_parameters_keep_the_platforms_bounds() {
    let holds = |found: &Value, strategy: Option<&str>| {
        let concurrent = found["MaxConcurrentTransforms"].as_u64().expect("a number");
        let payload = found["MaxPayloadInMB"].as_u64().expect("a number");
        assert!(concurrent >= 1, "{found}");
        assert!((1..=100).contains(&payload), "{found}");
        assert!(concurrent * payload <= 100, "{found}");
        assert_eq!(found["BatchStrategy"].as_str(), strategy, "{found}");
        (concurrent, payload)
    };
    // A strategy is only named where the job has set one: SageMaker's local mode fails on the
    // platform's own spelling, and both take the field's absence for the default.
    let server = batch().env("PLIMSOLL_SLOTS", "3").ready();
    let found = parameters(&server);
    assert_eq!(holds(&found, None), (3, 6));
    assert_eq!(
        found.as_object().map(|object| object.len()),
        Some(2),
        "{found}"
    );
    for strategy in ["MULTI_RECORD", "SINGLE_RECORD"] {
        let server = batch().env("SAGEMAKER_BATCH_STRATEGY", strategy).ready();
        holds(&parameters(&server), Some(strategy));
    }
    // The product is kept by fewer parallel calls; no limit is said as the largest there is.
    for (payload, said) in [("50", 50), ("100", 100), ("0", 100)] {
        let server = batch()
            .env("PLIMSOLL_SLOTS", "3")
            .env("SAGEMAKER_MAX_PAYLOAD_IN_MB", payload)
            .ready();
        let (concurrent, found) = holds(&parameters(&server), None);
        assert_eq!((concurrent, found), (100 / said, said));
    }
    // Asked outside batch, it answers too.
    holds(&parameters(&Server::on("sum4").ready()), None);
}

/// CSV records of four numbers, padded with spaces up to about this size.
fn padded_rows(megabytes: usize) -> (String, usize) {
    let row = format!("{}1,2,3,4\n", " ".repeat(1024 - 8));
    let rows = megabytes * 1024;
    (row.repeat(rows), rows)
}

#[test]
fn case_112_the_jobs_payload_is_taken_and_no_more() {
    let server = batch().env("SAGEMAKER_MAX_PAYLOAD_IN_MB", "50").ready();
    let (body, rows) = padded_rows(49);
    let reply = server.invoke("text/csv", body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.text(), "10\n".repeat(rows));
    server.invoke("text/csv", padded_rows(60).0).refused(413);
}

#[test]
fn case_113_a_thousand_records_come_back_in_order() {
    let server = batch().ready();
    let body: String = (0..1000).map(|i| format!("{i},0,0,0\n")).collect();
    let reply = server.invoke_accepting("text/csv", "text/csv", body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let expected: String = (0..1000).map(|i| format!("{i}\n")).collect();
    assert_eq!(reply.text(), expected);
}

#[test]
fn case_114_as_many_calls_as_were_offered_are_served_at_once() {
    let server = Server::on("slow").env("SAGEMAKER_BATCH", "true").ready();
    let offered = parameters(&server)["MaxConcurrentTransforms"].as_u64();
    std::thread::scope(|scope| {
        for _ in 0..offered.expect("a number") {
            scope.spawn(|| {
                for _ in 0..3 {
                    let reply = server.invoke("text/csv", "1,2,3,4");
                    assert_eq!((reply.status, reply.text().as_str()), (200, "10\n"));
                }
            });
        }
    });
}

#[test]
fn case_115_line_formats_end_with_one_newline_in_batch_only() {
    let in_batch = batch().ready();
    let outside = Server::on("sum4").ready();
    for body in ["1,2,3,4\n5,6,7,8", "1,2,3,4\n5,6,7,8\n"] {
        let csv = |server: &Server| server.invoke_accepting("text/csv", "text/csv", body).text();
        assert_eq!(csv(&in_batch), "10\n26\n");
        assert_eq!(csv(&outside), "10\n26");
    }
    let lines = in_batch.invoke("application/jsonlines", "[1,2,3,4]\n[5,6,7,8]");
    assert_eq!(lines.status, 200, "{}", lines.text());
    assert!(lines.body.ends_with(b"\n") && !lines.body.ends_with(b"\n\n"));
    assert_eq!(lines.text().lines().count(), 2);
    // What is not made of lines is left alone.
    assert_eq!(in_batch.ask(&json!([[1, 2, 3, 4]])), json!([[10.0]]));
}

#[test]
fn case_116_a_single_record_gets_a_single_record() {
    let server = batch()
        .env("SAGEMAKER_BATCH_STRATEGY", "SINGLE_RECORD")
        .ready();
    for i in 0..20 {
        let reply = server.invoke("text/csv", format!("{i},0,0,0"));
        assert_eq!((reply.status, reply.text()), (200, format!("{i}\n")));
    }
}
