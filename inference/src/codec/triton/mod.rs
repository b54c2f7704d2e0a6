//! `application/vnd.sagemaker-triton.binary+json;json-header-size=N`: KServe v2 JSON of N bytes,
//! then the tensors, little-endian and row-major, in the order in which the JSON names them.
//!
//! The JSON says with `parameters.binary_data_size` which tensors come in binary; the others bring
//! their `data` in it. BOOL is one byte an element, BYTES a length in four bytes before each. With
//! `N = 0` the whole body is the one input, as in [`super::octets`]; without N it is v2 JSON if it
//! parses as JSON, and otherwise the one input.
//!
//! KServe's own header `Inference-Header-Content-Length` says the same as the parameter. Where the
//! data begins aligned for its type, no tensor is copied.

use bytes::Bytes;

use super::error::{misfit, quoted, unreadable};
use super::{json, media, octets};
use super::{DecodeError, Decoded, Dialect, Encoded, Format, Intake, Named, ReplyHint, V2};
use crate::model::Signature;
use crate::tensor::{Buffer, Data, ElementType};

/// The parameter of the content type, and KServe's header of the same meaning.
const SIZE: &str = "json-header-size";
const HEADER: &str = "inference-header-content-length";

/// The bytes of JSON before the tensors, and who says so.
pub(super) struct HeaderSize {
    bytes: usize,
    name: &'static str,
}

/// The bytes of JSON before the tensors, as the headers say; `None` where they say nothing.
///
/// # Errors
/// [`DecodeError::Unreadable`] where it is no whole number, or the parameter says it twice in
/// different ways.
pub(super) fn header_size(intake: &Intake<'_>) -> Result<Option<HeaderSize>, DecodeError> {
    let mut parameters = intake
        .content_type
        .into_iter()
        .flat_map(|content_type| media::parameters(content_type, SIZE));
    let parameter = parameters.next();
    if let Some((first, other)) = parameter.zip(parameters.find(|text| Some(*text) != parameter)) {
        return Err(unreadable(format!(
            "{SIZE} is given as {} and as {}",
            quoted(first),
            quoted(other)
        )));
    }
    let (name, text) = match (parameter, intake.json_header_size) {
        (Some(text), _) => (SIZE, text),
        (None, Some(text)) => (HEADER, text.trim()),
        (None, None) => return Ok(None),
    };
    // Rust's parser would take a plus sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(bytes) if digits => Ok(Some(HeaderSize { bytes, name })),
        _ => Err(unreadable(format!(
            "{name} is {}, a whole number of bytes is expected",
            quoted(text)
        ))),
    }
}

/// Where binary tensors begin in a body, for whoever lays it out in memory; 0 where nobody knows.
#[must_use]
pub fn data_offset(intake: &Intake<'_>) -> usize {
    let size = header_size(intake).ok().flatten();
    size.map_or(0, |size| size.bytes)
}

/// Reads a request with a JSON part and a binary part.
///
/// # Errors
/// [`DecodeError`], naming the input or the size that does not fit.
pub(super) fn decode(
    intake: Intake<'_>,
    body: &Bytes,
    signature: &Signature,
) -> Result<Decoded, DecodeError> {
    match header_size(&intake)? {
        Some(HeaderSize { bytes: 0, .. }) => raw(body, signature),
        Some(HeaderSize { bytes, name }) => match body.get(..bytes) {
            Some(json) => json::decode_v2(json, body.slice(bytes..), signature),
            None => Err(unreadable(format!(
                "{name} is {bytes}, and the body has {} bytes",
                body.len()
            ))),
        },
        None if json::is_json(body) => json::decode_v2(body, Bytes::new(), signature),
        None => raw(body, signature),
    }
}

/// The whole body is the one input; such a caller reads binary.
fn raw(body: &Bytes, signature: &Signature) -> Result<Decoded, DecodeError> {
    let inputs = octets::decode(body, signature).map_err(|error| {
        misfit(format!(
            "without a {SIZE} above 0 the whole body is the one input's elements: {error}"
        ))
    })?;
    Ok(Decoded {
        inputs,
        reply: ReplyHint {
            format: Format::Triton,
            dialect: Dialect::V2(V2 {
                binary_by_default: true,
                ..V2::default()
            }),
        },
    })
}

/// The elements of one binary tensor.
///
/// # Errors
/// What is wrong with them.
pub(super) fn elements(element: ElementType, bytes: Bytes) -> Result<Data, String> {
    if element != ElementType::String {
        return octets::numbers(element, bytes);
    }
    let mut strings = Vec::new();
    let mut rest = &*bytes;
    while !rest.is_empty() {
        let at = strings.len();
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            return Err(format!("the length of string {at} is cut off"));
        };
        let length = u32::from_le_bytes(*length) as usize;
        let Some((string, after)) = after.split_at_checked(length) else {
            return Err(format!(
                "string {at} has {length} bytes, and {} are left",
                after.len()
            ));
        };
        let string =
            std::str::from_utf8(string).map_err(|_| format!("string {at} is not utf-8 text"))?;
        strings.push(string.to_owned());
        rest = after;
    }
    Ok(Data::String(Buffer::from(strings)))
}

/// Writes a reply whose binary outputs stand behind its JSON. A request that named no form gets all
/// of them in binary: it was this type that its caller chose.
pub(super) fn encode(dialect: &Dialect, outputs: &[Named<'_>], model_name: &str) -> Encoded {
    let all = V2 {
        binary_by_default: true,
        ..V2::default()
    };
    let wishes = match dialect {
        Dialect::V2(v2) if outputs.iter().any(|output| v2.is_binary(output.position)) => v2,
        _ => &all,
    };
    let id = match dialect {
        Dialect::V2(v2) => v2.id.as_deref(),
        _ => None,
    };
    let (mut body, tensors) = json::encode_v2(id, outputs, model_name, |output| {
        wishes.is_binary(output.position)
    });
    let json_header_size = Some(body.len());
    body.reserve_exact(tensors.iter().map(|data| octets::size(data)).sum());
    for data in &tensors {
        octets::append(&mut body, data);
    }
    Encoded {
        body,
        json_header_size,
    }
}

#[cfg(test)]
mod tests;
