//! Input that is meant to do harm: each is refused by name, or ends the connection where HTTP itself
//! is broken; memory stays bounded, `/ping` answers and the next request is served.

use std::time::Duration;

use serde_json::{json, Value};

use crate::support::bodies::{deflate, f32_bytes, gunzip, gzip, npy_of, npz, triton, triton_type};
use crate::support::published::{emf_events, leave, sum};
use crate::support::server::{Reply, Start};
use crate::support::{http, Connection, Server};

const MB: u64 = 1 << 20;
const JSON: &str = "application/json";
const GOOD: &str = "[[1,2,3,4]]";

/// A server, and the most memory that it had before anything was done to it.
struct Attacked {
    server: Server,
    before: u64,
}

impl Attacked {
    fn on(start: Start) -> Self {
        let server = start.ready();
        assert_eq!(server.get("/ping").status, 200);
        let before = server.peak_memory();
        Self { server, before }
    }

    /// Sends bytes as they are; the reply, or none if the server closes instead.
    fn send(&self, bytes: &[u8]) -> Option<Reply> {
        let mut connection = Connection::open(&self.server);
        connection.send_what_is_taken(bytes);
        connection.reply()
    }

    /// Sends a body; the text of the 400 that it gets.
    fn refuses(&self, content_type: &str, body: impl AsRef<[u8]>) -> String {
        self.server.invoke(content_type, body).refused(400)
    }

    /// It may have taken this much memory, and serves as before.
    fn is_well(&self, what: &str, more: u64) {
        let peak = self.server.peak_memory();
        let grown = peak.saturating_sub(self.before);
        assert!(grown <= more, "{what}: {} MB more", grown / MB);
        assert_eq!(self.server.get("/ping").status, 200, "{what}");
    }
}

/// Refused with 4xx, or closed without a word.
fn refused_or_closed(what: &str, reply: Option<Reply>) {
    if let Some(reply) = reply {
        assert!((400..500).contains(&reply.status), "{what}: {reply:?}");
    }
}

#[test]
fn chunks_are_counted_by_their_bytes_not_by_their_number() {
    let sum4 = Attacked::on(Server::on("sum4"));
    let mut body = vec![b' '; 1_000_000];
    let end = body.len() - GOOD.len();
    body[end..].copy_from_slice(GOOD.as_bytes());
    let chunks: Vec<&[u8]> = body.chunks(1).collect();
    let reply = sum4
        .send(&http::post_chunked(JSON, &chunks))
        .expect("a reply");
    assert_eq!((reply.status, reply.text().as_str()), (200, "[[10.0]]"));
    sum4.is_well("a million chunks", 64 * MB);
    assert_eq!(sum4.server.ask(&json!([[1, 2, 3, 4]])), json!([[10.0]]));
}

#[test]
fn broken_chunks_are_refused_or_end_the_connection() {
    let sum4 = Attacked::on(Server::on("sum4"));
    let head = http::head(&[("Content-Type", JSON), ("Transfer-Encoding", "chunked")]);
    let with = |rest: &str| [&head[..], rest.as_bytes()].concat();
    let long = "a".repeat(1 << 20);
    for (what, rest) in [
        (
            "a size beyond 64 bits",
            "fffffffffffffffff\r\n[[1,2,3,4]]\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "a size that is no number",
            "xyz\r\n[[1,2,3,4]]\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "a negative size",
            "-b\r\n[[1,2,3,4]]\r\n0\r\n\r\n".to_owned(),
        ),
        ("an empty size", "\r\n[[1,2,3,4]]\r\n0\r\n\r\n".to_owned()),
        (
            "more data than the size",
            "3\r\n[[1,2,3,4]]\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "an endless extension",
            format!("b;{long}\r\n{GOOD}\r\n0\r\n\r\n"),
        ),
        (
            "endless trailers",
            format!("b\r\n{GOOD}\r\n0\r\nX: {long}\r\n\r\n"),
        ),
    ] {
        refused_or_closed(what, sum4.send(&with(&rest)));
        sum4.is_well(what, 32 * MB);
    }
    // A caller who promises much and leaves, or never says that it is over.
    for (what, rest) in [
        ("a huge size and no data", "7fffffffffffffff\r\n["),
        ("no last chunk", "b\r\n[[1,2,3,4]]\r\n"),
        ("half a chunk", "ff\r\n[[1,2,3,4]]"),
    ] {
        let mut connection = Connection::open(&sum4.server);
        connection.send(&with(rest));
        connection.end_of_requests();
        refused_or_closed(what, connection.reply());
        sum4.is_well(what, 32 * MB);
    }
    // What the standard allows is served.
    for rest in [
        "b;name=value;flag\r\n[[1,2,3,4]]\r\n0\r\n\r\n",
        "0B\r\n[[1,2,3,4]]\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ] {
        let reply = sum4.send(&with(rest)).expect("a reply");
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, "[[10.0]]"),
            "{rest}"
        );
    }
}

#[test]
fn lengths_that_cannot_be_are_refused_or_end_the_connection() {
    let sum4 = Attacked::on(Server::on("sum4"));
    for length in [
        "-1",
        "-11",
        "+11",
        "abc",
        "1e1",
        "18446744073709551616",
        "11, 12",
        "0x0b",
        "",
    ] {
        let head = http::head(&[("Content-Type", JSON), ("Content-Length", length)]);
        let mut connection = Connection::open(&sum4.server);
        connection.send_what_is_taken(&[&head[..], GOOD.as_bytes()].concat());
        connection.end_of_requests();
        refused_or_closed(length, connection.reply());
    }
    let twice = [("Content-Length", "11"), ("Content-Length", "5")];
    let head = http::head(&[&[("Content-Type", JSON)], &twice[..]].concat());
    refused_or_closed(
        "two lengths",
        sum4.send(&[&head[..], GOOD.as_bytes()].concat()),
    );
    sum4.is_well("lengths", 32 * MB);

    // More than is sent: nothing is set aside for it, and the end is noticed.
    for length in ["12", "104857600"] {
        let head = http::head(&[("Content-Type", JSON), ("Content-Length", length)]);
        let mut connection = Connection::open(&sum4.server);
        connection.send(&[&head[..], GOOD.as_bytes()].concat());
        connection.end_of_requests();
        refused_or_closed(length, connection.reply());
        sum4.is_well(length, 32 * MB);
    }
    // No length at all is no body.
    let error = sum4
        .send(&http::head(&[("Content-Type", JSON)]))
        .expect("a reply")
        .refused(400);
    assert!(error.contains("empty"), "{error}");
    // Less than is sent: the rest is no request.
    let head = http::head(&[("Content-Type", JSON), ("Content-Length", "11")]);
    let mut connection = Connection::open(&sum4.server);
    let reply = connection.ask(&[&head[..], GOOD.as_bytes(), b"]]]\r\n\r\n"].concat());
    assert_eq!((reply.status, reply.text().as_str()), (200, "[[10.0]]"));
    refused_or_closed("a rest", connection.reply());
    assert!(connection.is_closed());
    // Far too much, said beforehand: refused before it is sent.
    let head = http::head(&[
        ("Content-Type", JSON),
        ("Content-Length", "9223372036854775807"),
        ("Expect", "100-continue"),
    ]);
    sum4.send(&head).expect("a reply").refused(413);
}

#[test]
fn a_length_and_chunks_together_are_refused_and_the_connection_ends() {
    let sum4 = Attacked::on(Server::on("sum4"));
    let smuggled = "0\r\n\r\nGET /ping HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = smuggled.len().to_string();
    let (chunks, length) = (
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", length.as_str()),
    );
    for order in [[chunks, length], [length, chunks]] {
        let head = http::head(&[&[("Content-Type", JSON)], &order[..]].concat());
        let mut connection = Connection::open(&sum4.server);
        connection.send(&[&head[..], smuggled.as_bytes()].concat());
        match connection.reply() {
            Some(reply) => assert_eq!(reply.status, 400, "{order:?}: {reply:?}"),
            None => continue,
        }
        assert!(connection.is_closed(), "{order:?}: a second reply");
    }
    sum4.is_well("a length and chunks", 16 * MB);
}

#[test]
fn odd_requests_are_served_or_refused_but_never_hang() {
    let sum4 = Attacked::on(Server::on("sum4"));
    let body = "Content-Type: application/json\r\nContent-Length: 11\r\n\r\n[[1,2,3,4]]";
    // The standard wants these served.
    for request in [
        format!("POST http://model.aws.local:8080/invocations HTTP/1.1\r\nHost: a\r\n{body}"),
        format!("POST /invocations?x=%00&y HTTP/1.1\r\nHost: a\r\n{body}"),
        format!("\r\nPOST /invocations HTTP/1.1\r\nHost: a\r\n{body}"),
    ] {
        let reply = sum4.send(request.as_bytes()).expect("a reply");
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, "[[10.0]]"),
            "{request}"
        );
    }
    let many: String = (0..10_000).map(|i| format!("X-{i}: 1\r\n")).collect();
    for (what, request) in [
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        (
            "TLS",
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\r\n\r\n".to_owned(),
        ),
        ("no HTTP", "hello\r\n\r\n".to_owned()),
        (
            "a folded header",
            format!("POST /invocations HTTP/1.1\r\nHost: a\r\nX: 1\r\n  2\r\n{body}"),
        ),
        (
            "a space before the colon",
            format!("POST /invocations HTTP/1.1\r\nHost : a\r\n{body}"),
        ),
        (
            "NUL in a header",
            format!("POST /invocations HTTP/1.1\r\nHost: a\0b\r\n{body}"),
        ),
        (
            "10,000 headers",
            format!("POST /invocations HTTP/1.1\r\nHost: a\r\n{many}{body}"),
        ),
    ] {
        refused_or_closed(what, sum4.send(request.as_bytes()));
        sum4.is_well(what, 32 * MB);
    }
    let long = "x".repeat(64 * 1024);
    for (what, request) in [
        (
            "bare line feeds",
            format!(
                "POST /invocations HTTP/1.1\nHost: a\n{}",
                body.replace('\r', "")
            ),
        ),
        (
            "64 kB of header",
            format!("POST /invocations HTTP/1.1\r\nHost: a\r\nX: {long}\r\n{body}"),
        ),
        (
            "64 kB of path",
            format!("POST /invocations?{long} HTTP/1.1\r\nHost: a\r\n{body}"),
        ),
    ] {
        let reply = sum4.send(request.as_bytes());
        if reply.as_ref().is_some_and(|reply| reply.status == 200) {
            continue;
        }
        refused_or_closed(what, reply);
        sum4.is_well(what, 32 * MB);
    }
    let endless = "x".repeat(4 << 20);
    let request = format!("POST /invocations HTTP/1.1\r\nHost: a\r\nX: {endless}");
    refused_or_closed("an endless header", sum4.send(request.as_bytes()));
    sum4.is_well("an endless header", 32 * MB);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::on("sum4").ready();
    let mut connection = Connection::open(&server);
    let requests: Vec<u8> = (0..50)
        .flat_map(|i| http::post(JSON, format!("[[{i},0,0,0]]")))
        .collect();
    connection.send(&requests);
    for i in 0..50 {
        let reply = connection.reply().expect("a reply");
        assert_eq!((reply.status, reply.text()), (200, format!("[[{i}.0]]")));
    }
}

#[test]
fn slow_and_silent_callers_do_not_hold_up_others() {
    let sum4 = Attacked::on(Server::on("sum4"));
    let mut callers: Vec<Connection> = (0..300).map(|_| Connection::open(&sum4.server)).collect();
    let request = http::post(JSON, GOOD);
    for (at, byte) in request[..40].iter().enumerate() {
        // A third says nothing, a third drips its head, a third stops in its body.
        for (i, caller) in callers.iter_mut().enumerate() {
            match i % 3 {
                1 => caller.send(&[*byte]),
                2 if at == 0 => caller.send(&request[..request.len() - 1]),
                _ => {}
            }
        }
        if at % 10 == 0 {
            assert_eq!(sum4.server.ask(&json!([[1, 2, 3, 4]])), json!([[10.0]]));
        }
    }
    sum4.is_well("300 slow callers", 32 * MB);
    // Who goes on is served.
    for (i, caller) in callers.iter_mut().enumerate().take(30) {
        let rest = match i % 3 {
            0 => &request[..],
            1 => &request[40..],
            _ => &request[request.len() - 1..],
        };
        assert_eq!(caller.ask(rest).text(), "[[10.0]]");
    }
}

#[test]
fn who_stops_sending_after_a_whole_request_gets_its_reply_or_a_close() {
    let sum4 = Attacked::on(Server::on("sum4"));
    for _ in 0..20 {
        let mut connection = Connection::open(&sum4.server);
        connection.send(&http::post(JSON, GOOD));
        connection.end_of_requests();
        if let Some(reply) = connection.reply() {
            assert_eq!((reply.status, reply.text().as_str()), (200, "[[10.0]]"));
        }
    }
    sum4.is_well("half-closed connections", 16 * MB);
}

#[test]
fn hostile_json_is_refused_by_what_is_wrong_with_it() {
    let sum4 = Attacked::on(Server::on("sum4"));
    let v2 = |shape: &str, data: &str| {
        format!("{{\"inputs\":[{{\"name\":\"x\",\"shape\":{shape},\"datatype\":\"FP32\",\"data\":{data}}}]}}")
    };
    let keys: String = (0..1_000_000).map(|i| format!("\"k{i}\":1,")).collect();
    let deep = 1_000_000;
    let bodies = [
        ("[".repeat(deep), "64"),
        (format!("{}{}", "[".repeat(deep), "]".repeat(deep)), "64"),
        ("{\"instances\":".repeat(deep), "instances"),
        (format!("{{\"inputs\":{{{keys}\"z\":1}}}}"), "k0"),
        (format!("{{{keys}\"z\":1}}"), "k0"),
        (
            "{\"instances\":[[1,2,3,4]],\"instances\":[[1,2,3,4]]}".to_owned(),
            "instances",
        ),
        (
            "{\"inputs\":{\"x\":[[1,2,3,4]],\"x\":[[1,2,3,4]]}}".to_owned(),
            "x",
        ),
        ("[[1e400,2,3,4]]".to_owned(), "outside the range of float32"),
        ("[[NaN,2,3,4]]".to_owned(), "json"),
        ("[[Infinity,2,3,4]]".to_owned(), "json"),
        ("[[01,2,3,4]]".to_owned(), "json"),
        ("[[1,2,3,4]]]".to_owned(), "json"),
        ("[[1,2,3,4]".to_owned(), "json"),
        ("[[1,2,3,4],[1,2,3]]".to_owned(), "ragged"),
        ("[[[1,2,3,4]]]".to_owned(), "x"),
        (v2("[4294967296,4294967296]", "[]"), "shape"),
        (v2("[9223372036854775807,4]", "[1,2,3,4]"), "shape"),
        (v2("[18446744073709551616,4]", "[1,2,3,4]"), "shape"),
        (v2("[-1,4]", "[1,2,3,4]"), "shape"),
        (v2("[1.5,4]", "[1,2,3,4]"), "shape"),
        (v2("[1000000000,4]", "[1,2,3,4]"), "4"),
        (v2("[1,2,2]", "[1,2,3,4]"), "x"),
        (v2("[1,4]", "[1,2,3,\"4\"]"), "x"),
        (v2("\"[1,4]\"", "[1,2,3,4]"), "shape"),
    ];
    for (body, named) in &bodies {
        let error = sum4.refuses(JSON, body).to_lowercase();
        let start: String = body.chars().take(60).collect();
        assert!(error.contains(named), "{start}: {error}");
    }
    sum4.is_well("hostile JSON", 128 * MB);
    // These are JSON, and numbers like any other.
    for (body, reply) in [
        ("[[-0,0,0,0]]", "[[0.0]]"),
        ("[[1E0,2e+0,3.0e-0,0.4e1]]", "[[10.0]]"),
        (" \t\r\n[[1,2,3,4]]\n", "[[10.0]]"),
        // Some writers begin every text with a byte order mark.
        ("\u{feff}[[1,2,3,4]]", "[[10.0]]"),
    ] {
        assert_eq!(sum4.server.invoke(JSON, body).text(), reply, "{body}");
    }
    let empty = sum4.server.invoke(JSON, v2("[0,4]", "[]"));
    assert!([200, 400].contains(&empty.status), "{}", empty.text());
}

#[test]
fn hostile_strings_come_back_or_are_refused() {
    let same = Attacked::on(Server::on("str"));
    for text in ["\\ud800", "\\udc00x", "\\ud800\\u0041", "\\x", "\\u12"] {
        let error = same.refuses(JSON, format!("{{\"inputs\":{{\"text\":[\"{text}\"]}}}}"));
        assert!(!error.is_empty(), "{text}");
    }
    same.refuses(JSON, b"{\"inputs\":{\"text\":[\"\xff\xfe\"]}}");
    same.refuses(JSON, "{\"inputs\":{\"text\":[\"a\nb\"]}}");
    let long = "ü".repeat(5_000_000);
    let reply = same.server.ask(&json!({"inputs": {"text": [long]}}));
    assert_eq!(reply["outputs"][0].as_str().map(str::len), Some(10_000_000));
    same.is_well("a string of 10 MB", 200 * MB);
}

#[test]
fn hostile_tensor_values_reach_no_memory_of_others() {
    let gather = Attacked::on(Server::on("gather"));
    for index in [i64::MIN, i64::MAX, -6, 5, i64::from(i32::MIN), 1 << 40] {
        let reply = gather.server.invoke(JSON, format!("[{index}]"));
        let error = reply.refused(500);
        assert!(error.contains("out of"), "{index}: {error}");
    }
    gather.is_well("indices out of range", 16 * MB);
    assert_eq!(gather.server.ask(&json!([0, -1])), json!([0.5, 4.5]));
}

#[test]
fn hostile_npy_and_npz_are_refused() {
    let sum4 = Attacked::on(Server::on("sum4"));
    const NPY: &str = "application/x-npy";
    let row = f32_bytes(&[1.0, 2.0, 3.0, 4.0]);
    for (descr, shape) in [
        ("<f4", "(4611686018427387904, 4)"),
        ("<f4", "(18446744073709551616, 4)"),
        ("<f4", "(-1, 4)"),
        ("<f4", "(1000000000, 4)"),
        ("<f4", "(1, 5)"),
        ("|O", "(1, 4)"),
        ("<f999999999999", "(1, 4)"),
        ("<U99999999", "(1, 4)"),
        ("__import__('os')", "(1, 4)"),
    ] {
        let error = sum4.refuses(NPY, npy_of(descr, shape, &row));
        assert!(!error.is_empty(), "{descr} {shape}");
    }
    let whole = npy_of("<f4", "(1, 4)", &row);
    for length in 0..whole.len() {
        sum4.refuses(NPY, &whole[..length]);
    }
    sum4.refuses(NPY, [&whole[..], b"junk"].concat());
    // A header that claims to be 4 GB long.
    sum4.refuses(NPY, b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'");
    sum4.is_well("hostile npy", 32 * MB);

    const NPZ: &str = "application/x-npz";
    let archive = npz(&[("x", whole.clone())], true);
    assert_eq!(sum4.server.invoke(NPZ, &archive).status, 200);
    for length in [0, 4, archive.len() / 2, archive.len() - 1] {
        sum4.refuses(NPZ, &archive[..length]);
    }
    // A thousand to one: what does not fit the limit is not unpacked.
    let limited = Attacked::on(Server::on("sum4").env("SAGEMAKER_MAX_REQUEST_SIZE", "100000"));
    let zeros = npy_of("<f4", "(4000000, 4)", &vec![0; 64_000_000]);
    let bomb = npz(&[("x", zeros)], true);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    let reply = limited.server.invoke(NPZ, bomb);
    assert!([400, 413].contains(&reply.status), "{}", reply.text());
    limited.is_well("a zip bomb", 16 * MB);
}

fn encoded(server: &Server, encoding: &str, body: &[u8]) -> Reply {
    let headers = [("Content-Type", JSON), ("Content-Encoding", encoding)];
    server.send("POST", "/invocations", &headers, body)
}

#[test]
fn hostile_compression_is_refused_and_its_memory_comes_back() {
    let sum4 = Attacked::on(Server::on("sum4").env("SAGEMAKER_MAX_REQUEST_SIZE", "100000"));
    let good = gzip(GOOD.as_bytes());
    assert_eq!(encoded(&sum4.server, "gzip", &good).text(), "[[10.0]]");
    assert_eq!(
        encoded(&sum4.server, "deflate", &deflate(GOOD.as_bytes())).text(),
        "[[10.0]]"
    );

    let bomb = gzip(&vec![b' '; 64_000_000]);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    encoded(&sum4.server, "gzip", &bomb).refused(413);
    sum4.is_well("64 MB of spaces", 16 * MB);
    encoded(&sum4.server, "deflate", &deflate(&vec![b' '; 2_000_000])).refused(413);

    let mut wrong_sum = good.clone();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    for (what, body) in [
        ("nested", gzip(&good)),
        ("cut off", good[..good.len() / 2].to_vec()),
        ("without its end", good[..good.len() - 4].to_vec()),
        ("with a wrong sum", wrong_sum),
        ("followed by junk", [&good[..], b"junk"].concat()),
        ("not compressed", GOOD.as_bytes().to_vec()),
        ("compressed otherwise", deflate(GOOD.as_bytes())),
        ("empty", Vec::new()),
    ] {
        let error = encoded(&sum4.server, "gzip", &body).refused(400);
        assert!(!error.is_empty(), "{what}");
    }
    for encoding in ["br", "zstd", "gzip, gzip", "x"] {
        let reply = encoded(&sum4.server, encoding, &good);
        assert!(
            [400, 415].contains(&reply.status),
            "{encoding}: {}",
            reply.text()
        );
    }
    sum4.is_well("hostile compression", 48 * MB);
    // A reply may be compressed too.
    let mut connection = Connection::open(&sum4.server);
    let rows = format!("[{}]", vec!["[1,2,3,4]"; 1000].join(","));
    let headers = [("Content-Type", JSON), ("Accept-Encoding", "gzip")];
    let reply = connection.ask(&http::post_with(&headers, rows));
    assert_eq!(reply.status, 200);
    if reply.header("content-encoding") == Some("gzip") {
        let plain: Value = serde_json::from_slice(&gunzip(&reply.body)).expect("JSON");
        assert_eq!(plain.as_array().map(Vec::len), Some(1000));
    } else {
        assert_eq!(reply.json().as_array().map(Vec::len), Some(1000));
    }
}

#[test]
fn hostile_binary_headers_are_refused_by_what_is_wrong_with_them() {
    let sum4 = Attacked::on(Server::on("sum4"));
    let input = |shape: Value, size: Value| {
        json!({"inputs": [{
            "name": "x", "shape": shape, "datatype": "FP32",
            "parameters": {"binary_data_size": size},
        }]})
    };
    let row = f32_bytes(&[1.0, 2.0, 3.0, 4.0]);
    let (content_type, good) = triton(&input(json!([1, 4]), json!(16)), &row);
    assert_eq!(sum4.server.invoke(&content_type, &good).status, 200);
    for length in [
        "-1",
        "1e3",
        "18446744073709551616",
        "0x10",
        "abc",
        "",
        "9999",
        "1.0",
    ] {
        let reply = sum4.server.invoke(&triton_type(length), &good);
        let error = reply.refused(400);
        assert!(error.contains("header"), "{length}: {error}");
    }
    for (header, data) in [
        // What is declared, and what is there.
        (input(json!([1, 4]), json!(17)), &row[..]),
        (input(json!([1, 4]), json!(12)), &row),
        (input(json!([1, 4]), json!(0)), &row),
        (input(json!([1, 4]), json!(-16)), &row),
        (input(json!([1, 4]), json!("16")), &row),
        (input(json!([1, 4]), json!(u64::MAX)), &row),
        (input(json!([1, 4]), json!(16)), &row[..15]),
        (input(json!([2, 4]), json!(16)), &row),
        // Sizes whose product wraps to what is there.
        (input(json!([1_u64 << 62, 4]), json!(16)), &row),
        (input(json!([(1_u64 << 60) + 1, 4]), json!(16)), &row),
        (input(json!([-1, -4]), json!(16)), &row),
    ] {
        let (content_type, body) = triton(&header, data);
        let reply = sum4.server.invoke(&content_type, &body);
        let error = reply.refused(400);
        assert!(!error.is_empty(), "{header}");
    }
    let (content_type, mut surplus) = triton(&input(json!([1, 4]), json!(16)), &row);
    surplus.extend_from_slice(b"junk");
    sum4.refuses(&content_type, &surplus);
    sum4.is_well("hostile binary headers", 16 * MB);

    let same = Attacked::on(Server::on("str"));
    let strings = |data: &[u8]| {
        let header = json!({"inputs": [{
            "name": "text", "shape": [2], "datatype": "BYTES",
            "parameters": {"binary_data_size": data.len()},
        }]});
        triton(&header, data)
    };
    let (content_type, body) = strings(b"\x01\0\0\0a\x02\0\0\0\xc3\xbc");
    let reply = same.server.invoke(&content_type, body);
    assert_eq!(reply.json()["outputs"][0]["data"], json!(["a", "ü"]));
    for data in [
        &b"\x01\0\0\0a\xff\xff\xff\xffb"[..],
        b"\x01\0\0\0a\x02\0\0\0b",
        b"\x01\0\0\0a\x02\0\0",
        b"\x01\0\0\0a",
        b"\x01\0\0\0a\x01\0\0\0b\x01\0\0\0c",
        b"\x01\0\0\0a\x01\0\0\0\xff",
        b"",
    ] {
        let (content_type, body) = strings(data);
        same.refuses(&content_type, &body);
    }
    same.is_well("strings longer than their body", 16 * MB);
}

#[test]
fn hostile_records_are_refused() {
    const RECORDIO: &str = "application/x-recordio-protobuf";
    let sum4 = Attacked::on(Server::on("sum4"));
    let good = crate::support::bodies::recordio(&[&[1.0, 2.0, 3.0, 4.0]]);
    assert_eq!(sum4.server.invoke(RECORDIO, &good).status, 200);
    for length in (1..good.len()).filter(|length| good.len() - length > 3) {
        sum4.refuses(RECORDIO, &good[..length]);
    }
    let mut long_frame = good.clone();
    long_frame[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    sum4.refuses(RECORDIO, &long_frame);
    // A field that claims to be longer than its record; a number that never ends.
    for record in [&b"\x0a\xff\xff\xff\xff\x0f"[..], &[0xff; 32]] {
        let length = u32::try_from(record.len()).unwrap().to_le_bytes();
        let mut body = [&good[..4], &length, record].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        sum4.refuses(RECORDIO, &body);
    }
    sum4.is_well("hostile records", 16 * MB);
}

/// Whoever reads the container's log takes a line that is such an object for metrics.
const FORGED: &str = r#"{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"Plimsoll","Dimensions":[[]],"Metrics":[{"Name":"Forged"}]}]},"Forged":1}"#;

#[test]
fn nothing_from_a_caller_forms_a_line_of_metrics() {
    for shape in ["text", "json"] {
        let mut server = Server::on("str")
            .publishing_emf()
            .env("PLIMSOLL_LOG", shape)
            .env("SAGEMAKER_CONTAINER_LOG_LEVEL", "DEBUG")
            .ready();
        assert_eq!(server.get("/ping").status, 200);
        let text = format!("x\n{FORGED}\nx");
        let quoted = json!(text).to_string();
        let bodies = [
            (JSON, format!("{{{quoted}:1}}")),
            (JSON, format!("{{\"inputs\":{{{quoted}:[\"a\"]}}}}")),
            (JSON, format!("{{\"inputs\":{{\"text\":{quoted}}}}}")),
            (JSON, text.clone()),
            ("text/csv", format!("\"{}\",b", text.replace('"', "\"\""))),
            (FORGED, "x".to_owned()),
        ];
        for (content_type, body) in &bodies {
            let headers = [
                ("Content-Type", *content_type),
                ("X-Amzn-SageMaker-Custom-Attributes", FORGED),
                ("X-Amzn-SageMaker-Inference-Id", FORGED),
                ("X-Amzn-SageMaker-Target-Model", FORGED),
            ];
            let reply = server.send("POST", "/invocations", &headers, body.as_bytes());
            assert!((400..500).contains(&reply.status), "{}", reply.text());
        }
        server.get("/%0a%7b%22_aws%22:1%7d").refused(404);
        // A line end in a header is no header at all.
        let mut connection = Connection::open(&server);
        connection.patience(Duration::from_secs(5));
        let attributes = format!("x\r\n{FORGED}");
        let headers = [("X-Amzn-SageMaker-Custom-Attributes", attributes.as_str())];
        connection.send_what_is_taken(&http::post_with(&headers, "x"));
        refused_or_closed("a line end in a header", connection.reply());

        leave(&mut server);
        assert_eq!(sum(&emf_events(&server), "Forged"), 0.0);
        for line in server.log().lines() {
            let object = serde_json::from_str::<Value>(line);
            assert!(
                object.is_ok_and(|o| o.is_object()) == (shape == "json"),
                "{line}"
            );
            assert!(!line.trim_start().starts_with("{\"_aws"), "{line}");
        }
    }
}

#[test]
fn a_refusal_reaches_a_caller_who_sends_everything_first() {
    let server = Server::on("sum4").ready();
    let body = vec![b' '; 20 << 20];
    let head = |method: &str, path: &str, header: &str| {
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\n{header}\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let json = "Content-Type: application/json";
    for (method, path, header, status) in [
        ("POST", "/invocations", "Content-Encoding: br", 415),
        (
            "POST",
            "/invocations",
            "X-Amzn-SageMaker-Session-Id: NEW_SESSION",
            400,
        ),
        ("POST", "/v2/models/none/infer", json, 404),
        ("POST", "/nothing", json, 404),
        ("PUT", "/invocations", json, 405),
        ("POST", "/ping", json, 200),
    ] {
        let mut connection = Connection::open(&server);
        connection.send(head(method, path, header).as_bytes());
        connection.send(&body);
        let reply = connection.reply();
        let reply = reply.unwrap_or_else(|| panic!("{method} {path}: no reply"));
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        // All of it was read, so the connection serves on.
        let next = connection.ask(&http::post("application/json", "[[1,2,3,4]]"));
        assert_eq!(next.status, 200, "{method} {path}");
    }
}

#[test]
fn bodies_that_are_only_announced_take_no_memory_from_others() {
    let unlimited = Server::on("sum4")
        .env("SAGEMAKER_MAX_PAYLOAD_IN_MB", "0")
        .ready();
    for length in ["1000000000000", "9223372036854775807"] {
        let mut connection = Connection::open(&unlimited);
        let head = http::head(&[
            ("Content-Type", "application/json"),
            ("Content-Length", length),
        ]);
        connection.send(&[&head[..], b"[[1,2,"].concat());
        connection.end_of_requests();
        let refused = connection.reply().map(|reply| reply.refused(413));
        let refused = refused.unwrap_or_else(|| panic!("{length}: no reply"));
        assert!(refused.contains("PLIMSOLL_MAX_BODIES_MB"), "{refused}");
    }
    assert_eq!(
        unlimited.invoke("application/json", "[[1,2,3,4]]").text(),
        "[[10.0]]"
    );

    let small = Server::on("sum4")
        .env("PLIMSOLL_MAX_BODIES_MB", "1")
        .ready();
    let body = format!("[[1,2,3,4]{}]", " ".repeat(700_000));
    let mut first = Connection::open(&small);
    let length = body.len().to_string();
    let head = http::head(&[
        ("Content-Type", "application/json"),
        ("Content-Length", &length),
    ]);
    first.send(&[&head[..], &body.as_bytes()[..600_000]].concat());
    std::thread::sleep(Duration::from_millis(300));
    let mut second = Connection::open(&small);
    let refused = second.ask(&http::post("application/json", &body));
    assert!(refused.header("retry-after").is_some());
    assert!(refused.refused(503).contains("1048576 bytes"));
    first.send(&body.as_bytes()[600_000..]);
    assert_eq!(first.reply().expect("a reply").text(), "[[10.0]]");
    // Its room is free again.
    let again = second.ask(&http::post("application/json", &body));
    assert_eq!(again.text(), "[[10.0]]");
}
