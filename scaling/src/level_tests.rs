//! Tests of the packed level: histories against what they come to on paper.

use super::*;
use proptest::prelude::*;

#[test]
fn what_came_and_went_adds_its_stay_and_what_is_here_the_time_since() {
    let word = rise(100).wrapping_add(rise(250));
    assert_eq!((level(word), integral(word, 300)), (2, 200 + 50));
    let word = word.wrapping_add(fall(310));
    assert_eq!((level(word), integral(word, 400)), (1, 300 + 150 - 90));
    let word = word.wrapping_add(fall(400));
    assert_eq!((level(word), integral(word, 9_999)), (0, 210 + 150));
}

#[test]
fn the_integral_goes_on_through_the_wrap_of_the_sum() {
    // A thousand for 200 days: eleven times round.
    let mut word = 0_u64;
    let mut reader = Integral::default();
    let mut now = 7;
    for _ in 0..1000 {
        word = word.wrapping_add(rise(now));
    }
    let day = 24 * 3_600_000_000_u64;
    let mut total = 0;
    // Looked at every hour: 3.6e12 level-microseconds, less than half a turn.
    for _ in 0..200 * 24 {
        now += day / 24;
        total = reader.advance(word, now);
    }
    assert_eq!(total, 1000 * 200 * day);
    for _ in 0..1000 {
        word = word.wrapping_add(fall(now));
    }
    assert_eq!(level(word), 0);
    assert_eq!(reader.advance(word, now + day), total);
}

#[test]
fn a_late_fall_takes_back_what_was_counted_too_much_and_the_total_never_goes_back() {
    let mut reader = Integral::default();
    let up = rise(0);
    assert_eq!(reader.advance(up, 1000), 1000);
    // It fell at 990 already, and is told only now.
    let down = up.wrapping_add(fall(990));
    assert_eq!(reader.advance(down, 2000), 1000);
    let again = down.wrapping_add(rise(2000));
    assert_eq!(reader.advance(again, 2010), 1000);
    assert_eq!(reader.advance(again, 2110), 990 + 110);
}

/// A stay: from when, and for how long.
fn stays() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0_u64..1_000_000, 0_u64..300_000), 0..80)
}

proptest! {
    #[test]
    fn any_history_has_the_integral_that_it_has_on_paper(
        stays in stays(),
        // Also histories that begin shortly before the clock's own 44 bits wrap.
        begin in prop_oneof![Just(0_u64), Just((1 << 44) - 500_000), Just(1 << 50)],
        cuts in prop::collection::vec(0_u64..1_500_000, 1..20),
    ) {
        let mut changes: Vec<(u64, i64)> = stays
            .iter()
            .flat_map(|&(from, stay)| [(from, 1), (from + stay, -1)])
            .collect();
        // At one moment rises come first, as every fall has a rise before it.
        changes.sort_by_key(|&(at, change)| (at, -change));
        let mut cuts = cuts;
        cuts.sort_unstable();
        let mut reader = Integral::default();
        let (mut word, mut next) = (0_u64, 0);
        for cut in cuts {
            while let Some(&(at, change)) = changes.get(next).filter(|(at, _)| *at <= cut) {
                let step = if change > 0 { rise(begin + at) } else { fall(begin + at) };
                prop_assert_eq!(is_rise(step), change > 0);
                word = word.wrapping_add(step);
                next += 1;
            }
            let here = |at: u64, from: u64, stay: u64| at.min(from + stay).saturating_sub(from);
            let paper: u64 = stays.iter().map(|&(from, stay)| here(cut, from, stay)).sum();
            let there = stays.iter().filter(|&&(from, stay)| from <= cut && cut < from + stay);
            prop_assert_eq!(level(word), there.count() as u64);
            prop_assert_eq!(reader.advance(word, begin + cut), paper);
        }
    }

    #[test]
    fn the_order_in_which_threads_tell_does_not_matter(
        mut stays in stays(),
        seed in any::<u64>(),
    ) {
        let told_in_time = stays.iter().fold(0_u64, |word, &(from, stay)| {
            word.wrapping_add(rise(from)).wrapping_add(fall(from + stay))
        });
        let length = stays.len().max(1);
        stays.rotate_left((seed % length as u64) as usize);
        let rises = stays.iter().fold(0_u64, |word, &(from, _)| word.wrapping_add(rise(from)));
        let word = stays
            .iter()
            .rev()
            .fold(rises, |word, &(from, stay)| word.wrapping_add(fall(from + stay)));
        prop_assert_eq!(word, told_in_time);
        prop_assert_eq!(integral(word, 2_000_000), stays.iter().map(|stay| stay.1).sum::<u64>());
    }
}
