//! The page for `GET /metrics`: Prometheus text 0.0.4 or OpenMetrics 1.0.0, made anew for each request.
//!
//! Both have the same samples. OpenMetrics names a counter's family without `_total`, states units and
//! ends with `# EOF`; to the older format a unit would be a comment.
//!
//! Its size has a bound: one fixed set of series and a few for each GPU, of which there is a largest
//! number. It waits for nothing: counters are read from the recorder, readings are those of the
//! last frame.
//!
//! Names come from the catalogue in snake case with Prometheus's base units: percent becomes a
//! `_ratio`, micro- and milliseconds `_seconds`, bytes `_bytes`. A histogram's edges are SEH1 edges,
//! so that no bucket is split. A level is its last second's mean, its maximum beside it, and its time integral as a
//! counter, whose rate is the exact mean over any interval.

mod gpu;

use std::fmt::{Display, Write};

use scaling::catalogue::{internal, Kind, Metric, Unit};
use scaling::frame::{Frame, Sample};
use scaling::histogram::edge;

use super::route::Active;
use super::stats::Stats;
use crate::recorder::{Recorded, Recorder};
use crate::sources::gpu::View;

/// SEH1 buckets whose lower edges the page shows for latencies: 10 µs to 46 s in 24 steps of a
/// factor 1.95.
const FIRST_EDGE: i16 = 24;
const EDGE_STEP: i16 = 7;
const EDGES: i16 = 24;
/// …and for whole numbers, where the next one below stands for an edge: 1, 2, 4, 8, 15, … 445.
const FIRST_WHOLE_EDGE: i16 = 1;
const WHOLE_EDGES: i16 = 10;

/// What the page says about the publishing side.
pub(crate) struct Publishing<'a> {
    pub(crate) stats: &'a Stats,
    pub(crate) gpu: &'a View,
    /// Periods that the outbox pushed out.
    pub(crate) dropped_periods: u64,
    /// Lines that stdout did not take.
    pub(crate) dropped_lines: u64,
}

/// How the page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// The page's text.
pub(crate) fn render(
    format: Format,
    recorder: &Recorder,
    frame: Option<&Frame>,
    publishing: &Publishing<'_>,
) -> String {
    let mut page = Page {
        text: String::with_capacity(16 * 1024),
        format,
    };
    for &metric in Metric::ALL {
        match metric.kind() {
            Kind::Counter => page.counter(metric, recorder),
            Kind::Level => page.level(metric, recorder, frame),
            Kind::Distribution => page.distribution(metric, recorder),
            Kind::Reading | Kind::Gauge => page.reading(metric, frame),
        }
    }
    page.nodes(recorder);
    page.batching(recorder);
    page.gpu(publishing.gpu);
    page.publishing(publishing);
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

/// `GPUMemoryUtilization` → `plimsoll_gpu_memory_utilization`.
fn base(metric: Metric) -> String {
    let name: Vec<char> = metric.name().chars().collect();
    let mut text = "plimsoll".to_owned();
    for (at, letter) in name.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| name.get(at));
        let starts = letter.is_uppercase()
            && (before.is_none_or(|before| before.is_lowercase())
                || name.get(at + 1).is_some_and(|next| next.is_lowercase()));
        if starts {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// The unit's suffix, and what a value is multiplied with to get there.
fn unit(metric: Metric) -> (&'static str, f64) {
    match metric.unit() {
        Unit::Count => ("", 1.0),
        Unit::Percent => ("ratio", 0.01),
        Unit::Microseconds => ("seconds", 1e-6),
        Unit::Milliseconds => ("seconds", 1e-3),
        Unit::Bytes => ("bytes", 1.0),
    }
}

/// What a distribution's buckets are closed by, ascending: the values to name and to count below.
fn edges(metric: Metric) -> impl Iterator<Item = (f64, i16)> {
    let is_whole = metric.unit() == Unit::Count;
    let (first, number) = if is_whole {
        (FIRST_WHOLE_EDGE, WHOLE_EDGES)
    } else {
        (FIRST_EDGE, EDGES)
    };
    (0..number).map(move |step| {
        let k = first + step * EDGE_STEP;
        // Of whole numbers, those below 2.14 are those up to 2.
        let le = if is_whole { edge(k).floor() } else { edge(k) };
        (le, k)
    })
}

struct Page {
    text: String,
    format: Format,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let is_open = self.format == Format::OpenMetrics;
        let name = match name.strip_suffix("_total") {
            Some(family) if is_open => family,
            _ => name,
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}");
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
        if is_open && !unit.is_empty() {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
    }

    fn value(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.text, "{name} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, "", help);
        self.value(name, value);
    }

    fn counter(&mut self, metric: Metric, recorder: &Recorder) {
        let total = recorder
            .counter(metric.name())
            .map_or(0, |counter| counter.total());
        self.single(
            &format!("{}_total", base(metric)),
            "counter",
            metric.meaning(),
            total,
        );
    }

    fn level(&mut self, metric: Metric, recorder: &Recorder, frame: Option<&Frame>) {
        let name = base(metric);
        if let Some(Sample::Level(level)) = frame.and_then(|frame| frame.get(metric)) {
            let help = format!("{} Mean of the last second.", metric.meaning());
            self.single(&name, "gauge", &help, level.mean);
            let help = format!("{} Maximum of the last second.", metric.meaning());
            self.single(&format!("{name}_max"), "gauge", &help, level.max);
        }
        let integral = recorder
            .level(metric.name())
            .map_or(0.0, |level| level.integral_secs());
        let help = format!("{} Integral over time.", metric.meaning());
        self.single(&format!("{name}_seconds_total"), "counter", &help, integral);
    }

    fn distribution(&mut self, metric: Metric, recorder: &Recorder) {
        let Some(histogram) = recorder.histogram(metric.name()) else {
            return;
        };
        let recorded = histogram.collect();
        let values = recorded.since(&Recorded::default());
        let (suffix, factor) = unit(metric);
        let name = match suffix {
            "" => base(metric),
            suffix => format!("{}_{suffix}", base(metric)),
        };
        self.head(&name, "histogram", suffix, metric.meaning());
        for (le, k) in edges(metric) {
            let (le, count) = (le * factor, values.count_below(k));
            // OpenMetrics wants whole numbers as 1.0, and a series must have one name in both.
            let point = if le.fract() == 0.0 { ".0" } else { "" };
            let _ = writeln!(self.text, "{name}_bucket{{le=\"{le}{point}\"}} {count}");
        }
        let count = recorded.count();
        let _ = writeln!(self.text, "{name}_bucket{{le=\"+Inf\"}} {count}");
        self.value(&format!("{name}_sum"), recorded.sum() * factor);
        self.value(&format!("{name}_count"), count);
    }

    fn reading(&mut self, metric: Metric, frame: Option<&Frame>) {
        let Some(Sample::Reading(value)) = frame.and_then(|frame| frame.get(metric)) else {
            return;
        };
        let (suffix, factor) = unit(metric);
        let name = match suffix {
            "" => base(metric),
            suffix => format!("{}_{suffix}", base(metric)),
        };
        self.head(&name, "gauge", suffix, metric.meaning());
        self.value(&name, value * factor);
    }

    /// Nothing until a model has told it.
    fn batching(&mut self, recorder: &Recorder) {
        let told = |name| recorder.gauge(name).and_then(|gauge| gauge.value());
        let (Some(rows), Some(place)) = (told(internal::BATCH_ROWS), told(internal::BATCHING))
        else {
            return;
        };
        let help = "The most records of several requests that share a model run; 1 where none do.";
        self.single("plimsoll_model_batch_records", "gauge", help, rows);
        let name = "plimsoll_model_batching_info";
        self.head(name, "gauge", "", "Why requests share runs, or do not.");
        if let Some(why) = internal::Batching::ALL.get(place as usize) {
            let _ = writeln!(self.text, "{name}{{reason=\"{}\"}} 1", why.name());
        }
    }

    /// Nothing until a model has told them.
    fn nodes(&mut self, recorder: &Recorder) {
        let told = internal::NODES.map(|(provider, name)| {
            let nodes = recorder.gauge(name).and_then(|gauge| gauge.value());
            nodes.map(|nodes| (provider, nodes))
        });
        let told: Vec<(&str, f64)> = told.into_iter().flatten().collect();
        if told.is_empty() {
            return;
        }
        let name = "plimsoll_model_nodes";
        let help = "Nodes of the model that an execution provider runs.";
        self.head(name, "gauge", "", help);
        for (provider, nodes) in told {
            let _ = writeln!(self.text, "{name}{{provider=\"{provider}\"}} {nodes}");
        }
    }

    fn publishing(&mut self, publishing: &Publishing<'_>) {
        let Publishing {
            stats,
            gpu: _,
            dropped_periods,
            dropped_lines,
        } = publishing;
        let totals = [
            (
                "samples_left_out_total",
                "Samples that were left out because their value cannot be: not finite, or negative.",
                stats.left_out(),
            ),
            (
                "periods_published_total",
                "Periods of metrics that left.",
                stats.published(),
            ),
            (
                "periods_dropped_total",
                "Periods of metrics that were given up or pushed out by newer ones.",
                stats.lost() + dropped_periods,
            ),
            (
                "periods_unknown_total",
                "Periods of metrics that may or may not have arrived: CloudWatch's answer was lost.",
                stats.unknown(),
            ),
            (
                "publish_failures_total",
                "Attempts to publish that failed.",
                stats.failures(),
            ),
            (
                "emf_lines_dropped_total",
                "Lines that stdout did not take.",
                *dropped_lines,
            ),
        ];
        for (name, help, total) in totals {
            self.single(&format!("plimsoll_sidecar_{name}"), "counter", help, total);
        }
        let name = "plimsoll_sidecar_route_info";
        self.head(
            name,
            "gauge",
            "",
            "The way metrics leave: 1 for the one that is taken.",
        );
        for route in Active::ALL {
            let taken = u8::from(route == stats.active());
            let _ = writeln!(self.text, "{name}{{route=\"{}\"}} {taken}", route.name());
        }
        if let Some(secs) = stats.skew().seconds() {
            let name = "plimsoll_sidecar_clock_skew_seconds";
            self.head(
                name,
                "gauge",
                "seconds",
                "CloudWatch's clock less this machine's, at the last answer.",
            );
            self.value(name, secs);
        }
        if let Some(age) = stats.since_success() {
            let name = "plimsoll_sidecar_last_success_age_seconds";
            self.head(
                name,
                "gauge",
                "seconds",
                "Time since a period of metrics left.",
            );
            self.value(name, age.as_secs_f64());
        }
    }
}

#[cfg(test)]
#[path = "prometheus_tests.rs"]
mod tests;
