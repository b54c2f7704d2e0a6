//! Tests of the embedded metric format and of its way to a writer.

use std::sync::mpsc;
use std::time::Instant;

use super::*;
use scaling::catalogue::Metric;
use scaling::histogram::Histogram;
use scaling::window::LevelSet;

fn dimensions() -> Vec<(String, String)> {
    vec![
        ("EndpointName".to_owned(), "e".to_owned()),
        ("VariantName".to_owned(), "v".to_owned()),
    ]
}

fn period(series: Vec<(Metric, Series)>) -> Period {
    Period {
        start_secs: 1_700_000_000,
        period_secs: 10,
        series,
    }
}

fn parsed(period: &Period) -> Vec<Value> {
    lines(period, "Plimsoll", &dimensions())
        .iter()
        .map(|line| {
            assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
            serde_json::from_str(line).unwrap()
        })
        .collect()
}

#[test]
fn a_line_has_the_form_that_cloudwatch_reads() {
    let lines = parsed(&period(vec![(Metric::Invocations, Series::Counter(7))]));
    let expected = serde_json::json!({
        "_aws": {
            "Timestamp": 1_700_000_000_000_u64,
            "CloudWatchMetrics": [{
                "Namespace": "Plimsoll",
                "Dimensions": [["EndpointName", "VariantName"]],
                "Metrics": [{"Name": "Invocations", "Unit": "Count", "StorageResolution": 1}],
            }],
        },
        "EndpointName": "e",
        "VariantName": "v",
        "Invocations": 7,
    });
    assert_eq!(lines, [expected]);
}

#[test]
fn a_minute_is_published_at_standard_resolution() {
    let mut minute = period(vec![(Metric::Invocations, Series::Counter(7))]);
    minute.period_secs = 60;
    let line = &parsed(&minute)[0];
    let resolution = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["StorageResolution"];
    assert_eq!(resolution, 60);
}

#[test]
fn levels_have_their_maximum_beside_them_and_readings_a_value_a_second() {
    let level = LevelSet {
        samples: 4,
        sum: 6.0,
        min: 0.0,
        max: 9.0,
    };
    let line = &parsed(&period(vec![
        (Metric::Concurrency, Series::Level(level)),
        (
            Metric::OfferedLoad,
            Series::Reading(vec![(12.5, 1), (0.0, 3)]),
        ),
    ]))[0];
    assert_eq!(line["Concurrency"], serde_json::json!([1.5, 1.5, 1.5, 1.5]));
    assert_eq!(line["ConcurrencyMax"], 9.0);
    assert_eq!(
        line["OfferedLoad"],
        serde_json::json!([12.5, 0.0, 0.0, 0.0])
    );
}

#[test]
fn a_distribution_is_at_most_a_hundred_values_beside_exact_count_and_sum() {
    let mut histogram = Histogram::new();
    for value in 1..=1000 {
        histogram.record(f64::from(value));
    }
    let line = &parsed(&period(vec![(
        Metric::RequestLatency,
        Series::Distribution(histogram),
    )]))[0];
    let values = line["RequestLatency"].as_array().unwrap();
    assert_eq!(values.len(), 100);
    assert_eq!(
        (&values[0], &values[99]),
        (&Value::from(1.0), &Value::from(1000.0))
    );
    assert_eq!(line["RequestLatencyCount"], 1000);
    assert_eq!(line["RequestLatencySum"], 500_500.0);
    let metrics = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"];
    let units: Vec<_> = metrics
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["Unit"].clone())
        .collect();
    assert_eq!(units, ["Microseconds", "Count", "Microseconds"]);
}

#[test]
fn what_json_cannot_hold_is_left_out() {
    let line = &parsed(&period(vec![
        (Metric::Invocations, Series::Counter(1)),
        (
            Metric::OfferedLoad,
            Series::Reading(vec![(f64::NAN, 1), (f64::INFINITY, 1)]),
        ),
    ]))[0];
    assert_eq!(line.get("OfferedLoad"), None);
    assert!(lines(&period(Vec::new()), "Plimsoll", &dimensions()).is_empty());
}

#[test]
fn a_full_period_is_split_into_lines_that_a_pipe_takes_whole() {
    let mut histogram = Histogram::new();
    for value in 1..=5000 {
        histogram.record(f64::from(value) * 1234.567);
    }
    let series = Metric::ALL
        .iter()
        .map(|&metric| (metric, Series::Distribution(histogram.clone())))
        .collect();
    let period = period(series);
    let lines = lines(&period, "Plimsoll", &dimensions());
    assert!(lines.len() > 1);
    assert!(lines.iter().all(|line| line.len() <= LINE_BYTES));
    let metrics: usize = parsed(&period)
        .iter()
        .map(|line| {
            line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
                .as_array()
                .unwrap()
                .len()
        })
        .sum();
    assert_eq!(metrics, 3 * Metric::ALL.len());
}

/// Sends each `write` on; waits for the test's leave before it returns.
struct Gate {
    writes: mpsc::Sender<Vec<u8>>,
    leave: mpsc::Receiver<()>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.writes.send(bytes.to_vec());
        let _ = self.leave.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_blocked_writer_stalls_nobody_and_its_losses_are_counted() {
    let (writes, written) = mpsc::channel();
    let (open, leave) = mpsc::channel();
    let gate = Gate { writes, leave };
    let stats = Arc::new(Stats::default());
    let emf = Emf::new(
        "Plimsoll",
        &dimensions(),
        stats.clone(),
        Box::new(|| Ok(Box::new(gate) as Writer)),
    );
    let begin = Instant::now();
    emf.write(&period(vec![(Metric::Invocations, Series::Counter(0))]));
    let first = written.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(
        first.iter().filter(|byte| **byte == b'\n').count(),
        1,
        "one line, one write"
    );
    for count in 1..=OUTBOX_LINES as u64 + 10 {
        emf.write(&period(vec![(Metric::Invocations, Series::Counter(count))]));
    }
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(emf.dropped(), 10);
    assert_eq!(stats.published(), 0, "nothing has left");
    assert!(
        !emf.finish(Duration::from_millis(5)),
        "the writer is still blocked"
    );
    drop(open);
    assert!(emf.finish(Duration::from_secs(5)));
    assert_eq!(stats.published(), 1 + OUTBOX_LINES as u64);
    let last = written.iter().last().unwrap();
    assert!(String::from_utf8(last)
        .unwrap()
        .contains("\"Invocations\":74"));
}

#[test]
fn a_writer_that_fails_costs_its_lines_only() {
    let emf = Emf::new(
        "Plimsoll",
        &dimensions(),
        Arc::default(),
        Box::new(|| Err(std::io::Error::other("closed"))),
    );
    emf.write(&period(vec![(Metric::Invocations, Series::Counter(1))]));
    assert!(emf.finish(Duration::from_secs(5)));
    assert_eq!(emf.dropped(), 1);
}

/// What a writer does with one call.
enum Call {
    Takes(usize),
    Fails(ErrorKind),
}

/// Does as told, then takes everything; tells what each call took.
struct Scripted {
    calls: std::vec::IntoIter<Call>,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = match self.calls.next() {
            Some(Call::Fails(kind)) => return Err(kind.into()),
            Some(Call::Takes(count)) => count.min(bytes.len()),
            None => bytes.len(),
        };
        let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
        self.taken.lock().unwrap().push(text);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes three lines; which of them were written, and what each call took.
fn written_by(calls: Vec<Call>) -> ([bool; 3], Vec<String>) {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let mut writer = LineWriter {
        writer: Box::new(Scripted {
            calls: calls.into_iter(),
            taken: taken.clone(),
        }),
        is_torn: false,
    };
    let written = ["first\n", "second\n", "third\n"].map(|line| writer.write(line).is_ok());
    let taken = taken.lock().unwrap().clone();
    (written, taken)
}

#[test]
fn a_line_is_one_write() {
    let (written, taken) = written_by(Vec::new());
    assert_eq!(written, [true; 3]);
    assert_eq!(taken, ["first\n", "second\n", "third\n"]);
}

#[test]
fn a_line_that_is_torn_costs_itself_alone() {
    use ErrorKind::{BrokenPipe, Interrupted, WouldBlock};
    let (written, taken) = written_by(vec![Call::Takes(2), Call::Fails(BrokenPipe)]);
    assert_eq!(written, [false, true, true]);
    assert_eq!(taken.concat(), "fi\nsecond\nthird\n");
    // Nothing of the second was written either: the first is still torn.
    let calls = [
        Call::Takes(2),
        Call::Fails(BrokenPipe),
        Call::Fails(BrokenPipe),
    ];
    let (written, taken) = written_by(calls.into());
    assert_eq!(written, [false, false, true]);
    assert_eq!(taken.concat(), "fi\nthird\n");
    let calls = [
        Call::Takes(2),
        Call::Fails(Interrupted),
        Call::Fails(WouldBlock),
    ];
    let (written, taken) = written_by(calls.into());
    assert_eq!(written, [true; 3]);
    assert_eq!(taken.concat(), "first\nsecond\nthird\n");
    let (written, taken) = written_by(vec![Call::Takes(0)]);
    assert_eq!(written, [false, true, true], "a writer that takes nothing");
    assert_eq!(taken.concat(), "second\nthird\n");
}
