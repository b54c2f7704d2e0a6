//! Reading bodies: an image or a table, and a single row.

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use inference::model::Signature;

use crate::binary::{BINARY, WIDTH};
use crate::bodies::{self, IMAGE};

/// Rows of a binary body that is as large as an image.
const IMAGE_ROWS: usize = 147;

pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    for (name, shape) in [("a row", &[1, 4][..]), ("an image", &IMAGE)] {
        let numbers = bodies::shortest(&bodies::pixels(shape.iter().product()));
        let signature = match shape {
            [_, columns] => bodies::table(*columns),
            _ => bodies::images(),
        };
        let body = Bytes::from(bodies::nested(shape, &numbers));
        reading(
            &mut group,
            &format!("json, {name}"),
            "application/json",
            &body,
            &signature,
        );
        let list = bodies::nested(&[numbers.len()], &numbers);
        group.bench_function(format!("json, {name}, floor"), |bencher| {
            bencher.iter(|| serde_json::from_str::<Vec<f32>>(&list));
        });
    }
    for (name, rows, columns) in [("a row", 1, 4), ("a table", 2_000, 40)] {
        let numbers = bodies::shortest(&bodies::pixels(rows * columns));
        let body = Bytes::from(bodies::csv(columns, &numbers));
        let signature = bodies::table(columns);
        reading(
            &mut group,
            &format!("csv, {name}"),
            "text/csv",
            &body,
            &signature,
        );
        group.bench_function(format!("csv, {name}, floor"), |bencher| {
            bencher.iter(|| cells(&body));
        });
    }
    for (format, make) in BINARY {
        for (name, rows) in [("a row", 1), ("an image", IMAGE_ROWS)] {
            let (content_type, body) = make(rows);
            let signature = bodies::table(WIDTH);
            reading(
                &mut group,
                &format!("{format}, {name}"),
                &content_type,
                &body,
                &signature,
            );
        }
    }
    // What reading in place saves.
    for (name, rows) in [("a row", 1), ("an image", IMAGE_ROWS)] {
        let bytes = vec![1_u8; 4 * WIDTH * rows];
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("a copy of the bytes, {name}, floor"), |bencher| {
            bencher.iter(|| bytes.clone());
        });
    }
    group.finish();
}

fn reading(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    content_type: &str,
    body: &Bytes,
    signature: &Signature,
) {
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| bodies::decode(content_type, body.clone(), signature));
    });
}

/// The cells of a CSV body without quotes, through `split` and `parse`.
fn cells(body: &[u8]) -> Vec<f32> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let cells = text.lines().flat_map(|line| line.split(','));
    cells.map(|cell| cell.parse().unwrap_or_default()).collect()
}
