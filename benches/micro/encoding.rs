//! Writing: replies, and the metrics in the forms that they leave in.

use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use inference::codec::{self, Dialect, Format, Setting, V2};
use inference::model::Signature;
use inference::tensor::{Data, Tensor, Value};
use sidecar::{busy_period, usage_of, Config, Recorder, RouteChoice};

use crate::bodies;
use crate::request::{instants, record, Bench};

/// A row of a classifier of images, and a table's answers.
const SHAPES: [(&str, [usize; 2]); 3] = [
    ("a row", [1, 4]),
    ("1,000 classes", [1, 1_000]),
    ("a table", [2_000, 4]),
];

pub fn bench(criterion: &mut Criterion) {
    replies(criterion);
    metrics(criterion);
}

fn replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encoding");
    for (name, shape) in SHAPES {
        let numbers = bodies::pixels(shape.iter().product());
        let signature = bodies::table(shape[1]);
        let tensor = Tensor::new(shape.to_vec(), Data::Float32(numbers.clone().into()));
        let outputs: Vec<Value> = tensor.map(Value::Tensor).into_iter().collect();
        let binary = Dialect::V2(V2 {
            binary_by_default: true,
            ..V2::default()
        });
        for (format, form, dialect) in [
            ("json", Format::Json, Dialect::Bare),
            ("csv", Format::Csv, Dialect::Bare),
            ("npy", Format::Npy, Dialect::Bare),
            ("triton", Format::Triton, binary),
        ] {
            let write = || reply(form, &dialect, &outputs, &signature);
            group.throughput(Throughput::Bytes(write().len() as u64));
            group.bench_function(format!("{format} reply, {name}"), |bencher| {
                bencher.iter(write);
            });
        }
        let write = || formatted(&numbers);
        group.throughput(Throughput::Bytes(write().len() as u64));
        group.bench_function(format!("text reply, {name}, floor"), |bencher| {
            bencher.iter(write);
        });
        group.throughput(Throughput::Bytes(4 * numbers.len() as u64));
        group.bench_function(format!("binary reply, {name}, floor"), |bencher| {
            bencher.iter(|| numbers.clone());
        });
    }
    group.finish();
}

/// A reply as the server writes it.
fn reply(format: Format, dialect: &Dialect, outputs: &[Value], signature: &Signature) -> Vec<u8> {
    let setting = Setting {
        signature,
        model_name: "m",
        ends_with_newline: false,
    };
    match codec::encode(format, dialect, outputs, setting) {
        Ok(reply) => reply.body,
        Err(error) => panic!("{format:?}: {error}"),
    }
}

/// Numbers as text with commas between them and nothing else.
fn formatted(numbers: &[f32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(12 * numbers.len());
    let mut buffer = ryu::Buffer::new();
    for number in numbers {
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(buffer.format_finite(*number).as_bytes());
    }
    out
}

/// A busy period of every metric in the forms of both routes, and the page.
fn metrics(criterion: &mut Criterion) {
    let config = Config {
        route: RouteChoice::None,
        dimensions: ["EndpointName", "VariantName"]
            .map(|name| (name.to_owned(), "AllTraffic".to_owned()))
            .to_vec(),
        ..Config::default()
    };
    let mut group = criterion.benchmark_group("encoding");
    let period = busy_period(&config);
    let usage = |route| match usage_of(&period, &config, route) {
        Some(usage) => usage,
        None => panic!("{route:?} publishes nothing"),
    };
    let bytes = usage(RouteChoice::Emf).log_bytes;
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("emf lines of a period", |bencher| {
        bencher.iter(|| usage(RouteChoice::Emf));
    });
    group.throughput(Throughput::Elements(period.series.len() as u64));
    group.bench_function("datums of a period", |bencher| {
        bencher.iter(|| usage(RouteChoice::CloudWatch));
    });
    let recorder = Recorder::new();
    let bench = Bench::new(&recorder);
    for turn in 0..10_000 {
        record(&bench, instants(&bench, turn));
    }
    let begin = Arc::new(AtomicBool::new(false));
    let sidecar = match sidecar::start(config, recorder, begin) {
        Ok(sidecar) => sidecar,
        Err(error) => panic!("the sidecar: {error}"),
    };
    // Until there is a frame, whose readings are on the page.
    std::thread::sleep(Duration::from_millis(2_100));
    let page = sidecar.page();
    group.throughput(Throughput::Bytes(page.render().len() as u64));
    group.bench_function("prometheus page", |bencher| bencher.iter(|| page.render()));
    let text = page.render();
    group.bench_function("prometheus page, a copy of the text, floor", |bencher| {
        bencher.iter(|| text.clone());
    });
    group.finish();
    sidecar.stop(Duration::from_secs(1));
}
