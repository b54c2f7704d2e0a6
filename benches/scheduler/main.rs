//! The scheduler: what more threads, shared runs, overload and long runs cost or bring.
//!
//! Whatever is compared runs in pairs, one after the other in each of several short rounds, and the
//! median of the rounds' ratios is what a target is held against: a machine that is shared gets
//! slower and faster, both sides of a pair feel it.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

mod token_step;

use std::process::ExitCode;
use std::time::Duration;

use benches::bare::{self, Axes};
use benches::cores::Cores;
use benches::echo::{self, Asked, Echo};
use benches::figures::{count, median, spread};
use benches::load::{all_well, limits, Sender};
use benches::options::{Options, Part};
use benches::served::{Body, Files, Server};
use benches::server::{self, Child};
use benches::target::{self, Wanted};
use benches::Result;
use probe::{closed_loop, open_loop, Arrivals, Report, Request};

/// Pairs of one comparison.
const ROUNDS: usize = 9;
/// Arrivals of an overload, as a multiple of what the server can do.
const OVERLOADS: [f64; 3] = [1.5, 3.0, 5.0];
/// More than may wait for a slot: past capacity some must be refused.
const TOO_MANY: usize = 512;
/// Connections that keep a core busy, and as many as may wait at once.
const FEW: usize = 32;
const FULL: usize = 128;
/// Texts that take a step together, and how often that is measured.
const TEXTS: [usize; 3] = [8, 16, 32];
const BARE_ROUNDS: usize = 3;
/// Looks at `/ping` a second.
const PINGS: f64 = 100.0;

const PARTS: [Part<Bench>; 4] = [
    ("threads", threads),
    ("batching", batching),
    ("overload", overload),
    ("ping", ping),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match echo::child(&words)
        .or_else(|| bare::child(&words))
        .unwrap_or_else(|| bench(&words))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("scheduler: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What every part needs.
struct Bench {
    files: Files,
    cores: Cores,
    sender: Sender,
    /// Length of one measured interval.
    interval: Duration,
}

fn bench(words: &[String]) -> Result<()> {
    let options = Options::parse(words, &PARTS.map(|part| part.0))?;
    let cores = Cores::choose()?;
    cores.take_load_core()?;
    println!("scheduler: {}", cores.describe());
    let bench = Bench {
        files: Files::find(&options)?,
        cores,
        sender: Sender::new()?,
        interval: Duration::from_millis(if options.quick { 200 } else { 800 }),
    };
    options.measure(&bench, &PARTS)
}

impl Bench {
    fn closed(&self, request: &Request, connections: usize, longer: u32) -> Result<Report> {
        self.sender
            .closed(request, connections, longer * self.interval)
    }

    /// Replies per CPU-second of the server at saturation.
    fn per_cpu_second(&self, server: &Server, connections: usize) -> Result<f64> {
        let before = server.child.cpu_seconds()?;
        let report = self.closed(&server.request, connections, server.longer())?;
        Ok(report.answered as f64 / (server.child.cpu_seconds()? - before))
    }

    /// `measure` on both servers in each round; the second's value over the first's.
    fn ratios(
        &self,
        pair: [&Server; 2],
        measure: impl Fn(&Server) -> Result<f64>,
    ) -> Result<Vec<f64>> {
        let [base, other] = pair;
        // Outside the figures: caches, arenas, connections.
        measure(base)?;
        measure(other)?;
        (0..ROUNDS)
            .map(|_| {
                let base = measure(base)?;
                Ok(measure(other)? / base)
            })
            .collect()
    }
}

/// Two cores against one: does a reply cost more CPU time where threads share the work? Without
/// batching, which each server decides for itself. The sender
/// shares the second core, and with so many connections on two threads each wake-up brings fewer
/// requests: what that does to a server that adds nothing is seen on the echo that runs the model.
fn threads(bench: &Bench) -> Result<()> {
    for (model, axis) in [("digits", 1), ("magika", 2048)] {
        let settings = [("PLIMSOLL_BATCHING", "off")];
        let start = || Server::start(&bench.files, model, &settings);
        let (one, two) = (bench.cores.serving(start)?, bench.cores.on_both(start)?);
        let reply = bench.sender.once(&one.request)?;
        let file = server::model(model)?;
        let bare = bare::Model {
            library: &bench.files.library,
            file: &file,
            axes: Axes::one_record(axis),
        };
        let scratch = tempfile::tempdir()?;
        let echo = |threads| Echo {
            reply: &reply,
            threads,
            model: Some(&bare),
            scratch: scratch.path(),
        };
        let body = Body::of(model)?;
        let one_echo = Asked::of(bench.cores.serving(|| echo(1).start())?, &body)?;
        let two_echo = Asked::of(bench.cores.on_both(|| echo(2).start())?, &body)?;
        for connections in [2, 64] {
            let measure = |child: &Child, request: &Request| -> Result<f64> {
                let before = child.cpu_seconds()?;
                let report = bench.closed(request, connections, one.longer())?;
                Ok(report.answered as f64 / (child.cpu_seconds()? - before))
            };
            let all = || -> Result<(f64, f64)> {
                let server = |server: &Server| measure(&server.child, &server.request);
                let echo = |echo: &Asked| measure(&echo.child, &echo.request);
                let served = (server(&one)?, server(&two)?);
                let echoed = (echo(&one_echo)?, echo(&two_echo)?);
                Ok((served.1 / served.0, echoed.1 / echoed.0))
            };
            // Outside the figures: caches, arenas, connections.
            all()?;
            let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| all()).collect::<Result<_>>()?;
            let echoed: Vec<f64> = rounds.iter().map(|(_, echoed)| *echoed).collect();
            println!(
                "  {model}, {connections} connections, an echo that runs it on two cores over one: {}",
                spread(&echoed, |ratio| format!("{ratio:.2}"))
            );
            let served: Vec<f64> = rounds.iter().map(|(served, _)| *served).collect();
            say(
                &format!(
                    "{model}, {connections} connections, replies per CPU-second on two cores over one"
                ),
                &served,
                Wanted::AtLeast(0.9),
            );
        }
    }
    Ok(())
}

/// Requests that share runs against one run each.
fn batching(bench: &Bench) -> Result<()> {
    for model in [
        "boosted", "digits", "churn", "minilm", "magika", "resnet50", "gpt2",
    ] {
        let body = match model {
            "gpt2" => token_step::body(),
            _ => Body::of(model)?,
        };
        let start = |batching| {
            let settings = [("PLIMSOLL_BATCHING", batching)];
            bench
                .cores
                .serving(|| Server::asked(&bench.files, model, &settings, &body))
        };
        let (off, auto) = (start("off")?, start("auto")?);
        let ratios = bench.ratios([&off, &auto], |server| bench.per_cpu_second(server, 64))?;
        let least = match model {
            "boosted" => 4.0,
            "gpt2" => 3.0,
            _ => 0.97,
        };
        say(
            &format!("{model}, 64 connections, replies per CPU-second batched over not"),
            &ratios,
            Wanted::AtLeast(least),
        );
        match model {
            "boosted" => {
                let alone =
                    |server: &Server| Ok(bench.closed(&server.request, 1, 1)?.latency_us.p50);
                say(
                    &format!("{model}, one connection, p50 batched over not"),
                    &bench.ratios([&off, &auto], alone)?,
                    Wanted::AtMost(1.05),
                );
            }
            "gpt2" => {
                println!(
                    "  gpt2: {}",
                    auto.said("batching").unwrap_or_default().trim()
                );
                bare_batches(bench, body.bytes.len())?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What ONNX Runtime alone gains where several texts take a step together: the most that sharing runs
/// can bring.
fn bare_batches(bench: &Bench, body_bytes: usize) -> Result<()> {
    println!(
        "  gpt2: a body of {body_bytes} bytes, {} tokens kept; steps per CPU-second of bare ONNX Runtime over those of one text:",
        token_step::KEPT
    );
    let file = server::model("gpt2")?;
    let steps = |texts: usize| -> Result<f64> {
        let model = bare::Model {
            library: &bench.files.library,
            file: &file,
            axes: token_step::axes(texts),
        };
        let time = 2 * bench.interval;
        Ok(texts as f64 * model.runs_per_cpu_second(&bench.cores, time)?)
    };
    for texts in TEXTS {
        let gains: Result<Vec<f64>> = (0..BARE_ROUNDS)
            .map(|_| {
                let one = steps(1)?;
                Ok(steps(texts)? / one)
            })
            .collect();
        println!(
            "    {texts} texts: {}",
            spread(&gains?, |gain| format!("{gain:.2}"))
        );
    }
    Ok(())
}

/// Up to five times as many arrivals as the server can do: what is still answered with 200, as a
/// share of what it answers at its best.
fn overload(bench: &Bench) -> Result<()> {
    for model in ["boosted", "minilm"] {
        let settings = [("PLIMSOLL_BATCHING", "off")];
        let server = bench
            .cores
            .serving(|| Server::start(&bench.files, model, &settings))?;
        let peak = || -> Result<f64> {
            let report = bench.closed(&server.request, 16, server.longer())?;
            Ok(report.achieved_rate)
        };
        peak()?;
        let resident = server.resident_mb()?;
        for times in OVERLOADS {
            let mut shares = Vec::new();
            for _ in 0..ROUNDS {
                let before = peak()?;
                let arrivals = Arrivals::Constant {
                    rate: times * before,
                };
                let time = 2 * server.longer() * bench.interval;
                let load = open_loop(&server.request, arrivals, limits(TOO_MANY), time);
                let report = bench.sender.run(load)?;
                let good = report.statuses.get(&200).copied().unwrap_or(0) as f64;
                shares.push(good / report.seconds / ((before + peak()?) / 2.0));
            }
            say(
                &format!("{model}, {times} times the arrivals, goodput over its peak"),
                &shares,
                Wanted::AtLeast(0.95),
            );
        }
        println!(
            "  {model}: resident {:.0} MB before, {:.0} MB after",
            resident,
            server.resident_mb()?
        );
    }
    many_connections(bench)
}

/// A model of microseconds runs on the thread that reads: what is too much waits in the sockets. Beside
/// it the echo that runs the model, which shows what so many connections cost the sender and the kernel.
fn many_connections(bench: &Bench) -> Result<()> {
    let server = bench
        .cores
        .serving(|| Server::start(&bench.files, "digits", &[]))?;
    let reply = bench.sender.once(&server.request)?;
    let file = server::model("digits")?;
    let bare = bare::Model {
        library: &bench.files.library,
        file: &file,
        axes: Axes::one_record(1),
    };
    let scratch = tempfile::tempdir()?;
    let echo = Echo {
        reply: &reply,
        threads: 1,
        model: Some(&bare),
        scratch: scratch.path(),
    };
    let started = bench.cores.serving(|| echo.start())?;
    let echo = Asked::of(started, &Body::of("digits")?)?;
    let good = |request: &Request, connections| -> Result<f64> {
        let load = closed_loop(request, limits(connections), bench.interval);
        let report = bench.sender.run(load)?;
        let good = report.statuses.get(&200).copied().unwrap_or(0);
        Ok(good as f64 / report.seconds)
    };
    for connections in [FULL, TOO_MANY] {
        let share = |request: &Request| -> Result<f64> {
            let few = good(request, FEW)?;
            Ok(good(request, connections)? / few)
        };
        // Outside the figures: caches, arenas, connections.
        share(&server.request)?;
        share(&echo.request)?;
        let (mut served, mut echoed) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            served.push(share(&server.request)?);
            echoed.push(share(&echo.request)?);
        }
        println!(
            "  digits, {connections} connections over {FEW}, an echo that runs it: {}",
            spread(&echoed, |ratio| format!("{ratio:.2}"))
        );
        say(
            &format!("digits, {connections} connections over {FEW}, good replies a second"),
            &served,
            Wanted::AtLeast(0.8),
        );
    }
    Ok(())
}

/// `/ping` while every worker runs a model of some 90 ms.
fn ping(bench: &Bench) -> Result<()> {
    let server = bench
        .cores
        .on_both(|| Server::start(&bench.files, "resnet50", &[]))?;
    let time = 8 * bench.interval;
    let (request, ping) = (&server.request, server.get("/ping")?);
    let arrivals = Arrivals::Constant { rate: PINGS };
    let (load, pings) = bench.sender.run(async {
        tokio::join!(
            closed_loop(request, limits(8), time),
            open_loop(&ping, arrivals, limits(4), time)
        )
    });
    let (load, pings) = (all_well(load?)?, all_well(pings?)?);
    println!(
        "  resnet50: {} runs a second; /ping p50 {:.2} ms",
        count(load.achieved_rate),
        pings.latency_us.p50 / 1e3
    );
    target::say(
        "resnet50 on every worker, p99 of /ping in ms",
        pings.latency_us.p99 / 1e3,
        Wanted::AtMost(10.0),
    );
    Ok(())
}

fn say(name: &str, ratios: &[f64], wanted: Wanted) {
    println!("  {}", spread(ratios, |ratio| format!("{ratio:.2}")));
    target::say(name, median(ratios.iter().copied()), wanted);
}
