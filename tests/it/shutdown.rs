//! SIGTERM at each phase: nothing that was taken in is lost, and the process leaves in time.

use std::time::{Duration, Instant};

use crate::support::{eventually, http, Connection, Server};

#[test]
fn an_interrupt_from_a_terminal_does_not_linger() {
    let mut server = Server::on("sum4").ready();
    let begun = Instant::now();
    server.signal("INT");
    assert_eq!(server.wait(Duration::from_secs(5)).code(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn requests_are_served_while_ping_already_says_503() {
    let mut server = Server::on("sum4").ready();
    assert_eq!(server.get("/ping").status, 200);
    // Open before the signal and used after it.
    let mut open = Connection::open(&server);
    server.signal("TERM");
    eventually("ping turns 503", Duration::from_secs(2), || {
        (server.get("/ping").status == 503).then_some(())
    });
    let new = server.invoke("application/json", "[[1,2,3,4]]");
    assert_eq!((new.status, new.header("connection")), (200, Some("close")));
    let reply = open.ask(&http::post("application/json", "[[1,2,3,4]]"));
    assert_eq!(reply.text(), "[[10.0]]");
    assert_eq!(server.wait(Duration::from_secs(5)).code(), Some(0));
}

#[test]
fn told_to_stop_while_loading_it_stops() {
    let mut server = Server::on("slower").bound();
    server.signal("TERM");
    assert_eq!(
        server.wait(Duration::from_secs(10)).code(),
        Some(0),
        "{}",
        server.log()
    );
}

#[test]
fn half_a_head_does_not_hold_the_server() {
    let mut server = Server::on("sum4").ready();
    let mut half = Connection::open(&server);
    half.send(b"POST /invocations HTTP/1.1\r\nHost:");
    let _idle = server.connect();
    let begun = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
}
