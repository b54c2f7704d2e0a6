//! Tensors as JSON arrays, written straight from their elements.

use std::ops::Range;

use crate::codec::text::{json_string, Text};
use crate::each_type;
use crate::tensor::Data;

/// What even a short element takes with its comma: room for the greater part of a large tensor at
/// once, and little beyond.
const SHORT_ELEMENT: usize = 4;

/// A comma before every member but the first.
#[inline]
pub(super) fn comma(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

/// A string with quotes and escapes.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    json_string(text, out);
}

/// The elements in `range` as nested lists of this shape; a scalar as itself.
pub(super) fn tensor(out: &mut Vec<u8>, shape: &[usize], data: &Data, range: Range<usize>) {
    out.reserve(SHORT_ELEMENT * range.len());
    each_type!(data, buffer => nested(out, shape, buffer.get(range).unwrap_or_default()));
}

/// All elements in one list.
pub(super) fn flat(out: &mut Vec<u8>, data: &Data) {
    out.reserve(SHORT_ELEMENT * data.len());
    each_type!(data, buffer => list(out, buffer));
}

/// One element.
pub(super) fn element(out: &mut Vec<u8>, data: &Data, index: usize) {
    each_type!(data, buffer => match buffer.get(index) {
        Some(element) => element.json(out),
        None => out.extend_from_slice(b"null"),
    });
}

fn nested<T: Text>(out: &mut Vec<u8>, shape: &[usize], elements: &[T]) {
    match shape {
        [] => match elements.first() {
            Some(element) => element.json(out),
            None => out.extend_from_slice(b"null"),
        },
        [_] => list(out, elements),
        [count, inner @ ..] => {
            out.push(b'[');
            let size = elements.len().checked_div(*count).unwrap_or(0);
            for i in 0..*count {
                comma(out, i);
                nested(out, inner, &elements[i * size..(i + 1) * size]);
            }
            out.push(b']');
        }
    }
}

fn list<T: Text>(out: &mut Vec<u8>, elements: &[T]) {
    out.push(b'[');
    for (i, element) in elements.iter().enumerate() {
        comma(out, i);
        element.json(out);
    }
    out.push(b']');
}
