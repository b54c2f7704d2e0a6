//! B. `/ping`: 200 means that `/invocations` works now.

use std::time::{Duration, Instant};

use crate::support::{eventually, http, Connection, Over, Server};

#[test]
fn case_016_ping_is_200_and_empty_in_under_2_seconds() {
    let server = Server::on("sum4").ready();
    let begun = Instant::now();
    let reply = server.get("/ping");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!((reply.status, reply.body.len()), (200, 0));
}

#[test]
fn case_017_ping_may_be_posted() {
    let server = Server::on("sum4").ready();
    let reply = server.send("POST", "/ping", &[], b"");
    assert_eq!((reply.status, reply.body.len()), (200, 0));
}

#[test]
fn case_018_ping_is_503_until_a_first_inference_worked() {
    let server = Server::on("slower").bound();
    let begun = Instant::now();
    let early = server.get("/ping");
    assert!(begun.elapsed() < Duration::from_secs(2));
    let text = early.refused(503);
    assert!(text.contains("loading"), "{text}");
    let too_early = server.invoke("application/json", "[[1,2,3,4]]");
    assert_eq!(too_early.status, 503);
    assert!(too_early.header("retry-after").is_some());
    assert_eq!(server.get("/metrics").status, 200);
    eventually("ready", Duration::from_secs(60), || {
        (server.get("/ping").status == 200).then_some(())
    });
    // The log says what the warm-up's run took.
    eventually("the warm-up is in the log", Duration::from_secs(5), || {
        server.log().contains("warm-up").then_some(())
    });
}

#[test]
fn case_019_the_first_request_after_the_first_200_is_served() {
    let server = Server::on("slow").bound();
    let mut connection = Connection::open(&server);
    let request = http::post("application/json", "[[1,2,3,4]]");
    eventually("ready", Duration::from_secs(60), || {
        let ping = connection.ask(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n");
        (ping.status == 200).then_some(())
    });
    let first = connection.ask(&request);
    assert_eq!((first.status, first.text().as_str()), (200, "[[10.0]]"));
}

#[test]
fn case_020_ping_stays_quick_under_full_load() {
    let server = Server::on("slow")
        .env("PLIMSOLL_SLOTS", "2")
        .env("PLIMSOLL_INTRA_OP_THREADS", "1")
        .through(&["nice", "-n", "5"])
        .ready();
    let done = std::sync::atomic::AtomicBool::new(false);
    let over = || done.load(std::sync::atomic::Ordering::Relaxed);
    let pings = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over() {
                    let reply = server.invoke("application/json", "[[1,2,3,4]]");
                    assert_eq!(reply.status, 200, "{}", reply.text());
                }
            });
        }
        let _over = Over(&done);
        let mut pings: Vec<Duration> = (0..20)
            .map(|_| {
                let begun = Instant::now();
                assert_eq!(server.get("/ping").status, 200);
                let took = begun.elapsed();
                std::thread::sleep(Duration::from_secs(1).saturating_sub(took));
                took
            })
            .collect();
        pings.sort_unstable();
        pings
    });
    assert!(pings[19] < Duration::from_secs(2), "{pings:?}");
    // The runs take a hundred milliseconds and more each, so a ping that waited for one would show.
    assert!(pings[10] < Duration::from_millis(50), "{pings:?}");
}

#[test]
fn case_021_ping_is_503_once_every_slot_is_stuck_for_good() {
    let server = Server::on("busy")
        .env("PLIMSOLL_SLOTS", "1")
        .env("SAGEMAKER_MODEL_SERVER_TIMEOUT", "1")
        .nice()
        .ready();
    assert_eq!(server.get("/ping").status, 200);
    // The first value is the number of rounds: these take hours.
    let stuck = server.invoke("application/json", "[[10000000,0,0,0]]");
    assert!([503, 504].contains(&stuck.status), "{}", stuck.text());
    // A limit that has just passed is no fault yet.
    assert_eq!(server.get("/ping").status, 200);
    let reason = eventually("ping turns 503", Duration::from_secs(15), || {
        let ping = server.get("/ping");
        (ping.status != 200).then(|| ping.refused(503))
    });
    assert!(
        reason.contains("slot") || reason.contains("stuck") || reason.contains("limit"),
        "{reason}"
    );
}

#[test]
fn case_022_ping_ignores_unknown_headers_and_hosts() {
    let server = Server::on("sum4").ready();
    let mut connection = Connection::open(&server);
    let reply = connection.ask(
        b"GET /ping HTTP/1.1\r\nHost: model.aws.local:8080\r\nX-Amzn-Whatever: 1\r\nUser-Agent: AHC/2.0\r\n\r\n",
    );
    assert_eq!((reply.status, reply.body.len()), (200, 0));
}
