//! The request path against its floors: what `plimsoll serve` adds to the kernel's sockets and to
//! ONNX Runtime: for a model so small that everything added shows, and for heavier ones.
//!
//! One core serves, another sends. In each round, one after the other and pinned alike: bare ONNX
//! Runtime, a bare hyper echo of the same bodies, and the server as shipped. The figure is replies
//! per CPU-second of the serving process, which a busy machine disturbs least, as a share of
//! `1 / (1 / bare ONNX Runtime + 1 / echo)`: the limit for a server on hyper that adds nothing.
//!
//! Beside it stands the echo that runs the model before each answer. Alone in a loop, ONNX Runtime
//! finds its code and its branches in the core's caches; between two system calls it does not, and
//! no server of one request at a time can pass that.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

mod cases;
mod setup;

use std::process::ExitCode;
use std::time::Duration;

use benches::bare;
use benches::cores::Cores;
use benches::echo::{self, Echo};
use benches::figures::{count, median, spread};
use benches::options::Options;
use benches::server::Child;
use benches::target::{self, Wanted};
use probe::{closed_loop, open_loop, Arrivals, Limits, Report, Request, Target};

use crate::cases::{Body, Model, MODELS};
use crate::setup::Setup;

use benches::Result;

/// Many short ones: where the machine is shared, its pace changes from second to second, and what is
/// measured side by side sees the same pace.
const ROUNDS: usize = 15;
/// Shares of saturation at which the tail is measured by an open loop.
const LOADS: [f64; 2] = [0.5, 0.8];
/// Connections of the open loop: more than are ever busy.
const OPEN_CONNECTIONS: usize = 128;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let child = echo::child(&words).or_else(|| bare::child(&words));
    let done = child.unwrap_or_else(|| {
        let models = MODELS.map(|model| model.name);
        Options::parse(&words, &models).and_then(|options| bench(&options))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("request_path: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What one shape of body gave, a value a round.
#[derive(Default)]
struct Rounds {
    echo: Vec<Sample>,
    running: Vec<Sample>,
    server: Vec<Sample>,
    /// p50 over one connection, microseconds.
    echo_alone_us: Vec<f64>,
    running_alone_us: Vec<f64>,
    server_alone_us: Vec<f64>,
}

/// One measured interval of a serving process.
#[derive(Clone, Copy)]
struct Sample {
    per_cpu_second: f64,
    per_second: f64,
    /// Share of a core that the process used.
    busy: f64,
}

fn bench(options: &Options) -> Result<()> {
    let cores = Cores::choose()?;
    cores.take_load_core()?;
    println!("request path: one core");
    println!("  machine   {}", cores.describe());
    for model in MODELS.iter().filter(|model| options.wants(model.name)) {
        measure(model, options, &cores)?;
    }
    Ok(())
}

/// All bodies of one model.
fn measure(model: &'static Model, options: &Options, cores: &Cores) -> Result<()> {
    let setup = Setup::find(options, model)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let start = setup.server();
    let mut server = cores.serving(|| start.spawn())?;
    start.wait_until_ready(&mut server)?;
    let bodies = (model.bodies)();
    let mut cases = Vec::new();
    for body in &bodies {
        let request = post(&server, body)?;
        let reply = runtime.block_on(probe::once(&request))?;
        if reply.status != 200 || reply.body.is_empty() {
            let said = String::from_utf8_lossy(&reply.body).into_owned();
            let (name, status) = (body.name, reply.status);
            return Err(format!("{name} was answered with {status}: {said}").into());
        }
        let bare = setup.bare();
        let echo = |model| {
            let echo = Echo {
                reply: &reply,
                threads: 1,
                model,
                scratch: setup.scratch(),
            };
            cores.serving(|| echo.start())
        };
        let (echo, running) = (echo(None)?, echo(Some(&bare))?);
        let echo_request = post(&echo, body)?;
        let running_request = post(&running, body)?;
        cases.push(Case {
            model,
            body,
            reply,
            request,
            echo,
            echo_request,
            running,
            running_request,
        });
    }

    let (long, short) = setup::intervals(options);
    let (long, short) = (long * model.longer, short * model.longer);
    heading(&setup, long);
    let mut bare = Vec::new();
    let mut rounds: Vec<Rounds> = cases.iter().map(|_| Rounds::default()).collect();
    let saturate =
        |request: &Request, time| runtime.block_on(load(request, model.connections, time));
    for case in &cases {
        // Caches, branch predictors and the allocator's arenas, outside the figures.
        saturate(&case.echo_request, short)?;
        saturate(&case.running_request, short)?;
        saturate(&case.request, short)?;
    }
    for _ in 0..ROUNDS {
        bare.push(setup.bare().runs_per_cpu_second(cores, long)?);
        for (case, into) in cases.iter().zip(&mut rounds) {
            let sample = |child: &Child, request| -> Result<Sample> {
                let before = child.cpu_seconds()?;
                let report = saturate(request, long)?;
                let cpu = child.cpu_seconds()? - before;
                Ok(Sample {
                    per_cpu_second: report.answered as f64 / cpu.max(1e-3),
                    per_second: report.achieved_rate,
                    busy: cpu / report.seconds,
                })
            };
            into.echo.push(sample(&case.echo, &case.echo_request)?);
            into.running
                .push(sample(&case.running, &case.running_request)?);
            into.server.push(sample(&server, &case.request)?);
            let alone = |request| -> Result<f64> {
                Ok(runtime.block_on(load(request, 1, short))?.latency_us.p50)
            };
            into.echo_alone_us.push(alone(&case.echo_request)?);
            into.running_alone_us.push(alone(&case.running_request)?);
            into.server_alone_us.push(alone(&case.request)?);
        }
    }
    for (case, rounds) in cases.iter().zip(&rounds) {
        table(case, &bare, rounds);
        let saturation = median(rounds.server.iter().map(|sample| sample.per_second));
        for share in LOADS {
            let report = runtime.block_on(tail(&case.request, share * saturation, 2 * long))?;
            let late = match report.generator_was_late() {
                true => " (the sender was late: believe nothing)",
                false => "",
            };
            println!(
                "  open loop at {:.0} % of saturation: p50 {:.0}, p99 {:.0}, p99.9 {:.0} µs{late}",
                100.0 * share,
                report.latency_us.p50,
                report.latency_us.p99,
                report.latency_us.p999,
            );
        }
    }
    Ok(())
}

/// One body, and the floors that answer it: the echo, and the echo that runs the model.
struct Case<'a> {
    model: &'static Model,
    body: &'a Body,
    reply: probe::Reply,
    request: Request,
    echo: Child,
    echo_request: Request,
    running: Child,
    running_request: Request,
}

fn post(server: &Child, body: &Body) -> Result<Request> {
    let target = Target::parse(&format!("http://127.0.0.1:{}/invocations", server.port()))?;
    let headers = [
        ("content-type", body.content_type.as_str()),
        ("accept", body.accept),
    ];
    Ok(Request::post(&target, &headers, &body.bytes)?)
}

/// Saturates, and refuses to count anything but good replies.
async fn load(request: &Request, connections: usize, duration: Duration) -> Result<Report> {
    let limits = Limits {
        connections,
        timeout: Duration::from_secs(10),
    };
    all_well(closed_loop(request, limits, duration).await?)
}

/// Independent callers at a rate that the server keeps up with.
async fn tail(request: &Request, rate: f64, duration: Duration) -> Result<Report> {
    let limits = Limits {
        connections: OPEN_CONNECTIONS,
        timeout: Duration::from_secs(10),
    };
    let arrivals = Arrivals::Poisson { rate, seed: 1 };
    all_well(open_loop(request, arrivals, limits, duration).await?)
}

fn all_well(report: Report) -> Result<Report> {
    if report.all_well() {
        return Ok(report);
    }
    let trouble = report.first_trouble.unwrap_or_default();
    let bad = report.requested - report.statuses.get(&200).copied().unwrap_or(0);
    Err(format!(
        "{bad} of {} requests went wrong, first: {trouble}",
        report.requested
    )
    .into())
}

fn heading(setup: &Setup, long: Duration) {
    let model = setup.model();
    println!();
    println!("{}", model.name);
    println!("  software  {}", setup.describe());
    println!(
        "  load      closed loop, {} connections, {ROUNDS} rounds of {:.1} s each, \
         interleaved; medians (lowest – highest round)",
        model.connections,
        long.as_secs_f64()
    );
}

fn table(case: &Case<'_>, bare: &[f64], rounds: &Rounds) {
    let per_cpu = |samples: &[Sample]| samples.iter().map(|s| s.per_cpu_second).collect::<Vec<_>>();
    let [echo, running, server] =
        [&rounds.echo, &rounds.running, &rounds.server].map(|s| per_cpu(s));
    let limit: Vec<f64> = bare
        .iter()
        .zip(&echo)
        .map(|(bare, echo)| 1.0 / (1.0 / bare + 1.0 / echo))
        .collect();
    // Round by round, as a slow moment of the machine slows all three.
    let ratio = |floor: &[f64]| -> Vec<f64> {
        let pairs = server.iter().zip(floor);
        pairs.map(|(server, floor)| server / floor).collect()
    };
    let share = ratio(&limit);

    println!();
    println!(
        "body {} ({} bytes, reply {} bytes)",
        case.body.name,
        case.body.bytes.len(),
        case.reply.body.len()
    );
    println!(
        "  {:<20} {:>29} {:>8} {:>11} {:>9} {:>15}",
        "", "replies per CPU-second", "µs each", "replies/s", "core busy", "p50 µs, 1 conn."
    );
    let line = |name: &str, per_cpu: &[f64], samples: &[Sample], alone: &[f64]| {
        let (rate, busy, p50) = if samples.is_empty() {
            Default::default()
        } else {
            let of = |pick: fn(&Sample) -> f64| median(samples.iter().map(pick));
            let busy = format!("{:.0} %", 100.0 * of(|s| s.busy));
            (
                count(of(|s| s.per_second)),
                busy,
                format!("{:.0}", median(alone.iter().copied())),
            )
        };
        println!(
            "  {name:<20} {:>29} {:>8.2} {rate:>11} {busy:>9} {p50:>15}",
            spread(per_cpu, count),
            1e6 / median(per_cpu.iter().copied()),
        );
    };
    line("hyper echo", &echo, &rounds.echo, &rounds.echo_alone_us);
    line("bare ONNX Runtime", bare, &[], &[]);
    line("the limit", &limit, &[], &[]);
    line(
        "echo that runs it",
        &running,
        &rounds.running,
        &rounds.running_alone_us,
    );
    line(
        "plimsoll serve",
        &server,
        &rounds.server,
        &rounds.server_alone_us,
    );
    let two = |value: f64| format!("{value:.2}");
    println!("  share of the limit {}", spread(&share, two));
    println!(
        "  share of the echo that runs it {}",
        spread(&ratio(&running), two)
    );
    println!(
        "  one connection, over the echo that runs it: {} µs",
        spread(
            &over(&rounds.server_alone_us, &rounds.running_alone_us),
            |us| format!("{us:.0}")
        )
    );
    let name = format!(
        "{}, {}, share of the limit",
        case.model.name, case.body.name
    );
    target::say(
        &name,
        median(share.iter().copied()),
        Wanted::AtLeast(case.body.share),
    );
    if let Some(most) = case.model.alone_over_echo_us {
        let name = format!(
            "{}, {}, one connection, µs over the echo",
            case.model.name, case.body.name
        );
        let added = over(&rounds.server_alone_us, &rounds.echo_alone_us);
        target::say(&name, median(added.into_iter()), Wanted::AtMost(most));
    }
}

/// What each round took over the floor beside it.
fn over(values: &[f64], floor: &[f64]) -> Vec<f64> {
    values.iter().zip(floor).map(|(a, b)| a - b).collect()
}
