//! The scheduler's ways, one by one and mixed.

use std::sync::Arc;
use std::time::Duration;

use interleavings::clock;
use shuttle::thread;

use crate::engine::{Fate, Log};
use crate::levels::Levels;
use crate::seen::seen;
use crate::world::{World, LONG, QUEUED};
use crate::{in_every_order, repeated};

const SHORT_RUN: Duration = Duration::from_micros(5);
const LONG_RUN: Duration = Duration::from_secs(2);
/// A time limit that one long run keeps, and two do not.
const SHORT: Duration = Duration::from_secs(3);

/// Runs that take less than a hand-over; some take so much more that a leader stops to let others have their turn.
const INLINE: World = World {
    known: Some(SHORT_RUN),
    takes: &[SHORT_RUN, SHORT_RUN, Duration::from_millis(2)],
    ..QUEUED
};

/// Runs that requests share.
const SHARED: World = World {
    slots: 1,
    known: Some(Duration::from_millis(1)),
    batch_rows: 4,
    ..QUEUED
};

const EVERYTHING: World = World {
    requests: 6,
    queue_limit: 2,
    batch_rows: 4,
    has_faults: true,
    late_one_in: 8,
    hang_up_one_in: 8,
    is_closed: true,
    ..INLINE
};

#[test]
fn a_full_queue_refuses_and_never_passes_its_limit() {
    in_every_order(|| {
        World {
            queue_limit: 1,
            ..QUEUED
        }
        .run();
    });
    let seen = seen();
    assert!(seen.full > 0 && seen.answered > seen.full, "{seen:?}");
    assert_eq!(seen.inline, 0, "nothing is known of the model");
}

#[test]
fn callers_who_hang_up_and_those_whose_time_is_over_take_no_other_with_them() {
    in_every_order(|| {
        World {
            queue_limit: 2,
            late_one_in: 4,
            hang_up_one_in: 4,
            ..QUEUED
        }
        .run();
    });
    let seen = seen();
    assert!(seen.hung_up > seen.dropped && seen.dropped > 0, "{seen:?}");
    assert!(seen.timed_out > 0 && seen.full > 0, "{seen:?}");
}

#[test]
fn a_failed_run_and_a_panic_cost_one_reply_each() {
    in_every_order(|| {
        World {
            has_faults: true,
            ..QUEUED
        }
        .run();
    });
    let seen = seen();
    assert!(seen.failed > 0 && seen.panicked > 0, "{seen:?}");
}

#[test]
fn a_joint_run_that_fails_is_run_again_one_by_one() {
    in_every_order(|| {
        World {
            has_faults: true,
            ..SHARED
        }
        .run();
    });
    let seen = seen();
    assert!(seen.shared > 0 && seen.rerun > 0, "{seen:?}");
    assert!(seen.failed > 0 && seen.panicked > 0, "{seen:?}");
}

#[test]
fn a_model_that_does_not_answer_each_record_answers_each_request() {
    in_every_order(|| {
        World {
            reduces: true,
            is_uniform: true,
            ..SHARED
        }
        .run();
    });
    let seen = seen();
    assert!(seen.rerun > 0 && seen.shared == 0, "{seen:?}");
}

#[test]
fn whoever_gathers_is_run_or_handed_over() {
    in_every_order(|| INLINE.run());
    let seen = seen();
    assert!(seen.inline > 0 && seen.queued > 0, "{seen:?}");
}

#[test]
fn a_leader_who_hangs_up_forgets_nobody() {
    in_every_order(|| {
        World {
            slots: 1,
            hang_up_one_in: 2,
            ..INLINE
        }
        .run();
    });
    let seen = seen();
    assert!(seen.dropped > 0 && seen.queued > 0, "{seen:?}");
}

#[test]
fn gathered_requests_that_find_the_queue_full_or_closed_are_told_so() {
    in_every_order(|| {
        World {
            slots: 1,
            queue_limit: 1,
            hang_up_one_in: 4,
            is_closed: true,
            ..INLINE
        }
        .run();
    });
    let seen = seen();
    assert!(seen.full > 0 && seen.leaving > 0, "{seen:?}");
    assert!(seen.inline > 0 && seen.queued > 0, "{seen:?}");
}

#[test]
fn what_cannot_be_in_time_behind_others_is_refused_before_it_waits() {
    in_every_order(|| {
        World {
            slots: 1,
            known: Some(LONG_RUN),
            takes: &[LONG_RUN],
            limits: &[LONG, SHORT],
            ..QUEUED
        }
        .run();
    });
    let seen = seen();
    assert!(seen.hopeless > 0 && seen.answered > 0, "{seen:?}");
}

#[test]
fn everything_at_once() {
    in_every_order(|| EVERYTHING.run());
    let seen = seen();
    assert!(seen.inline > 0 && seen.queued > 0, "{seen:?}");
    assert!(seen.shared > 0 && seen.rerun > 0, "{seen:?}");
    assert!(seen.leaving > 0 && seen.full > 0, "{seen:?}");
    assert!(seen.timed_out > 0 && seen.hung_up > 0, "{seen:?}");
}

#[test]
fn an_order_of_steps_comes_to_the_same_again() {
    repeated(|| EVERYTHING.run());
}

#[test]
fn the_engines_come_back_to_the_last_who_ends_it_and_to_no_other() {
    in_every_order(|| {
        clock::begin(0);
        let (log, levels) = (Log::default(), Levels::new(1));
        let scheduler = QUEUED.start(&Arc::new(Vec::<Fate>::new()), &log, &levels);
        let other = scheduler.clone();
        let other = thread::spawn(move || other.end().map(|engines| engines.len()));
        let own = scheduler.end().map(|engines| engines.len());
        let other = other.join().expect("a thread ends well");
        let mut both = [own, other];
        both.sort_unstable();
        assert_eq!(both, [None, Some(QUEUED.slots)]);
        levels.assert_at_rest();
    });
}

#[test]
fn who_ends_it_while_others_hold_it_gets_nothing_and_they_are_answered() {
    in_every_order(|| {
        World {
            is_ended_early: true,
            ..QUEUED
        }
        .run();
    });
    let seen = seen();
    assert!(seen.leaving > 0 && seen.answered > 0, "{seen:?}");
}
