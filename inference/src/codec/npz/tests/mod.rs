//! npz in and out. The archives of `testdata` were written by NumPy and SciPy.

mod arrays;
mod hostile;
mod matrices;

use std::io::{Cursor, Write};

use bytes::Bytes;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{decode, encode};
use crate::codec::tests::{port, signature};
use crate::codec::{npy, DecodeError, Named};
use crate::model::Signature;
use crate::tensor::{ElementType, Tensor, Value};

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

/// A model of one input of any shape.
fn free(name: &str, element: ElementType) -> Signature {
    signature(vec![port(name, element, "*")], vec![])
}

/// An npy file of a tensor.
fn file(tensor: Tensor) -> Vec<u8> {
    let value = Value::Tensor(tensor);
    npy::file(&Named {
        position: 0,
        name: "y",
        value: &value,
    })
    .unwrap()
}

/// An archive of these members.
fn zip(method: CompressionMethod, members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn stored(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    zip(CompressionMethod::Stored, members)
}

fn deflated(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    zip(CompressionMethod::Deflated, members)
}

fn write(tensors: &[(&str, Value)]) -> Result<Vec<u8>, String> {
    let outputs: Vec<_> = tensors
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
