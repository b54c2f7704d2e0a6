//! The loops against small servers whose behaviour is known.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use probe::{closed_loop, once, open_loop, Arrivals, Failure, Limits, LoadError, Request, Target};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers each request of 3 body bytes with what `answer` writes; a thread per connection.
fn server(answer: impl Fn(u64, &mut TcpStream) -> bool + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let answer = Arc::new(answer);
    let count = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&accepted);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            seen.fetch_add(1, Ordering::SeqCst);
            let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
            std::thread::spawn(move || {
                let mut got = Vec::new();
                let mut piece = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut piece) {
                    got.extend_from_slice(&piece[..n]);
                    if !got.ends_with(b"\r\n\r\n1,2") {
                        continue;
                    }
                    got.clear();
                    if !answer(count.fetch_add(1, Ordering::SeqCst), &mut stream) {
                        return;
                    }
                }
            });
        }
    });
    Server { address, accepted }
}

struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    fn request(&self) -> Request {
        let target = Target::parse(&format!("http://{}/invocations", self.address)).unwrap();
        Request::post(&target, &[("content-type", "text/csv")], b"1,2").unwrap()
    }
}

fn block_on<F: std::future::Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn limits(connections: usize, timeout_ms: u64) -> Limits {
    Limits {
        connections,
        timeout: Duration::from_millis(timeout_ms),
    }
}

#[test]
fn an_open_loop_keeps_its_rate_over_kept_connections() {
    let server = server(|_, stream| stream.write_all(OK).is_ok());
    let arrivals = Arrivals::Constant { rate: 400.0 };
    let second = Duration::from_secs(1);
    let report = block_on(open_loop(
        &server.request(),
        arrivals,
        limits(4, 5000),
        second,
    ))
    .unwrap();
    assert_eq!(report.requested, 400);
    assert!(report.all_well(), "{report:?}");
    assert_eq!(report.statuses[&200], 400);
    assert!((report.achieved_rate - 400.0).abs() < 40.0, "{report:?}");
    assert!(report.seconds >= 0.99);
    assert_eq!(server.accepted.load(Ordering::SeqCst), 4);
}

#[test]
fn a_stall_is_felt_by_every_arrival_that_fell_into_it() {
    // One reply out of 400 takes 300 ms. A closed loop over one connection would see one slow
    // reply, 0.25 %: its p99 would say that nothing happened.
    let server = server(|number, stream| {
        if number == 100 {
            std::thread::sleep(Duration::from_millis(300));
        }
        stream.write_all(OK).is_ok()
    });
    let arrivals = Arrivals::Constant { rate: 400.0 };
    let second = Duration::from_secs(1);
    let report = block_on(open_loop(
        &server.request(),
        arrivals,
        limits(1, 5000),
        second,
    ))
    .unwrap();
    assert!(report.all_well(), "{report:?}");
    assert_eq!(report.requested, 400);
    assert!(report.latency_us.p99 > 250_000.0, "{report:?}");
    assert!(report.latency_us.p90 > 100_000.0, "{report:?}");
    assert!(report.latency_us.max < 1_000_000.0, "{report:?}");
    assert!(!report.generator_was_late(), "{report:?}");
}

#[test]
fn statuses_are_counted_and_the_first_bad_reply_is_shown() {
    let server = server(|number, stream| {
        let reply: &[u8] = match number % 4 {
            0..=2 => OK,
            _ => b"HTTP/1.1 429 Slow Down\r\ntransfer-encoding: chunked\r\n\r\n3\r\nnot\r\n4\r\n now\r\n0\r\n\r\n",
        };
        stream.write_all(reply).is_ok()
    });
    let arrivals = Arrivals::Constant { rate: 1000.0 };
    let time = Duration::from_millis(200);
    let report = block_on(open_loop(
        &server.request(),
        arrivals,
        limits(1, 5000),
        time,
    ))
    .unwrap();
    assert_eq!(
        report
            .statuses
            .iter()
            .map(|(s, n)| (*s, *n))
            .collect::<Vec<_>>(),
        [(200, 150), (429, 50)]
    );
    assert_eq!(report.first_trouble.as_deref(), Some("status 429: not now"));
    assert!(!report.all_well());
    assert_eq!(server.accepted.load(Ordering::SeqCst), 1);
}

#[test]
fn no_reply_is_a_timeout_and_no_free_connection_is_unsent() {
    let server = server(|_, _| true);
    let arrivals = Arrivals::Constant { rate: 100.0 };
    let time = Duration::from_millis(100);
    let begun = Instant::now();
    let report = block_on(open_loop(&server.request(), arrivals, limits(1, 150), time)).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!((report.requested, report.answered), (10, 0));
    let timeouts = report.failures[&Failure::Timeout];
    let unsent = report.failures.get(&Failure::Unsent).copied().unwrap_or(0);
    assert!(timeouts >= 1, "{report:?}");
    assert_eq!(timeouts + unsent, 10);
    assert_eq!(report.sent, timeouts);
    // Given up, and yet in the latencies.
    assert!(report.latency_us.p50 >= 140_000.0, "{report:?}");
}

#[test]
fn a_server_that_closes_after_each_reply_costs_a_connection_and_no_error() {
    let server = server(|_, stream| {
        let reply = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(reply).unwrap();
        false
    });
    let time = Duration::from_millis(100);
    let report = block_on(closed_loop(&server.request(), limits(2, 5000), time)).unwrap();
    assert!(report.all_well(), "{report:?}");
    assert!(server.accepted.load(Ordering::SeqCst) as u64 >= report.answered);
}

#[test]
fn cut_and_unreadable_replies_are_told_apart() {
    let cut = server(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")
            .is_err()
    });
    let noise = server(|_, stream| stream.write_all(b"220 smtp ready\r\n\r\n").is_err());
    let time = Duration::from_millis(40);
    let report = block_on(closed_loop(&cut.request(), limits(1, 5000), time)).unwrap();
    assert!(
        report.failures[&Failure::Closed] >= 1 && report.answered == 0,
        "{report:?}"
    );
    let report = block_on(closed_loop(&noise.request(), limits(1, 5000), time)).unwrap();
    assert!(
        report.failures[&Failure::Malformed] >= 1 && report.answered == 0,
        "{report:?}"
    );
    let error = block_on(once(&noise.request())).unwrap_err().to_string();
    assert!(error.contains("unreadable reply"), "{error}");
}

#[test]
fn a_closed_loop_keeps_every_connection_busy() {
    let server = server(|_, stream| {
        std::thread::sleep(Duration::from_millis(20));
        stream.write_all(OK).is_ok()
    });
    let time = Duration::from_millis(300);
    let report = block_on(closed_loop(&server.request(), limits(8, 5000), time)).unwrap();
    assert!(report.all_well() && report.lateness_us.is_none());
    // Eight at a time, 20 ms each: 400 a second at best.
    assert!(
        report.achieved_rate > 150.0 && report.achieved_rate <= 400.0,
        "{report:?}"
    );
    assert!(report.latency_us.p50 >= 20_000.0);
}

#[test]
fn an_answer_given_before_the_body_was_read_counts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        let reply = b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(reply).unwrap();
        // Reads on, as a careful server does, so that its answer is not lost to a reset.
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    });
    let target = Target::parse(&format!("http://{address}/")).unwrap();
    let request = Request::post(&target, &[], &vec![b'x'; 4 << 20]).unwrap();
    assert_eq!(block_on(once(&request)).unwrap().status, 413);
}

#[test]
fn a_load_that_cannot_begin_says_why() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let target = Target::parse(&format!("http://{closed}/")).unwrap();
    let request = Request::get(&target, &[]).unwrap();
    let second = Duration::from_secs(1);
    let open = |rate, limits, time| {
        block_on(open_loop(
            &request,
            Arrivals::Constant { rate },
            limits,
            time,
        ))
        .unwrap_err()
    };
    let refused = open(1.0, limits(1, 1000), second);
    assert!(matches!(refused, LoadError::Connect { .. }));
    assert!(
        refused.to_string().contains(&closed.to_string()),
        "{refused}"
    );
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            open(rate, limits(1, 1000), second),
            LoadError::Rate(_)
        ));
    }
    assert!(matches!(
        open(1.0, limits(0, 1000), second),
        LoadError::Connections
    ));
    assert!(matches!(
        open(1.0, limits(1, 1000), Duration::ZERO),
        LoadError::Duration
    ));
    assert!(matches!(
        open(1.0, limits(1, 0), second),
        LoadError::Duration
    ));

    let nowhere = Target::parse("http://no-such-host.invalid/").unwrap();
    let error = block_on(once(&Request::get(&nowhere, &[]).unwrap()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no-such-host.invalid"), "{error}");
}
