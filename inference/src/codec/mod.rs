//! Bytes → tensors → bytes, one file or folder per content type.
//!
//! Pure: no clock, no queue, no engine; of a request's headers only what says how its body is
//! written. A further content type is one file, one variant of [`Format`] and one arm in each
//! `match` here.
//!
//! A request is read into tensors that already conform to the model's [`Signature`] (type, rank,
//! fixed axes, shared symbols), so that what can be known before the run is refused before it. How
//! the reply shall look is settled by [`negotiate`] before the run as well; only what the outputs
//! themselves show is left to [`encode`].

mod budget;
mod conform;
mod csv;
mod element;
mod error;
mod json;
mod layout;
mod media;
mod npy;
mod npz;
mod octets;
mod recordio;
mod text;
mod triton;

use bytes::Bytes;
use memchr::memmem;

pub use error::{DecodeError, EncodeError, NotAcceptable};
pub use json::example;
pub use media::{negotiate, Choice};
pub use triton::data_offset;

use crate::model::Signature;
use crate::tensor::{Tensor, Value};
use conform::MOST_AXES;

/// What can be read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/json`
    Json,
    /// `application/jsonlines`
    JsonLines,
    /// `text/csv`
    Csv,
    /// `application/x-npy`
    Npy,
    /// `application/x-npz`
    Npz,
    /// `application/x-recordio-protobuf`
    RecordIo,
    /// `application/vnd.sagemaker-triton.binary+json`
    Triton,
    /// `application/octet-stream`
    Octets,
}

impl Format {
    /// Every format, the ones that a caller who leaves the choice to us gets first.
    pub const ALL: [Self; 8] = [
        Self::Json,
        Self::Csv,
        Self::JsonLines,
        Self::Npy,
        Self::Npz,
        Self::RecordIo,
        Self::Triton,
        Self::Octets,
    ];

    /// The names of its media type, the proper one first.
    #[must_use]
    pub fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json"],
            // TF Serving's front and the wider world have names of their own.
            Self::JsonLines => &[
                "application/jsonlines",
                "application/jsons",
                "application/x-jsonlines",
                "application/x-ndjson",
            ],
            Self::Csv => &["text/csv"],
            Self::Npy => &["application/x-npy"],
            Self::Npz => &["application/x-npz"],
            Self::RecordIo => &["application/x-recordio-protobuf"],
            Self::Triton => &["application/vnd.sagemaker-triton.binary+json"],
            Self::Octets => &["application/octet-stream"],
        }
    }

    /// The media type, without parameters.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        self.media_types().first().copied().unwrap_or_default()
    }

    /// Every media type, for messages.
    #[must_use]
    pub fn list() -> String {
        Self::ALL.map(Self::media_type).join(", ")
    }
}

/// What a request's headers say about its body, and how much it may unfold to.
#[derive(Debug, Clone, Copy)]
pub struct Intake<'h> {
    /// `Content-Type`.
    pub content_type: Option<&'h str>,
    /// `Inference-Header-Content-Length`: bytes of JSON before the binary tensors. In a
    /// `Content-Type` the parameter `json-header-size` says the same, and wins.
    pub json_header_size: Option<&'h str>,
    /// The most bytes that tensors may take which the body only describes: unpacked archives, sparse
    /// arrays, and what converting one element type to another takes.
    pub unpacked_limit: usize,
}

impl<'h> Intake<'h> {
    /// A body of this type that may unfold to a gigabyte.
    #[must_use]
    pub fn of(content_type: Option<&'h str>) -> Self {
        Self {
            content_type,
            json_header_size: None,
            unpacked_limit: 1 << 30,
        }
    }
}

/// How a reply is shaped: as the request was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialect {
    /// The output itself; several as an object by name.
    Bare,
    /// `{"predictions": …}`
    Instances,
    /// `{"outputs": …}`, TF Serving's columns.
    Columns,
    /// KServe v2.
    V2(V2),
}

/// What a KServe v2 request asks of its reply. Formats other than JSON keep to `outputs` as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct V2 {
    /// The request's id, given back.
    pub id: Option<String>,
    /// Positions of the outputs asked for, in that order; `None` for all.
    pub outputs: Option<Vec<usize>>,
    /// Outputs whose form the request names: binary or not.
    pub binary: Vec<(usize, bool)>,
    /// The form of all others.
    pub binary_by_default: bool,
}

impl V2 {
    /// Whether an output shall be binary.
    #[must_use]
    pub fn is_binary(&self, output: usize) -> bool {
        let named = self.binary.iter().find(|(position, _)| *position == output);
        named.map_or(self.binary_by_default, |(_, binary)| *binary)
    }
}

impl Dialect {
    /// Whether a reply to a request without wishes of its own has binary tensors.
    fn asks_for_binary(&self, signature: &Signature) -> bool {
        match self {
            Self::V2(v2) => chosen(self, signature).any(|output| v2.is_binary(output)),
            _ => false,
        }
    }
}

/// How the caller would like the reply, as far as the request's body tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyHint {
    /// The request's own format; for binary types, the one that their answers have by default.
    pub format: Format,
    /// The request's JSON dialect; [`Dialect::Bare`] where the request is not JSON.
    pub dialect: Dialect,
}

/// A request that fits the model.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    /// One tensor per input, in the signature's order; element types and shapes conform.
    pub inputs: Vec<Tensor>,
    /// The shape of the reply.
    pub reply: ReplyHint,
}

/// Whether a body of this type may take much longer to read than its own size tells, so that even a
/// short one is not to be read where others wait. JSON does so by sparse records alone
/// ([`may_be_sparse`]); text in npy takes some sixty times its bytes, which is little for a short body.
#[must_use]
pub fn may_unfold(intake: &Intake<'_>) -> bool {
    let format = intake
        .content_type
        .map(media::essence)
        .and_then(media::format_of);
    matches!(format, Some(Format::Npz | Format::RecordIo))
}

/// Whether a JSON or JSON Lines body may hold a sparse record, a few bytes of which state millions of
/// zeros: only then does JSON become many times its own size. Told by whether the text can hold the
/// key `keys` at all; what it unfolds to is bounded by [`Intake::unpacked_limit`] either way.
#[must_use]
pub fn may_be_sparse(intake: &Intake<'_>, body: &[u8]) -> bool {
    let essence = intake.content_type.map(media::essence).unwrap_or_default();
    match media::format_of(essence) {
        Some(Format::Json | Format::JsonLines) | None => {
            memmem::find(body, b"keys").is_some() || has_escaped_letters(body, b"keys")
        }
        Some(_) => false,
    }
}

/// Whether one of these letters stands in a JSON text as an escape, such as `\u006b`, which nobody
/// writes who means no harm.
fn has_escaped_letters(body: &[u8], letters: &[u8]) -> bool {
    const ESCAPE: &[u8] = b"\\u00";
    memmem::find_iter(body, ESCAPE).any(|at| {
        let digits = body.get(at + ESCAPE.len()..at + ESCAPE.len() + 2);
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        code.is_some_and(|code| letters.contains(&code))
    })
}

/// Reads a request body. A missing content type means JSON where the body is JSON; parameters and
/// case are ignored, but for `json-header-size`. A model without inputs takes an empty body of any
/// type.
///
/// # Errors
/// [`DecodeError`]: an unknown type, bytes that are not of their type, or tensors that do not fit.
pub fn decode(
    intake: Intake<'_>,
    body: Bytes,
    signature: &Signature,
) -> Result<Decoded, DecodeError> {
    let essence = intake
        .content_type
        .map(media::essence)
        .filter(|t| !t.is_empty());
    let format = match essence {
        Some(essence) => {
            Some(
                media::format_of(essence).ok_or_else(|| DecodeError::UnknownContentType {
                    found: error::quoted(essence),
                })?,
            )
        }
        None => None,
    };
    if body.is_empty() {
        if !signature.inputs.is_empty() {
            return Err(DecodeError::Empty);
        }
        return Ok(decoded(Vec::new(), format.unwrap_or(Format::Json)));
    }
    let plain = |inputs, format| Ok(decoded(inputs, format));
    let limit = intake.unpacked_limit;
    match format {
        Some(Format::Json | Format::Octets | Format::Triton)
            if triton::header_size(&intake)?.is_some() =>
        {
            triton::decode(intake, &body, signature)
        }
        Some(Format::Json) => json::decode(&body, signature, limit),
        Some(Format::JsonLines) => json::decode_lines(&body, signature, limit),
        Some(Format::Csv) => plain(csv::decode(&body, signature)?, Format::Csv),
        Some(Format::Npy) => plain(npy::decode(&body, signature, limit)?, Format::Npy),
        Some(Format::Npz) => plain(npz::decode(&body, signature, limit)?, Format::Npz),
        Some(Format::RecordIo) => {
            plain(recordio::decode(&body, signature, limit)?, Format::RecordIo)
        }
        Some(Format::Triton) => triton::decode(intake, &body, signature),
        // Whoever sends bytes without a name for them rarely wants bytes back.
        Some(Format::Octets) => plain(octets::decode(&body, signature)?, Format::Json),
        None if json::is_json(&body) => json::decode(&body, signature, limit),
        None => Err(DecodeError::MissingContentType),
    }
}

/// Whether this is a media type that is read and written here; parameters and case are ignored.
#[must_use]
pub fn is_known(media_type: &str) -> bool {
    media::format_of(media::essence(media_type)).is_some()
}

fn decoded(inputs: Vec<Tensor>, format: Format) -> Decoded {
    Decoded {
        inputs,
        reply: ReplyHint {
            format,
            dialect: Dialect::Bare,
        },
    }
}

/// What a reply is beside its outputs.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'m> {
    /// What the model takes and gives.
    pub signature: &'m Signature,
    /// The model's name, for KServe v2.
    pub model_name: &'m str,
    /// Whether text of lines ends with a newline: batch transform joins replies byte by byte.
    pub ends_with_newline: bool,
}

/// A written reply.
#[derive(Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The body.
    pub body: Vec<u8>,
    /// How many bytes of JSON stand before the binary tensors, where there are any.
    pub json_header_size: Option<usize>,
}

/// Writes a reply body. `outputs` are in the signature's order.
///
/// # Errors
/// [`EncodeError::NotCarried`] where the outputs' shapes do not fit the format, with the reason;
/// [`EncodeError::OutputCount`] where they are not the signature's.
pub fn encode(
    format: Format,
    dialect: &Dialect,
    outputs: &[Value],
    setting: Setting<'_>,
) -> Result<Encoded, EncodeError> {
    let Setting {
        signature,
        model_name,
        ..
    } = setting;
    if outputs.len() != signature.outputs.len() {
        return Err(EncodeError::OutputCount {
            expected: signature.outputs.len(),
            found: outputs.len(),
        });
    }
    let chosen = chosen(dialect, signature)
        .filter_map(|position| {
            Some(Named {
                name: signature.outputs.get(position)?.name.as_str(),
                position,
                value: outputs.get(position)?,
            })
        })
        .collect::<Vec<_>>();
    // Bare elements and flat lines say nothing of axes; all others nest a list for each of them or
    // write its size down, and no reader of theirs goes on for ever.
    if !matches!(format, Format::Csv | Format::Octets) {
        few_axes(format, &chosen)?;
    }
    let body = match format {
        Format::Json => json::encode(dialect, &chosen, model_name),
        Format::JsonLines => json::encode_lines(&chosen),
        Format::Csv => {
            let mut lines = csv::encode(&chosen)?;
            if setting.ends_with_newline && !lines.is_empty() {
                lines.push(b'\n');
            }
            lines
        }
        Format::Npy => npy::encode(&chosen)?,
        Format::Npz => npz::encode(&chosen)?,
        Format::RecordIo => recordio::encode(&chosen)?,
        Format::Triton => return Ok(triton::encode(dialect, &chosen, model_name)),
        Format::Octets => octets::encode(&chosen)?,
    };
    Ok(Encoded {
        body,
        json_header_size: None,
    })
}

/// An output on its way into the reply.
struct Named<'a> {
    name: &'a str,
    /// Its place among the model's outputs.
    position: usize,
    value: &'a Value,
}

/// Checks that no output has more axes than a tensor may have.
fn few_axes(format: Format, outputs: &[Named<'_>]) -> Result<(), EncodeError> {
    fn most(value: &Value) -> usize {
        match value {
            Value::Tensor(tensor) => tensor.shape().len(),
            Value::Sequence(members) => members.iter().map(most).max().unwrap_or(0),
            // Their values are written one by one.
            Value::Map { .. } | Value::Maps { .. } | Value::Absent => 0,
        }
    }
    for output in outputs {
        let found = most(output.value);
        if found > MOST_AXES {
            return Err(EncodeError::NotCarried(format!(
                "{} cannot carry this reply: output {} has {found} axes, at most {MOST_AXES} are \
                 expected",
                format.media_type(),
                output.name
            )));
        }
    }
    Ok(())
}

/// Positions of the outputs that the reply carries, in its order.
fn chosen<'a>(dialect: &'a Dialect, signature: &Signature) -> impl Iterator<Item = usize> + 'a {
    let asked = match dialect {
        Dialect::V2(v2) => v2.outputs.as_deref(),
        _ => None,
    };
    let all = match asked {
        Some(_) => 0..0,
        None => 0..signature.outputs.len(),
    };
    asked.unwrap_or_default().iter().copied().chain(all)
}

#[cfg(test)]
mod halves_tests;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
