//! What one request over a connection reads of the clock and records, with an engine that gives
//! back what it takes.

use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use scaling::catalogue::internal;
use scaling::level::{integral, level};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::clock;
use crate::model::{Dim, Port, PortType, Signature};
use crate::runtime::capacity::{Capacity, Most, Point};
use crate::runtime::{Engine, RunError};
use crate::scheduler::{Plan, Scheduler};
use crate::telemetry::tests::Seen;
use crate::telemetry::SchedulerMetrics;
use crate::tensor::{Data, ElementType, Tensor, Value};

struct Echo;

impl Engine for Echo {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
        Ok(inputs
            .iter()
            .map(|input| Value::Tensor(input.slice_rows(0..input.rows())))
            .collect())
    }
}

/// A server with one connection.
pub(crate) struct Test {
    seen: Seen,
    epoch: Instant,
    pub(crate) app: Arc<App>,
    client: DuplexStream,
}

fn start() -> Test {
    start_on(Box::new(Echo))
}

pub(super) fn start_on(engine: Box<dyn Engine>) -> Test {
    let (seen, epoch) = (Seen::default(), Instant::now());
    let source = seen.source(epoch);
    let engines = vec![engine];
    let metrics = SchedulerMetrics::register(source);
    let plan = Plan {
        queue_limit: 8,
        may_stay: true,
        threads: 1,
    };
    let scheduler = Scheduler::start(engines, plan, metrics).unwrap();
    let port = |name: &str| Port {
        name: name.to_owned(),
        kind: PortType::Tensor {
            element: ElementType::Float32,
            dims: Some(vec![Dim::Free, Dim::Fixed(4)]),
        },
    };
    let inputs = [Tensor::new(vec![1, 4], Data::Float32(vec![0.0; 4].into())).unwrap()];
    let single = Point {
        rows: 1,
        run: Duration::from_micros(5),
    };
    let capacity = Capacity::new(vec![single], 1.0).unwrap();
    scheduler.calibrate(&capacity, &inputs, Most::ONE);
    let ready = Ready::new(false);
    ready.open(Model {
        name: "echo".to_owned(),
        url: "/".to_owned(),
        signature: Arc::new(Signature {
            inputs: vec![port("x")],
            outputs: vec![port("y")],
        }),
        has_independent_records: true,
        scheduler,
    });
    let app = Arc::new(App {
        ready,
        limits: Limits {
            request_bytes: 1 << 20,
            unpacked_bytes: 1 << 20,
            header_bytes: 1 << 16,
            request: Duration::from_secs(60),
            stream_records: NonZeroUsize::new(2),
        },
        default_accept: None,
        batch: false,
        transform: Transform::default(),
        page: Arc::new(|_| String::new()),
        first_good_ping: Arc::default(),
        flush: None,
        room: Room::new(1 << 20),
        metrics: HttpMetrics::register(source),
    });
    let (client, server) = tokio::io::duplex(1 << 16);
    let routes = Routes::new(Arc::clone(&app));
    tokio::spawn(
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), routes),
    );
    Test {
        seen,
        epoch,
        app,
        client,
    }
}

const BODY: &str = "[[1,2,3,4]]";

impl Test {
    /// Sends these pieces, each when the one before has been taken in; returns the reply's bytes.
    pub(crate) async fn send(&mut self, pieces: &[&str]) -> String {
        for piece in pieces {
            self.client.write_all(piece.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut reply = vec![0; 4096];
        let length = self.client.read(&mut reply).await.unwrap();
        String::from_utf8_lossy(&reply[..length]).into_owned()
    }

    /// How often the clock is read for a request in these pieces.
    async fn reads(&mut self, pieces: &[&str]) -> u32 {
        let before = clock::reads();
        let reply = self.send(pieces).await;
        assert!(reply.starts_with("HTTP/1.1 200 OK"), "{reply}");
        clock::reads() - before
    }
}

fn head(accept: &str, length: usize) -> String {
    format!(
        "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Accept: {accept}\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// A run that the machine interrupts looks like a long one, and the requests after it are handed to
/// the slot's own thread: what is said of short runs is seen in one of so many tries.
const TRIES: usize = 20;

#[tokio::test]
async fn a_short_run_reads_the_clock_four_times() {
    let head = head("application/json", BODY.len());
    let whole = format!("{head}{BODY}");
    // The first one waits for others to join, and looks again when it leads. A body that comes
    // later than its head has an instant of its own.
    let expected = [5, 4, 4, 4, 4, 4, 5];
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let mut test = start();
        seen.clear();
        for _ in 0..6 {
            seen.push(test.reads(&[&whole]).await);
        }
        seen.push(test.reads(&[&head, BODY]).await);
        if seen == expected {
            return;
        }
    }
    panic!("{seen:?}, expected {expected:?}");
}

#[tokio::test]
async fn everything_is_recorded_once() {
    let whole = format!("{}{BODY}", head("application/json", BODY.len()));
    let requests = 4;
    let mut tries = 0;
    let test = loop {
        let mut test = start();
        for _ in 0..requests {
            test.send(&[&whole]).await;
        }
        let waits = test.seen.values("QueueLatency");
        if waits.iter().skip(1).all(|wait| *wait == 0.0) {
            break test;
        }
        tries += 1;
        assert!(tries < TRIES, "{waits:?}");
    };
    let seen = &test.seen;
    let latency = |name| seen.values(name);
    for name in [
        "RequestLatency",
        "QueueLatency",
        "InferenceLatency",
        "CodecLatency",
    ] {
        assert_eq!(latency(name).len(), requests, "{name}");
    }
    assert_eq!(seen.values("BatchSize"), vec![1.0; requests]);
    assert_eq!(seen.counter("Invocations"), requests as u64);
    assert!(seen.counter(internal::OFFERED_WORK) > 0);
    // Of a short run alone, the parts are the whole.
    let (codec, inference) = (latency("CodecLatency"), latency("InferenceLatency"));
    for (at, request) in latency("RequestLatency").iter().enumerate().skip(1) {
        assert!((codec[at] + inference[at] - request).abs() < 1e-6);
    }
    let word = seen.counter("Concurrency");
    let now = test.epoch.elapsed().as_micros() as u64;
    let held: f64 = latency("RequestLatency").iter().sum();
    assert_eq!(level(word), 0);
    // Each end of a request is told in whole microseconds.
    let integral = integral(word, now);
    assert!(
        (integral as f64 - held).abs() <= requests as f64,
        "{integral} {held}"
    );
}

#[tokio::test]
async fn a_streamed_reply_is_one_request_until_its_end() {
    let mut test = start();
    let rows = format!("[{}]", ["[1,2,3,4]"; 5].join(","));
    let whole = format!("{}{rows}", head("application/jsonlines", rows.len()));
    let reply = test.send(&[&whole]).await;
    assert!(reply.contains("chunked"), "{reply}");
    // It is counted once its last part has left, which the caller may see first.
    let begun = Instant::now();
    while test.seen.values("RequestLatency").is_empty() && begun.elapsed().as_secs() < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(test.seen.values("RequestLatency").len(), 1);
    assert_eq!(test.seen.values("InferenceLatency").len(), 3);
    assert_eq!(level(test.seen.counter("Concurrency")), 0);
}
