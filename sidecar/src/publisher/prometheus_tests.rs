//! Tests of the page for `GET /metrics`.

use std::time::Duration;

use super::*;
use crate::recorder::Clock;
use metrics::{Metadata, Recorder as _};
use scaling::frame::LevelSample;
use scaling::histogram::slot;
use scaling::level::rise;

static METADATA: Metadata<'_> = Metadata::new("test", metrics::Level::INFO, None);

fn page(recorder: &Recorder, frame: Option<&Frame>) -> String {
    page_as(Format::Text, recorder, frame)
}

fn page_as(format: Format, recorder: &Recorder, frame: Option<&Frame>) -> String {
    let stats = Stats::default();
    stats.leave_out(5);
    let gpu = View::default();
    let publishing = Publishing {
        stats: &stats,
        gpu: &gpu,
        dropped_periods: 2,
        dropped_lines: 3,
    };
    render(format, recorder, frame, &publishing)
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
    let running = recorder.register_counter(&"Concurrency".into(), &METADATA);
    running.increment(rise(0));
    running.increment(rise(0));
    clock.advance(Duration::from_secs(2));
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
    let batches = recorder.register_histogram(&"BatchSize".into(), &METADATA);
    for size in [1.0, 2.0, 3.0, 4.0, 15.0, 16.0] {
        batches.record(size);
    }
    frame.reading(Metric::OfferedLoad, Some(250.0));
    frame.reading(Metric::OldestWait, Some(1500.0));
    frame.reading(Metric::ModelMemory, Some(3e6));
    frame.reading(Metric::ModelsLoaded, Some(1.0));
    let page = page(&recorder, Some(&frame));
    for line in [
        "plimsoll_invocations_total 3",
        "# TYPE plimsoll_invocations_total counter",
        "plimsoll_concurrency 1.5",
        "plimsoll_concurrency_max 2",
        "plimsoll_concurrency_seconds_total 4",
        "plimsoll_offered_load_ratio 2.5",
        "plimsoll_oldest_wait_seconds 1.5",
        "plimsoll_model_memory_bytes 3000000",
        "plimsoll_models_loaded 1",
        "# TYPE plimsoll_batch_size histogram",
        "plimsoll_batch_size_bucket{le=\"1.0\"} 1",
        "plimsoll_batch_size_bucket{le=\"2.0\"} 2",
        "plimsoll_batch_size_bucket{le=\"4.0\"} 4",
        "plimsoll_batch_size_bucket{le=\"15.0\"} 5",
        "plimsoll_batch_size_bucket{le=\"30.0\"} 6",
        "plimsoll_batch_size_bucket{le=\"+Inf\"} 6",
        "plimsoll_batch_size_sum 41",
        "# TYPE plimsoll_request_latency_seconds histogram",
        "plimsoll_request_latency_seconds_bucket{le=\"+Inf\"} 4",
        "plimsoll_request_latency_seconds_count 4",
        "plimsoll_sidecar_periods_dropped_total 2",
        "plimsoll_sidecar_emf_lines_dropped_total 3",
        "plimsoll_sidecar_samples_left_out_total 5",
        "plimsoll_sidecar_route_info{route=\"pending\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(!page.contains("gpu"), "without a GPU there is no series");
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

#[test]
fn open_metrics_names_families_states_units_and_ends() {
    let recorder = Recorder::new();
    for metric in ["RequestLatency", "BatchSize"] {
        let histogram = recorder.register_histogram(&metric.into(), &METADATA);
        histogram.record(3.0);
    }
    let mut frame = Frame::new(1, 1, 1.0);
    frame.reading(Metric::OldestWait, Some(1500.0));
    frame.reading(Metric::ModelMemory, Some(3e6));
    let open = page_as(Format::OpenMetrics, &recorder, Some(&frame));
    for line in [
        "# TYPE plimsoll_invocations counter",
        "# HELP plimsoll_concurrency_seconds Requests in the container, queued ones included. Integral over time.",
        "plimsoll_invocations_total 0",
        "# UNIT plimsoll_oldest_wait_seconds seconds",
        "# UNIT plimsoll_model_memory_bytes bytes",
        "# UNIT plimsoll_request_latency_seconds seconds",
        "# TYPE plimsoll_sidecar_samples_left_out counter",
    ] {
        assert!(open.lines().any(|found| found == line), "{line}\n{open}");
    }
    assert!(open.ends_with("\n# EOF\n") && open.matches("# EOF").count() == 1);
    let text = page(&recorder, Some(&frame));
    assert!(
        !text.contains("# UNIT") && !text.contains("# EOF"),
        "{text}"
    );
    let samples = |page: &str| -> Vec<String> {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(samples(&open), samples(&text));
}

#[test]
fn what_the_metrics_mean_needs_no_escapes() {
    for metric in Metric::ALL {
        let escaped = ['\\', '"', '\n'];
        assert!(!metric.meaning().contains(escaped), "{}", metric.name());
    }
}
