//! K. Replies that are sent while the rest of them is still being computed.

use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::contract::process::labels;
use crate::support::{eventually, http, Connection, Server};

const LINES: &str = "application/jsonlines";

fn wishing_lines(body: &str) -> Vec<u8> {
    http::post_with(&[("Content-Type", LINES), ("Accept", LINES)], body)
}

#[test]
fn case_119_the_first_records_leave_before_the_last_are_computed() {
    let server = Server::on("heavy").ready();
    let records = 256;
    let body: String = (0..records).map(|i| format!("[{i},0,0,0]\n")).collect();
    let mut connection = Connection::open(&server);
    connection.patience(Duration::from_secs(100));
    let begun = Instant::now();
    connection.send(&wishing_lines(&body));
    let head = connection.reply_head().expect("a reply");
    assert_eq!(head.status, 200);
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(head.header("content-length"), None);
    assert_eq!(head.header("content-type"), Some(LINES));
    let mut text = Vec::new();
    let mut first = None;
    let mut chunks = 0;
    loop {
        let chunk = connection.chunk().expect("a chunk, not an abrupt end");
        if chunk.is_empty() {
            break;
        }
        first.get_or_insert(begun.elapsed());
        chunks += 1;
        text.extend_from_slice(&chunk);
    }
    let (first, last) = (first.expect("a chunk"), begun.elapsed());
    // Four groups of 64, each a quarter of the work.
    assert!(chunks >= 4, "{chunks} chunks");
    assert!(
        first < last.mul_f64(0.6),
        "first after {first:?} of {last:?}"
    );
    let lines = String::from_utf8(text).expect("text");
    let sums: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let expected: Vec<Value> = (0..records).map(|i| json!([f64::from(i)])).collect();
    assert_eq!(sums, expected);
    // The connection serves on.
    let reply = connection.ask(&http::post("application/json", "[[1,2,3,4]]"));
    assert_eq!((reply.status, reply.text().as_str()), (200, "[[10.0]]"));

    // Few records, other types, and a server that is told not to: whole and with their length.
    let few = connection.ask(&wishing_lines("[1,2,3,4]\n"));
    assert!(few.header("content-length").is_some(), "{few:?}");
    let never = Server::on("sum4")
        .env("PLIMSOLL_STREAM_RECORDS", "0")
        .ready();
    let mut connection = Connection::open(&never);
    let whole = connection.ask(&wishing_lines(&body));
    assert_eq!(whole.status, 200, "{}", whole.text());
    assert!(whole.header("content-length").is_some(), "{whole:?}");
}

#[test]
fn case_120_bad_input_is_4xx_and_no_stream() {
    let server = Server::on("sum4").ready();
    let mut connection = Connection::open(&server);
    let good = "[1,2,3,4]\n".repeat(199);
    for bad in ["[1,2,3]\n", "[1,2,3\n", "{\"foo\":1}\n"] {
        let reply = connection.ask(&wishing_lines(&format!("{good}{bad}")));
        let error = reply.refused(400);
        assert!(error.contains("line 200"), "{bad}: {error}");
    }
    // What fails before the first record has left still has a status of its own.
    let gather = Server::on("gather").ready();
    let mut connection = Connection::open(&gather);
    let body = format!("1000000\n{}", "1\n".repeat(199));
    connection.ask(&wishing_lines(&body)).refused(500);
}

#[test]
fn case_121_a_failure_after_the_first_chunk_breaks_the_connection() {
    let server = Server::on("gather").ready();
    let body = format!("{}1000000\n", "1\n".repeat(199));
    let mut connection = Connection::open(&server);
    connection.send(&wishing_lines(&body));
    let head = connection.reply_head().expect("a reply");
    assert_eq!(head.status, 200);
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    let mut text = Vec::new();
    while let Some(chunk) = connection.chunk() {
        assert!(!chunk.is_empty(), "the final chunk says that all is well");
        text.extend_from_slice(&chunk);
    }
    assert!(connection.is_closed());
    let text = String::from_utf8(text).expect("text");
    assert!(text.lines().count() >= 64, "{text}");
    assert!(text.lines().all(|line| line == "1.5"), "{text}");
    // It is counted, and harms nobody else.
    let page = server.get("/metrics").text();
    let failed = crate::support::metric(&page, "plimsoll_server_errors_total");
    assert_eq!(failed, 1.0, "{page}");
    assert_eq!(server.ask(&json!([4])), json!([4.5]));
}

/// Lines of a kilobyte for the fixture `str`: a reply that no socket's buffers hold.
fn long_lines(count: usize) -> String {
    format!("\"{}\"\n", "x".repeat(1000)).repeat(count)
}

#[test]
fn a_caller_who_stops_reading_does_not_get_a_reply_that_looks_whole() {
    let server = Server::on("str")
        .env("SAGEMAKER_MODEL_SERVER_TIMEOUT", "3")
        .ready();
    let mut connection = Connection::open(&server);
    connection.patience(Duration::from_secs(30));
    connection.send(&wishing_lines(&long_lines(40_000)));
    assert_eq!(connection.reply_head().expect("a reply").status, 200);
    eventually("the server gives up", Duration::from_secs(30), || {
        server
            .log()
            .contains("the caller read nothing for 3s")
            .then_some(())
    });
    let mut lines = 0;
    while let Some(chunk) = connection.chunk() {
        assert!(!chunk.is_empty(), "the final chunk says that all is well");
        lines += chunk.iter().filter(|byte| **byte == b'\n').count();
    }
    assert!((64..40_000).contains(&lines), "{lines}");
    let page = server.get("/metrics").text();
    assert_eq!(
        crate::support::metric(&page, "plimsoll_server_errors_total"),
        1.0
    );
}

#[test]
fn a_reply_that_is_read_slowly_is_finished_after_sigterm() {
    let mut server = Server::on("str").ready();
    // Both a streamed reply and a whole one; neither fits the sockets' buffers.
    for accept in [LINES, "text/csv"] {
        let mut connection = Connection::open(&server);
        connection.patience(Duration::from_secs(30));
        let headers = [("Content-Type", LINES), ("Accept", accept)];
        connection.send(&http::post_with(&headers, long_lines(20_000)));
        assert_eq!(connection.reply_head().expect("a reply").status, 200);
        if accept == LINES {
            server.signal("TERM");
            // Longer than new requests are served, and than a connection may owe nothing.
            let begun = Instant::now();
            let mut lines = 0;
            loop {
                let chunk = connection.chunk().expect("a chunk, not an abrupt end");
                if chunk.is_empty() {
                    break;
                }
                lines += chunk.iter().filter(|byte| **byte == b'\n').count();
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(
                begun.elapsed() > Duration::from_secs(5),
                "{:?}",
                begun.elapsed()
            );
            assert_eq!(lines, 20_000);
            assert!(server.wait(Duration::from_secs(10)).success());
            server = Server::on("str").ready();
        } else {
            server.signal("TERM");
            std::thread::sleep(Duration::from_secs(6));
            let reply = connection.rest(20_000 * 1001 - 1);
            assert_eq!(reply.len(), 20_000 * 1001 - 1);
            assert!(server.wait(Duration::from_secs(10)).success());
        }
    }
}

#[test]
fn an_http_1_0_caller_gets_no_parts() {
    use std::io::{Read, Write};
    let server = Server::on("sum4").ready();
    let body = "[1,2,3,4]\n".repeat(300);
    let mut stream = server.connect();
    let head = format!(
        "POST /invocations HTTP/1.0\r\nContent-Type: {LINES}\r\nAccept: {LINES}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    assert!(reply.contains("content-length: 2100\r\n"), "{reply}");
    assert_eq!(reply.matches("[10.0]\n").count(), 300);
}

#[test]
fn case_123_no_websocket_is_offered_and_none_is_opened() {
    let names: Vec<String> = labels().into_keys().collect();
    assert!(
        names.iter().all(|name| !name.contains("bidirectional")),
        "{names:?}"
    );
    let server = Server::on("sum4").ready();
    let mut connection = Connection::open(&server);
    let reply = connection.ask(
        b"GET /invocations-bidirectional-stream HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!([404, 426].contains(&reply.status), "{reply:?}");
}
