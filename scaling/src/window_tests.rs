//! Tests of the roll-up from frames to periods.

use super::*;
use crate::frame::LevelSample;

fn frame(end_secs: u64) -> Frame {
    Frame::new(end_secs, 1, 1.0)
}

fn level(mean: f64, max: f64) -> Sample {
    Sample::Level(LevelSample { mean, max })
}

#[test]
fn ten_seconds_make_one_period_on_the_wall_clock() {
    let mut window = Window::new(10);
    for second in 1..=9 {
        assert!(window.push(frame(1000 + second)).is_empty());
    }
    let periods = window.push(frame(1010));
    assert_eq!(periods.len(), 1);
    assert_eq!((periods[0].start_secs, periods[0].period_secs), (1000, 10));
    assert!(window.finish().is_none());
}

#[test]
fn counters_are_summed_to_one_sample_and_idle_is_zero() {
    let mut window = Window::new(10);
    for (second, count) in [(1, 3), (2, 0), (3, 4)] {
        let mut frame = frame(second);
        frame.insert(Metric::Invocations, Sample::Counter(count));
        frame.insert(Metric::Rejected, Sample::Counter(0));
        window.push(frame);
    }
    let period = window.finish().unwrap();
    assert_eq!(period.get(Metric::Invocations), Some(&Series::Counter(7)));
    assert_eq!(period.get(Metric::Rejected), Some(&Series::Counter(0)));
    assert_eq!(period.get(Metric::ClientErrors), None);
}

#[test]
fn a_levels_mean_is_weighted_by_time_and_its_maximum_kept() {
    let mut window = Window::new(10);
    let mut long = Frame::new(3, 3, 3.0);
    long.insert(Metric::Concurrency, level(2.0, 9.0));
    let mut short = Frame::new(4, 1, 1.0);
    short.insert(Metric::Concurrency, level(6.0, 7.0));
    window.push(long);
    window.push(short);
    let period = window.finish().unwrap();
    let set = LevelSet {
        samples: 4,
        sum: 12.0,
        min: 2.0,
        max: 9.0,
    };
    assert_eq!(period.get(Metric::Concurrency), Some(&Series::Level(set)));
}

#[test]
fn a_missing_reading_leaves_no_sample_and_zero_is_one() {
    let mut window = Window::new(10);
    for (second, value) in [(1, Some(50.0)), (2, None), (3, Some(0.0))] {
        let mut frame = frame(second);
        frame.reading(Metric::CPUUtilization, value);
        window.push(frame);
    }
    let period = window.finish().unwrap();
    let expected = Series::Reading(vec![(50.0, 1), (0.0, 1)]);
    assert_eq!(period.get(Metric::CPUUtilization), Some(&expected));
    assert_eq!(period.get(Metric::GPUUtilization), None);
}

#[test]
fn distributions_merge_and_an_idle_one_is_absent() {
    let mut window = Window::new(10);
    let mut idle = Histogram::new();
    for second in 1..=3 {
        let mut frame = frame(second);
        frame.insert(Metric::QueueLatency, Sample::Distribution(Histogram::new()));
        frame.insert(Metric::RequestLatency, Sample::Distribution(idle.clone()));
        idle.record(second as f64);
        window.push(frame);
    }
    let period = window.finish().unwrap();
    assert_eq!(period.get(Metric::QueueLatency), None);
    match period.get(Metric::RequestLatency) {
        Some(Series::Distribution(histogram)) => assert_eq!(histogram.count(), 3),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_period_has_one_sample_a_second_even_after_a_late_tick() {
    let mut window = Window::new(10);
    let mut periods = Vec::new();
    for (end, ticks) in [(1, 1), (2, 1), (6, 4), (7, 1), (8, 1), (9, 1), (10, 1)] {
        let mut frame = Frame::new(end, ticks, f64::from(ticks));
        frame.reading(Metric::OfferedLoad, Some(10.0));
        frame.insert(Metric::Concurrency, level(1.0, 1.0));
        periods.extend(window.push(frame));
    }
    let Some(Series::Reading(values)) = periods[0].get(Metric::OfferedLoad) else {
        panic!()
    };
    assert_eq!(values.iter().map(|(_, ticks)| ticks).sum::<u64>(), 10);
    let Some(Series::Level(set)) = periods[0].get(Metric::Concurrency) else {
        panic!()
    };
    assert_eq!((set.samples, set.sum), (10, 10.0));
}

#[test]
fn a_long_freeze_is_not_more_than_one_period_of_samples() {
    let mut window = Window::new(10);
    let mut first = frame(1001);
    first.reading(Metric::OfferedLoad, Some(1.0));
    assert!(window.push(first).is_empty());
    let mut frozen = Frame::new(2001, 1000, 1000.0);
    frozen.reading(Metric::OfferedLoad, Some(2.0));
    let periods = window.push(frozen);
    assert_eq!(periods.len(), 1);
    let expected = Series::Reading(vec![(1.0, 1), (2.0, 9)]);
    assert_eq!(periods[0].get(Metric::OfferedLoad), Some(&expected));
}

#[test]
fn a_clock_that_jumps_closes_the_open_period() {
    let mut window = Window::new(60);
    window.push(frame(6001));
    let periods = window.push(frame(5000));
    assert_eq!(periods.len(), 1);
    assert_eq!(periods[0].start_secs, 6000);
    assert_eq!(window.finish().map(|period| period.start_secs), Some(4980));
}

#[test]
fn a_frame_of_no_ticks_brings_its_events_but_no_samples() {
    let mut window = Window::new(10);
    let mut moment = Frame::new(5, 1, 0.01);
    moment.ticks = 0;
    moment.insert(Metric::Invocations, Sample::Counter(3));
    moment.insert(Metric::Concurrency, level(9.0, 9.0));
    moment.reading(Metric::OfferedLoad, Some(4000.0));
    window.push(moment);
    let period = window.finish().unwrap();
    assert_eq!(period.get(Metric::Invocations), Some(&Series::Counter(3)));
    assert_eq!(period.get(Metric::OfferedLoad), None);
    assert_eq!(period.get(Metric::Concurrency), None);
}

#[test]
fn a_window_over_some_metrics_leaves_the_others_out() {
    let mut window = Window::new(10).only(&[Metric::Rejected]);
    let mut frame = Frame::new(10, 10, 10.0);
    frame.insert(Metric::Invocations, Sample::Counter(3));
    frame.insert(Metric::Rejected, Sample::Counter(2));
    let periods = window.push(frame);
    assert_eq!(periods[0].series, [(Metric::Rejected, Series::Counter(2))]);
}
