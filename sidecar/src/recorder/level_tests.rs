//! Tests of the recorder's level, on a clock that the test moves and on threads that do not wait.

use std::time::Duration;

use super::*;
use proptest::prelude::*;
use scaling::level::{fall, rise};

fn up(level: &Level, times: usize) {
    (0..times).for_each(|_| level.increment(rise(level.clock.micros())));
}

fn down(level: &Level, times: usize) {
    (0..times).for_each(|_| level.increment(fall(level.clock.micros())));
}

#[test]
fn integral_and_maximum_are_exact_on_a_scripted_history() {
    let clock = Clock::manual();
    let level = Level::new(clock.clone());
    up(&level, 2);
    clock.advance(Duration::from_millis(300));
    up(&level, 5);
    clock.advance(Duration::from_micros(1));
    down(&level, 6);
    clock.advance(Duration::from_millis(700));
    let first = level.cut();
    let integral = 2 * 300_000 + 7 + 700_000;
    assert_eq!(
        first,
        Cut {
            level: 1,
            max: 7,
            integral,
            at_micros: 1_000_001
        }
    );
    clock.advance(Duration::from_secs(1));
    let second = level.cut();
    assert_eq!((second.max, second.integral), (1, integral + 1_000_000));
}

#[test]
fn a_burst_between_two_cuts_is_kept_as_maximum() {
    let level = Level::new(Clock::manual());
    up(&level, 9);
    down(&level, 9);
    assert_eq!(level.cut().max, 9);
    assert_eq!(level.cut().max, 0);
}

#[test]
fn the_page_and_the_sampler_see_one_integral_over_many_days() {
    let clock = Clock::manual();
    let level = Level::new(clock.clone());
    up(&level, 50);
    // 50 for 30 days go past the word's 203 days of one; each reader looks in turn.
    for hour in 0..30 * 24 {
        clock.advance(Duration::from_secs(3600));
        let secs = f64::from(hour + 1) * 3600.0 * 50.0;
        if hour % 2 == 0 {
            assert_eq!(level.integral_secs(), secs);
        } else {
            assert_eq!(level.cut().integral, secs as u64 * 1_000_000);
        }
    }
}

#[test]
fn rises_on_one_thread_and_falls_on_another_add_up() {
    let level = Level::new(Clock::manual());
    let (risen, rises) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let level = &level;
        for from in 0..2_u64 {
            let risen = risen.clone();
            scope.spawn(move || {
                for i in 0..20_000 {
                    level.increment(rise(from + 10 * i));
                    risen.send(from + 10 * i).unwrap();
                }
            });
        }
        drop(risen);
        scope.spawn(move || {
            for at in rises {
                level.increment(fall(at + 7));
            }
        });
    });
    level.clock.advance(Duration::from_secs(1));
    let cut = level.cut();
    assert_eq!((cut.level, cut.integral), (0, 2 * 20_000 * 7));
    assert!((1..=40_000).contains(&cut.max), "{}", cut.max);
}

proptest! {
    #[test]
    fn any_history_has_the_integral_and_the_maximum_that_it_has_on_paper(
        steps in prop::collection::vec((-5_i64..6, 0_u64..10_000), 0..60),
    ) {
        let clock = Clock::manual();
        let level = Level::new(clock.clone());
        let (mut now, mut integral, mut max) = (0_i64, 0_u64, 0_i64);
        for (change, micros) in steps {
            let change = change.max(-now);
            if change > 0 { up(&level, change as usize) } else { down(&level, -change as usize) }
            now += change;
            max = max.max(now);
            clock.advance(Duration::from_micros(micros));
            integral += now as u64 * micros;
        }
        let cut = level.cut();
        prop_assert_eq!((cut.level, cut.max, cut.integral), (now as u64, max as u64, integral));
    }
}
