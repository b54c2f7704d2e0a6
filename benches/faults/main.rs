//! What a fault of the publishing side costs the requests: nothing, if the sidecar keeps its word.
//!
//! For each fault two servers as shipped stand on the same core, one with it and one in health, and
//! take turns at the same open load. The figure is the median of the ratios of their p99, pair by
//! pair: what else the machine does hits both. Publishing goes on all the time, every ten seconds,
//! so that both do it several times in a run; no load is timed to it.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

mod cases;
#[path = "../../tests/support/faulty.rs"]
#[expect(dead_code, reason = "tests also watch it and change it as it runs")]
mod faulty;
#[path = "../../tests/support/nvml/stand_in.rs"]
#[expect(dead_code, reason = "tests also count its starts")]
mod nvml;
mod process;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use benches::cores::Cores;
use benches::options::Options;
use benches::server::{self, Child, Start};
use benches::Result;
use probe::{open_loop, Arrivals, Limits, Request, Target};

use cases::{Around, Case, CASES};

/// Requests a second: far from saturation, so that p99 is the server's own.
const RATE: f64 = 300.0;
/// The bound that the median ratio is to keep.
const BOUND: f64 = 1.10;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match Options::parse(&words, &[]).and_then(|options| bench(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("faults: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> Result<()> {
    let cores = Cores::choose()?;
    cores.take_load_core()?;
    println!("faults: {}", cores.describe());
    let (pairs, load) = match options.quick {
        true => (3, Duration::from_millis(500)),
        false => (10, Duration::from_millis(1_500)),
    };
    println!(
        "{} pairs of {} s at {RATE} requests/s; digits, one row of JSON; p99 with the fault ÷ without",
        pairs,
        load.as_secs_f64()
    );
    let binary = options.server()?;
    println!(
        "| fault | median p99 ratio | lowest–highest | p99 in health, µs | RSS growth with, without, kB | periods published, dropped; attempts failed | in health |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut within = 0;
    for (name, case) in CASES {
        let row = measure(pairs, load, &cores, &binary, case)?;
        within += usize::from(row.ratio() <= BOUND);
        println!("| {name} {row}");
    }
    println!("{within} of {} medians are at most {BOUND}", CASES.len());
    Ok(())
}

/// One of the two servers.
struct Side {
    child: Child,
    request: Request,
    rss_before: u64,
    // Dropped after the server.
    _blocked: Option<std::io::PipeReader>,
    _folder: tempfile::TempDir,
    _around: Around,
}

impl Side {
    fn start(cores: &Cores, binary: &Path, case: Case, faulty: bool) -> Result<Self> {
        let around = Around::new(case, faulty);
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("model"))?;
        std::fs::copy(
            server::model("digits")?,
            folder.path().join("model/model.onnx"),
        )?;
        let (blocked, stdout) = match around.stdout_blocked {
            true => process::blocked_stdout().map(|(reader, own)| (Some(reader), Some(own)))?,
            false => (None, None),
        };
        let library = server::library()?;
        let start = Start {
            binary,
            word: "serve",
            library: &library,
            base_dir: folder.path(),
            log: folder.path().join("log"),
            environment: around.environment.clone(),
        };
        let mut child = cores.serving(|| start.spawn_with(stdout))?;
        start.wait_until_ready(&mut child)?;
        let target = Target::parse(&format!("http://127.0.0.1:{}/invocations", child.port()))?;
        let content = [("Content-Type", "application/json")];
        let request = Request::new("POST", &target, &content, &server::request("digits")?)?;
        Ok(Self {
            child,
            request,
            rss_before: 0,
            _blocked: blocked,
            _folder: folder,
            _around: around,
        })
    }

    /// The p99 of a load, microseconds.
    fn p99(&self, runtime: &tokio::runtime::Runtime, load: Duration) -> Result<f64> {
        let limits = Limits {
            connections: 16,
            timeout: Duration::from_secs(30),
        };
        let arrivals = Arrivals::Constant { rate: RATE };
        let report = runtime.block_on(open_loop(&self.request, arrivals, limits, load))?;
        if !report.all_well() {
            return Err(report.first_trouble.unwrap_or_default().into());
        }
        Ok(report.latency_us.p99)
    }

    fn growth(&self) -> Result<i64> {
        Ok(process::rss_kb(self.child.id())? as i64 - self.rss_before as i64)
    }
}

struct Row {
    ratios: Vec<f64>,
    healthy_p99: f64,
    growth: [i64; 2],
    counts: [String; 2],
}

impl Row {
    fn ratio(&self) -> f64 {
        median(&self.ratios)
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lowest = self.ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = self.ratios.iter().copied().fold(0.0, f64::max);
        write!(
            f,
            "| {:.2} | {lowest:.2}–{highest:.2} | {:.0} | {}, {} | {} | {} |",
            self.ratio(),
            self.healthy_p99,
            self.growth[0],
            self.growth[1],
            self.counts[0],
            self.counts[1]
        )
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

fn measure(pairs: usize, load: Duration, cores: &Cores, binary: &Path, case: Case) -> Result<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut with = Side::start(cores, binary, case, true)?;
    let mut without = Side::start(cores, binary, case, false)?;
    for side in [&mut with, &mut without] {
        // The first load wakes everything up.
        side.p99(&runtime, load)?;
        side.rss_before = process::rss_kb(side.child.id())?;
    }
    let (mut ratios, mut healthy) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        // Either goes first as often as the other.
        let (faulty, well) = if pair % 2 == 0 {
            let faulty = with.p99(&runtime, load)?;
            (faulty, without.p99(&runtime, load)?)
        } else {
            let well = without.p99(&runtime, load)?;
            (with.p99(&runtime, load)?, well)
        };
        ratios.push(faulty / well);
        healthy.push(well);
    }
    Ok(Row {
        ratios,
        healthy_p99: median(&healthy),
        growth: [with.growth()?, without.growth()?],
        counts: [
            process::counts(&runtime, with.child.port())?,
            process::counts(&runtime, without.child.port())?,
        ],
    })
}
