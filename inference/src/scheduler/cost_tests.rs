//! Tests of the costs: what is learnt from which run, and where a class runs.

use super::*;
use crate::runtime::capacity::Point;

const fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// A run of one request that nobody waited behind.
fn alone(passed: Duration) -> Run {
    Run {
        passed,
        cpu_time: None,
        worked: passed,
        batch: Batch {
            rows: 1,
            largest: 1,
            requests: 1,
            most: 1,
        },
        waited: Duration::ZERO,
        before: Duration::ZERO,
        is_busy: false,
    }
}

/// The slot time that a request of this class takes at capacity.
fn slot(costs: &Costs, class: usize) -> Duration {
    Duration::from_nanos(costs.at_capacity(class).slot_nanos)
}

fn learn(costs: &Costs, class: usize, passed: Duration) {
    costs.learn(class, 1, &alone(passed));
}

#[test]
fn classes_are_powers_of_two() {
    assert_eq!(class_of(0), 0);
    assert_eq!(class_of(1), 0);
    assert_eq!(class_of(64), 6);
    assert_eq!(class_of(127), 6);
    assert_eq!(class_of(128), 7);
    assert_eq!(class_of(usize::MAX), CLASSES - 1);
}

#[test]
fn an_unseen_class_costs_what_its_neighbour_does() {
    let costs = Costs::default();
    assert_eq!(slot(&costs, 6), Duration::ZERO);
    learn(&costs, 6, micros(10));
    assert_eq!(slot(&costs, 6), micros(10));
    assert_eq!(slot(&costs, 20), micros(10));
    assert_eq!(slot(&costs, 2), micros(10));
}

#[test]
fn one_slow_run_moves_the_cost_little() {
    let costs = Costs::default();
    for _ in 0..100 {
        learn(&costs, 3, micros(100));
    }
    learn(&costs, 3, Duration::from_secs(5));
    assert!(slot(&costs, 3) < micros(125), "{:?}", slot(&costs, 3));
}

#[test]
fn one_long_run_takes_its_class_off_the_http_threads_for_long() {
    let costs = Costs::default();
    for _ in 0..100 {
        learn(&costs, 2, micros(5));
    }
    assert!(costs.is_inline(2));
    learn(&costs, 2, Duration::from_secs(1));
    for _ in 0..60_000 {
        learn(&costs, 2, micros(5));
        assert!(!costs.is_inline(2));
    }
    for _ in 0..6_000 {
        learn(&costs, 2, micros(5));
    }
    assert!(costs.is_inline(2));
}

#[test]
fn handing_over_has_hysteresis() {
    let costs = Costs::default();
    assert!(!costs.is_inline(4), "an unseen class is handed over");
    for _ in 0..200 {
        learn(&costs, 4, micros(40));
    }
    assert!(costs.is_inline(4));
    for _ in 0..200 {
        learn(&costs, 4, micros(60));
    }
    assert!(costs.is_inline(4), "60 µs is between the bounds");
    for _ in 0..200 {
        learn(&costs, 4, micros(90));
    }
    assert!(!costs.is_inline(4));
    for _ in 0..200 {
        learn(&costs, 4, micros(60));
    }
    assert!(!costs.is_inline(4), "60 µs is between the bounds");
}

/// 440 µs a run and 60 µs a record on top: one record 500 µs, eight 920 µs.
fn boosted() -> Capacity {
    let point = |rows: usize| Point {
        rows,
        run: micros(440 + 60 * rows as u64),
    };
    Capacity::new([1, 2, 4, 8].map(point).to_vec(), 1.0).unwrap()
}

/// So many records a run, of which each has its 440 µs.
fn most(rows: usize) -> Most {
    Most {
        fixed: micros(440),
        ..Most::records(rows)
    }
}

#[test]
fn capacity_is_counted_at_the_best_batch_that_is_permitted() {
    let costs = Costs::default();
    costs.calibrate(&boosted(), 32, most(8));
    assert_eq!(slot(&costs, class_of(32)), micros(115));
    assert_eq!(slot(&costs, class_of(64)), micros(230));
    assert_eq!(slot(&costs, class_of(256)), micros(920));
    let unbatched = Costs::default();
    unbatched.calibrate(&boosted(), 32, most(1));
    assert_eq!(slot(&unbatched, class_of(32)), micros(500));
    assert_eq!(slot(&unbatched, class_of(64)), micros(560));
}

#[test]
fn a_large_record_is_no_batch_of_small_ones_once_it_has_run_alone() {
    let costs = Costs::default();
    costs.calibrate(&boosted(), 32, most(8));
    learn(&costs, class_of(256), micros(40));
    assert!(costs.is_inline(class_of(256)));
    // What was measured on one record stands against a single run.
    learn(&costs, class_of(32), micros(40));
    assert!(!costs.is_inline(class_of(32)));
}

#[test]
fn what_a_request_adds_to_a_run_is_learnt_alone_and_in_company() {
    let costs = Costs::default();
    costs.calibrate(&boosted(), 32, most(8));
    assert_eq!(costs.own(9), 0, "not seen yet");
    let own = |class| micros(costs.own(class) / 1_000);
    costs.learn(9, 1, &batch(1, false));
    assert_eq!(own(9), micros(60));
    for _ in 0..100 {
        let mut run = batch(8, true);
        run.cpu_time = Some(micros(440 + 8 * 30));
        costs.learn(9, 1, &run);
        costs.learn(10, 4, &run);
    }
    assert!(own(9) < micros(31), "{:?}", own(9));
    assert_eq!(own(10), micros(120));
    costs.share_no_more();
    costs.learn(11, 1, &batch(1, false));
    assert_eq!(costs.own(11), 0);
}

/// A run of `boosted` on a slot that shares its core, and so is held for longer than the CPU is used.
fn batch(rows: usize, is_busy: bool) -> Run {
    Run {
        passed: micros(500 + 60 * rows as u64),
        cpu_time: Some(micros(440 + 60 * rows as u64)),
        worked: micros(440 + 60 * rows as u64),
        batch: Batch {
            rows,
            largest: 1,
            requests: rows,
            most: 8,
        },
        waited: micros(700),
        before: Duration::ZERO,
        is_busy,
    }
}

#[test]
fn small_batches_at_low_load_do_not_move_the_capacity() {
    let costs = Costs::default();
    costs.calibrate(&boosted(), 32, most(8));
    for _ in 0..100 {
        costs.learn(5, 1, &batch(1, false));
        costs.learn(5, 1, &batch(2, true));
        costs.learn(5, 1, &batch(8, false));
    }
    assert_eq!(slot(&costs, 5), micros(115));
    // One long run by chance moves it little, however many requests it held.
    let mut long = batch(8, true);
    (long.passed, long.cpu_time) = (micros(3_000), Some(micros(3_000)));
    costs.learn(5, 1, &long);
    assert!(slot(&costs, 5) < micros(117), "{:?}", slot(&costs, 5));
    // It takes seconds to change.
    for _ in 0..100 {
        costs.learn(5, 1, &batch(6, true));
    }
    assert!(slot(&costs, 5) < micros(125), "{:?}", slot(&costs, 5));
    for _ in 0..5_000 {
        costs.learn(5, 1, &batch(6, true));
    }
    let learnt = slot(&costs, 5).as_secs_f64() * 1e6;
    assert!((learnt - 860.0 / 6.0).abs() < 2.0, "{learnt}");
    let cpu = costs.at_capacity(5).cpu_nanos as f64 / 1e3;
    assert!((cpu - 800.0 / 6.0).abs() < 2.0, "{cpu}");
}

#[test]
fn a_batch_that_is_cheaper_than_capacity_lowers_it_however_small() {
    let costs = Costs::default();
    costs.calibrate(&boosted(), 32, most(8));
    let mut cheap = batch(2, true);
    (cheap.passed, cheap.cpu_time) = (micros(160), Some(micros(160)));
    for _ in 0..30_000 {
        costs.learn(5, 1, &cheap);
    }
    let learnt = slot(&costs, 5).as_secs_f64() * 1e6;
    assert!((learnt - 80.0).abs() < 2.0, "{learnt}");
}

#[test]
fn whoever_waited_long_is_beyond_capacity_in_a_batch_of_any_size() {
    let costs = Costs::default();
    costs.calibrate(&boosted(), 32, most(8));
    // Requests whose records do not join: single runs are all there is.
    let mut late = batch(1, true);
    late.waited = Duration::from_millis(150);
    for _ in 0..10_000 {
        costs.learn(5, 1, &late);
    }
    let learnt = slot(&costs, 5).as_secs_f64() * 1e6;
    assert!((learnt - 560.0).abs() < 10.0, "{learnt}");
    let mut slow = late;
    slow.passed = Duration::from_millis(90);
    assert!(!slow.is_full(), "two runs' time is no wait");
    let mut behind = late;
    behind.before = Duration::from_millis(120);
    assert!(!behind.is_full(), "one long run before it is no queue");
}

#[test]
fn what_runs_take_for_the_values_they_get_counts_whole_and_what_a_neighbour_adds_does_not() {
    let costs = Costs::default();
    costs.calibrate(&boosted(), 32, most(1));
    let run = |passed, cpu| {
        let mut run = batch(1, true);
        (run.passed, run.cpu_time) = (passed, Some(cpu));
        run.batch.most = 1;
        run
    };
    for _ in 0..2_000 {
        costs.learn(5, 1, &run(micros(20_000), micros(20_000)));
    }
    assert!(slot(&costs, 5) > micros(19_000), "{:?}", slot(&costs, 5));
    for _ in 0..2_000 {
        costs.learn(5, 1, &run(micros(20_000), micros(1_000)));
    }
    assert!(slot(&costs, 5) < micros(4_100), "{:?}", slot(&costs, 5));
}

#[test]
fn a_batch_that_another_like_it_would_not_fit_into_is_full() {
    let run = |rows, largest| {
        let mut run = batch(rows, true);
        run.batch.largest = largest;
        run
    };
    for (rows, largest, is_full) in [(4, 1, false), (5, 3, false), (5, 4, true), (6, 1, true)] {
        assert_eq!(run(rows, largest).is_full(), is_full, "{rows} of {largest}");
    }
}

#[test]
fn a_size_that_was_not_measured_saves_what_a_run_costs_and_no_larger_part() {
    let costs = Costs::default();
    costs.calibrate(&boosted(), 32, most(8));
    // 500 µs alone are 115 µs shared: 385 µs saved, 77 %.
    learn(&costs, 12, micros(2_000));
    assert_eq!(slot(&costs, 12), micros(2_000 - 385));
    learn(&costs, 0, micros(100));
    assert_eq!(slot(&costs, 0), micros(23));
    // Seen in company only.
    costs.learn(20, 1, &batch(8, true));
    costs.share_no_more();
    assert_eq!(slot(&costs, 20), micros(2_000), "its nearest neighbour's");
    assert_eq!(slot(&costs, 12), micros(2_000));
    assert_eq!(slot(&costs, 5), micros(500));
}

#[test]
fn a_request_of_many_records_costs_its_share_of_the_run() {
    let costs = Costs::default();
    let run = Run {
        passed: micros(1000),
        cpu_time: Some(micros(1000)),
        worked: micros(1000),
        batch: Batch {
            rows: 8,
            largest: 6,
            requests: 2,
            most: 8,
        },
        waited: Duration::ZERO,
        before: Duration::ZERO,
        is_busy: true,
    };
    costs.learn(7, 6, &run);
    costs.learn(5, 2, &run);
    assert_eq!(slot(&costs, 7), micros(750));
    assert_eq!(slot(&costs, 5), micros(250));
}
