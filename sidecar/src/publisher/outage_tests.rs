//! A day without CloudWatch, on a clock that is not waited for.

use super::tests::{period, Page};
use super::*;
use tokio::time::sleep_until;

const PERIODS: u64 = 8640;
const KEPT: usize = 60;
const STEP: Duration = Duration::from_secs(10);

/// Cannot be reached until the outage ends; keeps what it accepted.
#[derive(Clone)]
struct Away {
    until: Instant,
    accepted: Arc<std::sync::Mutex<Vec<(u64, Instant)>>>,
}

impl Cloud for Away {
    async fn put(&mut self, period: &Period, _: &mut Progress) -> Result<(), Refusal> {
        if Instant::now() < self.until {
            return Err(Refusal::Unreachable("outage".to_owned()));
        }
        let mut accepted = self.accepted.lock().unwrap();
        accepted.push((period.start_secs, Instant::now()));
        Ok(())
    }

    fn reconnect(&mut self) {}
}

/// A day of outage and ten minutes more: what was accepted, statistics, drops, lines.
async fn day(choice: RouteChoice) -> (Away, Arc<Stats>, u64, usize) {
    let begin = Instant::now();
    let cloud = Away {
        until: begin + STEP * PERIODS as u32,
        accepted: Arc::default(),
    };
    let (page, stats) = (Page::default(), Arc::new(Stats::default()));
    let (emf, outbox) = (page.emf(&stats), Arc::new(Outbox::new(KEPT)));
    let (_stop, stopped) = watch::channel(None);
    let timing = Timing::new(10, 7);
    let publisher = Publisher::new(
        choice,
        cloud.clone(),
        emf.clone(),
        stats.clone(),
        (timing, 7),
        stopped,
    );
    let put = outbox.clone();
    let lines = emf.clone();
    let feed = async move {
        for n in 1..=PERIODS + 60 {
            sleep_until(begin + STEP * n as u32).await;
            put.put(period(n).into());
            // The writing thread's time is real.
            lines.written().await;
        }
        put.close();
    };
    tokio::join!(publisher.run(outbox.clone()), feed);
    assert!(emf.finish(Duration::from_secs(5)));
    (cloud, stats, outbox.dropped(), page.lines())
}

#[tokio::test(start_paused = true)]
async fn cloudwatch_by_choice_keeps_the_newest_and_counts_every_other() {
    let (cloud, stats, pushed_out, lines) = day(RouteChoice::CloudWatch).await;
    let accepted = cloud.accepted.lock().unwrap();
    let dropped = pushed_out + stats.lost();
    assert_eq!(accepted.len() as u64 + dropped, PERIODS + 60);
    assert!(dropped >= PERIODS - KEPT as u64 - 2, "{dropped} dropped");
    assert!(accepted[0].1 - cloud.until <= 2 * STEP);
    let mut all: Vec<u64> = accepted.iter().map(|(n, _)| *n).collect();
    all.dedup();
    assert_eq!(
        (all.len(), all.last()),
        (accepted.len(), Some(&(PERIODS + 60)))
    );
    assert_eq!((lines, stats.unknown()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn auto_carries_the_day_by_stdout_and_loses_nothing() {
    let (cloud, stats, pushed_out, lines) = day(RouteChoice::Auto).await;
    let accepted = cloud.accepted.lock().unwrap();
    assert_eq!((pushed_out, stats.lost(), stats.unknown()), (0, 0, 0));
    assert_eq!((lines + accepted.len()) as u64, PERIODS + 60);
    // A probe is due after ten minutes at most, and leaves with the next period.
    let back = accepted[0].1 - cloud.until;
    assert!(back <= Duration::from_secs(600) + 2 * STEP, "{back:?}");
    assert!(
        (144..=600).contains(&stats.failures()),
        "{}",
        stats.failures()
    );
}
