//! `plimsoll simulate`: what Application Auto Scaling would have done. Arguments, files and printing
//! only; the model is [`scaling::simulate`]'s.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use scaling::simulate::{Event, Scenario, Status, What};

use crate::EXIT_USAGE;

/// Replays a scaling configuration and shows what Application Auto Scaling would have done.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Replay this scenario: configuration, metrics and what is expected of them, as JSON.
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
    /// Print every event as one JSON object a line.
    #[arg(long)]
    events: bool,
}

/// Replays and prints. The exit code is 0, 1 where something happened otherwise than expected, 64 where
/// the scenario makes no sense.
pub fn run(args: &Args) -> ExitCode {
    let replayed = read(&args.scenario).and_then(|scenario| {
        let events = scenario.replay().map_err(|error| error.to_string())?;
        Ok((scenario, events))
    });
    let (scenario, events) = match replayed {
        Ok(replayed) => replayed,
        Err(why) => {
            let file = args.scenario.display();
            writeln!(std::io::stderr(), "plimsoll simulate: {file}: {why}").ok();
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let lines: Vec<String> = match args.events {
        true => events.iter().map(json).collect(),
        false => table(&scenario, &events),
    };
    let mut stdout = std::io::stdout().lock();
    for line in lines {
        // A closed pipe (`| head`) is no failure of the replay.
        if writeln!(stdout, "{line}").is_err() {
            break;
        }
    }
    let differences = scenario.differences(&events);
    for difference in &differences {
        writeln!(std::io::stderr(), "plimsoll simulate: {difference}").ok();
    }
    match differences.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn read(file: &Path) -> Result<Scenario, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
    Scenario::parse(&text).map_err(|error| error.to_string())
}

fn json(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

/// The events for a person.
fn table(scenario: &Scenario, events: &[Event]) -> Vec<String> {
    let mut lines = Vec::new();
    if !scenario.description.is_empty() {
        lines.push(scenario.description.clone());
    }
    lines.push(format!(
        "{:>10}  {} in service, {} to {} allowed",
        time(0),
        scenario.capacity,
        scenario.target.min_capacity,
        scenario.target.max_capacity
    ));
    for event in events {
        lines.push(format!("{:>10}  {}", time(event.t), sentence(&event.what)));
    }
    lines.push(format!("{:>10}  end", time(scenario.until)));
    lines
}

fn sentence(what: &What) -> String {
    match what {
        What::Capacity {
            from,
            to,
            policy,
            status,
        } => {
            let state = match status {
                Status::InProgress => "begins",
                Status::Successful => "done",
            };
            format!("capacity {from} -> {to}, {state} ({policy})")
        }
        What::Alarm {
            alarm, from, state, ..
        } => format!("alarm {alarm} {} -> {}", name(from), name(state)),
        What::NotScaled { policy, reason } => {
            format!("not scaled ({policy}): {}", name(reason))
        }
    }
}

/// A value by the name that it has in JSON.
fn name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

/// Seconds as hours, minutes and seconds.
fn time(secs: u64) -> String {
    format!("{}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
}
