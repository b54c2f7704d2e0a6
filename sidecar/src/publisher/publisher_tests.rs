//! Tests of the choice of route, with a CloudWatch that follows a script.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

use super::*;
use scaling::catalogue::Metric;
use scaling::window::Series;

/// Answers from a script, then accepts; keeps what it accepted.
#[derive(Clone, Default)]
struct Scripted {
    script: Arc<Mutex<VecDeque<Option<Refusal>>>>,
    accepted: Arc<Mutex<Vec<u64>>>,
    attempts: Arc<Mutex<u32>>,
    connections: Arc<Mutex<u32>>,
}

impl Scripted {
    fn new(script: impl IntoIterator<Item = Option<Refusal>>) -> Self {
        Self {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            ..Self::default()
        }
    }

    fn accepted(&self) -> Vec<u64> {
        self.accepted.lock().unwrap().clone()
    }
}

impl Cloud for Scripted {
    async fn put(&mut self, period: &Period, _: &mut Progress) -> Result<(), Refusal> {
        *self.attempts.lock().unwrap() += 1;
        match self.script.lock().unwrap().pop_front().flatten() {
            Some(refusal) => Err(refusal),
            None => {
                self.accepted.lock().unwrap().push(period.start_secs);
                Ok(())
            }
        }
    }

    fn reconnect(&mut self) {
        *self.connections.lock().unwrap() += 1;
    }
}

/// Never answers; the request leaves or does not.
struct Hanging {
    leaves: bool,
}

impl Cloud for Hanging {
    async fn put(&mut self, _: &Period, progress: &mut Progress) -> Result<(), Refusal> {
        progress.begin();
        progress.written().store(self.leaves, Ordering::Relaxed);
        std::future::pending().await
    }

    fn reconnect(&mut self) {}
}

/// What was written to stdout.
#[derive(Clone, Default)]
pub(super) struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    pub(super) fn emf(&self, stats: &Arc<Stats>) -> Arc<Emf> {
        let writer = self.clone();
        let open = Box::new(|| Ok(Box::new(writer) as _));
        Arc::new(Emf::new("Plimsoll", &[], stats.clone(), open))
    }

    pub(super) fn lines(&self) -> usize {
        let bytes = self.0.lock().unwrap();
        bytes.iter().filter(|byte| **byte == b'\n').count()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const QUICK: Timing = Timing {
    backoff: (Duration::from_millis(1), Duration::from_millis(2)),
    patience: Duration::from_millis(20),
    probe: (Duration::from_secs(300), Duration::from_secs(300)),
    jitter: Duration::ZERO,
    idle: Duration::from_secs(20),
};

pub(super) fn period(start_secs: u64) -> Period {
    Period {
        start_secs,
        period_secs: 10,
        series: vec![(Metric::Invocations, Series::Counter(1))],
    }
}

struct Outcome {
    stats: Arc<Stats>,
    dropped: u64,
    emf_lines: usize,
    stop: watch::Sender<Option<Deadline>>,
}

/// Publishes `periods` periods by `choice` and returns when all are gone.
fn publish<C: Cloud>(choice: RouteChoice, cloud: C, periods: u64, timing: Timing) -> Outcome {
    let (stop, stopped) = watch::channel(None);
    publish_until(choice, cloud, periods, timing, stop, stopped)
}

fn publish_until<C: Cloud>(
    choice: RouteChoice,
    cloud: C,
    periods: u64,
    timing: Timing,
    stop: watch::Sender<Option<Deadline>>,
    stopped: Stop,
) -> Outcome {
    let periods = (1..=periods).map(period).collect();
    let (stats, dropped, emf_lines) = publish_with(choice, cloud, periods, timing, stopped, |p| p);
    Outcome {
        stats,
        dropped,
        emf_lines,
        stop,
    }
}

/// Publishes with a publisher that `change` has changed: gives statistics, periods dropped, lines.
fn publish_with<C: Cloud>(
    choice: RouteChoice,
    cloud: C,
    periods: Vec<Period>,
    timing: Timing,
    stopped: Stop,
    change: impl FnOnce(Publisher<C>) -> Publisher<C>,
) -> (Arc<Stats>, u64, usize) {
    let page = Page::default();
    let stats = Arc::new(Stats::default());
    let emf = page.emf(&stats);
    let outbox = Arc::new(Outbox::new(4));
    for period in periods {
        outbox.put(period.into());
    }
    outbox.close();
    let publisher = Publisher::new(
        choice,
        cloud,
        emf.clone(),
        stats.clone(),
        (timing, 7),
        stopped,
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(change(publisher).run(outbox.clone()));
    assert!(emf.finish(Duration::from_secs(5)));
    (stats, outbox.dropped(), page.lines())
}

#[test]
fn auto_stays_with_cloudwatch_when_the_first_period_is_accepted() {
    let cloud = Scripted::default();
    let outcome = publish(RouteChoice::Auto, cloud.clone(), 3, QUICK);
    assert_eq!(cloud.accepted(), [1, 2, 3]);
    assert_eq!(
        (outcome.emf_lines, outcome.stats.active()),
        (0, Active::CloudWatch)
    );
    assert_eq!(
        (outcome.stats.published(), outcome.stats.failures()),
        (3, 0)
    );
    assert!(outcome.stats.since_success().is_some());
}

#[test]
fn a_period_of_nothing_is_not_published_and_proves_nothing() {
    for choice in [RouteChoice::Auto, RouteChoice::CloudWatch, RouteChoice::Emf] {
        let nothing = Period {
            series: Vec::new(),
            ..period(1)
        };
        let cloud = Scripted::default();
        let (_stop, stopped) = watch::channel(None);
        let (stats, _, emf_lines) =
            publish_with(choice, cloud.clone(), vec![nothing], QUICK, stopped, |p| p);
        assert_eq!((cloud.accepted(), emf_lines), (Vec::new(), 0));
        let expected = choice == RouteChoice::Emf;
        assert_eq!(stats.active() == Active::Emf, expected);
        assert_eq!((stats.published(), stats.failures()), (0, 0));
        assert!(stats.since_success().is_none());
    }
}

#[test]
fn auto_takes_embedded_format_when_the_probe_is_refused_and_does_not_ask_again_at_once() {
    let reasons = [
        Refusal::NoRegion,
        Refusal::NoCredentials(String::new()),
        Refusal::Denied(String::new()),
        Refusal::Unreachable(String::new()),
        Refusal::Timeout,
        Refusal::Internal(String::new()),
        Refusal::Invalid(String::new()),
    ];
    for refusal in reasons {
        let cloud = Scripted::new([Some(refusal.clone())]);
        let outcome = publish(RouteChoice::Auto, cloud.clone(), 3, QUICK);
        assert_eq!(
            (outcome.emf_lines, outcome.stats.active()),
            (3, Active::Emf),
            "{refusal}"
        );
        assert_eq!(*cloud.attempts.lock().unwrap(), 1, "{refusal}");
        assert_eq!(outcome.stats.lost(), 0);
    }
}

#[test]
fn auto_probes_again_later_and_returns_to_cloudwatch() {
    let cloud = Scripted::new([Some(Refusal::NoCredentials(String::new()))]);
    let timing = Timing {
        probe: (Duration::ZERO, Duration::ZERO),
        ..QUICK
    };
    let outcome = publish(RouteChoice::Auto, cloud.clone(), 3, timing);
    assert_eq!((outcome.emf_lines, cloud.accepted()), (1, vec![2, 3]));
}

#[test]
fn a_short_failure_is_retried_and_loses_nothing() {
    let fails = [
        None,
        Some(Refusal::Throttled),
        Some(Refusal::Server(String::new())),
    ];
    let cloud = Scripted::new(fails);
    let outcome = publish(RouteChoice::Auto, cloud.clone(), 3, QUICK);
    assert_eq!((cloud.accepted(), outcome.emf_lines), (vec![1, 2, 3], 0));
    assert_eq!(outcome.stats.failures(), 2);
}

#[test]
fn auto_leaves_a_cloudwatch_that_stops_working() {
    let fails = std::iter::once(None).chain(vec![Some(Refusal::Timeout); 10_000]);
    let outcome = publish(RouteChoice::Auto, Scripted::new(fails), 3, QUICK);
    assert_eq!(
        (outcome.emf_lines, outcome.stats.active()),
        (2, Active::Emf)
    );
}

#[test]
fn data_that_are_refused_are_dropped_and_the_route_stays() {
    for choice in [RouteChoice::Auto, RouteChoice::CloudWatch] {
        let cloud = Scripted::new([None, Some(Refusal::Invalid(String::new()))]);
        let outcome = publish(choice, cloud.clone(), 3, QUICK);
        assert_eq!((cloud.accepted(), outcome.emf_lines), (vec![1, 3], 0));
        assert_eq!(outcome.stats.lost(), 1);
        assert_eq!(outcome.stats.active(), Active::CloudWatch);
    }
}

#[test]
fn cloudwatch_by_choice_is_tried_again_and_never_becomes_embedded_format() {
    let cloud = Scripted::new(vec![Some(Refusal::NoCredentials(String::new())); 5]);
    let outcome = publish(RouteChoice::CloudWatch, cloud.clone(), 2, QUICK);
    assert_eq!((cloud.accepted(), outcome.emf_lines), (vec![1, 2], 0));
    // Nothing was attempted, so nothing failed.
    assert_eq!((outcome.stats.failures(), outcome.stats.lost()), (0, 0));
}

#[test]
fn a_full_outbox_gives_the_oldest_up() {
    let cloud = Scripted::new(vec![Some(Refusal::NoRegion); 1]);
    // Nine periods for four places: five are pushed out, and the one in hand goes for no other.
    let outcome = publish(RouteChoice::CloudWatch, cloud.clone(), 9, QUICK);
    assert_eq!((outcome.dropped, cloud.accepted()), (5, vec![6, 7, 8, 9]));
}

#[test]
fn a_hanging_cloudwatch_does_not_outlive_the_deadline() {
    // The last periods leave by stdout, but for one that CloudWatch may have.
    for (leaves, lines, unknown) in [(false, 2, 0), (true, 1, 1)] {
        let begin = Instant::now();
        let (stop, stopped) = watch::channel(Some(Deadline::now() + Duration::from_millis(50)));
        let cloud = Hanging { leaves };
        let outcome = publish_until(RouteChoice::Auto, cloud, 2, QUICK, stop, stopped);
        assert!(begin.elapsed() < Duration::from_secs(5));
        assert_eq!(
            (outcome.emf_lines, outcome.stats.unknown()),
            (lines, unknown)
        );
        drop(outcome.stop);
    }
}

#[test]
fn embedded_format_by_choice_asks_nobody_and_none_publishes_nothing() {
    let cloud = Scripted::default();
    assert_eq!(
        publish(RouteChoice::Emf, cloud.clone(), 2, QUICK).emf_lines,
        2
    );
    let none = publish(RouteChoice::None, cloud.clone(), 2, QUICK);
    assert_eq!((none.emf_lines, none.stats.published()), (0, 0));
    assert_eq!(*cloud.attempts.lock().unwrap(), 0);
}

#[test]
fn a_period_whose_answer_is_lost_goes_by_no_way_again() {
    for choice in [RouteChoice::Auto, RouteChoice::CloudWatch] {
        let cloud = Scripted::new([None, Some(Refusal::Lost(String::new()))]);
        let outcome = publish(choice, cloud.clone(), 4, QUICK);
        assert_eq!((cloud.accepted(), outcome.emf_lines), (vec![1, 3, 4], 0));
        let stats = outcome.stats;
        assert_eq!(
            (stats.unknown(), stats.published(), stats.lost()),
            (1, 3, 0)
        );
    }
}

#[test]
fn auto_leaves_a_cloudwatch_whose_answers_are_lost() {
    let lost = Some(Refusal::Lost(String::new()));
    let cloud = Scripted::new([None, lost.clone(), lost.clone(), lost]);
    let outcome = publish(RouteChoice::Auto, cloud.clone(), 4, QUICK);
    assert_eq!((outcome.emf_lines, outcome.stats.unknown()), (1, 2));
    assert_eq!(outcome.stats.active(), Active::Emf);
}

#[test]
fn a_period_that_is_in_cloudwatch_in_part_does_not_leave_by_stdout_too() {
    struct Half;
    impl Cloud for Half {
        async fn put(&mut self, _: &Period, progress: &mut Progress) -> Result<(), Refusal> {
            progress.accept();
            Err(Refusal::Timeout)
        }

        fn reconnect(&mut self) {}
    }
    let outcome = publish(RouteChoice::Auto, Half, 2, QUICK);
    assert_eq!((outcome.emf_lines, outcome.stats.unknown()), (1, 1));
}

#[test]
fn a_signature_of_a_wrong_time_is_made_again_at_once() {
    let cloud = Scripted::new([Some(Refusal::Skewed(String::new()))]);
    let outcome = publish(RouteChoice::Auto, cloud.clone(), 1, QUICK);
    assert_eq!((cloud.accepted(), outcome.stats.failures()), (vec![1], 1));
}

#[test]
fn after_a_freeze_the_connection_is_new_and_a_first_failure_does_not_count() {
    /// Every look at it is a minute later.
    fn minutes() -> Duration {
        static NOW: AtomicU64 = AtomicU64::new(0);
        Duration::from_secs(NOW.fetch_add(60, Ordering::Relaxed))
    }
    let publish = |cloud: &Scripted| {
        let (_stop, stopped) = watch::channel(None);
        let periods = (1..=2).map(period).collect();
        let (stats, ..) = publish_with(
            RouteChoice::Auto,
            cloud.clone(),
            periods,
            QUICK,
            stopped,
            |publisher| publisher.with_clock(minutes),
        );
        stats
    };
    let cloud = Scripted::new([None, Some(Refusal::Unreachable(String::new()))]);
    let stats = publish(&cloud);
    assert_eq!((cloud.accepted(), stats.failures()), (vec![1, 2], 0));
    assert_eq!(*cloud.connections.lock().unwrap(), 2);
    // What may have arrived is not sent again, frozen or not.
    let cloud = Scripted::new([None, Some(Refusal::Lost(String::new()))]);
    publish(&cloud);
    assert_eq!(cloud.accepted(), [1]);
}
