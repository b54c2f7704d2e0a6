//! How fast the cores are while something is measured on them.
//!
//! Where the machine is one of several on a host, a core can be half as fast for seconds, without a word
//! in `/proc/stat`: another machine runs on the other thread of it. So a thread on each core does the
//! same small piece of work again and again, half a percent of the time, and notes the CPU time it took.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::time::{clock_gettime, ClockId};

const EVERY: Duration = Duration::from_millis(40);
const ROUNDS: u32 = 50_000;

/// When a piece of work ended, and the CPU time that it took in seconds.
type Piece = (Instant, f64);

/// Watches some cores until it is dropped.
pub struct Pace {
    ended: Arc<AtomicBool>,
    /// One for each core.
    pieces: Vec<Arc<Mutex<Vec<Piece>>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pace {
    /// Watches as many cores as there are `binders`, each of which binds the thread that calls it.
    pub(crate) fn watch(binders: Vec<Box<dyn FnOnce() + Send>>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let mut pieces = Vec::new();
        let mut threads = Vec::new();
        for bind in binders {
            let (list, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&ended));
            pieces.push(Arc::clone(&list));
            threads.push(std::thread::spawn(move || {
                bind();
                while !is_over.load(Relaxed) {
                    std::thread::sleep(EVERY);
                    let before = cpu_secs();
                    work();
                    let piece = (Instant::now(), cpu_secs() - before);
                    list.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(piece);
                }
            }));
        }
        Self {
            ended,
            pieces,
            threads,
        }
    }

    /// The largest change of any core's mean pace between these times, as a part; none where a core did
    /// not come to its work between two of them.
    #[must_use]
    pub fn changed(&self, times: &[Instant]) -> Option<f64> {
        let mut largest = 0.0_f64;
        for pieces in &self.pieces {
            let pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
            let mut means = Vec::new();
            for pair in times.windows(2) {
                let between = |(at, _): &&Piece| pair[0] <= *at && *at < pair[1];
                let took: Vec<f64> = pieces.iter().filter(between).map(|piece| piece.1).collect();
                if took.is_empty() {
                    return None;
                }
                means.push(took.iter().sum::<f64>() / took.len() as f64);
            }
            let most = means.iter().copied().fold(f64::MIN, f64::max);
            let least = means.iter().copied().fold(f64::MAX, f64::min);
            largest = largest.max(most / least - 1.0);
        }
        Some(largest)
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn cpu_secs() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Keeps all that a core has for integers busy, so that it feels whoever else uses them.
fn work() {
    let mut chains: [u64; 8] = std::array::from_fn(|i| i as u64 + 1);
    for _ in 0..ROUNDS {
        for chain in &mut chains {
            *chain ^= *chain << 13;
            *chain ^= *chain >> 7;
            *chain ^= *chain << 17;
        }
        chains = black_box(chains);
    }
}
