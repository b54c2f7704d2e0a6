//! The page for `GET /metrics`: Prometheus text, made anew for each request.
//!
//! Its size has a bound: one fixed set of series, without labels from outside. It waits for
//! nothing: counters are read from the recorder, readings are those of the last frame.
//!
//! Names come from the catalogue in snake case with Prometheus's base units: percent becomes a
//! `_ratio`, microseconds a histogram in `_seconds` whose edges are SEH1 edges, so that no bucket
//! is split. A level is its last second's mean, its maximum beside it, and its time integral as a
//! counter, whose rate is the exact mean over any interval.

use std::fmt::{Display, Write};

use scaling::catalogue::{Kind, Metric, Unit};
use scaling::frame::{Frame, Sample};
use scaling::histogram::edge;

use super::route::Active;
use super::stats::Stats;
use crate::recorder::{Recorded, Recorder};

/// SEH1 buckets whose lower edges the page shows: 10 µs to 46 s in 24 steps of a factor 1.95.
const FIRST_EDGE: i16 = 24;
const EDGE_STEP: i16 = 7;
const EDGES: i16 = 24;

/// What the page says about the publishing side.
pub(crate) struct Publishing<'a> {
    pub(crate) stats: &'a Stats,
    /// Periods that the outbox pushed out.
    pub(crate) dropped_periods: u64,
    /// Lines that stdout did not take.
    pub(crate) dropped_lines: u64,
}

/// The page's text.
pub(crate) fn render(
    recorder: &Recorder,
    frame: Option<&Frame>,
    publishing: &Publishing<'_>,
) -> String {
    let mut page = Page(String::with_capacity(16 * 1024));
    for &metric in Metric::ALL {
        match metric.kind() {
            Kind::Counter => page.counter(metric, recorder),
            Kind::Level => page.level(metric, recorder, frame),
            Kind::Distribution => page.distribution(metric, recorder),
            Kind::Reading => page.reading(metric, frame),
        }
    }
    page.publishing(publishing);
    page.0
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
    }
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}");
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
        if !unit.is_empty() {
            let _ = writeln!(self.0, "# UNIT {name} {unit}");
        }
    }

    fn value(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name} {value}");
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
        for step in 0..EDGES {
            let k = FIRST_EDGE + step * EDGE_STEP;
            let (le, count) = (edge(k) * factor, values.count_below(k));
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{le}\"}} {count}");
        }
        let count = recorded.count();
        let _ = writeln!(self.0, "{name}_bucket{{le=\"+Inf\"}} {count}");
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

    fn publishing(&mut self, publishing: &Publishing<'_>) {
        let Publishing {
            stats,
            dropped_periods,
            dropped_lines,
        } = publishing;
        let totals = [
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
            let _ = writeln!(self.0, "{name}{{route=\"{}\"}} {taken}", route.name());
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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::recorder::Clock;
    use metrics::{Metadata, Recorder as _};
    use scaling::frame::LevelSample;
    use scaling::histogram::slot;

    static METADATA: Metadata<'_> = Metadata::new("test", metrics::Level::INFO, None);

    fn page(recorder: &Recorder, frame: Option<&Frame>) -> String {
        let stats = Stats::default();
        let publishing = Publishing {
            stats: &stats,
            dropped_periods: 2,
            dropped_lines: 3,
        };
        render(recorder, frame, &publishing)
    }

    #[test]
    fn names_are_snake_case_with_base_units() {
        assert_eq!(
            base(Metric::GPUMemoryUtilization),
            "plimsoll_gpu_memory_utilization"
        );
        assert_eq!(base(Metric::CPUThrottled), "plimsoll_cpu_throttled");
        assert_eq!(base(Metric::OfferedLoad), "plimsoll_offered_load");
    }

    #[test]
    fn counters_levels_readings_and_histograms_are_on_the_page() {
        let clock = Clock::manual();
        let recorder = Recorder::with_clock(clock.clone());
        recorder
            .register_counter(&"Invocations".into(), &METADATA)
            .increment(3);
        let running = recorder.register_gauge(&"Concurrency".into(), &METADATA);
        running.increment(2.0);
        clock.advance(Duration::from_secs(2));
        running.decrement(2.0);
        let latency = recorder.register_histogram(&"RequestLatency".into(), &METADATA);
        for micros in [0.0, 500.0, 1_500_000.0, 100e6] {
            latency.record(micros);
        }
        let mut frame = Frame::new(1, 1, 1.0);
        frame.insert(
            Metric::Concurrency,
            Sample::Level(LevelSample {
                mean: 1.5,
                max: 2.0,
            }),
        );
        frame.reading(Metric::OfferedLoad, Some(250.0));
        let page = page(&recorder, Some(&frame));
        for line in [
            "plimsoll_invocations_total 3",
            "# TYPE plimsoll_invocations_total counter",
            "plimsoll_concurrency 1.5",
            "plimsoll_concurrency_max 2",
            "plimsoll_concurrency_seconds_total 4",
            "plimsoll_offered_load_ratio 2.5",
            "# UNIT plimsoll_request_latency_seconds seconds",
            "# TYPE plimsoll_request_latency_seconds histogram",
            "plimsoll_request_latency_seconds_bucket{le=\"+Inf\"} 4",
            "plimsoll_request_latency_seconds_count 4",
            "plimsoll_sidecar_periods_dropped_total 2",
            "plimsoll_sidecar_emf_lines_dropped_total 3",
            "plimsoll_sidecar_route_info{route=\"pending\"} 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        assert!(!page.contains("gpu_"), "a missing reading is missing");
    }

    #[test]
    fn buckets_are_cumulative_and_their_edges_are_exact() {
        let recorder = Recorder::new();
        let latency = recorder.register_histogram(&"QueueLatency".into(), &METADATA);
        for step in 0..EDGES {
            let k = FIRST_EDGE + step * EDGE_STEP;
            assert_eq!(slot(edge(k)).map(|slot| slot as i16 - 25), Some(k));
            latency.record(edge(k) * 0.99);
        }
        let page = page(&recorder, None);
        let prefix = "plimsoll_queue_latency_seconds_bucket{le=\"";
        let counts: Vec<u64> = page
            .lines()
            .filter_map(|line| {
                line.strip_prefix(prefix)?
                    .split_once("\"} ")?
                    .1
                    .parse()
                    .ok()
            })
            .collect();
        assert_eq!(counts, (1..=24).chain([24]).collect::<Vec<u64>>());
    }

    #[test]
    fn the_page_is_small_and_says_every_series_once() {
        let page = page(&Recorder::new(), None);
        assert!(page.len() < 32 * 1024, "{}", page.len());
        let mut names: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("# TYPE"))
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
