//! Where a size class runs, after any row of runs.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// The class that is judged here.
const CLASS: usize = 5;

fn run(passed_nanos: u64, requests: usize) -> Run {
    Run {
        passed: Duration::from_nanos(passed_nanos),
        cpu_time: None,
        worked: Duration::from_nanos(passed_nanos),
        batch: Batch {
            rows: requests,
            largest: 1,
            requests,
            most: 1,
        },
        waited: Duration::ZERO,
        before: Duration::ZERO,
        is_busy: false,
    }
}

fn learn(costs: &Costs, passed_nanos: u64) {
    costs.learn(CLASS, 1, &run(passed_nanos, 1));
}

/// Runs that take so long, and how many.
type Stretch = (u64, usize);

/// Times on either side of both bounds and of both limits of trust, each for a while.
fn stretches() -> impl Strategy<Value = Vec<Stretch>> {
    let nanos = prop_oneof![
        4 => 1_000..50_000_u64,
        4 => 50_000..75_000_u64,
        2 => 75_000..1_999_999_u64,
        1 => 1_999_999..2_100_000_u64,
        1 => 19_999_999..30_000_000_u64,
    ];
    vec((nanos, 1..400_usize), 1..12)
}

fn each(stretches: &[Stretch]) -> impl Iterator<Item = u64> + '_ {
    stretches
        .iter()
        .flat_map(|&(nanos, times)| std::iter::repeat_n(nanos, times))
}

/// Runs to go until a class is trusted again, counted apart from the code: 65,536 after one of 20 ms,
/// 256 after one of 2 ms.
#[derive(Default)]
struct Distrust(u32);

impl Distrust {
    fn after(&mut self, nanos: u64) -> bool {
        let own = match nanos {
            20_000_000.. => 65_536,
            2_000_000.. => 256,
            _ => 0,
        };
        self.0 = self.0.saturating_sub(1).max(own);
        self.0 > 0
    }
}

proptest! {
    #[test]
    fn a_class_changes_places_only_across_both_bounds(stretches in stretches()) {
        let costs = Costs::default();
        let mut distrust = Distrust::default();
        prop_assert!(!costs.is_inline(CLASS), "nothing is known");
        for nanos in each(&stretches) {
            let before = costs.is_inline(CLASS);
            learn(&costs, nanos);
            let (after, mean) = (costs.is_inline(CLASS), costs.classes[CLASS].alone.get());
            let expected = match (distrust.after(nanos), mean) {
                (true, _) | (_, 75_000..) => false,
                (false, 50_000..) => before,
                (false, _) => true,
            };
            prop_assert_eq!(after, expected, "a mean of {} ns after a run of {} ns", mean, nanos);
        }
    }

    #[test]
    fn between_the_bounds_nothing_changes(
        is_inline in any::<bool>(),
        between in vec(50_000..75_000_u64, 1..2_000),
    ) {
        let costs = Costs::default();
        // A mean that is nearly at a bound, and on the other side of it.
        (0..200).for_each(|_| learn(&costs, if is_inline { 49_999 } else { 75_000 }));
        prop_assert_eq!(costs.is_inline(CLASS), is_inline);
        for nanos in between {
            learn(&costs, nanos);
            prop_assert_eq!(costs.is_inline(CLASS), is_inline);
        }
    }

    #[test]
    fn runs_of_several_requests_decide_nothing(
        alone in vec(1_000..100_000_u64, 0..50),
        shared in vec((1..100_000_000_u64, 2..64_usize), 1..200),
    ) {
        let costs = Costs::default();
        alone.into_iter().for_each(|nanos| learn(&costs, nanos));
        let before = costs.is_inline(CLASS);
        for (nanos, requests) in shared {
            costs.learn(CLASS, 1, &run(nanos, requests));
            prop_assert_eq!(costs.is_inline(CLASS), before);
        }
    }

    #[test]
    fn one_class_says_nothing_of_where_another_runs(
        other in (0..CLASSES).prop_filter("another", |other| *other != CLASS),
        stretches in stretches(),
    ) {
        let costs = Costs::default();
        (0..200).for_each(|_| learn(&costs, 10_000));
        for nanos in each(&stretches) {
            costs.learn(other, 1, &run(nanos, 1));
            prop_assert!(costs.is_inline(CLASS));
        }
    }
}

proptest! {
    // Each takes so many runs as a long distrust lasts.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_distrusted_class_stays_away_for_as_many_runs_as_that_takes_and_then_comes_back(
        long in prop::sample::select(vec![(2_000_000_u64, 256_u32), (20_000_000, 65_536)]),
        longer_by in 0..1_000_000_u64,
        short in 1_000..12_000_u64,
    ) {
        let costs = Costs::default();
        (0..200).for_each(|_| learn(&costs, short));
        prop_assert!(costs.is_inline(CLASS));
        learn(&costs, long.0 + longer_by);
        for _ in 1..long.1 {
            prop_assert!(!costs.is_inline(CLASS));
            learn(&costs, short);
        }
        prop_assert!(!costs.is_inline(CLASS));
        // Its mean has long come down again.
        learn(&costs, short);
        prop_assert!(costs.is_inline(CLASS));
    }
}
