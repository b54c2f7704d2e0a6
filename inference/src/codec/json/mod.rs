//! `application/json`: four dialects in, the same four out.
//!
//! | dialect | request | reply |
//! |---|---|---|
//! | bare | `[[…],[…]]`, for a model of one input | `[[…],[…]]`; several outputs as an object by name |
//! | rows | `{"instances":[…]}`: plain rows for one input, or objects by input name, or `{"features":[…]}` and `{"data":{"features":{"values":[…]}}}`, flat rows mapped as CSV maps them | `{"predictions":[…]}`, one member per record; several outputs as one object per record |
//! | columns | `{"inputs":{"x":…}}`, or `{"inputs":…}` for one input | `{"outputs":…}`; several as an object by name |
//! | KServe v2 | `{"inputs":[{"name","shape","datatype","data"}],"outputs":[{"name"}],"id"}` | the same form, flat data |
//!
//! Numbers are typed by the model's inputs and exact (see [`super::element`]). For float inputs
//! `null`, `"NaN"`, `"Infinity"` and `"-Infinity"` stand for what JSON has no number for; a reply
//! writes NaN as `null` and infinities as those strings. `{"instances":[]}` is refused: it says
//! nothing about the shape of a record.
//!
//! v2 reads and writes `FP16` and `BF16` as numbers too, where Triton wants its binary form. Its
//! inputs may lie as binary tensors behind the JSON (see [`super::triton`]).
//!
//! `application/jsonlines` has one record of the rows dialect a line ([`lines`]).
//!
//! Reading never builds a tree: typed visitors flatten straight into the tensors' vectors, which
//! grow with the text and with nothing that it claims. Lists nest at most [`MOST_AXES`] deep.

mod any;
mod columns;
mod features;
mod flat;
mod lines;
mod reply;
mod request;
mod rows;
mod swift;
mod v2;
mod write;

use serde::de::{Deserialize, IgnoredAny};

use super::conform::{self, MOST_AXES};
use super::error::unreadable;
use super::{DecodeError, Decoded};
use crate::model::{Dim, Signature};
use crate::tensor::{element_count, Data, ElementType};
use any::Context;
use bytes::Bytes;
pub(super) use lines::{decode as decode_lines, encode as encode_lines};
use memchr::memmem;
pub(super) use reply::{encode, encode_v2};
use request::Request;

/// A body without the byte order mark that some editors put before their utf-8.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Whether a body is one JSON value.
pub(super) fn is_json(body: &[u8]) -> bool {
    let mut deserializer = serde_json::Deserializer::from_slice(without_mark(body));
    IgnoredAny::deserialize(&mut deserializer).is_ok() && deserializer.end().is_ok()
}

/// Reads a request in any dialect. Sparse records may unfold to `limit` bytes in all.
///
/// # Errors
/// [`DecodeError::Unreadable`] where the body is not JSON, [`DecodeError::Misfit`] where it is no
/// dialect or does not fit the model.
pub(super) fn decode(
    body: &[u8],
    signature: &Signature,
    limit: usize,
) -> Result<Decoded, DecodeError> {
    if let Some(decoded) = swift::decode(without_mark(body), signature, limit) {
        return Ok(decoded);
    }
    exactly(|context| read(body, None, signature, context, limit))
}

/// Reads a v2 request whose binary tensors lie in `tail`.
///
/// # Errors
/// As [`decode`]; also where the JSON is another dialect, or the tail is not what it says.
pub(super) fn decode_v2(
    body: &[u8],
    tail: Bytes,
    signature: &Signature,
) -> Result<Decoded, DecodeError> {
    exactly(|context| read(body, Some(&tail), signature, context, body.len()))
}

/// Reads with the parser's own numbers; where one of them has a last bit that hangs on digits which
/// the parser has already rounded away, or is too large for the parser, reads everything again from
/// the text of each number, about three times slower.
fn exactly(
    read: impl Fn(&Context) -> Result<Decoded, DecodeError>,
) -> Result<Decoded, DecodeError> {
    let swift = Context::new(false);
    match read(&swift) {
        Err(_) if swift.wants_exact() => read(&Context::new(true)),
        result => result,
    }
}

fn read(
    body: &[u8],
    tail: Option<&Bytes>,
    signature: &Signature,
    context: &Context,
    limit: usize,
) -> Result<Decoded, DecodeError> {
    let mut request = Request::new(signature, context, body.len(), limit)?;
    let mut deserializer = serde_json::Deserializer::from_slice(without_mark(body));
    let outcome = request
        .read(&mut deserializer)
        .and_then(|()| deserializer.end());
    match outcome {
        Ok(()) => request.finish(tail),
        Err(error) => Err(match context.take_fault() {
            Some(fault) => fault,
            None => {
                context.notice(&error);
                let hint = not_a_number(body, &error);
                unreadable(format!("body is not valid json: {error}{hint}"))
            }
        }),
    }
}

/// What to write in place of the bare words for what is no number, which Python writes and JSON does
/// not know, where one of them stopped the parser.
fn not_a_number(body: &[u8], error: &serde_json::Error) -> &'static str {
    let before = error.line().saturating_sub(1);
    let line = body.split(|byte| *byte == b'\n').nth(before);
    let at = line.and_then(|line| line.get(error.column().saturating_sub(2)..));
    let words = at.unwrap_or_default();
    let words = words.get(..words.len().min(12)).unwrap_or_default();
    let stops = |word: &[u8]| memmem::find(words, word).is_some();
    if stops(b"NaN") || stops(b"Infinity") {
        "; NaN is null, infinities are \"Infinity\" and \"-Infinity\" with quotes"
    } else {
        ""
    }
}

/// A JSON body that fits the model, with zeros and empty strings: a bare array for one input,
/// columns for several. Free axes get size 1.
///
/// # Errors
/// [`DecodeError::Misfit`] where an input is no tensor or its fixed axes overflow.
pub fn example(signature: &Signature) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    let zeros = |port, out: &mut Vec<u8>| {
        let element = conform::element(port)?;
        let dims = port.tensor().and_then(|(_, dims)| dims).unwrap_or_default();
        let size = |dim: &Dim| match dim {
            Dim::Fixed(n) => *n,
            _ => 1,
        };
        let shape: Vec<_> = dims.iter().map(size).collect();
        if shape.len() > MOST_AXES {
            return Err(DecodeError::Misfit(format!(
                "input {port} has too many axes for an example"
            )));
        }
        let count = element_count(&shape).unwrap_or(usize::MAX);
        // Nobody reads an example beyond a few megabytes, and a model can declare any size.
        const LONGEST: usize = 1 << 22;
        if count > LONGEST {
            return Err(DecodeError::Misfit(format!(
                "input {port} is too large for an example"
            )));
        }
        let data: Data = match element {
            ElementType::String => Data::String(vec![String::new(); count].into()),
            ElementType::Bool => Data::Bool(vec![false; count].into()),
            element if element.is_float() => Data::Float32(vec![0.0; count].into()),
            _ => Data::Uint8(vec![0; count].into()),
        };
        write::tensor(out, &shape, &data, 0..count);
        Ok(())
    };
    match signature.inputs.as_slice() {
        [port] => zeros(port, &mut out)?,
        ports => {
            out.extend_from_slice(b"{\"inputs\":{");
            for (i, port) in ports.iter().enumerate() {
                write::comma(&mut out, i);
                write::string(&mut out, &port.name);
                out.push(b':');
                zeros(port, &mut out)?;
            }
            out.extend_from_slice(b"}}");
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
