//! The tail at 80 % of saturation against a first-come-first-served queue that gets the very same
//! arrivals and run times.
//!
//! In each round, one after the other on the same core:
//!
//! 1. a closed loop: the rate *X* of saturation, before and after (the mean counts);
//! 2. one connection alone: its p50 *L*;
//! 3. bare ONNX Runtime: the time *r* of each of many runs;
//! 4. an open loop with exponential gaps at 80 % of *X*: the p99 of latencies from the intended arrival.
//!
//! The replay is a queue with one server, as the core is one. Its arrivals are the open loop's, to the
//! nanosecond. It is held by each request for *s = r + h*: the bare run times in the order in which they
//! were measured, again and again, and *h = 1 / X - mean(r)*, what a request takes of the core beside
//! its run when it is busiest. So the replay is 80 % busy as the server is. A reply comes *d = L -
//! median(s)* after its end: what sockets and wake-ups of both sides take when nobody waits, which each
//! request pays and no queue is held by.
//!
//! Beside it stands what a bare hyper echo that runs the model before each answer makes of the same
//! arrivals: where the machine takes its cores away for milliseconds at a time, no server has the
//! replay's tail, and the echo shows how much of it is the machine's.
//!
//! So does the replay of the runs alone (*h = 0*, *d = L - median(r)*): a server that needs no
//! core for anything but the model. For a model of microseconds that is a queue that is hardly busy, so
//! it is no target.

use std::time::Duration;

use benches::bare::{self, Axes};
use benches::echo::{Asked, Echo};
use benches::fifo;
use benches::figures::{median, spread};
use benches::served::{Body, Server};
use benches::server;
use benches::target::{self, Wanted};
use benches::Result;
use probe::{Arrivals, Histogram, Report};

use crate::Bench;

/// Models, what their free axes beside the first are in the known request, and connections that keep
/// the core busy.
const MODELS: [(&str, i64, usize); 3] = [("digits", 1, 32), ("magika", 2048, 8), ("minilm", 9, 8)];
/// Share of saturation.
const LOAD: f64 = 0.8;
/// Connections of the open loop: more than are ever busy.
const CONNECTIONS: usize = 128;
/// An open loop lasts so many intervals: its p99 needs many requests.
const LONGER: u32 = 8;

/// What one round gave, microseconds.
struct Round {
    p99: f64,
    echoed: f64,
    replayed: f64,
    replayed_runs_alone: f64,
    was_late: bool,
    /// Mean run, what a request takes beside it, and what its reply takes beyond both.
    run: f64,
    beside: f64,
    beyond: f64,
}

pub(crate) fn measure(bench: &Bench) -> Result<()> {
    for (model, axis, connections) in MODELS {
        // A queue that takes one after the other shares no runs.
        let settings = [("PLIMSOLL_BATCHING", "off")];
        let server = bench
            .cores
            .serving(|| Server::start(&bench.files, model, &settings))?;
        let file = server::model(model)?;
        let bare = bare::Model {
            library: &bench.files.library,
            file: &file,
            axes: Axes::one_record(axis),
        };
        let time = server.longer() * bench.interval;
        let reply = bench.sender.once(&server.request)?;
        let scratch = tempfile::tempdir()?;
        let echo = Echo {
            reply: &reply,
            threads: 1,
            model: Some(&bare),
            scratch: scratch.path(),
        };
        let echo = Asked::of(bench.cores.serving(|| echo.start())?, &Body::of(model)?)?;
        // Outside the figures: caches, arenas, connections.
        bench.sender.closed(&server.request, connections, time)?;
        bench.sender.closed(&echo.request, connections, time)?;
        let rounds: Result<Vec<Round>> = (0..bench.rounds)
            .map(|round| {
                one_round(
                    bench,
                    (&server, &echo),
                    &bare,
                    connections,
                    time,
                    round as u64,
                )
            })
            .collect();
        say(model, &rounds?);
    }
    Ok(())
}

fn one_round(
    bench: &Bench,
    (server, echo): (&Server, &Asked),
    bare: &bare::Model<'_>,
    connections: usize,
    time: Duration,
    seed: u64,
) -> Result<Round> {
    let saturation = || -> Result<f64> {
        let report = bench.sender.closed(&server.request, connections, time)?;
        Ok(report.achieved_rate)
    };
    let before = saturation()?;
    let alone = bench
        .sender
        .closed(&server.request, 1, time)?
        .latency_us
        .p50
        / 1e6;
    let runs = bare.run_times(&bench.cores, time)?;
    let arrivals = Arrivals::Poisson {
        rate: LOAD * before,
        seed,
    };
    let open = LONGER * time;
    let report: Report = bench
        .sender
        .open(&server.request, arrivals, CONNECTIONS, open)?;
    let echoed: Report = bench
        .sender
        .open(&echo.request, arrivals, CONNECTIONS, open)?;
    let capacity = (before + saturation()?) / 2.0;
    let run = runs.iter().sum::<f64>() / runs.len() as f64;
    let beside = (1.0 / capacity - run).max(0.0);
    let replay = |beside: f64| {
        let beyond = (alone - median(runs.iter().copied()) - beside).max(0.0);
        let services = runs.iter().cycle().map(|run| run + beside);
        let arrivals = arrivals.schedule(open).map(|at| at.as_secs_f64());
        let mut latencies = Histogram::default();
        for latency in fifo::latencies(arrivals, services) {
            latencies.record(Duration::from_secs_f64(latency + beyond));
        }
        (latencies.quantiles().p99, 1e6 * beyond)
    };
    let (replayed, beyond) = replay(beside);
    Ok(Round {
        p99: report.latency_us.p99,
        echoed: echoed.latency_us.p99,
        replayed,
        replayed_runs_alone: replay(0.0).0,
        was_late: report.generator_was_late(),
        run: 1e6 * run,
        beside: 1e6 * beside,
        beyond,
    })
}

fn say(model: &str, rounds: &[Round]) {
    let of = |pick: fn(&Round) -> f64| rounds.iter().map(pick).collect::<Vec<_>>();
    let whole = |us: f64| format!("{us:.0}");
    println!(
        "  {model}: p99 {} µs; replayed {} µs, of the runs alone {} µs",
        spread(&of(|round| round.p99), whole),
        spread(&of(|round| round.replayed), whole),
        spread(&of(|round| round.replayed_runs_alone), whole),
    );
    println!(
        "    a run takes {:.1} µs, a request {:.1} beside it, its reply {:.1} beyond both",
        median(of(|round| round.run).into_iter()),
        median(of(|round| round.beside).into_iter()),
        median(of(|round| round.beyond).into_iter()),
    );
    let late = rounds.iter().filter(|round| round.was_late).count();
    if late > 0 {
        println!("    the sender was late in {late} rounds: believe nothing of those");
    }
    let two = |ratio: f64| format!("{ratio:.2}");
    let alone = of(|round| round.p99 / round.replayed_runs_alone);
    let ratios = of(|round| round.p99 / round.replayed);
    println!(
        "    over the replay {}, over that of the runs alone {}; an echo that runs it, over the replay {}",
        spread(&ratios, two),
        spread(&alone, two),
        spread(&of(|round| round.echoed / round.replayed), two),
    );
    target::say(
        &format!("{model}, p99 at 80 % of saturation over the replay first come, first served"),
        median(ratios.into_iter()),
        Wanted::AtMost(1.2),
    );
}
