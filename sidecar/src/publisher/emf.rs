//! Embedded metric format: one JSON object a line on stdout, which CloudWatch Logs turns into
//! metrics. It needs neither network nor credentials.
//!
//! The format has no counts, no statistic sets and at most 100 values a metric. So:
//!
//! - a counter is a number;
//! - a reading is its one-second values;
//! - a level is its time-weighted mean, once a second, beside `<Name>Max`;
//! - a distribution is its values (up to 100 events) or 100 quantiles of equal weight, beside the
//!   exact `<Name>Count` and `<Name>Sum`.
//!
//! A line is written with a single `write` and kept under 4 KiB where the metrics allow it: so much
//! a pipe takes whole, and no log line can come between. A blocked pipe blocks this room's own
//! thread and nothing else; what then does not fit the outbox is dropped and counted.

use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use scaling::catalogue::{Unit, EMBEDDED_COUNT, EMBEDDED_MAX, EMBEDDED_SUM};
use scaling::window::{Period, Series};
use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::sendable;
use super::stats::Stats;
use crate::outbox::Outbox;

/// Values that one metric may hold.
const MAX_VALUES: usize = 100;
/// Metrics that one directive may hold.
const MAX_METRICS: usize = 100;
/// What a pipe takes in one piece.
const LINE_BYTES: usize = 4096;
/// How long to wait for room in a pipe that somebody has made non-blocking.
const RETRY: Duration = Duration::from_millis(20);
/// Lines that wait while stdout is blocked: at 10 s a period, several minutes.
const OUTBOX_LINES: usize = 64;

/// A line of a period.
#[derive(Debug)]
struct Part {
    line: String,
    /// Whether it is the period's first, and its last.
    is_first: bool,
    is_last: bool,
}

type Writer = Box<dyn Write + Send>;
type Open = Box<dyn FnOnce() -> std::io::Result<Writer> + Send>;

/// The way out through stdout.
pub(crate) struct Emf {
    namespace: String,
    dimensions: Vec<(String, String)>,
    outbox: Arc<Outbox<Part>>,
    stats: Arc<Stats>,
    /// Taken by the thread that the first line starts.
    open: Mutex<Option<Open>>,
}

impl Emf {
    /// Writes to the process's stdout.
    pub(crate) fn to_stdout(
        namespace: &str,
        dimensions: &[(String, String)],
        stats: Arc<Stats>,
    ) -> Self {
        // A descriptor of our own: the lock of std's stdout would make everybody wait who logs.
        let open = || {
            let own = std::io::stdout().as_fd().try_clone_to_owned()?;
            Ok(Box::new(std::fs::File::from(own)) as Writer)
        };
        Self::new(namespace, dimensions, stats, Box::new(open))
    }

    /// Writes to what `open` gives, and counts the periods that it took.
    pub(crate) fn new(
        namespace: &str,
        dimensions: &[(String, String)],
        stats: Arc<Stats>,
        open: Open,
    ) -> Self {
        Self {
            namespace: namespace.to_owned(),
            dimensions: dimensions.to_vec(),
            outbox: Arc::new(Outbox::new(OUTBOX_LINES)),
            stats,
            open: Mutex::new(Some(open)),
        }
    }

    /// Hands a period to the writing thread; never waits.
    pub(crate) fn write(&self, period: &Period) {
        if let Some(open) = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            let (outbox, stats) = (self.outbox.clone(), self.stats.clone());
            let thread = std::thread::Builder::new().name("sidecar-emf".to_owned());
            if let Err(error) = thread.spawn(move || drain(&outbox, &stats, open)) {
                tracing::warn!(%error, "no thread for embedded metric format: its metrics are lost");
            }
        }
        let lines = lines(period, &self.namespace, &self.dimensions);
        let last = lines.len().saturating_sub(1);
        for (at, line) in lines.into_iter().enumerate() {
            self.outbox.put(Part {
                line,
                is_first: at == 0,
                is_last: at == last,
            });
        }
    }

    /// Lines that were dropped because stdout did not take them.
    pub(crate) fn dropped(&self) -> u64 {
        self.outbox.dropped()
    }

    /// Waits until every line has been written; for ever where stdout is blocked.
    pub(crate) async fn written(&self) {
        while !self.outbox.is_done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends the thread after the lines that are left; false if they did not leave in time.
    pub(crate) fn finish(&self, limit: Duration) -> bool {
        self.outbox.close();
        let never_used = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        never_used || self.outbox.drained(limit)
    }
}

fn drain(outbox: &Outbox<Part>, stats: &Stats, open: Open) {
    let mut writer = match open() {
        Ok(writer) => Some(LineWriter {
            writer,
            is_torn: false,
        }),
        Err(error) => {
            tracing::warn!(%error, "stdout cannot be opened: metrics in embedded format are lost");
            None
        }
    };
    // Whether every line of this period so far has left: not where the outbox dropped the first.
    let mut is_whole = false;
    while let Some(part) = outbox.take_blocking() {
        let written = writer
            .as_mut()
            .is_some_and(|writer| writer.write(&part.line).is_ok());
        if !written {
            outbox.count_drop();
        }
        is_whole = written && (is_whole || part.is_first);
        if is_whole && part.is_last {
            stats.success();
            is_whole = false;
        }
    }
}

/// Writes whole lines, each with a single `write` where the other side takes it.
struct LineWriter {
    writer: Writer,
    /// Whether a part of a line was written and the rest never was.
    is_torn: bool,
}

impl LineWriter {
    /// Writes a line that has its newline. One that was torn before is ended first, so that it costs
    /// itself alone.
    fn write(&mut self, line: &str) -> std::io::Result<()> {
        let ended = self.is_torn.then(|| format!("\n{line}"));
        let mut rest = ended.as_deref().unwrap_or(line).as_bytes();
        while !rest.is_empty() {
            match self.writer.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.is_torn = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(RETRY),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// One metric of a line.
#[derive(Debug)]
struct Entry {
    name: String,
    unit: Unit,
    value: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition<'a> {
    name: &'a str,
    unit: &'static str,
    storage_resolution: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: [Vec<&'a str>; 1],
    metrics: Vec<Definition<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata<'a> {
    timestamp: u64,
    cloud_watch_metrics: [Directive<'a>; 1],
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "_aws")]
    aws: Metadata<'a>,
    #[serde(flatten)]
    members: Map<String, Value>,
}

/// A period as lines, each a whole JSON object with its newline.
pub(crate) fn lines(
    period: &Period,
    namespace: &str,
    dimensions: &[(String, String)],
) -> Vec<String> {
    let entries = entries(period);
    let mut lines = Vec::new();
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        // As many metrics as fit; one at least, however long the dimensions are.
        let mut line = String::new();
        let mut taken = 0;
        while taken < rest.len().min(MAX_METRICS) {
            let longer = line_of(&rest[..=taken], period, namespace, dimensions);
            if taken > 0 && longer.len() > LINE_BYTES {
                break;
            }
            line = longer;
            taken += 1;
        }
        lines.push(line);
        rest = &rest[taken..];
    }
    lines
}

fn line_of(
    entries: &[Entry],
    period: &Period,
    namespace: &str,
    dimensions: &[(String, String)],
) -> String {
    let storage_resolution = if period.period_secs < 60 { 1 } else { 60 };
    let metrics = entries
        .iter()
        .map(|entry| Definition {
            name: &entry.name,
            unit: entry.unit.name(),
            storage_resolution,
        })
        .collect();
    let directive = Directive {
        namespace,
        dimensions: [dimensions.iter().map(|(name, _)| name.as_str()).collect()],
        metrics,
    };
    let aws = Metadata {
        timestamp: period.start_secs * 1000,
        cloud_watch_metrics: [directive],
    };
    let mut members = Map::new();
    for (name, value) in dimensions {
        members.insert(name.clone(), Value::from(value.as_str()));
    }
    for entry in entries {
        members.insert(entry.name.clone(), entry.value.clone());
    }
    let mut text = serde_json::to_string(&Line { aws, members }).unwrap_or_default();
    text.push('\n');
    text
}

fn entries(period: &Period) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (metric, series) in &period.series {
        let (name, unit) = (metric.name(), metric.unit());
        let mut add = |suffix: &str, unit, value: Option<Value>| {
            if let Some(value) = value {
                entries.push(Entry {
                    name: format!("{name}{suffix}"),
                    unit,
                    value,
                });
            }
        };
        match series {
            Series::Counter(count) => add("", unit, Some(Value::from(*count))),
            Series::Level(level) => {
                let mean = level.sum / level.samples.max(1) as f64;
                add(
                    "",
                    unit,
                    array(std::iter::repeat_n(mean, level.samples as usize)),
                );
                add(EMBEDDED_MAX, unit, number(level.max));
            }
            Series::Reading(values) => {
                let each = |&(value, ticks): &(f64, u64)| {
                    std::iter::repeat_n(value, (ticks as usize).min(MAX_VALUES))
                };
                add("", unit, array(values.iter().flat_map(each)));
            }
            Series::Distribution(histogram) => {
                add(
                    "",
                    unit,
                    array(histogram.equal_weight(MAX_VALUES).into_iter()),
                );
                add(
                    EMBEDDED_COUNT,
                    Unit::Count,
                    Some(Value::from(histogram.count())),
                );
                add(EMBEDDED_SUM, unit, number(histogram.sum()));
            }
        }
    }
    entries
}

/// A JSON number; none for what JSON cannot hold or CloudWatch does not take.
fn number(value: f64) -> Option<Value> {
    let value = Some(value).filter(|value| sendable(*value));
    value.and_then(Number::from_f64).map(Value::Number)
}

/// Finite values, six digits each: a line stays short, and CloudWatch's percentiles do not mind.
fn array(values: impl Iterator<Item = f64>) -> Option<Value> {
    let rounded = |value: f64| format!("{value:.5e}").parse().ok().and_then(number);
    let values: Vec<Value> = values.take(MAX_VALUES).filter_map(rounded).collect();
    (!values.is_empty()).then_some(Value::Array(values))
}

#[cfg(test)]
#[path = "emf_tests.rs"]
mod tests;
