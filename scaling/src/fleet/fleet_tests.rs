//! Tests of the fleet: against queueing theory, against what can be counted by hand, and the flow
//! against the requests.

use super::run::Fed;
use super::tally::Counted;
use super::*;
use crate::capacity::{Batch, Class};
use crate::policy::MetricStat;
use crate::simulate::World;
use crate::trace::{Kind, Row, MOST_COSTS};

type Rows = std::vec::IntoIter<Result<Row, Invalid>>;

fn row(from_us: u64, until_us: u64, amount: f64) -> Result<Row, Invalid> {
    Ok(Row {
        from_us,
        until_us,
        amount,
        costs: [0.0; MOST_COSTS],
        class: None,
    })
}

/// So many requests a second for so many seconds, in one bin.
fn steady(rate: f64, secs: u64) -> Vec<Result<Row, Invalid>> {
    vec![row(0, secs * 1_000_000, rate * secs as f64)]
}

fn fed(kind: Kind, rows: Vec<Result<Row, Invalid>>) -> Fed<Rows> {
    Fed {
        rows: rows.into_iter(),
        kind,
        shift_us: 0,
        seed: 7,
        launch_secs: 100,
        longest_secs: 60,
        rate: 10.0,
    }
}

fn workload(slots: u32, mean_ms: f64, cv: f64) -> Workload {
    let class = Class {
        name: "a".to_owned(),
        share: 1.0,
        mean_ms,
        cv,
    };
    Workload {
        profile: Profile {
            slots,
            queue_limit: 1_000_000,
            timeout_secs: 1000.0,
            classes: vec![class],
            vcpus: 4,
            ..Profile::example()
        },
        ..Workload::default()
    }
}

fn metric(namespace: Option<&str>, name: &str, stat: &str) -> MetricStat {
    MetricStat {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        stat: stat.to_owned(),
    }
}

/// A fleet of so many instances through all of it.
fn served(workload: &Workload, fed: Fed<Rows>, secs: u64, instances: u32) -> Counted {
    let mut fleet = Fleet::new(workload, fed);
    fleet.pass(0, secs, instances);
    fleet.finish().unwrap()
}

fn mean_ms(counted: &Counted) -> f64 {
    let readings = counted.total.latency.readings();
    readings.sum / readings.count / 1000.0
}

/// Within so many percent.
fn near(found: f64, expected: f64, percent: f64) {
    let off = 100.0 * (found / expected - 1.0).abs();
    assert!(off <= percent, "{found}, not {expected}: {off:.2} % off");
}

/// Pollaczek and Khinchine: the mean wait at one slot, whatever the law.
#[test]
fn one_slot_waits_as_theory_says() {
    for (cv, rho) in [(0.0, 0.8), (1.0, 0.5), (0.5, 0.7)] {
        let workload = workload(1, 100.0, cv);
        let fed = fed(Kind::Bins, steady(rho * 10.0, 40_000));
        let counted = served(&workload, fed, 40_000, 1);
        let wait_ms = 100.0 * rho * (1.0 + cv * cv) / (2.0 * (1.0 - rho));
        near(mean_ms(&counted), 100.0 + wait_ms, 3.0);
        assert_eq!(counted.total.arrived, (rho * 400_000.0).round());
        assert_eq!(
            counted.total.latency.readings().count,
            counted.total.arrived
        );
    }
}

/// Several instances that are chosen at random are as many queues of their own; the fewest requests wait
/// less, and hardly more than in one queue.
#[test]
fn routing_decides_how_long_requests_wait() {
    let mut workload = workload(1, 100.0, 0.0);
    let mut mean = |routing| {
        workload.routing = routing;
        let fed = fed(Kind::Bins, steady(70.0, 3_000));
        mean_ms(&served(&workload, fed, 3_000, 10))
    };
    let random = mean(Routing::Random);
    near(random, 100.0 + 100.0 * 0.7 / (2.0 * 0.3), 5.0);
    let fewest = mean(Routing::LeastOutstanding);
    assert!((100.0..125.0).contains(&fewest), "{fewest}");
}

/// Everything that comes is answered, refused, given up or lost, once.
#[test]
fn nothing_is_lost_or_counted_twice() {
    let mut workload = workload(2, 100.0, 0.5);
    workload.profile.queue_limit = 5;
    workload.profile.timeout_secs = 0.2;
    for retries in [0, 3] {
        workload.retries = retries;
        workload.failures = vec![InstanceFailure {
            at: 50,
            instances: 1,
        }];
        let fed = fed(Kind::Bins, steady(50.0, 300));
        let counted = served(&workload, fed, 300, 2);
        let total = &counted.total;
        assert!(total.shed > 0.0 && total.timed_out > 0.0, "{total:?}");
        let ended = total.latency.readings().count + total.shed + total.timed_out + total.lost;
        assert_eq!(ended, total.arrived, "with {retries} retries");
        assert!(total.lost > 0.0 || retries > 0);
        assert!(total.latency.readings().most <= 1e6 * (0.2 + 10.0 * f64::from(retries + 1)));
        // The dead instance is back after the launch: 300 s of the other, 200 of it.
        near(counted.instance_secs, 500.0, 0.1);
    }
}

#[test]
fn requests_that_share_a_run_cost_less() {
    let mut workload = workload(1, 100.0, 0.0);
    workload.profile.batch = Some(Batch {
        most: 8,
        fixed_share: 0.8,
    });
    workload.profile.queue_limit = 100;
    // Alone it does 10 a second, at its best 8 in 0.24 s.
    let fed = fed(Kind::Bins, steady(30.0, 600));
    let counted = served(&workload, fed, 600, 1);
    assert_eq!(counted.total.shed, 0.0);
    let readings = counted.total.latency.readings();
    assert!(readings.most < 1.5e6, "{readings:?}");
}

#[test]
fn callers_who_wait_send_as_fast_as_they_are_answered() {
    let mut workload = workload(4, 100.0, 0.0);
    workload.think_ms = 300.0;
    let rows = vec![row(0, 1_000_000_000, 20.0)];
    let counted = served(&workload, fed(Kind::Clients, rows), 1_000, 10);
    // No waiting: each does one in 0.4 s.
    near(counted.total.arrived, 50_000.0, 3.0);
    let rows = vec![row(0, 1_000_000_000, 400.0)];
    let counted = served(&workload, fed(Kind::Clients, rows), 1_000, 1);
    // One instance answers 40 a second, whoever waits.
    near(counted.total.arrived, 40_000.0, 3.0);
}

/// Callers who do not pause are refused in time that passes.
#[test]
fn callers_who_do_not_pause_do_not_stop_the_clock() {
    let mut workload = workload(1, 100.0, 0.0);
    workload.think_ms = 0.0;
    workload.profile.queue_limit = 1;
    let rows = || vec![row(0, 60_000_000, 10.0)];
    for instances in [0, 1] {
        let counted = served(&workload, fed(Kind::Clients, rows()), 60, instances);
        assert!(counted.total.shed > 100.0, "{:?}", counted.total.shed);
        let answered = counted.total.latency.readings().count;
        near(answered + 1.0, 600.0 * f64::from(instances) + 1.0, 2.0);
    }
}

/// A queue costs what its requests ask for, also in seconds in which nothing comes.
#[test]
fn a_flow_keeps_its_backlog_while_nothing_comes() {
    let mut workload = workload(1, 0.0, 0.0);
    workload.profile.ms_per = [("tokens".to_owned(), 10.0)].into();
    let mut burst = row(0, 1_000_000, 100.0).unwrap();
    burst.costs[0] = 10.0;
    let rows = vec![Ok(burst), row(1_000_000, 60_000_000, 0.0)];
    let mut flow = Flow::new(&workload, fed(Kind::Bins, rows));
    flow.pass(0, 60, 1);
    // A hundred requests of 0.1 s: ten seconds of one slot in sixty, then idle.
    let busy = flow
        .value(&metric(None, "SlotUtilization", "Average"), 0, 60)
        .unwrap();
    near(busy, 100.0 * 10.0 / 60.0, 1.0);
    let idle = flow
        .value(&metric(None, "Concurrency", "Maximum"), 50, 60)
        .unwrap();
    assert!(idle.is_finite(), "{idle}");
}

/// What is being replaced is the first to be let go.
#[test]
fn dead_instances_are_let_go_first() {
    let mut workload = workload(1, 100.0, 0.0);
    workload.failures = vec![InstanceFailure {
        at: 10,
        instances: 8,
    }];
    let rows = || vec![row(0, 60_000_000, 60.0)];
    let mut fleet = Fleet::new(&workload, fed(Kind::Bins, rows()));
    let mut flow = Flow::new(&workload, fed(Kind::Bins, rows()));
    for world in [&mut fleet as &mut dyn World, &mut flow] {
        world.pass(0, 20, 10);
        world.pass(20, 30, 5);
        world.pass(30, 40, 2);
        let samples = metric(None, "OfferedLoad", "SampleCount");
        assert_eq!(world.value(&samples, 20, 30), Some(2.0));
        assert_eq!(world.value(&samples, 30, 40), Some(2.0));
    }
}

#[test]
fn metrics_are_those_of_the_requests() {
    let mut workload = workload(2, 250.0, 0.0);
    // 12 requests, one every five seconds, each on its own; two instances.
    let rows: Vec<_> = (0..12)
        .map(|n| row(n * 5_000_000, (n + 1) * 5_000_000, 1.0))
        .collect();
    let read = |workload: &Workload, metric: MetricStat| {
        let mut fleet = Fleet::new(workload, fed(Kind::Requests, rows.clone()));
        fleet.pass(0, 60, 2);
        fleet.value(&metric, 0, 60)
    };
    let aws = Some("AWS/SageMaker");
    let endpoints = Some("/aws/sagemaker/Endpoints");
    let cases = [
        (aws, "InvocationsPerInstance", "Sum", 6.0),
        (aws, "Invocations", "Sum", 12.0),
        (aws, "ConcurrentRequestsPerModel", "Maximum", 1.0),
        (aws, "ModelLatency", "Average", 250_000.0),
        (aws, "ModelLatency", "p99", 250_000.0),
        // 3 s of slot time in 2 × 2 × 60.
        (None, "OfferedLoad", "Average", 1.25),
        (None, "SlotUtilization", "Average", 1.25),
        (None, "Concurrency", "Average", 0.025),
        (None, "CPUUtilization", "Average", 1.25),
        // Of four vCPUs.
        (endpoints, "CPUUtilization", "Average", 5.0),
        (endpoints, "CPUUtilization", "SampleCount", 12.0),
        (None, "Rejected", "Sum", 0.0),
    ];
    for (namespace, name, stat, expected) in cases {
        let found = read(&workload, metric(namespace, name, stat));
        let found = found.unwrap_or_else(|| panic!("{name} {stat} is missing"));
        assert!(
            (found - expected).abs() < 1e-6 * expected.max(1.0),
            "{name} {stat}: {found}"
        );
    }
    // Threads that spin for a second after each run of a quarter.
    workload.profile.spin_ms = 1000.0;
    let spun = read(&workload, metric(None, "CPUUtilization", "Average"));
    assert!((spun.unwrap() - 6.25).abs() < 1e-6, "{spun:?}");
    assert_eq!(
        read(&workload, metric(None, "CPUUtilisation", "Average")),
        None
    );
}

#[test]
fn what_a_fleet_does_not_publish_is_not_known() {
    for (namespace, name, stat, is_known) in [
        (None, "OfferedLoad", "Average", true),
        (Some("MyOwn"), "OfferedLoad", "Average", true),
        (Some("AWS/SageMaker"), "OfferedLoad", "Average", false),
        (Some("AWS/SageMaker"), "ModelLatency", "p95", true),
        (None, "OfferedLoad", "p95", false),
        (None, "MemoryUtilization", "Average", false),
    ] {
        let metric = metric(namespace, name, stat);
        assert_eq!(bucket::is_known(&metric), is_known, "{metric:?}");
    }
}

/// The same fleet as a flow: the same metrics, to what chance makes of them.
#[test]
fn a_flow_publishes_what_the_requests_do() {
    let mut workload = workload(4, 200.0, 0.5);
    workload.profile.queue_limit = 50;
    for (rate, percent) in [(40.0, 5.0), (130.0, 5.0), (300.0, 6.0)] {
        for routing in [Routing::Random, Routing::LeastOutstanding] {
            workload.routing = routing;
            let mut fleet = Fleet::new(&workload, fed(Kind::Bins, steady(rate, 600)));
            let mut flow = Flow::new(&workload, fed(Kind::Bins, steady(rate, 600)));
            fleet.pass(0, 600, 8);
            flow.pass(0, 600, 8);
            for (name, stat) in [
                ("InvocationsPerInstance", "Sum"),
                ("OfferedLoad", "Average"),
                ("SlotUtilization", "Average"),
                ("Concurrency", "Average"),
                ("CPUUtilization", "Average"),
                ("Invocations", "Sum"),
            ] {
                let metric = metric(None, name, stat);
                let all = fleet.value(&metric, 540, 600).unwrap();
                let flowing = flow.value(&metric, 540, 600).unwrap();
                let off = 100.0 * (flowing / all - 1.0).abs();
                let allowed = percent + 3.0 * f64::from(u8::from(name == "Concurrency"));
                assert!(
                    off < allowed,
                    "{name} at {rate}/s, {routing:?}: {flowing}, {all} by requests"
                );
            }
            let (all, flowing) = (fleet.finish().unwrap(), flow.finish().unwrap());
            near(flowing.total.arrived, all.total.arrived, 0.1);
            let missed = |counted: &Counted| counted.total.missed() / counted.total.arrived;
            assert!((missed(&flowing) - missed(&all)).abs() < 0.03);
        }
    }
}

#[test]
fn one_instance_breaks_where_its_requests_begin_to_wait_too_long() {
    let mut workload = workload(1, 100.0, 0.0);
    workload.slo = Slo {
        latency_ms: 300.0,
        percent: 99.0,
    };
    let rate = breaking_point(&workload, [0.0; MOST_COSTS]).unwrap();
    // At 10 a second it is full; M/D/1 waits more than two service times in 1 of 100 at about a third.
    assert!((2.8..3.5).contains(&rate), "{rate}");
    workload.slo.latency_ms = 50.0;
    let error = breaking_point(&workload, [0.0; MOST_COSTS]).unwrap_err();
    assert!(error.to_string().contains("50 ms for 99 %"), "{error}");
    workload.profile.max_rate = Some(3.0);
    assert_eq!(breaking_point(&workload, [0.0; MOST_COSTS]), Ok(3.0));
}

/// The same seed gives the same run.
#[test]
fn runs_can_be_repeated() {
    let workload = workload(2, 100.0, 1.0);
    let run = |seed| {
        let mut fed = fed(Kind::Bins, steady(30.0, 600));
        fed.seed = seed;
        mean_ms(&served(&workload, fed, 600, 2))
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
