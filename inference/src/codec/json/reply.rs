//! JSON replies, shaped as the request was.
//!
//! - Rows: where every output has the same number of members along axis 0, `predictions` is a list
//!   with one member per record: the row itself, or an object of rows by output name. Otherwise
//!   `predictions` is an object of whole outputs by name, even for one output.
//! - Maps are objects, with integer keys as strings; sequences are lists; an absent value is `null`.
//! - v2 has no type for maps and sequences: each map or member is written as its JSON text, one
//!   element of a `BYTES` output; an absent value is a `BYTES` output without elements.

use std::ops::Deref;

use super::write;
use crate::codec::{octets, Dialect, Named};
use crate::tensor::{Data, ElementType, Keys, Tensor, Value};

/// One model has one version here.
const MODEL_VERSION: &str = "1";

/// Writes a reply.
pub(in crate::codec) fn encode(
    dialect: &Dialect,
    outputs: &[Named<'_>],
    model_name: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    match dialect {
        Dialect::Bare => all(&mut out, outputs),
        Dialect::Columns => {
            out.extend_from_slice(b"{\"outputs\":");
            all(&mut out, outputs);
            out.push(b'}');
        }
        Dialect::Instances => {
            out.extend_from_slice(b"{\"predictions\":");
            predictions(&mut out, outputs);
            out.push(b'}');
        }
        Dialect::V2(v2) => return encode_v2(v2.id.as_deref(), outputs, model_name, |_| false).0,
    }
    out
}

/// Elements of one output that stand behind the JSON.
pub(in crate::codec) enum Behind<'o> {
    /// A tensor's own.
    Tensor(&'o Data),
    /// Texts for what v2 has no type for.
    Texts(Data),
}

impl Deref for Behind<'_> {
    type Target = Data;
    fn deref(&self) -> &Data {
        match self {
            Self::Tensor(data) => data,
            Self::Texts(data) => data,
        }
    }
}

/// Writes a v2 reply whose binary outputs stand behind it: the JSON, and their elements in order.
pub(in crate::codec) fn encode_v2<'o>(
    id: Option<&str>,
    outputs: &'o [Named<'_>],
    model_name: &str,
    is_binary: impl Fn(&Named<'_>) -> bool,
) -> (Vec<u8>, Vec<Behind<'o>>) {
    let mut out = Vec::with_capacity(128);
    let mut behind = Vec::new();
    out.extend_from_slice(b"{\"model_name\":");
    write::string(&mut out, model_name);
    out.extend_from_slice(b",\"model_version\":");
    write::string(&mut out, MODEL_VERSION);
    if let Some(id) = id {
        out.extend_from_slice(b",\"id\":");
        write::string(&mut out, id);
    }
    out.extend_from_slice(b",\"outputs\":[");
    for (i, output) in outputs.iter().enumerate() {
        write::comma(&mut out, i);
        out.extend_from_slice(b"{\"name\":");
        write::string(&mut out, output.name);
        let (shape, data) = match output.value {
            Value::Tensor(tensor) => (tensor.shape().to_vec(), Behind::Tensor(tensor.data())),
            value => {
                let texts = v2_texts(value);
                (vec![texts.len()], Behind::Texts(Data::String(texts.into())))
            }
        };
        v2_head(&mut out, &shape, &data);
        if is_binary(output) {
            out.extend_from_slice(b",\"parameters\":{\"binary_data_size\":");
            let size = octets::size(&data);
            out.extend_from_slice(itoa::Buffer::new().format(size).as_bytes());
            out.push(b'}');
            behind.push(data);
        } else {
            out.extend_from_slice(b",\"data\":");
            write::flat(&mut out, &data);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    (out, behind)
}

/// The one output, or all by name.
pub(super) fn all(out: &mut Vec<u8>, outputs: &[Named<'_>]) {
    match outputs {
        [output] => whole(out, output.value),
        _ => by_name(out, outputs, whole),
    }
}

fn by_name(out: &mut Vec<u8>, outputs: &[Named<'_>], mut write: impl FnMut(&mut Vec<u8>, &Value)) {
    out.push(b'{');
    for (i, output) in outputs.iter().enumerate() {
        write::comma(out, i);
        write::string(out, output.name);
        out.push(b':');
        write(out, output.value);
    }
    out.push(b'}');
}

fn predictions(out: &mut Vec<u8>, outputs: &[Named<'_>]) {
    let Some(count) = common_records(outputs) else {
        return by_name(out, outputs, whole);
    };
    out.push(b'[');
    for row in 0..count {
        write::comma(out, row);
        prediction(out, outputs, row);
    }
    out.push(b']');
}

/// What one record gave: its row, or an object of rows by output name.
pub(super) fn prediction(out: &mut Vec<u8>, outputs: &[Named<'_>], row: usize) {
    match outputs {
        [output] => record(out, output.value, row),
        _ => by_name(out, outputs, |out, value| record(out, value, row)),
    }
}

/// The number of records, where all outputs have the same.
pub(super) fn common_records(outputs: &[Named<'_>]) -> Option<usize> {
    let first = outputs.first().and_then(|output| records(output.value));
    first.filter(|_| outputs.iter().all(|o| records(o.value) == first))
}

/// Members along the outermost axis, where there is one.
fn records(value: &Value) -> Option<usize> {
    match value {
        Value::Tensor(tensor) => tensor.shape().first().copied(),
        Value::Maps { values, .. } => Some(values.rows()),
        Value::Sequence(members) => Some(members.len()),
        Value::Map { .. } | Value::Absent => None,
    }
}

/// One member along the outermost axis.
fn record(out: &mut Vec<u8>, value: &Value, row: usize) {
    match value {
        Value::Tensor(tensor) => {
            let inner = tensor.shape().get(1..).unwrap_or_default();
            let size = tensor.data().len().checked_div(tensor.rows()).unwrap_or(0);
            write::tensor(out, inner, tensor.data(), row * size..(row + 1) * size);
        }
        Value::Maps { keys, values } => map(out, keys, values, row * keys.len()),
        Value::Sequence(members) => match members.get(row) {
            Some(member) => whole(out, member),
            None => out.extend_from_slice(b"null"),
        },
        Value::Map { .. } | Value::Absent => whole(out, value),
    }
}

fn whole(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Tensor(tensor) => {
            write::tensor(out, tensor.shape(), tensor.data(), 0..tensor.data().len());
        }
        Value::Map { keys, values } => map(out, keys, values, 0),
        Value::Absent => out.extend_from_slice(b"null"),
        Value::Maps { .. } | Value::Sequence(_) => {
            out.push(b'[');
            for row in 0..records(value).unwrap_or(0) {
                write::comma(out, row);
                record(out, value, row);
            }
            out.push(b']');
        }
    }
}

/// One map, whose values start at `offset`.
fn map(out: &mut Vec<u8>, keys: &Keys, values: &Tensor, offset: usize) {
    out.push(b'{');
    for i in 0..keys.len() {
        write::comma(out, i);
        match keys {
            Keys::Int64(keys) => {
                out.push(b'"');
                out.extend_from_slice(itoa::Buffer::new().format(keys[i]).as_bytes());
                out.push(b'"');
            }
            Keys::String(keys) => write::string(out, &keys[i]),
        }
        out.push(b':');
        write::element(out, values.data(), offset + i);
    }
    out.push(b'}');
}

fn v2_head(out: &mut Vec<u8>, shape: &[usize], data: &Data) {
    let element: ElementType = data.element_type();
    out.extend_from_slice(b",\"datatype\":\"");
    out.extend_from_slice(element.v2_name().as_bytes());
    out.extend_from_slice(b"\",\"shape\":[");
    for (i, size) in shape.iter().enumerate() {
        write::comma(out, i);
        out.extend_from_slice(itoa::Buffer::new().format(*size).as_bytes());
    }
    out.push(b']');
}

/// What v2 has no type for, as JSON texts.
fn v2_texts(value: &Value) -> Vec<String> {
    let text = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    match value {
        Value::Absent => Vec::new(),
        Value::Map { .. } | Value::Tensor(_) => vec![text(&|out| whole(out, value))],
        Value::Maps { .. } | Value::Sequence(_) => (0..records(value).unwrap_or(0))
            .map(|row| text(&|out| record(out, value, row)))
            .collect(),
    }
}
