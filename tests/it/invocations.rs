//! `POST /invocations`, where the contract leaves it open.

use crate::support::bodies::npy;
use crate::support::{metric, Server};

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
    assert_eq!(metric(&page, "plimsoll_rejected_total"), 0.0);
}

#[test]
fn a_body_that_does_not_fit_is_named_by_what_is_wrong_with_it() {
    let server = Server::on("sum4").ready();
    let cut_off = npy("(2, 4)", &[1.0, 2.0]);
    let cases: [(&str, &[u8], &str); 4] = [
        ("application/json", b"[[1,2,3,4],[5,6]]", "ragged"),
        (
            "application/json",
            b"[[\"a\",2,3,4]]",
            "string where float32",
        ),
        ("application/json", b"[1,2,3,4]", "x"),
        ("application/x-npy", &cut_off, "npy"),
    ];
    for (content_type, body, named) in cases {
        let error = server.invoke(content_type, body).refused(400);
        assert!(error.contains(named), "{named}: {error}");
    }
}
