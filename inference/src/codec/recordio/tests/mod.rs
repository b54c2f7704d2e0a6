//! RecordIO in and out. The bodies of `testdata` were written by an encoder of their own.

mod hostile;
mod rows;
mod written;

use bytes::Bytes;

use super::proto::{BYTES, ELEMENTS, FEATURES, FLOAT32, FLOAT64, INT32, KEY, KEYS, SHAPE, VALUE};
use super::{decode, encode, frame};
use crate::codec::tests::{port, signature};
use crate::codec::{DecodeError, Named};
use crate::model::Signature;
use crate::tensor::{ElementType, Tensor, Value};
use crate::wire::{put_bytes, put_varint};

/// A file of `testdata`.
macro_rules! golden {
    ($name:literal) => {
        include_bytes!(concat!("../testdata/", $name)).as_slice()
    };
}
use golden;

const ROOM: usize = 1 << 20;

fn read(body: &[u8], signature: &Signature) -> Result<Vec<Tensor>, DecodeError> {
    decode(&Bytes::copy_from_slice(body), signature, ROOM)
}

fn refusal(body: &[u8], signature: &Signature) -> String {
    read(body, signature).unwrap_err().to_string()
}

/// A model of one input `x`.
fn one(element: ElementType, dims: &str) -> Signature {
    signature(vec![port("x", element, dims)], vec![])
}

fn write(outputs: &[(&str, Value)]) -> Result<Vec<u8>, String> {
    let outputs: Vec<_> = outputs
        .iter()
        .enumerate()
        .map(|(position, (name, value))| Named {
            name,
            position,
            value,
        })
        .collect();
    encode(&outputs).map_err(|error| error.to_string())
}

fn packed(numbers: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    numbers.iter().for_each(|n| put_varint(&mut out, *n));
    out
}

fn value(kind: u64, elements: &[u8], keys: &[u64], shape: &[u64]) -> Vec<u8> {
    let mut message = Vec::new();
    put_bytes(&mut message, ELEMENTS, elements);
    if !keys.is_empty() {
        put_bytes(&mut message, KEYS, &packed(keys));
    }
    if !shape.is_empty() {
        put_bytes(&mut message, SHAPE, &packed(shape));
    }
    let mut value = Vec::new();
    put_bytes(&mut value, kind, &message);
    value
}

fn floats32(numbers: &[f32], keys: &[u64], shape: &[u64]) -> Vec<u8> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    value(FLOAT32, &bytes, keys, shape)
}

fn floats64(numbers: &[f64]) -> Vec<u8> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    value(FLOAT64, &bytes, &[], &[])
}

fn ints32(numbers: &[i32]) -> Vec<u8> {
    let wide: Vec<u64> = numbers.iter().map(|n| i64::from(*n) as u64).collect();
    value(INT32, &packed(&wide), &[], &[])
}

/// A body of one record per list of features.
fn body(records: &[&[(&str, Vec<u8>)]]) -> Vec<u8> {
    let mut out = Vec::new();
    for features in records {
        let mut payload = Vec::new();
        for (name, value) in *features {
            let mut entry = Vec::new();
            put_bytes(&mut entry, KEY, name.as_bytes());
            put_bytes(&mut entry, VALUE, value);
            put_bytes(&mut payload, FEATURES, &entry);
        }
        frame::put(&mut out, &payload).unwrap();
    }
    out
}

/// A body of one record with one feature.
fn single(value: Vec<u8>) -> Vec<u8> {
    body(&[&[("values", value)]])
}

/// A written reply as a request: its labels become features.
fn labels_as_features(reply: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for record in frame::records(reply) {
        let mut payload = Vec::new();
        for field in crate::wire::fields(record.unwrap().payload) {
            put_bytes(&mut payload, FEATURES, field.unwrap().bytes());
        }
        frame::put(&mut out, &payload).unwrap();
    }
    out
}

/// Bytes are text.
fn texts(texts: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::new();
    for text in texts {
        put_bytes(&mut message, ELEMENTS, text);
    }
    let mut value = Vec::new();
    put_bytes(&mut value, BYTES, &message);
    value
}
