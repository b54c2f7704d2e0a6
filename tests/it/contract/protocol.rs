//! C. `/invocations` as HTTP: headers, methods, bodies, connections, and every status.

use std::time::Duration;

use serde_json::json;

use crate::support::server::Reply;
use crate::support::{eventually, http, metric, Connection, Server};

const ATTRIBUTES: &str = "x-amzn-sagemaker-custom-attributes";

fn sums_to_10(reply: &Reply) {
    assert_eq!((reply.status, reply.text().as_str()), (200, "[[10.0]]"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[test]
fn case_024_a_bare_array_gets_a_bare_array() {
    let server = Server::on("sum4").ready();
    sums_to_10(&server.invoke("application/json", "[[1,2,3,4]]"));
}

#[test]
fn case_025_headers_of_the_platform_and_unknown_ones_change_nothing() {
    let server = Server::on("sum4").ready();
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Amzn-SageMaker-Target-Variant", "v"),
        ("X-Amzn-SageMaker-Inference-Id", "i-1"),
        ("X-Amzn-Trace-Id", "Root=1"),
        ("X-Whatever", "1"),
        ("X-Whatever", "2"),
    ];
    sums_to_10(&server.send("POST", "/invocations", &headers, b"[[1,2,3,4]]"));
}

#[test]
fn case_026_custom_attributes_come_back() {
    let server = Server::on("sum4").ready();
    for (body, status) in [("[[1,2,3,4]]", 200), ("[[1]]", 400)] {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Amzn-SageMaker-Custom-Attributes", "trace=abc"),
        ];
        let reply = server.send("POST", "/invocations", &headers, body.as_bytes());
        assert_eq!(reply.status, status);
        assert_eq!(reply.header(ATTRIBUTES), Some("trace=abc"), "{status}");
    }
}

#[test]
fn case_027_no_custom_attributes_come_back_where_none_were_sent() {
    let server = Server::on("sum4").ready();
    let reply = server.invoke("application/json", "[[1,2,3,4]]");
    assert_eq!(reply.header(ATTRIBUTES), None);
}

#[test]
fn case_028_a_charset_changes_nothing() {
    let server = Server::on("sum4").ready();
    sums_to_10(&server.invoke("application/json; charset=utf-8", "[[1,2,3,4]]"));
}

#[test]
fn case_029_names_of_headers_and_types_may_be_in_any_case() {
    let server = Server::on("sum4").ready();
    let mut connection = Connection::open(&server);
    let headers = [("CONTENT-TYPE", "Application/JSON")];
    sums_to_10(&connection.ask(&http::post_with(&headers, "[[1,2,3,4]]")));
}

#[test]
fn case_030_an_unknown_type_is_415() {
    let server = Server::on("sum4").ready();
    let reply = server.invoke("application/x-unknown", "x");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let error = reply.refused(415);
    assert!(error.contains("application/json"), "{error}");
}

#[test]
fn case_031_a_wrong_width_names_the_input_and_what_was_expected() {
    let server = Server::on("sum4").ready();
    let error = server.invoke("application/json", "[[1,2,3]]").refused(400);
    assert!(error.contains('x') && error.contains('4'), "{error}");
}

#[test]
fn case_032_json_that_is_cut_off_is_400() {
    let server = Server::on("sum4").ready();
    let reply = server.invoke("application/json", "{\"instances\":");
    let error = reply.refused(400).to_lowercase();
    assert!(error.contains("json"), "{error}");
}

#[test]
fn case_033_an_empty_body_is_400_and_in_batch_204() {
    let server = Server::on("sum4").ready();
    for content_type in ["application/json", "text/csv", "application/jsonlines"] {
        let error = server.invoke(content_type, "").refused(400);
        assert!(error.contains("empty"), "{content_type}: {error}");
    }
    let batch = Server::on("sum4").env("SAGEMAKER_BATCH", "true").ready();
    let mut connection = Connection::open(&batch);
    for content_type in ["application/json", "text/csv", "application/jsonlines"] {
        connection.send(&http::post(content_type, ""));
        let reply = connection.reply_head().expect("a reply");
        assert_eq!(reply.status, 204, "{content_type}");
    }
    // A 204 has no body, so the next reply follows at once.
    sums_to_10(&connection.ask(&http::post("application/json", "[[1,2,3,4]]")));
}

#[test]
fn case_034_an_unknown_accept_is_406() {
    let server = Server::on("sum4").ready();
    let reply = server.invoke_accepting("application/json", "application/x-unknown", "[[1,2,3,4]]");
    let error = reply.refused(406);
    assert!(error.contains("application/x-unknown"), "{error}");
}

#[test]
fn case_035_get_invocations_is_405_and_says_what_is_allowed() {
    let server = Server::on("sum4").ready();
    for (method, path, allowed) in [
        ("GET", "/invocations", "POST"),
        ("PUT", "/invocations", "POST"),
        ("DELETE", "/ping", "GET, POST"),
    ] {
        let reply = server.send(method, path, &[], b"");
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
        reply.refused(405);
    }
}

#[test]
fn case_036_an_unknown_path_is_404_and_named() {
    let server = Server::on("sum4").ready();
    for path in ["/nothing", "/", "/invocations/", "/ping/x"] {
        let error = server.get(path).refused(404);
        assert!(error.contains(path), "{path}: {error}");
    }
}

#[test]
fn case_037_one_byte_too_many_is_413_however_it_is_sent() {
    let server = Server::on("sum4")
        .env("SAGEMAKER_MAX_REQUEST_SIZE", "1000")
        .ready();
    let fits = format!("{}[[1,2,3,4]]", " ".repeat(1000 - 11));
    assert_eq!(fits.len(), 1000);
    let chunked = |body: &str| {
        let pieces: Vec<&[u8]> = body.as_bytes().chunks(100).collect();
        http::post_chunked("application/json", &pieces)
    };
    let too_large = format!(" {fits}");
    for (request, refused) in [
        (http::post("application/json", &fits), false),
        (chunked(&fits), false),
        (http::post("application/json", &too_large), true),
        (chunked(&too_large), true),
    ] {
        let mut connection = Connection::open(&server);
        let reply = connection.ask(&request);
        if !refused {
            sums_to_10(&reply);
            continue;
        }
        let error = reply.refused(413);
        assert!(error.contains("1000 bytes"), "{error}");
        // Closed as was said, or as good as before.
        if reply.header("connection") == Some("close") {
            assert!(connection.is_closed());
        } else {
            sums_to_10(&connection.ask(&http::post("application/json", &fits)));
        }
    }
}

#[test]
fn case_038_24_mib_of_json_are_served_without_a_setting() {
    let server = Server::on("sum4").ready();
    let row = "[1.00,2.000,3.0000,4.00000],";
    let rows = 24 * 1024 * 1024 / row.len() + 1;
    let rows = row.repeat(rows);
    let body = format!("[{}]", rows.trim_end_matches(','));
    assert!(body.len() >= 24 * 1024 * 1024);
    let reply = server.invoke_accepting("application/json", "text/csv", &body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    let tens = text.lines().filter(|line| *line == "10").count();
    assert_eq!(tens, body.matches("],").count() + 1);
}

#[test]
fn case_039_chunked_bodies_need_no_length() {
    let server = Server::on("sum4").ready();
    let mut connection = Connection::open(&server);
    let chunks: [&[u8]; 3] = [b"[[1,", b"2,3,4", b"]]"];
    for _ in 0..2 {
        sums_to_10(&connection.ask(&http::post_chunked("application/json", &chunks)));
    }
}

#[test]
fn case_040_one_connection_serves_a_thousand_requests() {
    let server = Server::on("sum4").ready();
    let mut connection = Connection::open(&server);
    let request = http::post("application/json", "[[1,2,3,4]]");
    for i in 0..1000 {
        let reply = connection.ask(&request);
        assert_eq!(reply.status, 200, "request {i}: {}", reply.text());
        assert_eq!(reply.header("connection"), None, "request {i}");
    }
}

#[test]
fn case_041_a_connection_may_be_idle_for_50_seconds() {
    let server = Server::on("sum4").ready();
    let mut used = Connection::open(&server);
    let mut unused = Connection::open(&server);
    let request = http::post("application/json", "[[1,2,3,4]]");
    sums_to_10(&used.ask(&request));
    std::thread::sleep(Duration::from_secs(50));
    sums_to_10(&used.ask(&request));
    sums_to_10(&unused.ask(&request));
}

#[test]
fn case_042_replies_carry_their_length() {
    let server = Server::on("sum4").ready();
    let mut connection = Connection::open(&server);
    for (body, status) in [("[[1,2,3,4]]", 200), ("[[1]]", 400)] {
        let reply = connection.ask(&http::post("application/json", body));
        assert_eq!(reply.status, status);
        let length = reply.body.len().to_string();
        assert_eq!(reply.header("content-length"), Some(length.as_str()));
        assert_eq!(reply.header("transfer-encoding"), None);
    }
}

#[test]
fn case_043_every_error_is_short_json_without_insides() {
    let long_name = "n".repeat(5000);
    let sum4 = Server::on("sum4")
        .env("SAGEMAKER_MAX_REQUEST_SIZE", "100000")
        .ready();
    let gather = Server::on("gather").ready();
    let json = "application/json";
    let replies = [
        (400, sum4.invoke(json, "[[1,2,3]]")),
        (400, sum4.invoke(json, format!("{{\"{long_name}\":1}}"))),
        (
            400,
            sum4.invoke(json, format!("{{\"inputs\":{{\"{long_name}\":1}}}}")),
        ),
        (400, sum4.invoke(json, format!("[[\"{long_name}\",2,3,4]]"))),
        (400, sum4.invoke(json, [b'[', 0xff, b']'])),
        (400, sum4.invoke("text/csv", long_name.as_bytes())),
        (400, sum4.invoke("application/x-npy", b"\x93NUMPY\x01\x00")),
        (404, sum4.get(&format!("/{long_name}"))),
        (405, sum4.get("/invocations")),
        (406, sum4.invoke_accepting(json, &long_name, "[[1,2,3,4]]")),
        (413, sum4.invoke(json, " ".repeat(100_001))),
        (415, sum4.invoke(&long_name, "x")),
        (
            500,
            gather.invoke(json, "{\"inputs\":{\"index\":[1000000]}}"),
        ),
    ];
    for (status, reply) in replies {
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let error = reply.refused(status);
        for inside in [
            ".cc",
            ".rs",
            "/root",
            "/home",
            "onnxruntime_src",
            "panicked",
            "backtrace",
        ] {
            assert!(!error.contains(inside), "{inside}: {error}");
        }
        let folder = crate::support::root().display().to_string();
        assert!(!error.contains(&folder), "{error}");
    }
}

#[test]
fn case_044_a_full_queue_is_503_with_retry_after_and_ping_stays_200() {
    let server = Server::on("slow")
        .env("PLIMSOLL_SLOTS", "1")
        .env("PLIMSOLL_QUEUE_LIMIT", "2")
        .ready();
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let requests: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| server.invoke("application/json", "[[1,2,3,4]]")))
            .collect();
        assert_eq!(server.get("/ping").status, 200);
        let replies = requests.into_iter().map(|request| request.join());
        replies.map(|reply| reply.expect("a reply")).collect()
    });
    let mut refused = 0;
    for reply in &replies {
        if reply.status == 503 {
            let after = reply.header("retry-after").expect("when to try again");
            assert!(after.parse::<u64>().expect("seconds") >= 1);
            assert!(reply.refused(503).contains("queue is full"));
            refused += 1;
        } else {
            sums_to_10(reply);
        }
    }
    // Two may wait; whether a third is running already when the others come is a race.
    assert!((1..=10).contains(&refused), "{refused} refused");

    // All of it is counted, and the server is as good as new.
    sums_to_10(&server.invoke("application/json", "[[1,2,3,4]]"));
    let page = server.get("/metrics").text();
    let counted = |name: &str| metric(&page, name);
    assert_eq!(counted("plimsoll_invocations_total"), 13.0, "{page}");
    assert_eq!(counted("plimsoll_rejected_total"), f64::from(refused));
    assert_eq!(counted("plimsoll_server_errors_total"), f64::from(refused));
}

#[test]
fn case_045_a_caller_who_hangs_up_harms_nobody() {
    let server = Server::on("slow").env("PLIMSOLL_SLOTS", "1").ready();
    for _ in 0..3 {
        let mut connection = Connection::open(&server);
        connection.send(&http::post("application/json", "[[1,2,3,4]]"));
        // In the middle of the run.
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.get("/ping").status, 200);
    sums_to_10(&server.invoke("application/json", "[[1,2,3,4]]"));
}

#[test]
fn case_046_an_error_inside_the_graph_is_500_and_the_next_request_works() {
    let server = Server::on("gather").ready();
    let outside = server.invoke("application/json", "{\"inputs\":{\"index\":[1000000]}}");
    let error = outside.refused(500);
    assert!(error.contains("out of"), "{error}");
    let reply = server.ask(&json!({"inputs": {"index": [4, -5]}}));
    assert_eq!(reply, json!({"outputs": [4.5, 0.5]}));
}

#[test]
fn case_047_what_cannot_be_in_time_is_refused_or_ends_at_its_limit() {
    for setting in [
        "SAGEMAKER_MODEL_SERVER_TIMEOUT",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
    ] {
        let server = Server::on("busy")
            .env("PLIMSOLL_SLOTS", "1")
            .env(setting, "1")
            .ready();
        // The first value is the number of rounds; this many take far longer than a second.
        let begun = std::time::Instant::now();
        let reply = server.invoke("application/json", "[[6000,0,0,0]]");
        assert!([503, 504].contains(&reply.status), "{}", reply.text());
        assert!(begun.elapsed() < Duration::from_secs(5), "{setting}");
        let error = reply.refused(reply.status);
        assert!(error.contains("1 s"), "{error}");
        assert!(error.contains("SAGEMAKER_MODEL_SERVER_TIMEOUT"), "{error}");
        assert_eq!(server.get("/ping").status, 200);
        eventually("the slot is free again", Duration::from_secs(150), || {
            (server.invoke("application/json", "[[1,2,3,4]]").status == 200).then_some(())
        });
    }
}
