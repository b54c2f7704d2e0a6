//! J. Asynchronous endpoints: very large bodies, very long runs.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::bodies::{last_f32s, npy, npy_head};
use crate::support::cgroup::{Group, Limits};
use crate::support::{http, root, Connection, Server};

const MB: usize = 1024 * 1024;

/// Memory that is free or could be freed, in bytes.
fn memory_available() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|line| {
        let kilobytes = line.strip_prefix("MemAvailable:")?.trim();
        kilobytes.strip_suffix(" kB")?.parse::<u64>().ok()
    });
    1024 * line.unwrap_or(0)
}

#[test]
fn case_117_a_body_of_600_mb_is_served_in_less_than_4_times_its_size() {
    const BODY: usize = 600 * MB;
    if memory_available() < 4 * BODY as u64 {
        println!("skipped: less memory is free than four such bodies take");
        return;
    }
    let server = Server::on("total")
        .env("SAGEMAKER_MAX_REQUEST_SIZE", &(1024 * MB).to_string())
        .ready();
    let head = npy_head("<f4", &format!("({},)", BODY / 4));
    let length = (head.len() + BODY).to_string();
    let mut connection = Connection::open(&server);
    connection.patience(Duration::from_secs(100));
    let mut writer = connection.writer();
    let sender = std::thread::spawn(move || {
        let headers = [
            ("Content-Type", "application/x-npy"),
            ("Content-Length", length.as_str()),
        ];
        writer.write_all(&http::head(&headers))?;
        writer.write_all(&head)?;
        // One 1.0 in each megabyte: a sum that float32 holds exactly.
        let mut piece = vec![0_u8; MB];
        piece[..4].copy_from_slice(&1.0_f32.to_le_bytes());
        (0..BODY / MB).try_for_each(|_| writer.write_all(&piece))
    });
    let reply = connection.reply().expect("a reply");
    sender.join().expect("no panic").expect("sent");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(last_f32s(&reply.body, 1), [600.0]);
    let peak = server.peak_memory();
    assert!(peak < 4 * BODY as u64, "{} MB", peak / MB as u64);
}

#[test]
fn what_a_large_run_took_of_memory_is_given_back() {
    const ROWS: usize = 100_000;
    let server = Server::on_folder(&root().join(".plimsoll/models/digits"))
        .env("PLIMSOLL_SLOTS", "1")
        .ready();
    let body = |rows: usize| npy(&format!("({rows}, 64)"), &vec![1.0; 64 * rows]);
    let send = |body: &[u8]| {
        let reply = server.invoke_accepting("application/x-npy", "application/x-npz", body);
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    let (small, large) = (body(1), body(ROWS));
    (0..100).for_each(|_| send(&small));
    let before = server.memory();
    (0..3).for_each(|_| send(&large));
    // The layers are as wide as the input: a run takes two such bodies beside its own, and the next
    // one as much again where the first kept it.
    let kept = server.memory().saturating_sub(before);
    assert!(kept < 2 * large.len() as u64, "{} MB", kept / MB as u64);
}

/// A run of just over a minute, or of 5 minutes if `PLIMSOLL_TEST_LONG=1`. With a small share of a
/// CPU, so that it takes its time and leaves the other tests theirs.
#[test]
fn case_118_a_run_may_take_longer_than_60_seconds() {
    let at_least = if std::env::var("PLIMSOLL_TEST_LONG").is_ok_and(|value| value == "1") {
        Duration::from_secs(300)
    } else {
        Duration::from_secs(63)
    };
    // Dropped after the server, when it is empty.
    let share = Group::new(&Limits {
        cpu_percent: Some(15),
        ..Limits::default()
    });
    let mut server = Server::on("busy")
        .env("PLIMSOLL_SLOTS", "1")
        .env("SAGEMAKER_MODEL_SERVER_TIMEOUT", "3600")
        .ready();
    if !share
        .as_ref()
        .is_some_and(|share| share.take_in(server.pid()))
    {
        println!("without a share of a CPU of its own, which cannot be made here");
    }
    // Enough rounds for a few seconds say how many it takes in all, and a margin.
    let rounds_a_second = {
        let begun = Instant::now();
        let reply = server.invoke("application/json", "[[100,0,0,0]]");
        assert_eq!(reply.status, 200, "{}", reply.text());
        100.0 / begun.elapsed().as_secs_f64()
    };
    let rounds = (1.4 * at_least.as_secs_f64() * rounds_a_second).ceil();
    let mut connection = Connection::open(&server);
    connection.patience(4 * at_least);
    let begun = Instant::now();
    connection.send(&http::post(
        "application/json",
        format!("[[{rounds},0,0,0]]"),
    ));
    let reply = connection.reply();
    let took = begun.elapsed();
    let reply = reply.unwrap_or_else(|| panic!("closed after {took:?}: {}", server.log()));
    assert_eq!(reply.status, 200, "after {took:?}: {}", reply.text());
    assert!(took > at_least, "{rounds} rounds took {took:?}");
    server.signal("KILL");
    server.wait(Duration::from_secs(5));
}
