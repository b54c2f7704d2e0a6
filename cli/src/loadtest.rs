//! `plimsoll loadtest`: sends load to any HTTP address and says how it was answered. Arguments and
//! printing only; the load itself is [`probe`]'s.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use probe::{closed_loop, open_loop, Arrivals, Limits, Quantiles, Report, Request, Target};

/// Wrong usage, as `sysexits.h` has it.
const EX_USAGE: u8 = 64;
/// Longest run and time-out, seconds: a day. More is a slip of the keyboard.
const MAX_SECONDS: f64 = 86_400.0;

/// Sends load to a server and reports latency from the moment each request was due.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to send, such as http://localhost:8080/invocations.
    url: String,
    /// Requests per second, arriving independently of replies (a Poisson stream).
    #[arg(long, value_name = "PER_SECOND", required_unless_present = "closed")]
    rate: Option<f64>,
    /// How long to send.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    duration: f64,
    /// Send this file as the body.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    body: Option<PathBuf>,
    /// Send this text as the body; without a body the request is a GET.
    #[arg(long, value_name = "TEXT")]
    data: Option<String>,
    /// Media type of the body.
    #[arg(long, value_name = "TYPE", default_value = "application/json")]
    content_type: String,
    /// Media type asked for.
    #[arg(long, value_name = "TYPE")]
    accept: Option<String>,
    /// Connections kept alive.
    #[arg(long, value_name = "N", default_value_t = probe::DEFAULT_CONNECTIONS)]
    connections: usize,
    /// Longest wait for a reply.
    #[arg(long, value_name = "SECONDS", default_value_t = probe::DEFAULT_TIMEOUT.as_secs_f64())]
    timeout: f64,
    /// Seed of the arrivals: the same seed gives the same schedule.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Keep every connection busy instead of following a rate: finds saturation.
    #[arg(long, conflicts_with = "rate")]
    closed: bool,
    /// Print one JSON object, times in microseconds.
    #[arg(long)]
    json: bool,
}

/// Runs the load. The exit code is 0 when every request was answered 2xx, 1 when not, 64 when the
/// arguments make no sense.
pub fn run(args: Args) -> ExitCode {
    let plan = match Plan::check(&args) {
        Ok(plan) => plan,
        Err(why) => return complain(&why, EX_USAGE),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("no runtime: {error}"), 1),
    };
    let done = runtime.block_on(async {
        match plan.arrivals {
            Some(arrivals) => open_loop(&plan.request, arrivals, plan.limits, plan.duration).await,
            None => closed_loop(&plan.request, plan.limits, plan.duration).await,
        }
    });
    let report = match done {
        Ok(report) => report,
        Err(error) => return complain(&error.to_string(), 1),
    };
    let text = if args.json {
        report.to_json()
    } else {
        block(&args.url, &report)
    };
    // A closed pipe (`| head`) is no failure of the load.
    writeln!(std::io::stdout(), "{text}").ok();
    if report.all_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The arguments, checked.
struct Plan {
    request: Request,
    arrivals: Option<Arrivals>,
    limits: Limits,
    duration: Duration,
}

impl Plan {
    fn check(args: &Args) -> Result<Self, String> {
        let target = Target::parse(&args.url).map_err(|error| error.to_string())?;
        let file;
        let body = match (&args.body, &args.data) {
            (Some(path), _) => {
                file = std::fs::read(path)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                Some(file.as_slice())
            }
            (None, Some(text)) => Some(text.as_bytes()),
            (None, None) => None,
        };
        let mut headers = Vec::new();
        if body.is_some() {
            headers.push(("content-type", args.content_type.as_str()));
        }
        if let Some(accept) = &args.accept {
            headers.push(("accept", accept.as_str()));
        }
        let request = match body {
            Some(body) => Request::post(&target, &headers, body),
            None => Request::get(&target, &headers),
        };
        let arrivals = match args.rate {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => {
                return Err(format!("--rate {rate} is not a positive number"));
            }
            rate => rate.map(|rate| Arrivals::Poisson {
                rate,
                seed: args.seed,
            }),
        };
        if args.connections == 0 {
            return Err("--connections 0, expected at least 1".to_owned());
        }
        Ok(Self {
            request: request.map_err(|error| error.to_string())?,
            arrivals,
            limits: Limits {
                connections: args.connections,
                timeout: seconds("--timeout", args.timeout)?,
            },
            duration: seconds("--duration", args.duration)?,
        })
    }
}

fn seconds(name: &str, value: f64) -> Result<Duration, String> {
    if value > 0.0 && value <= MAX_SECONDS {
        return Ok(Duration::from_secs_f64(value));
    }
    Err(format!(
        "{name} {value}, expected seconds above 0 and up to {MAX_SECONDS}"
    ))
}

fn complain(why: &str, code: u8) -> ExitCode {
    writeln!(std::io::stderr(), "plimsoll loadtest: {why}").ok();
    ExitCode::from(code)
}

/// The report for a person.
fn block(url: &str, report: &Report) -> String {
    let mut lines = vec![format!("load on {url}, {:.1} s", report.seconds)];
    let mut line = |name: &str, text: String| lines.push(format!("  {name:<10} {text}"));
    let asked = report.asked_rate.map_or_else(
        || "closed loop, every connection kept busy".to_owned(),
        |rate| format!("{rate} a second asked for"),
    );
    line(
        "rate",
        format!("{:.1} replies a second; {asked}", report.achieved_rate),
    );
    let mut answers = format!(
        "{} requests, {} answered",
        report.requested, report.answered
    );
    for (status, count) in &report.statuses {
        write!(answers, ", {count} × {status}").ok();
    }
    line("answers", answers);
    if !report.failures.is_empty() {
        let each: Vec<String> = report
            .failures
            .iter()
            .map(|(kind, count)| format!("{count} × {kind}"))
            .collect();
        line("no answer", each.join(", "));
    }
    if let Some(trouble) = &report.first_trouble {
        line("first", trouble.clone());
    }
    let from = if report.lateness_us.is_some() {
        "since each was due"
    } else {
        "since sent"
    };
    line(
        "latency",
        format!("{} ({from})", quantiles(&report.latency_us)),
    );
    if let Some(late) = &report.lateness_us {
        let p99 = time(late.p99);
        line(
            "generator",
            format!(
                "late by p50 {}, p99 {p99}, max {}",
                time(late.p50),
                time(late.max)
            ),
        );
    }
    if report.generator_was_late() {
        line(
            "WARNING",
            "this machine was too slow to keep the schedule: the latencies include that, lower \
             the rate or send from a machine of its own"
                .to_owned(),
        );
    }
    lines.join("\n")
}

fn quantiles(latency: &Quantiles) -> String {
    let Quantiles {
        p50,
        p90,
        p99,
        p999,
        max,
        mean,
    } = *latency;
    format!(
        "p50 {}, p90 {}, p99 {}, p99.9 {}, max {}, mean {}",
        time(p50),
        time(p90),
        time(p99),
        time(p999),
        time(max),
        time(mean)
    )
}

/// Microseconds in the unit a person would choose.
fn time(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e6 => format!("{:.2} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        Line::try_parse_from([&["loadtest"], words].concat()).map(|line| line.args)
    }

    fn refused(words: &[&str]) -> String {
        Plan::check(&parse(words).unwrap()).err().unwrap()
    }

    const URL: &str = "http://localhost:8080/invocations";

    #[test]
    fn a_rate_or_closed_is_asked_for_and_never_both() {
        assert!(parse(&[URL]).is_err());
        assert!(parse(&[URL, "--rate", "5", "--closed"]).is_err());
        assert!(parse(&[URL, "--rate", "5", "--data", "x", "--body", "y"]).is_err());
        let open =
            Plan::check(&parse(&[URL, "--rate", "5", "--duration", "0.5"]).unwrap()).unwrap();
        assert_eq!(
            open.arrivals,
            Some(Arrivals::Poisson { rate: 5.0, seed: 1 })
        );
        assert_eq!(open.duration, Duration::from_millis(500));
        let closed = Plan::check(&parse(&[URL, "--closed"]).unwrap()).unwrap();
        assert_eq!(closed.arrivals, None);
        assert_eq!(closed.limits, Limits::default());
    }

    #[test]
    fn arguments_that_make_no_sense_are_named() {
        let with = |more: &[&str]| refused(&[&[URL, "--rate=5"], more].concat());
        assert!(with(&["--duration", "0"]).contains("--duration 0"));
        assert!(with(&["--duration=-1"]).contains("--duration -1"));
        assert!(with(&["--duration", "NaN"]).contains("--duration NaN"));
        assert!(with(&["--timeout", "1e9"]).contains("--timeout"));
        assert!(with(&["--connections", "0"]).contains("--connections 0"));
        assert!(with(&["--body", "no/such.file"]).contains("no/such.file"));
        assert!(with(&["--accept", "a\nb"]).contains("accept"));
        assert!(refused(&[URL, "--rate=0"]).contains("--rate 0"));
        assert!(refused(&[URL, "--rate=inf"]).contains("--rate inf"));
        assert!(refused(&["https://x/", "--closed"]).contains("https"));
        assert!(refused(&["localhost:8080", "--closed"]).contains("localhost:8080"));
    }

    #[test]
    fn times_are_written_in_the_unit_of_a_reader() {
        assert_eq!(time(12.4), "12 µs");
        assert_eq!(time(12_340.0), "12.34 ms");
        assert_eq!(time(1_500_000.0), "1.50 s");
    }
}
