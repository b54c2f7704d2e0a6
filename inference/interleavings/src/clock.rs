//! In the place of `inference`'s: a time of its own for each execution, which stands still until
//! [`pass`] moves it.

use std::cell::Cell;
use std::future::{poll_fn, Future};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::{Duration, Instant};

use shuttle::rand::{thread_rng, Rng};
use shuttle::thread;
use tokio::sync::oneshot;

thread_local! {
    // All threads of an execution are one thread of the system.
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static ONE_IN: Cell<u32> = const { Cell::new(0) };
}

/// Begins an execution. One in `one_in` time limits may be met before what they limit is there; 0
/// meets none.
pub fn begin(one_in: u32) {
    PASSED.set(Duration::ZERO);
    ONE_IN.set(one_in);
}

/// Time since the beginning.
#[must_use]
pub fn passed() -> Duration {
    PASSED.get()
}

/// Lets time pass.
pub fn pass(time: Duration) {
    PASSED.set(PASSED.get() + time);
}

/// Now.
#[must_use]
pub fn now() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now) + PASSED.get()
}

/// What comes of this by then; `None` where nothing has. Whether and when time passes up to then is
/// for shuttle to choose.
pub async fn by<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    let mut timer = pin!(is_met().then(|| timer(deadline)));
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(context).map(|_| None),
            None => Poll::Pending,
        }
    })
    .await
}

fn is_met() -> bool {
    match ONE_IN.get() {
        0 => false,
        one_in => thread_rng().gen_range(0..one_in) == 0,
    }
}

/// Ready when a thread of its own has had its turn, which lets all the time pass.
fn timer(deadline: Instant) -> oneshot::Receiver<()> {
    let (ring, rung) = oneshot::channel();
    thread::spawn(move || {
        pass(deadline.saturating_duration_since(now()));
        // Nobody hears it where the answer came first.
        let _ = ring.send(());
    });
    rung
}
