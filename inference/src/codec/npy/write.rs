//! The one output → an npy file.

use bytemuck::Pod;

use super::header::MAGIC;
use crate::codec::{EncodeError, Named};
use crate::tensor::{Data, Value};

/// Header and data begin at multiples of this, so that readers can map the file.
const ALIGNMENT: usize = 64;

/// Fixed-width text may take this much more than the strings themselves, beyond
/// [`WIDE_TEXT_BYTES`]: one long string makes every other as long.
const WIDE_TEXT_FACTOR: usize = 16;
const WIDE_TEXT_BYTES: usize = 64 << 20;

/// Writes the array of a reply with one output.
///
/// # Errors
/// [`EncodeError::NotCarried`] where there is another number of outputs, or the output is no tensor
/// of a type that the format knows.
pub(in crate::codec) fn encode(outputs: &[Named<'_>]) -> Result<Vec<u8>, EncodeError> {
    let refuse = |what: String| {
        EncodeError::NotCarried(format!("application/x-npy cannot carry this reply: {what}"))
    };
    match outputs {
        [output] => file(output).map_err(refuse),
        _ => Err(refuse(format!(
            "it holds one array, and there are {} outputs",
            outputs.len()
        ))),
    }
}

/// An output as an npy file.
///
/// # Errors
/// The reason where it is no tensor of a type that the format knows.
pub(in crate::codec) fn file(output: &Named<'_>) -> Result<Vec<u8>, String> {
    let name = output.name;
    let Value::Tensor(tensor) = output.value else {
        return Err(format!("output {name} is no tensor"));
    };
    let shape = tensor.shape();
    Ok(match tensor.data() {
        Data::Bool(elements) => {
            let mut out = header("|b1", shape, elements.len());
            out.extend(elements.iter().map(|value| u8::from(*value)));
            out
        }
        Data::Int8(elements) => array("|i1", shape, elements),
        Data::Int16(elements) => array("<i2", shape, elements),
        Data::Int32(elements) => array("<i4", shape, elements),
        Data::Int64(elements) => array("<i8", shape, elements),
        Data::Uint8(elements) => array("|u1", shape, elements),
        Data::Uint16(elements) => array("<u2", shape, elements),
        Data::Uint32(elements) => array("<u4", shape, elements),
        Data::Uint64(elements) => array("<u8", shape, elements),
        Data::Float16(elements) => array("<f2", shape, elements),
        Data::Float32(elements) => array("<f4", shape, elements),
        Data::Float64(elements) => array("<f8", shape, elements),
        Data::BFloat16(_) => {
            return Err(format!("output {name} is bfloat16, which it does not know"));
        }
        Data::String(elements) => texts(shape, elements)
            .ok_or_else(|| format!("output {name} has strings too unequal for fixed-width text"))?,
    })
}

/// Elements are little-endian in memory on every machine that is served.
fn array<T: Pod>(descr: &str, shape: &[usize], elements: &[T]) -> Vec<u8> {
    let bytes: &[u8] = bytemuck::cast_slice(elements);
    let mut out = header(descr, shape, bytes.len());
    out.extend_from_slice(bytes);
    out
}

/// Strings as UTF-32 of equal width; `None` where that would be absurdly larger than they are.
fn texts(shape: &[usize], elements: &[String]) -> Option<Vec<u8>> {
    let width = elements
        .iter()
        .map(|s| s.chars().count())
        .max()
        .unwrap_or(0)
        .max(1);
    let size = elements.len().checked_mul(width)?.checked_mul(4)?;
    let own: usize = elements.iter().map(String::len).sum();
    if size > WIDE_TEXT_BYTES && size / WIDE_TEXT_FACTOR > own {
        return None;
    }
    let mut out = header(&format!("<U{width}"), shape, size);
    for text in elements {
        let end = out.len() + 4 * width;
        for point in text.chars() {
            out.extend_from_slice(&u32::from(point).to_le_bytes());
        }
        out.resize(end, 0);
    }
    Some(out)
}

/// A version 1 header, with room for the data behind it.
fn header(descr: &str, shape: &[usize], data_len: usize) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    // As NumPy writes it: `()`, `(3,)`, `(2, 3)`.
    let sizes = match shape {
        [_] => sizes.trim_end(),
        _ => sizes.trim_end_matches(", "),
    };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let before = MAGIC.len() + 4;
    let padded = (before + text.len() + 1).next_multiple_of(ALIGNMENT);
    text.extend(std::iter::repeat_n(' ', padded - before - text.len() - 1));
    text.push('\n');
    let mut out = Vec::with_capacity(padded + data_len);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[1, 0]);
    // A shape has few axes: the header of 64 of them still fits the two bytes.
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out
}
