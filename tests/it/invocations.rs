//! `POST /invocations`: types in and out, and every refusal.

use std::io::Write;

use serde_json::json;

use crate::support::server::read_until;
use crate::support::Server;

/// `numpy.save` of a float32 array of this shape.
fn npy(shape: &str, values: &[f32]) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
    file.extend_from_slice(header.as_bytes());
    for value in values {
        file.extend_from_slice(&value.to_le_bytes());
    }
    file
}

#[test]
fn json_dialects_answer_in_kind() {
    let server = Server::on("sum4").ready();
    for (request, reply) in [
        (json!([[1, 2, 3, 4]]), json!([[10.0]])),
        (
            json!({"instances": [[1, 2, 3, 4], [5, 6, 7, 8]]}),
            json!({"predictions": [[10.0], [26.0]]}),
        ),
        (
            json!({"inputs": {"x": [[1, 2, 3, 4]]}}),
            json!({"outputs": [[10.0]]}),
        ),
    ] {
        assert_eq!(server.ask(&request), reply, "{request}");
    }
    let v2 = server.ask(&json!({
        "id": "q1",
        "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}],
    }));
    assert_eq!(v2["id"], "q1");
    assert_eq!(
        v2["outputs"],
        json!([{"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [10.0]}])
    );
}

#[test]
fn several_inputs_and_outputs_go_by_name() {
    let server = Server::on("mix").ready();
    let reply = server.ask(&json!({"instances": [{"a": [1, 2], "b": [0.5, 0.5]}]}));
    assert_eq!(
        reply,
        json!({"predictions": [{"s": [1.5, 2.5], "d": [0.5, 1.5]}]})
    );
    let csv = server.invoke("text/csv", "1,2,0.5,0.5");
    assert_eq!((csv.status, csv.text().as_str()), (200, "1.5,2.5,0.5,1.5"));
}

#[test]
fn types_in_and_out_are_independent() {
    let server = Server::on("sum4").ready();
    let rows = npy("(2, 4)", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let results = npy("(2, 1)", &[10.0, 26.0]);
    let bodies: [(&str, &[u8]); 3] = [
        ("application/json", b"[[1,2,3,4],[5,6,7,8]]"),
        ("text/csv", b"1,2,3,4\n5,6,7,8\n"),
        ("application/x-npy", &rows),
    ];
    let replies: [(&str, &[u8]); 3] = [
        ("application/json", b"[[10.0],[26.0]]"),
        ("text/csv", b"10\n26"),
        ("application/x-npy", &results),
    ];
    for (content_type, body) in bodies {
        for (accept, expected) in replies {
            let reply = server.invoke_accepting(content_type, accept, body);
            assert_eq!(
                reply.status,
                200,
                "{content_type} to {accept}: {}",
                reply.text()
            );
            assert_eq!(reply.header("content-type"), Some(accept));
            assert_eq!(reply.body, expected, "{content_type} to {accept}");
        }
        // Without a wish, the reply comes as the request did.
        let reply = server.invoke(content_type, body);
        assert_eq!(reply.header("content-type"), Some(content_type));
    }
}

#[test]
fn parameters_case_and_unknown_headers_are_ignored() {
    let server = Server::on("sum4").ready();
    for content_type in ["application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(
            server.invoke(content_type, "[[1,2,3,4]]").text(),
            "[[10.0]]"
        );
    }
    let reply = server.send(
        "POST",
        "/invocations",
        &[
            ("CONTENT-TYPE", "application/json"),
            ("X-Amzn-SageMaker-Target-Variant", "v"),
            ("X-Amzn-Trace-Id", "Root=1"),
            ("X-Amzn-SageMaker-Custom-Attributes", "trace=abc"),
        ],
        b"[[1,2,3,4]]",
    );
    assert_eq!(reply.text(), "[[10.0]]");
    let attributes = "x-amzn-sagemaker-custom-attributes";
    assert_eq!(reply.header(attributes), Some("trace=abc"));
    let without = server.invoke("application/json", "[[1,2,3,4]]");
    assert_eq!(without.header(attributes), None);
    assert!(without.header("content-length").is_some());
}

#[test]
fn a_default_type_for_the_reply_can_be_set() {
    let server = Server::on("sum4")
        .env("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
        .ready();
    for reply in [
        server.invoke("application/json", "[[1,2,3,4]]"),
        server.invoke_accepting("application/json", "*/*", "[[1,2,3,4]]"),
    ] {
        assert_eq!(reply.header("content-type"), Some("text/csv"));
        assert_eq!(reply.text(), "10");
    }
}

#[test]
fn every_refusal_has_its_status_and_names_what_was_expected() {
    let server = Server::on("sum4").ready();
    let truncated = npy("(2, 4)", &[1.0, 2.0]);
    let cases: [(&str, &[u8], u16, &str); 14] = [
        ("application/json", b"[[1,2,3]]", 400, "x"),
        ("application/json", b"[[1,2,3,4],[5,6]]", 400, "ragged"),
        ("application/json", b"{\"instances\":", 400, "json"),
        ("application/json", b"", 400, "empty body"),
        ("application/json", b"{\"foo\":1}", 400, "instances"),
        ("application/json", b"[[\"a\",2,3,4]]", 400, "string where float32"),
        ("application/json", b"{\"inputs\":{\"z\":[[1,2,3,4]]}}", 400, "z"),
        (
            "application/json",
            b"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"INT64\",\"data\":[1,2,3,4]}]}",
            400,
            "INT64",
        ),
        (
            "application/json",
            b"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":[1,2,3]}]}",
            400,
            "3",
        ),
        ("text/csv", b"1,2,3,4\n5,6", 400, "line 2"),
        ("text/csv", b"a,b,c,d\n1,2,3,4", 400, "line 1"),
        ("application/x-npy", &truncated, 400, "npy"),
        ("application/x-unknown", b"x", 415, "application/json"),
        ("image/jpeg", b"x", 415, "image/jpeg"),
    ];
    for (content_type, body, status, names) in cases {
        let reply = server.invoke(content_type, body);
        let error = reply.refused(status);
        let what = String::from_utf8_lossy(body);
        assert!(
            error.to_lowercase().contains(&names.to_lowercase()),
            "{content_type} {what}: {error}"
        );
    }
    let reply = server.invoke_accepting("application/json", "application/x-unknown", "[[1,2,3,4]]");
    let error = reply.refused(406);
    assert!(error.contains("application/x-unknown"), "{error}");
    // None of it harmed the server.
    assert_eq!(server.ask(&json!([[1, 2, 3, 4]])), json!([[10.0]]));
}

#[test]
fn a_compressed_body_is_refused_by_its_encoding() {
    let server = Server::on("sum4").ready();
    let headers = [
        ("Content-Type", "application/json"),
        ("Content-Encoding", "zstd"),
    ];
    let reply = server.send("POST", "/invocations", &headers, b"[[1,2,3,4]]");
    let error = reply.refused(415);
    assert!(error.contains("zstd"), "{error}");
}

#[test]
fn a_request_far_larger_than_the_warm_up_is_tried() {
    let server = Server::on("slow").ready();
    let rows = 65_536;
    let body = format!("[{}]", vec!["[1,2,3,4]"; rows].join(","));
    let reply = server.invoke("application/json", body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let page = server.get("/metrics").text();
    assert_eq!(
        crate::overload::metric(&page, "plimsoll_rejected_total"),
        0.0
    );
}

#[test]
fn wrong_values_for_integer_inputs_are_refused() {
    let server = Server::on("mix").ready();
    for (a, names) in [
        (json!([1.5, 2]), "1.5"),
        (json!(["1", 2]), "a"),
        (json!([9_223_372_036_854_775_808_u64, 2]), "int64"),
    ] {
        let body = json!({"instances": [{"a": a, "b": [0, 0]}]}).to_string();
        let error = server.invoke("application/json", body).refused(400);
        assert!(error.contains(names) || error.contains("int64"), "{error}");
    }
    let missing = json!({"instances": [{"a": [1, 2]}]}).to_string();
    let error = server.invoke("application/json", missing).refused(400);
    assert!(error.contains('b'), "{error}");
}

#[test]
fn too_large_a_body_is_413_however_it_is_sent() {
    let server = Server::on("sum4")
        .env("SAGEMAKER_MAX_REQUEST_SIZE", "1000")
        .ready();
    let fits = format!("{}[[1,2,3,4]]", " ".repeat(1000 - 11));
    assert_eq!(fits.len(), 1000);
    assert_eq!(server.invoke("application/json", &fits).status, 200);
    let error = server
        .invoke("application/json", format!(" {fits}"))
        .refused(413);
    assert!(error.contains("1000 bytes"), "{error}");

    let mut chunked =
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
    for _ in 0..20 {
        chunked.extend_from_slice(b"64\r\n");
        chunked.extend_from_slice(&[b' '; 100]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let reply = server.raw(&chunked, "\"code\":413");
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply}");
}

#[test]
fn chunked_bodies_and_large_ones_are_read_whole() {
    let server = Server::on("sum4").ready();
    let reply = server.raw(
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[[1,\r\n7\r\n2,3,4]]\r\n0\r\n\r\n",
        "[[10.0]]",
    );
    assert!(reply.contains("[[10.0]]"), "{reply}");

    let rows = 200_000;
    let body = format!("[{}]", vec!["[1,2,3,4]"; rows].join(","));
    let reply = server.invoke_accepting("application/json", "text/csv", body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        reply.text().lines().filter(|line| *line == "10").count(),
        rows
    );
}

#[test]
fn one_connection_serves_many_requests() {
    let server = Server::on("sum4").ready();
    let mut stream = server.connect();
    for i in 0..1000 {
        stream
            .write_all(b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n[[1,2,3,4]]")
            .expect("sent");
        let reply = read_until(&mut stream, "[[10.0]]");
        assert!(reply.contains("[[10.0]]"), "request {i}: {reply}");
    }
}

#[test]
fn a_caller_who_hangs_up_harms_nobody() {
    let server = Server::on("slow").env("PLIMSOLL_SLOTS", "1").ready();
    for _ in 0..3 {
        let mut stream = server.connect();
        stream
            .write_all(b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n[[1,2,3,4]]")
            .expect("sent");
        drop(stream);
    }
    assert_eq!(server.ask(&json!([[1, 2, 3, 4]])), json!([[10.0]]));
    assert_eq!(server.get("/ping").status, 200);
}
