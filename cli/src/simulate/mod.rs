//! `plimsoll simulate`: what Application Auto Scaling would have done, and what users would have felt.
//! Arguments, files, printing and drawing only; the model is [`scaling`]'s.

mod arguments;
mod page;
mod pictures;
mod runs;
mod scenario;
mod table;
mod traffic;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use scaling::policy::Invalid;
use scaling::simulate::{Event, What};

pub use arguments::Args;

use crate::EXIT_USAGE;

/// Replays or simulates, and prints. The exit code is 0; 1 where a scenario went otherwise than expected,
/// or no configuration keeps the promise; 64 where the input makes no sense.
pub fn run(args: &Args) -> ExitCode {
    let done = match &args.scenario {
        Some(file) => scenario::replay(file, args.events),
        None => simulate(args),
    };
    done.unwrap_or_else(|why| {
        writeln!(std::io::stderr(), "plimsoll simulate: {why}").ok();
        ExitCode::from(EXIT_USAGE)
    })
}

/// Compares configurations under a trace.
fn simulate(args: &Args) -> Result<ExitCode, String> {
    let given = args.given()?;
    let done = runs::all(&given.study, &given.traffic).map_err(|error| error.to_string())?;
    let report = given.study.report(&done.results);
    let survey = given.traffic.survey();
    if args.events {
        let named = |(configuration, event): (usize, &Event)| {
            let name = &given.study.configurations[configuration].name;
            let mut value = serde_json::to_value(event).unwrap_or_default();
            value["configuration"] = name.as_str().into();
            value.to_string()
        };
        let shown = done.shown.iter().enumerate();
        let events =
            shown.flat_map(|(at, shown)| shown.events.iter().map(move |event| (at, event)));
        print_lines(events.map(named));
    } else {
        print_lines(table::lines(&given.study, survey, &report).into_iter());
    }
    if let Some(file) = &args.json {
        let document = serde_json::json!({"trace": survey, "report": report});
        write(file, &format!("{document:#}\n"))?;
    }
    if let Some(file) = &args.csv {
        write(file, &table::csv(&report))?;
    }
    if let Some(file) = &args.html {
        write(
            file,
            &page::html(&given.study, survey, &report, &done.shown)?,
        )?;
    }
    let keeps = report.candidates.first().map(|first| first.keeps);
    Ok(match keeps {
        Some(scaling::study::Keeps::No) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// A closed pipe (`| head`) is no failure.
fn print_lines(lines: impl Iterator<Item = String>) {
    let mut stdout = std::io::stdout().lock();
    for line in lines {
        if writeln!(stdout, "{line}").is_err() {
            break;
        }
    }
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text)
        .map_err(|error| format!("{}: cannot be written: {error}", file.display()))
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))
}

/// What is wrong with a file, with its name.
fn of(file: &Path, error: &Invalid) -> String {
    format!("{}: {error}", file.display())
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

/// What an event says, for a person.
fn sentence(what: &What) -> String {
    scenario::sentence(what)
}
