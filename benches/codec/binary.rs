//! Bodies that carry the tensor's own bytes.

use bytes::Bytes;
use inference::codec::{self, Dialect, Format, Setting};
use inference::tensor::{Data, Tensor, Value};

use crate::bodies;

/// A name, and a content type and body for so many rows of [`WIDTH`] floats, laid out so that they
/// are aligned.
pub type Binary = (&'static str, fn(usize) -> (String, Bytes));

/// Columns of the binary bodies.
pub const WIDTH: usize = 1024;

/// The formats that carry a tensor's own bytes.
pub const BINARY: [Binary; 3] = [("npy", npy), ("octet-stream", octets), ("triton", triton)];

fn raw(rows: usize) -> Vec<u8> {
    bytes_of(&bodies::pixels(rows * WIDTH))
}

fn npy(rows: usize) -> (String, Bytes) {
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {WIDTH}), }}");
    let mut body = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    body.extend_from_slice(format!("{header:<117}\n").as_bytes());
    body.extend(raw(rows));
    ("application/x-npy".to_owned(), body.into())
}

fn octets(rows: usize) -> (String, Bytes) {
    ("application/octet-stream".to_owned(), raw(rows).into())
}

fn triton(rows: usize) -> (String, Bytes) {
    let tensor = raw(rows);
    let json = format!(
        r#"{{"inputs":[{{"name":"x","shape":[{rows},{WIDTH}],"datatype":"FP32","parameters":{{"binary_data_size":{}}}}}]}}"#,
        tensor.len()
    );
    let size = json.len().next_multiple_of(64);
    let mut body = format!("{json:<size$}").into_bytes();
    body.extend(tensor);
    let name = "application/vnd.sagemaker-triton.binary+json";
    (format!("{name};json-header-size={size}"), body.into())
}

/// Rows of four as an npz archive.
pub fn npz(numbers: &[f32]) -> Bytes {
    let mut signature = bodies::table(4);
    signature.outputs.clone_from(&signature.inputs);
    let setting = Setting {
        signature: &signature,
        model_name: "m",
        ends_with_newline: false,
    };
    let data = Data::Float32(numbers.to_vec().into());
    let tensor = Tensor::new(vec![numbers.len() / 4, 4], data);
    let outputs: Vec<_> = tensor.map(Value::Tensor).into_iter().collect();
    match codec::encode(Format::Npz, &Dialect::Bare, &outputs, setting) {
        Ok(archive) => archive.body.into(),
        Err(error) => panic!("npz: {error}"),
    }
}

/// Rows of four as records, each with its `values`.
pub fn records(numbers: &[f32]) -> Bytes {
    let mut body = Vec::new();
    for row in numbers.chunks_exact(4) {
        body.extend_from_slice(&0xced7_230a_u32.to_le_bytes());
        body.extend_from_slice(&32_u32.to_le_bytes());
        // Each message inside the one before: a feature, its name, its value, a tensor, floats.
        body.extend_from_slice(b"\x0a\x1e\x0a\x06values\x12\x14\x12\x12\x0a\x10");
        body.extend(bytes_of(row));
    }
    body.into()
}

fn bytes_of(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}
