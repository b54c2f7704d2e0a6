//! What `plimsoll simulate` is asked for.

use std::path::{Path, PathBuf};

use scaling::capacity::Profile;
use scaling::fleet::{breaking_point, InstanceFailure, Mode, Routing, Slo, Workload};
use scaling::simulate::Configuration;
use scaling::study::Study;
use scaling::trace::{Gaps, Kind};

use super::traffic::Traffic;
use super::{of, read};

/// The demonstration's trace: three hours, by minutes.
const DEMO_TRACE: &str = include_str!("demo/trace.csv");
const DEMO_CONFIGURATIONS: [(&str, &str); 3] = [
    ("invocations.json", include_str!("demo/invocations.json")),
    (
        "offered-load-guarded.json",
        include_str!("demo/offered-load-guarded.json"),
    ),
    ("cpu.json", include_str!("demo/cpu.json")),
];

/// More requests in all runs together are followed as a flow, unless it is said otherwise.
const MOST_FOLLOWED: f64 = 300e6;

/// Simulates traffic on an endpoint that Application Auto Scaling scales, and shows what it would have
/// done and what users would have felt.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Replay this scenario: configuration, metrics and what is expected of them, as JSON.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["trace", "demo"])]
    pub(super) scenario: Option<PathBuf>,
    /// The traffic: CSV (`t_s,requests`, or a request a line), or CloudWatch's get-metric-data JSON.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["scenario", "demo"])]
    trace: Option<PathBuf>,
    /// What one instance can do: a capacity profile, as JSON.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["scenario", "demo"])]
    profile: Option<PathBuf>,
    /// A scaling configuration, as JSON; several are compared.
    #[arg(long = "policy", value_name = "FILE", required_unless_present_any = ["scenario", "demo"])]
    policies: Vec<PathBuf>,
    /// Simulate a built-in trace, profile and three configurations.
    #[arg(long, conflicts_with_all = ["trace", "profile", "policies"])]
    demo: bool,
    /// Answers are promised within so many milliseconds; 500 if it is not said, in the demonstration 2000.
    #[arg(long, value_name = "MS")]
    slo_ms: Option<f64>,
    /// The promise holds for so many percent of the requests.
    #[arg(long, value_name = "PERCENT", default_value_t = 99.0)]
    slo_percent: f64,
    /// What an instance costs, dollars an hour.
    #[arg(long, value_name = "USD")]
    price: Option<f64>,
    /// Multiply the traffic.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    scale: f64,
    /// How requests find an instance: `random` or `least-outstanding`.
    #[arg(long, value_name = "HOW", default_value = "random", value_parser = routing)]
    routing: Routing,
    /// How often a caller asks again after a refusal, a time-out or a loss.
    #[arg(long, value_name = "TIMES", default_value_t = 0)]
    retries: u8,
    /// Milliseconds before the first repetition; twice as long before each further one.
    #[arg(long, value_name = "MS", default_value_t = 100.0)]
    backoff_ms: f64,
    /// Milliseconds between an answer and the next request, for traces of `clients`.
    #[arg(long, value_name = "MS", default_value_t = 1000.0)]
    think_ms: f64,
    /// Instances die: at this second, this many. Can be repeated.
    #[arg(long = "fail", value_name = "SECOND[:COUNT]", value_parser = failure)]
    failures: Vec<InstanceFailure>,
    /// What came in bins that the trace leaves out: `refuse` it, `zero` or as in the `previous` one.
    #[arg(long, value_name = "WHAT", value_parser = gaps)]
    gaps: Option<Gaps>,
    /// When the trace begins, such as 2027-01-31T08:00:00Z: what schedules with a time of day need. As the
    /// trace's own time stamps say, if it has any.
    #[arg(long, value_name = "TIME", value_parser = begin)]
    begins: Option<i64>,
    /// Begin the trace at so many points of a minute.
    #[arg(long, value_name = "COUNT", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=60))]
    phases: u64,
    /// Repeat each with so many seeds.
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Follow every request (`requests`), or how many there are (`fluid`); `auto` takes the first up to
    /// 300 million requests in all runs.
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = mode)]
    mode: Option<ModeAsked>,
    /// Set a delay or a switch of every configuration, such as `launch=420`. Can be repeated.
    #[arg(long = "set", value_name = "OPTION=VALUE", value_parser = option)]
    options: Vec<(String, serde_json::Value)>,
    /// Print every event as one JSON object a line.
    #[arg(long)]
    pub(super) events: bool,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write every run as a line of CSV.
    #[arg(long, value_name = "FILE")]
    pub(super) csv: Option<PathBuf>,
    /// Write the report with pictures, as one page.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy)]
enum ModeAsked {
    Auto,
    This(Mode),
}

fn mode(text: &str) -> Result<ModeAsked, String> {
    match text {
        "auto" => Ok(ModeAsked::Auto),
        "requests" => Ok(ModeAsked::This(Mode::Requests)),
        "fluid" => Ok(ModeAsked::This(Mode::Fluid)),
        _ => Err("expected auto, requests or fluid".to_owned()),
    }
}

fn routing(text: &str) -> Result<Routing, String> {
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "random" => Ok(Routing::Random),
        "least-outstanding" | "least-outstanding-requests" => Ok(Routing::LeastOutstanding),
        _ => Err("expected random or least-outstanding".to_owned()),
    }
}

fn gaps(text: &str) -> Result<Gaps, String> {
    match text {
        "refuse" => Ok(Gaps::Refuse),
        "zero" => Ok(Gaps::Zero),
        "previous" => Ok(Gaps::Previous),
        _ => Err("expected refuse, zero or previous".to_owned()),
    }
}

fn failure(text: &str) -> Result<InstanceFailure, String> {
    let (at, instances) = text.split_once(':').unwrap_or((text, "1"));
    match (at.parse(), instances.parse()) {
        (Ok(at), Ok(instances)) if instances > 0 && at < 1 << 32 => {
            Ok(InstanceFailure { at, instances })
        }
        _ => Err("expected a second and a number of instances, such as 1800:2".to_owned()),
    }
}

fn begin(text: &str) -> Result<i64, String> {
    scaling::simulate::begin(text).map_err(|error| error.reason)
}

fn option(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected OPTION=VALUE, such as launch=420")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

/// What is simulated.
pub(super) struct Given {
    pub(super) study: Study,
    pub(super) traffic: Traffic,
}

impl Args {
    /// Reads the files, and checks all of it.
    pub(super) fn given(&self) -> Result<Given, String> {
        let profile = self.profile()?;
        let default_gaps = self.gaps;
        let traffic = match &self.trace {
            Some(file) => Traffic::file(file, default_gaps, &profile),
            None => Traffic::text(DEMO_TRACE, &profile),
        }?;
        let workload = Workload {
            profile,
            slo: Slo {
                latency_ms: self
                    .slo_ms
                    .unwrap_or(if self.demo { 2000.0 } else { 500.0 }),
                percent: self.slo_percent,
            },
            scale: self.scale,
            routing: self.routing,
            retries: self.retries,
            backoff_ms: self.backoff_ms,
            think_ms: self.think_ms,
            failures: self.failures.clone(),
        };
        let told = |error: scaling::policy::Invalid| error.to_string();
        workload.check().map_err(told)?;
        if let Some(price) = self.price {
            if !(0.0..=1e6).contains(&price) {
                return Err(format!(
                    "--price: {price}; expected 0 to 1000000 dollars an hour"
                ));
            }
        }
        let mut study = Study {
            configurations: self.configurations()?,
            begins: self.begins.or(traffic.survey().begins),
            secs: traffic.survey().secs.ceil() as u64,
            phases: (0..self.phases)
                .map(|phase| phase * 60 / self.phases)
                .collect(),
            seeds: (self.seed..self.seed.saturating_add(self.seeds)).collect(),
            mode: Mode::Requests,
            rate: 1.0,
            price: self.price,
            workload,
        };
        study.check().map_err(told)?;
        let survey = traffic.survey();
        // Where the trace says of which class requests are, their shares are what it says.
        if survey.by_class.iter().any(|&requests| requests > 0.0) {
            let classes = study.workload.profile.classes.iter_mut();
            for (class, &requests) in classes.zip(&survey.by_class) {
                class.share = requests;
            }
        }
        study.rate = breaking_point(&study.workload, survey.costs).map_err(told)?;
        let runs = study.cases().map_err(told)?.len() as f64;
        let requests = survey.requests * self.scale;
        let requests = match survey.kind {
            // Seconds of callers ÷ what one of their rounds takes.
            Kind::Clients => {
                requests / (study.workload.profile.mean_secs() + self.think_ms / 1000.0).max(1e-6)
            }
            _ => requests,
        };
        study.mode = match self.mode {
            Some(ModeAsked::This(mode)) => mode,
            _ if self.retries == 0 && requests * runs > MOST_FOLLOWED => Mode::Fluid,
            _ => Mode::Requests,
        };
        Ok(Given { study, traffic })
    }

    fn profile(&self) -> Result<Profile, String> {
        match &self.profile {
            Some(file) => Profile::parse(&read(file)?).map_err(|error| of(file, &error)),
            None => Ok(Profile::example()),
        }
    }

    fn configurations(&self) -> Result<Vec<Configuration>, String> {
        let mut configurations = Vec::new();
        if self.demo {
            for (file, text) in DEMO_CONFIGURATIONS {
                configurations.push(self.configuration(Path::new(file), text)?);
            }
        }
        for file in &self.policies {
            configurations.push(self.configuration(file, &read(file)?)?);
        }
        Ok(configurations)
    }

    fn configuration(&self, file: &Path, text: &str) -> Result<Configuration, String> {
        let mut configuration = Configuration::parse(text).map_err(|error| of(file, &error))?;
        if configuration.name.is_empty() {
            let stem = file.file_stem().unwrap_or_default();
            configuration.name = stem.to_string_lossy().into_owned();
        }
        for (name, value) in &self.options {
            configuration.options.insert(name.clone(), value.clone());
        }
        Ok(configuration)
    }
}
