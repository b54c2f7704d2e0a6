//! What a request costs beside its run: sockets, HTTP and codec, as CPU time.
//!
//! A model of a few microseconds is served at the speed of everything around it, so its capacity
//! cannot be known from its runs alone. Before the model is in service, a few connections on the
//! loopback interface ask it what a caller would, through the same routes, and the CPU time that
//! this takes is measured, less that of the asking thread. Nothing of it is counted as a request.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::RangeInclusive;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::connections::{accept, listen, Phase};
use super::threads::HttpThreads;
use super::ServeError;
use crate::codec::{self, Dialect, Format, Setting};
use crate::http::{App, Limits, Room};
use crate::model::Signature;
use crate::ready::{Model, Ready};
use crate::runtime::capacity::{Capacity, Most};
use crate::runtime::{cpu_time, Engine};
use crate::scheduler::{Plan, Scheduler};
use crate::telemetry::{HttpMetrics, SchedulerMetrics, Source};
use crate::tensor::{Tensor, Value};

/// Callers at once: as with many, a wake-up of the server finds several requests.
const CALLERS: usize = 8;
/// Rounds of all callers before anything is measured.
const WARM_ROUNDS: usize = 3;
/// How long it takes, and how many rounds it takes at least.
const ASK_FOR: Duration = Duration::from_millis(25);
const LEAST_ROUNDS: usize = 3;
/// Beside a run this long the rest of a request is small, and asking would hold up the start.
const LONGEST_RUN: Duration = Duration::from_millis(3);
/// Bodies and replies of this size and more are not asked for: a request that is mostly its body
/// holds up the start, and says little of others.
const LARGEST_BODY: usize = 256 * 1024;
/// A first request that takes longer is the last.
const LONGEST_REQUEST: Duration = Duration::from_millis(100);
/// How long those who were asked may hold on to the engines.
const RELEASE: Duration = Duration::from_secs(20);
/// Ports that are tried for a free one.
const MOST_PORTS: usize = 100;
/// A caller that waits longer for one reply gives up.
const PATIENCE: Duration = Duration::from_secs(2);

/// The engines, and what the trial runs them with.
pub(super) struct Trial<'a> {
    pub(super) engines: Engines,
    pub(super) plan: Plan,
    pub(super) signature: &'a Arc<Signature>,
    /// A record that the model accepts.
    pub(super) one: &'a [Tensor],
    pub(super) capacity: &'a Capacity,
    /// HTTP threads that the server will have.
    pub(super) cores: usize,
    /// Where it may listen; on any free port where it is not said.
    pub(super) ports: Option<RangeInclusive<u16>>,
}

/// One engine for each slot.
type Engines = Vec<Box<dyn Engine>>;

/// Gives the engines back, and the CPU time of a request beside its run; `None` where it is not worth
/// measuring or could not be.
pub(super) fn overhead(trial: Trial<'_>) -> Result<(Engines, Option<Duration>), ServeError> {
    let run = trial.capacity.single().run;
    let body = body(trial.signature, trial.one).filter(|(body, _)| body.len() < LARGEST_BODY);
    let Some((body, format)) = body.filter(|_| run <= LONGEST_RUN) else {
        return Ok((trial.engines, None));
    };
    let metrics = SchedulerMetrics::register(Source::nowhere());
    let scheduler = Scheduler::start(trial.engines, trial.plan, metrics).map_err(|source| {
        ServeError::System {
            what: "a slot's thread",
            source,
        }
    })?;
    scheduler.calibrate(trial.capacity, trial.one, Most::ONE);
    let model = Model {
        name: String::new(),
        url: String::new(),
        signature: Arc::clone(trial.signature),
        has_independent_records: false,
        scheduler: scheduler.clone(),
    };
    let ports = trial.ports.unwrap_or(0..=0);
    let asked = ask(model, trial.cores, ports, (&body, format));
    if asked.is_none() {
        tracing::debug!("what a request costs beside its run could not be measured");
    }
    // The last connection may still be on its way out.
    let begun = Instant::now();
    while scheduler.is_shared() && begun.elapsed() < RELEASE {
        std::thread::sleep(Duration::from_millis(1));
    }
    let engines = scheduler.end().ok_or(ServeError::LoaderDied)?;
    let overhead = asked.map(|cost| cost.saturating_sub(run.mul_f64(trial.capacity.cpus_per_slot)));
    Ok((engines, overhead))
}

/// A request for this record: JSON where the model has one input, npz with names where it has more.
fn body(signature: &Signature, one: &[Tensor]) -> Option<(Vec<u8>, Format)> {
    let format = match one.len() {
        1 => Format::Json,
        _ => Format::Npz,
    };
    // Inputs are written as if they were outputs.
    let turned = Signature {
        inputs: Vec::new(),
        outputs: signature.inputs.clone(),
    };
    let setting = Setting {
        signature: &turned,
        model_name: "",
        ends_with_newline: false,
    };
    let values: Vec<Value> = one
        .iter()
        .map(|input| match input.shape() {
            [] => None,
            _ => Some(Value::Tensor(input.slice_rows(0..input.rows()))),
        })
        .collect::<Option<_>>()?;
    let encoded = codec::encode(format, &Dialect::Bare, &values, setting).ok()?;
    Some((encoded.body, format))
}

/// CPU time of a request, the asking thread's left out. `ports` are those it may be asked on; port 0 is
/// any free one.
fn ask(
    model: Model,
    cores: usize,
    ports: RangeInclusive<u16>,
    (body, format): (&[u8], Format),
) -> Option<Duration> {
    let threads = HttpThreads::start(cores, "trial").ok()?;
    let app = Arc::new(App {
        ready: Ready::new(false),
        limits: Limits {
            request_bytes: LARGEST_BODY,
            unpacked_bytes: LARGEST_BODY,
            header_bytes: 4096,
            request: PATIENCE,
            stream_records: None,
        },
        default_accept: None,
        batch: false,
        transform: crate::config::Transform::default(),
        page: Arc::new(|_| String::new()),
        first_good_ping: Arc::new(AtomicBool::new(false)),
        flush: None,
        room: Room::new(usize::MAX),
        metrics: HttpMetrics::register(Source::nowhere()),
    });
    app.ready.open(model);
    let (phase, phases) = watch::channel(Phase::Serving);
    let (open, _closed) = mpsc::channel::<()>(1);
    let address = {
        let _inside = threads.first().enter();
        let (listener, address) = ports
            .take(MOST_PORTS)
            .find_map(|port| listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok())?;
        tokio::spawn(accept(listener, app, threads.spread(), phases, open));
        address
    };
    let cost = call(address, body, format);
    drop(phase);
    // Connections end with their callers; what is left is dropped with the runtime's threads.
    threads.end(PATIENCE);
    cost
}

/// Asks in rounds: every caller writes, then every caller reads.
fn call(address: SocketAddr, body: &[u8], format: Format) -> Option<Duration> {
    let mut request = format!(
        "POST /invocations HTTP/1.1\r\nHost: trial\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        format.media_type(),
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    let mut callers = (0..CALLERS)
        .map(|_| {
            let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
            stream.set_nodelay(true).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            Some(stream)
        })
        .collect::<Option<Vec<_>>>()?;
    let begun = Instant::now();
    let reply = {
        let first = callers.first_mut()?;
        first.write_all(&request).ok()?;
        whole_reply(first)?
    };
    if begun.elapsed() > LONGEST_REQUEST {
        return None;
    }
    let mut buffer = vec![0; reply];
    let mut round = || -> Option<()> {
        for caller in &mut callers {
            caller.write_all(&request).ok()?;
        }
        for caller in &mut callers {
            caller.read_exact(&mut buffer).ok()?;
        }
        Some(())
    };
    (0..WARM_ROUNDS).try_for_each(|_| round())?;
    let (process, own, begun) = (cpu_time::process(), cpu_time::thread(), Instant::now());
    let mut rounds = 0;
    while rounds < LEAST_ROUNDS || begun.elapsed() < ASK_FOR {
        round()?;
        rounds += 1;
    }
    let own = cpu_time::thread().saturating_sub(own);
    let all = cpu_time::process().saturating_sub(process);
    let requests = u32::try_from(rounds * CALLERS).ok()?;
    Some(all.saturating_sub(own) / requests)
}

/// Bytes of a reply with 200: the same request gets as many each time.
fn whole_reply(stream: &mut TcpStream) -> Option<usize> {
    let mut reply = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece).ok()? {
            0 => return None,
            n => reply.extend_from_slice(piece.get(..n)?),
        }
        if reply.len() > LARGEST_BODY {
            return None;
        }
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(begin) = head.parse(&reply).ok()? else {
            continue;
        };
        if head.code != Some(200) {
            return None;
        }
        let length = head
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"))?;
        let length: usize = std::str::from_utf8(length.value).ok()?.parse().ok()?;
        if reply.len() >= begin + length {
            return Some(begin + length);
        }
    }
}
