//! `plimsoll simulate --scenario`: the replay of a document.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use scaling::simulate::{Event, Scenario, Status, What};

use super::{name, of, print_lines, read, time};

/// Replays and prints.
pub(super) fn replay(file: &Path, as_events: bool) -> Result<ExitCode, String> {
    let text = read(file)?;
    let scenario = Scenario::parse(&text).map_err(|error| of(file, &error))?;
    let events = scenario.replay().map_err(|error| of(file, &error))?;
    let lines: Vec<String> = match as_events {
        true => events.iter().map(json).collect(),
        false => table(&scenario, &events),
    };
    print_lines(lines.into_iter());
    let differences = scenario.differences(&events);
    for difference in &differences {
        writeln!(std::io::stderr(), "plimsoll simulate: {difference}").ok();
    }
    Ok(match differences.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
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

/// What an event says, for a person.
pub(super) fn sentence(what: &What) -> String {
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
