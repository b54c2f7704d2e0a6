//! Who shares a run: the oldest of a queue and those that go with it.

use std::collections::VecDeque;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput};
use inference::scheduler::{take_first, Records};
use inference::tensor::{Data, Tensor};

/// The most records of a run.
const MOST_ROWS: usize = 64;
/// Queues of so many requests.
const WAITING: [usize; 3] = [8, 64, 128];

/// A request that waits. Clones share its tensors.
#[derive(Clone)]
struct Waiting(Arc<[Tensor]>);

impl Waiting {
    /// One record of so many floats.
    fn of(width: usize) -> Self {
        let data = Data::Float32(vec![0.5; width].into());
        Self(Tensor::new(vec![1, width], data).into_iter().collect())
    }
}

impl Records for Waiting {
    fn rows(&self) -> usize {
        1
    }

    fn most_rows(&self) -> usize {
        MOST_ROWS
    }

    fn inputs(&self) -> &[Tensor] {
        &self.0
    }
}

/// A queue's name and its requests: alike, or of two kinds by turns, or the oldest like no other.
type Kind = (&'static str, fn(usize) -> usize);

const KINDS: [Kind; 3] = [
    ("alike", |_| 8),
    ("of two kinds", |place| 8 + place % 2),
    ("like no other", |place| 8 + usize::from(place > 0)),
];

pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for waiting in WAITING {
        group.throughput(Throughput::Elements(waiting as u64));
        for (name, width) in KINDS {
            let queue: VecDeque<Waiting> = (0..waiting)
                .map(|place| Waiting::of(width(place)))
                .collect();
            group.bench_function(format!("{waiting} {name}"), |bencher| {
                bencher.iter_batched_ref(|| queue.clone(), take_first, BatchSize::SmallInput);
            });
        }
        // The same moves without a look at what is moved.
        let queue: VecDeque<Waiting> = (0..waiting).map(|_| Waiting::of(8)).collect();
        group.bench_function(format!("{waiting} alike, floor"), |bencher| {
            bencher.iter_batched_ref(|| queue.clone(), first_moved, BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn first_moved(queue: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let mut moved = Vec::new();
    while moved.len() < MOST_ROWS {
        match queue.pop_front() {
            Some(first) => moved.push(first),
            None => break,
        }
    }
    moved
}
