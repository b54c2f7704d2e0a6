//! `OfferedLoad` against the arrivals: is it what it says, the arrival rate in percent of what the
//! server can do?
//!
//! For each model, with requests sharing runs and not, on one and two intra-op threads: a closed loop
//! measures the capacity, then open loops send fixed shares of it, over many connections and over
//! one, while the metric is read from `GET /metrics` once a second. What one connection cannot carry
//! is left out of its rows. Past 100 % there are enough connections to fill the queue and be refused.
//!
//! A machine that is shared gets slower and faster while it is measured. So the capacity is measured
//! before each load and after it, the load is held against the mean of both, and what was measured
//! while they differed, or while a core changed its pace, is measured again; after a few times the row
//! has the mean of all, and says that it was not steady.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

mod cases;
mod page;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use benches::cores::{stolen_secs, Cores};
use benches::options::Options;
use benches::pace::Pace;
use benches::server::{self, Child, Start};
use benches::Result;
use probe::{closed_loop, open_loop, Arrivals, Limits, Report, Request, Target};

use cases::{Case, MODELS};

/// Shares of the capacity, percent; the last is more than there is.
const SHARES: [f64; 6] = [10.0, 25.0, 50.0, 75.0, 95.0, 150.0];
/// More than may wait for a slot: past capacity some must be refused.
const TOO_MANY: usize = 512;
/// Requests a second that every model gets alike, to compare what they ask for.
const SAME_RATE: f64 = 20.0;
/// How long the capacity is measured before and after each load.
const CAPACITY_FOR: Duration = Duration::from_secs(2);
/// What was measured while the capacity or a core's pace changed by more is measured again, so many
/// times in all.
const STEADY_WITHIN: f64 = 0.07;
const TRIES: usize = 6;
/// How far from the arrivals the metric may be up to 95 %.
const LINEAR_WITHIN: f64 = 0.10;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match Options::parse(&words, &MODELS).and_then(|options| bench(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("linearity: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the metric read at one load.
#[derive(Clone, Copy)]
struct Reading {
    /// Arrivals in percent of the capacity around them.
    share: f64,
    /// The metric, percent.
    load: f64,
    /// Whether the capacity was the same before and after.
    is_steady: bool,
}

impl Reading {
    fn deviation(&self) -> f64 {
        (self.load / self.share - 1.0).abs()
    }
}

/// What one case gave, one reading for each share; none where the load could not be sent.
struct Row {
    case: Case,
    connections: usize,
    /// Requests a second, the mean over the row.
    capacity: f64,
    readings: Vec<Option<Reading>>,
    /// CPU time that the host's other tenants took meanwhile, percent of one CPU.
    stolen: f64,
}

impl Row {
    /// The readings up to 95 % of capacity.
    fn to_95(&self) -> impl Iterator<Item = &Reading> {
        let shares = SHARES.iter().zip(&self.readings);
        shares
            .filter(|(share, _)| **share <= 95.0)
            .filter_map(|(_, reading)| reading.as_ref())
    }

    /// The largest deviation of those that were steady.
    fn deviation(&self) -> Option<f64> {
        self.to_95()
            .filter(|reading| reading.is_steady)
            .map(Reading::deviation)
            .max_by(f64::total_cmp)
    }
}

fn bench(options: &Options) -> Result<()> {
    let cores = Cores::choose()?;
    cores.take_load_core()?;
    println!("linearity: {}", cores.describe());
    println!(
        "OfferedLoad in percent, read once a second, at arrivals of about so many percent of the capacity ({STEADY_WITHIN} is how far that may change meanwhile; ~ where it changed by more)"
    );
    let load = Duration::from_millis(if options.quick { 3_500 } else { 4_500 });
    let binary = options.server()?;
    let library = server::library()?;
    let mut rows = Vec::new();
    let mut alike = Vec::new();
    print_head();
    for case in cases::all(options) {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("model"))?;
        std::fs::copy(
            server::model(case.model)?,
            folder.path().join("model/model.onnx"),
        )?;
        let start = Start {
            binary: &binary,
            word: "serve",
            library: &library,
            base_dir: folder.path(),
            log: folder.path().join("log"),
            environment: case.environment(),
        };
        let mut child = match case.cores() {
            1 => cores.serving(|| start.spawn())?,
            _ => cores.on_both(|| start.spawn())?,
        };
        start.wait_until_ready(&mut child)?;
        let pace = cores.watch(case.cores());
        for row in measure(load, &case, &child, &pace)? {
            print_row(&row);
            rows.push(row);
        }
        if case.threads == 1 && case.batching == "off" {
            alike.push((case.model, at_the_same_rate(load, &case, &child)?));
        }
    }
    let readings: Vec<&Reading> = rows.iter().flat_map(Row::to_95).collect();
    let steady: Vec<_> = readings.iter().filter(|r| r.is_steady).collect();
    let within = steady.iter().filter(|r| r.deviation() <= LINEAR_WITHIN);
    let worst = steady.iter().map(|r| r.deviation()).fold(0.0, f64::max);
    println!(
        "of {} readings up to 95 % {} were taken while the capacity was steady; of those {} are within {:.0} %, and the largest deviation is {:.1} %",
        readings.len(),
        steady.len(),
        within.count(),
        100.0 * LINEAR_WITHIN,
        100.0 * worst
    );
    println!();
    println!("The same {SAME_RATE} requests a second to each model, one thread, not batched:");
    println!("| model | InvocationsPerInstance (Sum, a minute) | OfferedLoad |");
    println!("|---|---|---|");
    for (model, (invocations, load)) in alike {
        println!("| {model} | {invocations:.0} | {load:.2} |");
    }
    Ok(())
}

/// What SageMaker would count a minute, one instance running, and what the metric reads.
fn at_the_same_rate(load: Duration, case: &Case, child: &Child) -> Result<(f64, f64)> {
    let runtime = runtime()?;
    let request = request(case, child)?;
    let (report, reading) = at_rate(&runtime, &request, case.connections(), SAME_RATE, load)?;
    let a_minute = 60.0 * report.answered as f64 / report.seconds;
    Ok((a_minute, reading.ok_or("no reading")?))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

fn request(case: &Case, child: &Child) -> Result<Request> {
    let target = Target::parse(&format!("http://127.0.0.1:{}/invocations", child.port()))?;
    let content = [("Content-Type", "application/json")];
    Ok(Request::new("POST", &target, &content, &case.body()?)?)
}

/// The rows of one server: over many connections, and over one.
fn measure(time: Duration, case: &Case, child: &Child, pace: &Pace) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let request = request(case, child)?;
    // The first load wakes everything up.
    capacity(&runtime, &request, case, time / 2)?;
    let mut rows = Vec::new();
    for connections in [case.connections(), 1] {
        let (begun, stolen) = (Instant::now(), stolen_secs());
        let mut readings = Vec::new();
        let mut capacities = Vec::new();
        let mut last = None;
        for share in SHARES {
            let at_once = match share > 100.0 && connections > 1 {
                true => TOO_MANY,
                false => connections,
            };
            let mut taken = Vec::new();
            for _ in 0..TRIES {
                let (begun, before) = match last.take() {
                    Some(last) => last,
                    None => (
                        Instant::now(),
                        capacity(&runtime, &request, case, CAPACITY_FOR)?,
                    ),
                };
                let rate = before * share / 100.0;
                let loaded = Instant::now();
                let (report, load) = at_rate(&runtime, &request, at_once, rate, time)?;
                let again = Instant::now();
                let after = capacity(&runtime, &request, case, CAPACITY_FOR)?;
                last = Some((again, after));
                let paces = pace.changed(&[begun, loaded, again, Instant::now()]);
                let mean = (before + after) / 2.0;
                capacities.push(mean);
                let sent = report.sent as f64 / report.seconds;
                // Nobody can blame the metric for what was not sent.
                let is_sent = sent >= 0.97 * rate && report.seconds < 1.2 * time.as_secs_f64()
                    || share > 100.0 && connections > 1;
                let is_steady = (after / before - 1.0).abs() <= STEADY_WITHIN
                    && paces.is_some_and(|changed| changed <= STEADY_WITHIN);
                let Some(load) = load.filter(|_| is_sent) else {
                    break;
                };
                let reading = Reading {
                    share: 100.0 * rate / mean,
                    load,
                    is_steady,
                };
                if is_steady {
                    taken = vec![reading];
                    break;
                }
                taken.push(reading);
            }
            let reading = mean_of(&taken);
            readings.push(reading);
            if reading.is_none() && connections == 1 {
                break;
            }
        }
        readings.resize(SHARES.len(), None);
        rows.push(Row {
            case: case.clone(),
            connections,
            capacity: capacities.iter().sum::<f64>() / capacities.len().max(1) as f64,
            readings,
            stolen: 100.0 * (stolen_secs() - stolen) / begun.elapsed().as_secs_f64(),
        });
    }
    Ok(rows)
}

/// One reading of several; none of none.
fn mean_of(readings: &[Reading]) -> Option<Reading> {
    let mean =
        |of: fn(&Reading) -> f64| readings.iter().map(of).sum::<f64>() / readings.len() as f64;
    readings.first().map(|first| Reading {
        share: mean(|reading| reading.share),
        load: mean(|reading| reading.load),
        is_steady: first.is_steady,
    })
}

/// Requests a second that the server answers in a closed loop.
fn capacity(
    runtime: &tokio::runtime::Runtime,
    request: &Request,
    case: &Case,
    load: Duration,
) -> Result<f64> {
    let report = runtime.block_on(closed_loop(request, limits(case.connections()), load))?;
    if !report.all_well() {
        let trouble = report.first_trouble.unwrap_or_default();
        return Err(format!("{}: {trouble}", case.model).into());
    }
    Ok(report.achieved_rate)
}

/// Sends at a rate; the report, and the mean of what the metric read meanwhile.
fn at_rate(
    runtime: &tokio::runtime::Runtime,
    request: &Request,
    connections: usize,
    rate: f64,
    load: Duration,
) -> Result<(Report, Option<f64>)> {
    let port = request.target().port();
    // Whole seconds inside the load: the metric is taken on the second.
    let reader = std::thread::spawn(move || page::read_during(port, load));
    // Equal gaps: at a few requests a second chance would move a reading by more than the metric.
    let arrivals = Arrivals::Constant { rate };
    let report = runtime.block_on(open_loop(request, arrivals, limits(connections), load))?;
    let readings = reader.join().unwrap_or_default();
    let mean = readings.iter().sum::<f64>() / readings.len().max(1) as f64;
    Ok((report, (!readings.is_empty()).then_some(mean)))
}

fn limits(connections: usize) -> Limits {
    Limits {
        connections,
        timeout: Duration::from_secs(30),
    }
}

fn print_head() {
    print!("| model | batching | threads on cores | connections | capacity /s |");
    for share in SHARES {
        print!(" {share:.0} |");
    }
    println!(" stolen by others on the host | largest deviation to 95 |");
    println!(
        "|---|---|---|---|---|{}---|---|",
        "---|".repeat(SHARES.len())
    );
}

fn print_row(row: &Row) {
    print!(
        "| {} | {} | {} on {} | {} | {:.0} |",
        row.case.model,
        row.case.batching,
        row.case.threads,
        row.case.cores(),
        row.connections,
        row.capacity
    );
    for reading in &row.readings {
        match reading {
            Some(reading) if reading.is_steady => print!(" {:.1} |", reading.load),
            Some(reading) => print!(" ~{:.1} of {:.1} |", reading.load, reading.share),
            None => print!(" – |"),
        }
    }
    print!(" {:.1} % |", row.stolen);
    match row.deviation() {
        Some(deviation) => println!(" {:.1} % |", 100.0 * deviation),
        None => println!(" – |"),
    }
}
