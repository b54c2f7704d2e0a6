//! A queue of one server that takes whoever came first: what a tail cannot be better than without
//! serving some before others, or several at once.

/// What each request takes from its arrival to its end, seconds: `arrivals` are in order, `services`
/// are what each holds the server for.
pub fn latencies(
    arrivals: impl IntoIterator<Item = f64>,
    services: impl IntoIterator<Item = f64>,
) -> Vec<f64> {
    let mut free = 0.0_f64;
    arrivals
        .into_iter()
        .zip(services)
        .map(|(arrived, service)| {
            free = free.max(arrived) + service;
            free - arrived
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe::Arrivals;
    use std::time::Duration;

    #[test]
    fn each_waits_for_all_before_it() {
        let took = latencies([0.0, 1.0, 1.0, 9.0], [3.0, 1.0, 2.0, 0.5]);
        assert_eq!(took, [3.0, 3.0, 5.0, 0.5]);
        assert!(latencies([], [1.0]).is_empty());
    }

    #[test]
    fn the_mean_wait_is_that_of_queueing_theory() {
        let arrivals = Arrivals::Poisson { rate: 0.8, seed: 3 };
        let arrivals = arrivals.schedule(Duration::from_secs(500_000));
        let took = latencies(arrivals.map(|at| at.as_secs_f64()), std::iter::repeat(1.0));
        let mean = took.iter().sum::<f64>() / took.len() as f64;
        // Pollaczek and Khinchine: half of 0.8 / (1 - 0.8), and the service itself.
        assert!((mean - 3.0).abs() < 0.1, "{mean}");
    }
}
