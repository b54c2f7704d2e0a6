//! What one request records, on one thread.

use std::hint::black_box;
use std::sync::atomic::Ordering::Relaxed;

use criterion::{Criterion, Throughput};
use sidecar::Recorder;

use crate::request::{instants, read_clock, record, Bench};

pub fn bench(criterion: &mut Criterion) {
    let bench = Bench::new(&Recorder::new());
    let mut group = criterion.benchmark_group("recording");
    group.throughput(Throughput::Elements(1));
    let mut turn = 0;
    let mut next = || {
        turn += 1;
        black_box(instants(&bench, turn))
    };
    group.bench_function("nothing, floor", |bencher| bencher.iter(&mut next));
    group.bench_function("bare additions, floor", |bencher| {
        bencher.iter(|| {
            let [arrived, ..] = next();
            for word in &bench.words {
                word.0.fetch_add(1, Relaxed);
            }
            arrived
        });
    });
    group.bench_function("clock reads, floor", |bencher| {
        bencher.iter(|| (next(), read_clock()));
    });
    group.bench_function("a request", |bencher| {
        bencher.iter(|| record(&bench, next()));
    });
    group.bench_function("a request and its clock reads", |bencher| {
        bencher.iter(|| {
            black_box(read_clock());
            record(&bench, next());
        });
    });
    group.finish();
}
