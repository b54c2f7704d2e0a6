//! The rows of the table: what is timed, and its floor.

use std::hint::black_box;

use bytes::Bytes;
use inference::codec::{self, Dialect, Format, Setting, V2};
use inference::model::{Dim, Signature};
use inference::tensor::{Data, Tensor, Value};
use serde::de::DeserializeOwned;

use crate::binary;
use crate::bodies::{self, IMAGE};

/// Something to time.
pub type Turn = Box<dyn FnMut()>;

/// One line of the table.
pub struct Row {
    pub name: &'static str,
    pub ours: Turn,
    pub floor: Turn,
    /// How much longer than the floor it may take; `None` for rows that only inform.
    pub target: Option<f64>,
}

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const LINES: &str = "application/jsonlines";
const NPZ: &str = "application/x-npz";
const RECORDIO: &str = "application/x-recordio-protobuf";

/// Nested lists may cost little more than one flat list.
const JSON_READ: Option<f64> = Some(1.15);
const JSON_WRITE: Option<f64> = Some(1.2);
const CSV_READ: Option<f64> = Some(1.3);

/// Every row, one after the other.
pub fn all() -> impl Iterator<Item = Row> {
    let makers: [fn() -> Vec<Row>; 5] = [json_images, json_tables, json_write, csv_read, others];
    makers.into_iter().flat_map(|maker| maker())
}

fn json_images() -> Vec<Row> {
    let pixels = bodies::pixels(IMAGE.iter().product());
    let short = bodies::shortest(&pixels);
    let long = bodies::doubled(&pixels);
    let list = |numbers: &[String]| bodies::nested(&IMAGE, numbers);
    let row = |name, body: String, signature: Signature, numbers: &[String]| Row {
        name,
        ours: reading(JSON, body, &signature),
        floor: flat::<f32>(numbers),
        target: JSON_READ,
    };
    let images = bodies::images;
    let fixed = bodies::model(&IMAGE.map(Dim::Fixed));
    let instances = format!("{{\"instances\":{}}}", list(&short));
    let v2 = bodies::v2(&IMAGE, &short);
    vec![
        row("json [[[[…]]]], an image", list(&short), images(), &short),
        row(
            "json [[[[…]]]], all axes fixed",
            list(&short),
            fixed,
            &short,
        ),
        row(
            "json {\"instances\":…}, an image",
            instances,
            images(),
            &short,
        ),
        row("json v2 flat data, an image", v2, images(), &short),
        row(
            "json [[[[…]]]], in Python's 17 digits",
            list(&long),
            images(),
            &long,
        ),
    ]
}

fn json_tables() -> Vec<Row> {
    let cells = bodies::shortest(&bodies::pixels(8000));
    let rows = format!("{{\"instances\":{}}}", bodies::nested(&[2000, 4], &cells));
    let names = ["length", "width", "height", "weight"];
    let objects = format!("{{\"instances\":{}}}", bodies::objects(&names, &cells));
    let tails: Vec<String> = bodies::tails(8000)
        .iter()
        .map(|n| format!("{n:e}"))
        .collect();
    let ids: Vec<String> = (0..4096).map(|i| (i * 7919 % 30_522).to_string()).collect();
    vec![
        Row {
            name: "json rows, 2,000 × 4",
            ours: reading(JSON, rows, &bodies::table(4)),
            floor: flat::<f32>(&cells),
            target: None,
        },
        Row {
            name: "json rows as objects, 2,000 × 4",
            ours: reading(JSON, objects, &bodies::columns(&names)),
            floor: flat::<f32>(&cells),
            target: None,
        },
        Row {
            name: "json numbers near zero against doubles, 8,000",
            ours: reading(
                JSON,
                bodies::nested(&[1, 8000], &tails),
                &bodies::table(8000),
            ),
            // Only a double tells them from zero, and that costs more to read.
            floor: flat::<f64>(&tails),
            target: None,
        },
        Row {
            name: "json token ids, 8 × 512",
            ours: reading(JSON, bodies::nested(&[8, 512], &ids), &bodies::tokens()),
            floor: flat::<i64>(&ids),
            target: None,
        },
    ]
}

fn json_write() -> Vec<Row> {
    let numbers = bodies::pixels(1000);
    let row = |name, shape: &[usize], dialect: Dialect, target| Row {
        name,
        ours: writing(shape, numbers.clone(), dialect),
        floor: formatting(numbers.clone()),
        target,
    };
    let v2 = Dialect::V2(V2::default());
    vec![
        row(
            "json reply, 1 × 1,000 floats",
            &[1, 1000],
            Dialect::Bare,
            JSON_WRITE,
        ),
        row(
            "json reply, predictions 1 × 1,000 floats",
            &[1, 1000],
            Dialect::Instances,
            JSON_WRITE,
        ),
        row(
            "json reply, v2 1 × 1,000 floats",
            &[1, 1000],
            v2,
            JSON_WRITE,
        ),
        row(
            "json reply, 250 × 4 floats",
            &[250, 4],
            Dialect::Bare,
            JSON_WRITE,
        ),
    ]
}

fn csv_read() -> Vec<Row> {
    let row = |name, rows: usize, columns: usize| {
        let body = bodies::csv(columns, &bodies::shortest(&bodies::pixels(rows * columns)));
        Row {
            name,
            ours: reading(CSV, body.clone(), &bodies::table(columns)),
            floor: cells(body),
            target: CSV_READ,
        }
    };
    vec![
        row("csv, 2,000 rows × 40 columns", 2000, 40),
        row("csv, one row of 4 columns", 1, 4),
    ]
}

/// Further formats: their floor is the same numbers in JSON.
fn others() -> Vec<Row> {
    let numbers = bodies::pixels(8000);
    let cells = bodies::shortest(&numbers);
    let rows = format!("{{\"instances\":{}}}", bodies::nested(&[2000, 4], &cells));
    let row = |name, content_type, body: Bytes| Row {
        name,
        ours: reading(content_type, body, &bodies::table(4)),
        floor: reading(JSON, rows.clone(), &bodies::table(4)),
        target: None,
    };
    let (lines, csv) = (bodies::lines(4, &cells), bodies::csv(4, &cells));
    let (npz, records) = (binary::npz(&numbers), binary::records(&numbers));
    vec![
        row(
            "json lines against json rows, 2,000 × 4",
            LINES,
            lines.into(),
        ),
        row("csv against json rows, 2,000 × 4", CSV, csv.into()),
        row("npz against json rows, 2,000 × 4", NPZ, npz),
        row("recordio against json rows, 2,000 × 4", RECORDIO, records),
    ]
}

/// Reads a body as the server does.
fn reading(content_type: &'static str, body: impl Into<Bytes>, signature: &Signature) -> Turn {
    let (body, signature) = (body.into(), signature.clone());
    Box::new(move || {
        black_box(bodies::decode(content_type, body.clone(), &signature));
    })
}

/// Reads the same numbers as one flat JSON list and nothing else.
fn flat<T: DeserializeOwned>(numbers: &[String]) -> Turn {
    let list = bodies::nested(&[numbers.len()], numbers);
    Box::new(move || {
        let numbers: Result<Vec<T>, _> = serde_json::from_slice(list.as_bytes());
        assert!(black_box(numbers).is_ok(), "a list of numbers");
    })
}

/// Reads CSV records and their cells as floats.
fn cells(body: String) -> Turn {
    Box::new(move || {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(body.as_bytes());
        let mut record = csv::ByteRecord::new();
        let mut numbers: Vec<f32> = Vec::new();
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            for cell in &record {
                let cell = std::str::from_utf8(cell).unwrap_or_default();
                numbers.push(cell.parse().unwrap_or_default());
            }
        }
        black_box(numbers);
    })
}

/// Writes a reply as the server does.
fn writing(shape: &[usize], numbers: Vec<f32>, dialect: Dialect) -> Turn {
    let signature = bodies::table(shape[1]);
    let tensor = Tensor::new(shape.to_vec(), Data::Float32(numbers.into()));
    let outputs = tensor.map(Value::Tensor).into_iter().collect::<Vec<_>>();
    Box::new(move || {
        let setting = Setting {
            signature: &signature,
            model_name: "m",
            ends_with_newline: false,
        };
        let reply = codec::encode(Format::Json, &dialect, &outputs, setting);
        assert!(black_box(reply).is_ok(), "a reply");
    })
}

/// Formats numbers with commas between them and nothing else.
fn formatting(numbers: Vec<f32>) -> Turn {
    Box::new(move || {
        let mut out = Vec::with_capacity(4 * numbers.len());
        let mut buffer = ryu::Buffer::new();
        for (i, number) in numbers.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(buffer.format_finite(*number).as_bytes());
        }
        black_box(out);
    })
}
