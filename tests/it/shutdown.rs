//! SIGTERM at each phase: nothing that was taken in is lost, and the process leaves in time.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::server::read_until;
use crate::support::{eventually, Server};

const REQUEST: &[u8] = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n[[1,2,3,4]]";

#[test]
fn an_idle_server_leaves_with_0_within_5_seconds() {
    let mut server = Server::on("sum4").ready();
    server.get("/ping");
    let begun = Instant::now();
    server.signal("TERM");
    let status = server.wait(Duration::from_secs(5));
    assert_eq!(status.code(), Some(0), "{}", server.log());
    // The platform's balancer gets time to notice.
    assert!(
        begun.elapsed() > Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

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
    let mut open = server.connect();
    server.signal("TERM");
    eventually("ping turns 503", Duration::from_secs(2), || {
        (server.get("/ping").status == 503).then_some(())
    });
    let new = server.invoke("application/json", "[[1,2,3,4]]");
    assert_eq!((new.status, new.header("connection")), (200, Some("close")));
    open.write_all(REQUEST).expect("sent");
    let reply = read_until(&mut open, "[[10.0]]");
    assert!(reply.contains("[[10.0]]"), "{reply}");
    assert_eq!(server.wait(Duration::from_secs(5)).code(), Some(0));
}

#[test]
fn a_request_that_is_running_is_finished() {
    let mut server = Server::on("busy").env("PLIMSOLL_SLOTS", "1").ready();
    let (reply, left) = std::thread::scope(|scope| {
        // Rounds enough for some seconds.
        let request = scope.spawn(|| server.invoke("application/json", "[[400,0,0,0]]"));
        std::thread::sleep(Duration::from_millis(300));
        server.signal("TERM");
        (request.join().expect("a reply"), Instant::now())
    });
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(server.wait(Duration::from_secs(25)).code(), Some(0));
    assert!(
        left.elapsed() < Duration::from_secs(8),
        "{:?}",
        left.elapsed()
    );
}

#[test]
fn told_to_stop_while_loading_it_stops() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let mut server = Server::on("slower")
        .env("SAGEMAKER_BIND_TO_PORT", &port.to_string())
        .spawn();
    eventually("the port is bound", Duration::from_secs(30), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
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
    let mut half = server.connect();
    half.write_all(b"POST /invocations HTTP/1.1\r\nHost:")
        .expect("sent");
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
