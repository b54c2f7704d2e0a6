//! F. `Accept`: what the reply is written in.

use crate::support::bodies::{f32_bytes, last_f32s, npy, npz, read_npz, recordio};
use crate::support::server::Reply;
use crate::support::Server;

fn accepting(accept: &str) -> Reply {
    let server = Server::on("sum4").ready();
    server.invoke_accepting("application/json", accept, "[[1,2,3,4]]")
}

fn is(reply: &Reply, content_type: &str, body: &str) {
    assert_eq!(reply.header("content-type"), Some(content_type));
    assert_eq!((reply.status, reply.text().as_str()), (200, body));
}

#[test]
fn case_084_without_accept_json_gets_json() {
    let server = Server::on("sum4").ready();
    let reply = server.invoke("application/json", "[[1,2,3,4]]");
    is(&reply, "application/json", "[[10.0]]");
}

#[test]
fn case_085_any_type_means_the_default() {
    is(&accepting("*/*"), "application/json", "[[10.0]]");
    let server = Server::on("sum4")
        .env("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
        .ready();
    for accept in ["*/*", "", " */* "] {
        let reply = server.invoke_accepting("application/json", accept, "[[1,2,3,4]]");
        is(&reply, "text/csv", "10");
    }
    // What is asked for still wins.
    let reply = server.invoke_accepting("application/json", "application/json", "[[1,2,3,4]]");
    is(&reply, "application/json", "[[10.0]]");
}

#[test]
fn case_086_the_first_of_a_list_wins() {
    is(&accepting("text/csv, application/json"), "text/csv", "10");
}

#[test]
fn case_087_the_best_that_can_be_written_wins() {
    let reply = accepting("application/x-unknown, application/json;q=0.5");
    is(&reply, "application/json", "[[10.0]]");
    let reply = accepting("application/json;q=0.5, text/csv;q=0.6");
    is(&reply, "text/csv", "10");
    accepting("application/json;q=0").refused(406);
}

#[test]
fn case_088_a_group_of_types_is_one_of_them() {
    is(&accepting("text/*"), "text/csv", "10");
}

/// What a reply says, as its announced type has it.
fn read(reply: &Reply) -> Vec<f32> {
    let text = reply.text();
    match reply.header("content-type").expect("a type") {
        "application/json" | "application/jsonlines" => text
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|number| !number.is_empty())
            .map(|number| number.parse().expect("a number"))
            .collect(),
        "text/csv" => text.lines().map(|line| line.parse().unwrap()).collect(),
        "application/x-npy" => {
            assert!(reply.body.starts_with(b"\x93NUMPY"));
            last_f32s(&reply.body, 2)
        }
        "application/x-npz" => last_f32s(&read_npz(&reply.body)[0].1, 2),
        "application/x-recordio-protobuf" => {
            crate::support::bodies::read_recordio_labels(&reply.body)
                .into_iter()
                .flat_map(|labels| labels[0].1.clone())
                .collect()
        }
        "application/octet-stream" => {
            assert_eq!(reply.body.len(), 8);
            last_f32s(&reply.body, 2)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn case_089_any_type_can_be_answered_in_any_other_and_is_named() {
    let server = Server::on("sum4").ready();
    let rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let array = npy("(2, 4)", &rows);
    let bodies: [(&str, Vec<u8>); 7] = [
        ("application/json", b"[[1,2,3,4],[5,6,7,8]]".to_vec()),
        ("text/csv", b"1,2,3,4\n5,6,7,8\n".to_vec()),
        ("application/x-npy", array.clone()),
        ("application/jsonlines", b"[1,2,3,4]\n[5,6,7,8]\n".to_vec()),
        ("application/x-npz", npz(&[("x", array)], false)),
        (
            "application/x-recordio-protobuf",
            recordio(&[&rows[..4], &rows[4..]]),
        ),
        ("application/octet-stream", f32_bytes(&rows)),
    ];
    for (content_type, body) in &bodies {
        for (accept, _) in &bodies {
            let reply = server.invoke_accepting(content_type, accept, body);
            let what = format!("{content_type} to {accept}: {}", reply.text());
            assert_eq!(reply.status, 200, "{what}");
            assert_eq!(reply.header("content-type"), Some(*accept), "{what}");
            assert_eq!(read(&reply), [10.0, 26.0], "{what}");
        }
        // Without a wish, the reply comes as the request did; bytes without a type are JSON.
        let reply = server.invoke(content_type, body);
        let expected = match *content_type {
            "application/octet-stream" => "application/json",
            other => other,
        };
        assert_eq!(reply.header("content-type"), Some(expected));
        assert_eq!(read(&reply), [10.0, 26.0], "{content_type}");
    }
}
