//! Requests that share a model execution: each gets its own answer, and it happens only where it
//! pays and is allowed.

use crate::support::bodies::{last_f32s, npy, read_npz};
use crate::support::{metric, root, Server};

/// Sends each row by itself, all at once; the replies in the same order.
fn all_at_once(server: &Server, rows: &[String]) -> Vec<(u16, String)> {
    std::thread::scope(|scope| {
        let sending: Vec<_> = rows
            .iter()
            .map(|row| {
                scope.spawn(move || {
                    let reply = server.invoke("application/json", row.clone());
                    (reply.status, reply.text())
                })
            })
            .collect();
        sending
            .into_iter()
            .map(|thread| thread.join().expect("sent"))
            .collect()
    })
}

/// Model executions on the page, and requests that they answered.
fn runs(server: &Server) -> (f64, f64) {
    let page = server.get("/metrics").text();
    (
        metric(&page, "plimsoll_batch_size_count"),
        metric(&page, "plimsoll_batch_size_sum"),
    )
}

/// What the page says of batching: the most records of a run, and why.
fn told(server: &Server) -> (f64, String) {
    let page = server.get("/metrics").text();
    let reason = page
        .lines()
        .find_map(|line| {
            line.strip_prefix("plimsoll_model_batching_info{reason=\"")?
                .split_once('"')
        })
        .map(|(reason, _)| reason.to_owned());
    (
        metric(&page, "plimsoll_model_batch_records"),
        reason.expect("it is told"),
    )
}

#[test]
fn a_refusal_is_said_on_the_page_and_in_the_log() {
    let axis = ("no_axis_of_records", "it has no free axis of records");
    for (model, (reason, sentence)) in [("iris", axis), ("scalar", axis)] {
        let server = Server::on(model).ready();
        assert_eq!(told(&server), (1.0, reason.to_owned()), "{model}");
        let log = server.log();
        assert!(log.contains(&format!("batching off: {sentence}")), "{log}");
    }
}

fn rows() -> Vec<String> {
    (0..12).map(|n| format!("[[{n},1,0,0]]")).collect()
}

#[test]
fn requests_that_wait_share_runs_and_each_gets_its_own_answer() {
    let server = Server::on("brief")
        .env("PLIMSOLL_SLOTS", "1")
        .env("PLIMSOLL_BATCHING", "16")
        .ready();
    let log = server.log();
    assert!(log.contains("batching up to 16 records"), "{log}");
    assert_eq!(told(&server), (16.0, "as_set".to_owned()));
    for (n, (status, text)) in all_at_once(&server, &rows()).into_iter().enumerate() {
        assert_eq!((status, text), (200, format!("[[{}.0]]", n + 1)));
    }
    let (runs, requests) = runs(&server);
    assert_eq!(requests, 12.0);
    assert!(runs < 10.0, "{runs} runs for 12 requests");
}

#[test]
fn one_record_that_does_not_fit_is_refused_and_the_others_are_answered() {
    let server = Server::on("brief")
        .env("PLIMSOLL_SLOTS", "1")
        .env("PLIMSOLL_BATCHING", "16")
        .ready();
    let mut rows = rows();
    rows[7] = "[[1,2]]".to_owned();
    let replies = all_at_once(&server, &rows);
    for (n, (status, text)) in replies.into_iter().enumerate() {
        assert_eq!(status, if n == 7 { 400 } else { 200 }, "{text}");
    }
}

/// `.npy` files by name: the text before the elements, and the elements.
fn outputs(server: &Server, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let reply = server.invoke_accepting("application/x-npy", "application/x-npz", body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    read_npz(&reply.body)
}

#[test]
fn a_large_request_takes_little_memory_and_is_answered_as_if_it_ran_whole() {
    const ROWS: usize = 100_000;
    let digits = |batching: &str| {
        Server::on_folder(&root().join(".plimsoll/models/digits"))
            .env("PLIMSOLL_SLOTS", "1")
            .env("PLIMSOLL_BATCHING", batching)
            .ready()
    };
    let values: Vec<f32> = (0..64 * ROWS)
        .map(|n| (n * 31 % 1009 % 17) as f32)
        .collect();
    let body = npy(&format!("({ROWS}, 64)"), &values);
    let asked = |server: &Server| {
        let before = server.memory();
        let outputs = outputs(server, &body);
        let peak = server.peak_memory().saturating_sub(before);
        (outputs, peak as f64 / body.len() as f64)
    };
    let (parts, peak_of_parts) = asked(&digits("auto"));
    let (whole, peak_of_whole) = asked(&digits("off"));
    let seen = format!("{peak_of_parts:.2} and {peak_of_whole:.2} of the body");
    // Its layers are as wide as its input: whole it takes two such bodies beside its own.
    assert!(
        peak_of_parts < 2.0 && peak_of_parts < peak_of_whole,
        "{seen}"
    );
    assert_eq!(parts.len(), whole.len());
    for ((name, part), (same, all)) in parts.iter().zip(&whole) {
        assert_eq!((name, part.len()), (same, all.len()));
        if name.contains("label") {
            assert_eq!(part, all, "{name}");
            continue;
        }
        let (part, all) = (last_f32s(part, 10 * ROWS), last_f32s(all, 10 * ROWS));
        let far = part
            .iter()
            .zip(&all)
            .find(|(a, b)| (**a - **b).abs() > 1e-5);
        assert_eq!(far, None, "{name}");
    }
}

#[test]
fn off_means_one_request_a_run() {
    let server = Server::on("brief")
        .env("PLIMSOLL_SLOTS", "1")
        .env("PLIMSOLL_BATCHING", "off")
        .ready();
    let log = server.log();
    assert!(log.contains("batching off, as set"), "{log}");
    assert_eq!(told(&server), (1.0, "off_as_set".to_owned()));
    for (status, text) in all_at_once(&server, &rows()) {
        assert_eq!(status, 200, "{text}");
    }
    assert_eq!(runs(&server), (12.0, 12.0));
}
