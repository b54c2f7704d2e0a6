//! Tests of the offered load: what it is proportional to, what counts, what is learnt when.

use super::*;
use proptest::prelude::*;

/// A second on so many slots, whose arrivals ask for so much slot time.
fn frame(work_secs: f64, slots: f64) -> Observation {
    Observation {
        elapsed_secs: 1.0,
        slots,
        offered_work_ns: (work_secs * 1e9) as u64,
        offered_cpu_ns: (work_secs * 1e9) as u64,
        ..Observation::default()
    }
}

fn load(observation: &Observation) -> f64 {
    OfferedLoad::default().step(observation).unwrap()
}

#[test]
fn it_halves_when_the_slots_double() {
    assert_eq!(load(&frame(0.6, 1.0)), 60.0);
    assert_eq!(load(&frame(0.6, 2.0)), 30.0);
}

#[test]
fn it_passes_one_hundred_without_limit() {
    assert_eq!(load(&frame(2.5, 1.0)), 250.0);
    assert_eq!(load(&frame(1000.0, 1.0)), 100_000.0);
}

#[test]
fn it_is_zero_when_idle_and_absent_while_slots_are_unknown() {
    assert_eq!(load(&frame(0.0, 4.0)), 0.0);
    assert_eq!(OfferedLoad::default().step(&frame(1.0, 0.0)), None);
    assert_eq!(slot_utilization(1.0, 0.0, 1.0), None);
    assert_eq!(slot_utilization(0.0, 4.0, 1.0), Some(0.0));
    assert_eq!(slot_utilization(1.0, 4.0, 1.0), Some(25.0));
}

#[test]
fn a_backlog_counts_only_where_it_is_to_be_drained() {
    let waiting = Observation {
        queued_work_ns: 60e9,
        ..frame(0.5, 2.0)
    };
    assert_eq!(load(&waiting), 25.0);
    let drained = OfferedLoad::new(Some(300.0)).step(&waiting).unwrap();
    // 60 s of work within 300 s keep a fifth of a slot busy.
    assert!((drained - 35.0).abs() < 1e-9, "{drained}");
    assert_eq!(OfferedLoad::new(Some(0.0)), OfferedLoad::default());
}

/// A second of a tiny model on one CPU: 6 µs of slot time a request and so much CPU in all.
fn tiny(requests: u64, cpu_secs: f64) -> Observation {
    Observation {
        answered: requests,
        run_secs: requests as f64 * 6e-6,
        cpu: Some(CpuUse {
            used_secs: cpu_secs,
            quota_cpus: 1.0,
        }),
        ..frame(requests as f64 * 6e-6, 1.0)
    }
}

fn beside_micros(signal: &OfferedLoad) -> f64 {
    signal.request_cpu_secs().unwrap() * 1e6
}

#[test]
fn what_warm_up_measured_counts_from_the_first_frame() {
    let mut first = tiny(1_000, 0.05);
    first.request_cpu_secs = Some(20e-6);
    let load = OfferedLoad::default().step(&first).unwrap();
    // A thousand requests of 6 + 20 µs.
    assert!((load - 2.6).abs() < 1e-6, "{load}");
}

#[test]
fn cpu_takes_over_for_a_model_whose_slot_time_is_small() {
    let mut signal = OfferedLoad::default();
    let full = signal.step(&tiny(38_000, 0.988)).unwrap();
    assert!((full - 98.8).abs() < 0.1, "{full}");
    // What was learnt holds at low load, where a request costs more because it wakes the server up.
    let low = signal.step(&tiny(3_800, 0.3)).unwrap();
    assert!((low - 9.88).abs() < 0.01, "{low}");
}

#[test]
fn a_cost_seen_below_capacity_lowers_and_never_raises() {
    let mut signal = OfferedLoad::default();
    signal.step(&tiny(10_000, 0.46));
    assert_eq!(signal.request_cpu_secs(), None, "not half of the quota");
    signal.step(&tiny(20_000, 0.72));
    assert!((beside_micros(&signal) - 30.0).abs() < 1e-6);
    for _ in 0..30 {
        signal.step(&tiny(30_000, 0.78));
    }
    assert!((beside_micros(&signal) - 20.0).abs() < 0.1);
    for _ in 0..30 {
        signal.step(&tiny(20_000, 0.72));
    }
    assert!((beside_micros(&signal) - 20.0).abs() < 0.1, "30 µs at 72 %");
    // A CPU that is full at a higher cost has less capacity than was thought.
    for _ in 0..100 {
        signal.step(&tiny(30_000, 0.99));
    }
    assert!((beside_micros(&signal) - 27.0).abs() < 0.1);
}

#[test]
fn a_core_that_is_full_of_small_batches_raises_nothing() {
    let mut signal = OfferedLoad::default();
    signal.step(&tiny(30_000, 0.78));
    let mut partial = tiny(10_000, 0.99);
    partial.partial_run_secs = 0.5 * partial.run_secs;
    for _ in 0..30 {
        signal.step(&partial);
    }
    assert!((beside_micros(&signal) - 20.0).abs() < 0.1);
    partial.partial_run_secs = 0.1 * partial.run_secs;
    for _ in 0..30 {
        signal.step(&partial);
    }
    assert!(beside_micros(&signal) > 80.0);
}

#[test]
fn a_cost_that_a_full_cpu_has_taught_does_not_outlive_its_reason() {
    let mut signal = OfferedLoad::default();
    // A hundred large bodies a second fill a core.
    for _ in 0..100 {
        signal.step(&tiny(100, 0.99));
    }
    assert!(beside_micros(&signal) > 9_800.0);
    // Small ones come in their stead: an idle core is no reason to think that they are as dear.
    for _ in 0..10 {
        signal.step(&tiny(100, 0.01));
    }
    assert!(beside_micros(&signal) < 100.0);
}

#[test]
fn requests_that_were_refused_for_what_they_are_teach_nothing() {
    let mut signal = OfferedLoad::default();
    signal.step(&tiny(30_000, 0.78));
    let mut malformed = tiny(30_000, 0.6);
    (malformed.run_secs, malformed.refused) = (0.0, 30_000);
    for _ in 0..10 {
        signal.step(&malformed);
    }
    assert!((beside_micros(&signal) - 20.0).abs() < 0.1);
}

#[test]
fn few_requests_or_an_unreadable_cpu_teach_nothing() {
    let mut signal = OfferedLoad::default();
    signal.step(&tiny(FEWEST - 1, 0.9));
    signal.step(&Observation {
        cpu: None,
        ..tiny(30_000, 0.9)
    });
    signal.step(&Observation {
        cpu: Some(CpuUse {
            used_secs: 0.9,
            quota_cpus: 0.0,
        }),
        ..tiny(30_000, 0.9)
    });
    assert_eq!(signal.request_cpu_secs(), None);
}

#[test]
fn arrivals_that_are_shed_cost_slot_time_and_cpu() {
    let mut signal = OfferedLoad::default();
    for _ in 0..60 {
        signal.step(&tiny(38_000, 0.988));
    }
    // 62,000 of 100,000 are refused: their work is offered all the same.
    let mut shed = tiny(100_000, 0.998);
    shed.run_secs = 38_000.0 * 6e-6;
    shed.refused = 62_000;
    for _ in 0..60 {
        let load = signal.step(&shed).unwrap();
        assert!((load - 260.0).abs() < 1.0, "{load}");
    }
}

#[test]
fn a_backlog_in_the_container_has_arrived() {
    let mut signal = OfferedLoad::default();
    let mut growing = tiny(30_000, 0.9);
    growing.in_flight_change = 10_000;
    growing.offered_work_ns = 40_000 * 6_000;
    growing.offered_cpu_ns = growing.offered_work_ns;
    let load = signal.step(&growing).unwrap();
    assert!((load - 100.0 * 40_000.0 * 30e-6).abs() < 0.1, "{load}");
}

#[test]
fn a_run_of_several_threads_uses_several_cpus() {
    let mut long = Observation {
        run_cpus: Some(1.8),
        cpu: Some(CpuUse {
            used_secs: 0.5,
            quota_cpus: 2.0,
        }),
        ..frame(0.5, 1.0)
    };
    assert_eq!(load(&long), 50.0, "the slot is the tighter resource");
    long.cpu = Some(CpuUse {
        used_secs: 0.5,
        quota_cpus: 1.0,
    });
    assert_eq!(load(&long), 90.0, "the quota is");
}

proptest! {
    #[test]
    fn frames_sum_to_the_period(work in prop::collection::vec(0.0..5.0_f64, 1..60), slots in 1..64_u32) {
        let slots = f64::from(slots);
        let mean = work.iter().map(|&work| load(&frame(work, slots))).sum::<f64>() / work.len() as f64;
        let period = Observation {
            elapsed_secs: work.len() as f64,
            ..frame(work.iter().sum(), slots)
        };
        prop_assert!((mean - load(&period)).abs() < 1e-4 * (1.0 + mean));
    }

    #[test]
    fn it_is_linear_in_the_arrivals_and_inverse_to_the_capacity(
        requests in 100..50_000_u64,
        times in 2..20_u64,
        beside in 1e-6..1e-3_f64,
    ) {
        let at = |requests: u64, capacity: f64| {
            let used_secs = requests as f64 * (6e-6 + beside);
            let mut frame = tiny(requests, used_secs);
            frame.request_cpu_secs = Some(beside);
            frame.slots = capacity;
            frame.cpu = Some(CpuUse { used_secs, quota_cpus: capacity });
            load(&frame)
        };
        let one = at(requests, 1.0);
        prop_assert!((at(requests * times, 1.0) - times as f64 * one).abs() < 1e-6 * one * times as f64);
        prop_assert!((at(requests, times as f64) - one / times as f64).abs() < 1e-6 * one);
    }

    /// Ten times the work is ten times the load, while the number of requests, and with it
    /// `InvocationsPerInstance`, is the same.
    #[test]
    fn a_request_ten_times_heavier_counts_ten_times(requests in 1..1_000_u64, micros in 100..100_000_u64) {
        let of = |micros: u64| load(&frame((requests * micros) as f64 / 1e6, 4.0));
        prop_assert!((of(10 * micros) - 10.0 * of(micros)).abs() < 1e-6 * of(10 * micros).max(1.0));
    }
}
