//! Tests of the whole sidecar: thread, start, stop and page.

use super::*;
use metrics::{Metadata, Recorder as _};
use scaling::catalogue::Metric;

static METADATA: Metadata<'_> = Metadata::new("test", metrics::Level::INFO, None);

fn quiet() -> Config {
    Config {
        route: RouteChoice::None,
        ..Config::default()
    }
}

#[test]
fn it_starts_serves_a_page_and_stops_in_time() {
    let recorder = Recorder::new();
    recorder
        .register_counter(&"Invocations".into(), &METADATA)
        .increment(4);
    let sidecar = start(quiet(), recorder, Arc::new(AtomicBool::new(true))).unwrap();
    let page = sidecar.page();
    assert!(page.render().contains("plimsoll_invocations_total 4\n"));
    let begin = Instant::now();
    sidecar.stop(Duration::from_secs(5));
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    // The last frame was taken on the way out.
    assert!(
        page.render().contains("plimsoll_cpu_utilization_ratio"),
        "{}",
        page.render()
    );
    assert!(page
        .render()
        .contains("plimsoll_sidecar_route_info{route=\"none\"} 1"));
}

#[test]
fn bad_settings_are_refused_before_a_thread_starts() {
    let config = Config {
        period_secs: 7,
        ..quiet()
    };
    let error = start(config, Recorder::new(), Arc::default()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("7 s"), "{error}");
}

#[test]
fn the_banner_line_is_there_at_once() {
    let sidecar = start(quiet(), Recorder::new(), Arc::default()).unwrap();
    assert_eq!(sidecar.route_line(), "none: only GET /metrics");
    drop(sidecar);
}

#[test]
fn ticks_fall_on_the_second_and_an_early_one_is_not_repeated() {
    assert_eq!(
        to_next_tick(Duration::from_millis(5_250)),
        Duration::from_millis(750)
    );
    assert_eq!(
        to_next_tick(Duration::from_millis(5_000)),
        Duration::from_millis(1_000)
    );
    assert_eq!(
        to_next_tick(Duration::from_millis(5_990)),
        Duration::from_millis(1_010)
    );
}

/// A sidecar's shared side without its thread.
fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        last: Mutex::new(None),
        stats: Arc::default(),
        outbox: Arc::new(Outbox::new(4)),
        emf: Arc::new(Emf::to_stdout("Plimsoll", &[], Arc::default())),
        gpu: View::default(),
    })
}

/// Measures with a stop that is already set: one short frame.
fn measure_once(begin: bool) -> Option<scaling::window::Period> {
    let shared = shared();
    let (_stop, stopped) = watch::channel(Some(Instant::now()));
    let (_flush, flushes) = mpsc::channel(1);
    let sampler = Sampler::new(Recorder::new(), Path::new("/"), None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure(
        sampler,
        Window::new(10),
        &AtomicBool::new(begin),
        &shared,
        (stopped, (flushes, Arc::default())),
    ));
    assert!(
        shared.last.lock().unwrap().is_some(),
        "the page has its frame either way"
    );
    shared.outbox.close();
    shared.outbox.take_blocking().map(|parcel| parcel.period)
}

#[test]
fn the_last_partial_period_is_published_and_nothing_before_the_first_good_ping() {
    let period = measure_once(true).unwrap();
    assert!(period.get(Metric::Invocations).is_some());
    assert!(
        period.get(Metric::MemoryUtilization).is_none(),
        "a moment is not a sample"
    );
    assert!(measure_once(false).is_none());
}

#[test]
fn a_flush_brings_the_events_at_once_and_is_answered_when_they_have_left() {
    let shared = shared();
    let recorder = Recorder::new();
    let (stop, stopped) = watch::channel(None);
    let (flush, flushes) = mpsc::channel(1);
    let flusher = Flusher::new(flush);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let invocations = metrics::Recorder::register_counter(
        &recorder,
        &metrics::Key::from_static_name(Metric::Invocations.name()),
        &METADATA,
    );
    let sampler = Sampler::new(recorder, Path::new("/"), None);
    invocations.increment(3);
    let begin = AtomicBool::new(true);
    let parcel = runtime.block_on(async {
        let measuring = measure(
            sampler,
            Window::new(10),
            &begin,
            &shared,
            (stopped, (flushes, Arc::default())),
        );
        let publishing = async {
            let parcel = shared.outbox.take().await.unwrap();
            for delivered in parcel.delivered {
                delivered.send(()).unwrap();
            }
            parcel.period
        };
        let flushing = async {
            flusher.flush().await;
            stop.send(Some(Instant::now())).unwrap();
        };
        tokio::join!(measuring, publishing, flushing).1
    });
    let Some(scaling::window::Series::Counter(count)) = parcel.get(Metric::Invocations) else {
        panic!("a counter is expected")
    };
    assert_eq!(*count, 3);
}

#[tokio::test]
async fn a_flush_that_hangs_costs_its_limit_once() {
    let (flush, mut held) = mpsc::channel(2);
    let flusher = Flusher::new(flush);
    let begun = Instant::now();
    flusher.flush().await;
    let once = begun.elapsed();
    assert!(once >= FLUSH_LIMIT, "{once:?}");
    flusher.flush().await;
    assert!(
        begun.elapsed() < 2 * FLUSH_LIMIT,
        "the next one does not wait"
    );
    assert!(held.try_recv().is_ok());
    assert!(held.try_recv().is_err(), "nor is it asked for");
}

#[test]
fn flushes_that_outrun_the_far_side_lose_nothing() {
    const FLUSHES: u64 = 50;
    let shared = shared();
    let recorder = Recorder::new();
    let (stop, stopped) = watch::channel(None);
    let (flush, flushes) = mpsc::channel(FLUSHES_WAITING);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let invocations = metrics::Recorder::register_counter(
        &recorder,
        &metrics::Key::from_static_name(Metric::Invocations.name()),
        &METADATA,
    );
    let sampler = Sampler::new(recorder, Path::new("/"), None);
    let begin = AtomicBool::new(true);
    let (parcels, total, told) = runtime.block_on(async {
        let measuring = async {
            measure(
                sampler,
                Window::new(10),
                &begin,
                &shared,
                (stopped, (flushes, Arc::default())),
            )
            .await;
            shared.outbox.close();
        };
        let publishing = async {
            let (mut parcels, mut total) = (0, 0);
            while let Some(Parcel { period, delivered }) = shared.outbox.take().await {
                tokio::time::sleep(Duration::from_millis(40)).await;
                if let Some(scaling::window::Series::Counter(count)) =
                    period.get(Metric::Invocations)
                {
                    total += count;
                }
                parcels += 1;
                for delivered in delivered {
                    let _ = delivered.send(());
                }
            }
            (parcels, total)
        };
        let flushing = async {
            let mut waits = Vec::new();
            for _ in 0..FLUSHES {
                invocations.increment(1);
                let (deliver, delivered) = oneshot::channel();
                flush.send(deliver).await.unwrap();
                waits.push(delivered);
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
            let mut told = 0;
            for wait in waits {
                told += u64::from(wait.await.is_ok());
            }
            stop.send(Some(Instant::now())).unwrap();
            told
        };
        let ((), (parcels, total), told) = tokio::join!(measuring, publishing, flushing);
        (parcels, total, told)
    });
    assert_eq!(total, FLUSHES);
    assert_eq!(told, FLUSHES, "everybody is told");
    assert_eq!(shared.outbox.dropped(), 0);
    assert!(parcels < FLUSHES / 2, "{parcels} parcels");
}

#[test]
fn flushes_take_nothing_from_what_is_sampled_once_a_second() {
    use scaling::catalogue::internal;
    let shared = shared();
    let recorder = Recorder::new();
    let (stop, stopped) = watch::channel(None);
    let (flush, flushes) = mpsc::channel(FLUSHES_WAITING);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    recorder
        .register_gauge(&internal::SLOTS.into(), &METADATA)
        .set(1.0);
    recorder
        .register_counter(&internal::BUSY_SLOTS.into(), &METADATA)
        .increment(scaling::level::rise(0));
    let sampler = Sampler::new(recorder, Path::new("/"), None);
    let begin = AtomicBool::new(true);
    let samples = runtime.block_on(async {
        let measuring = async {
            let orders = (stopped, (flushes, Arc::default()));
            measure(sampler, Window::new(10), &begin, &shared, orders).await;
            shared.outbox.close();
        };
        let publishing = async {
            let mut samples = Vec::new();
            while let Some(Parcel { period, .. }) = shared.outbox.take().await {
                if let Some(scaling::window::Series::Reading(values)) =
                    period.get(Metric::SlotUtilization)
                {
                    samples.extend_from_slice(values);
                }
            }
            samples
        };
        let flushing = async {
            // Two ticks at least, however many flushes come shortly before them.
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(2200) {
                let (deliver, delivered) = oneshot::channel();
                flush.send(deliver).await.unwrap();
                let _ = delivered.await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.send(Some(Instant::now())).unwrap();
        };
        tokio::join!(measuring, publishing, flushing).1
    });
    let ticks: u64 = samples.iter().map(|(_, ticks)| ticks).sum();
    assert!((2..=4).contains(&ticks), "{samples:?}");
    assert!(samples.iter().all(|(busy, _)| *busy > 99.0), "{samples:?}");
}
