//! Bytes → tensors → bytes, one file or folder per content type.
//!
//! Pure: no clock, no queue, no headers beyond the two type names, no engine. A further content
//! type is one file, one variant of [`Format`] and one arm in each `match` here.
//!
//! A request is read into tensors that already conform to the model's [`Signature`] (type, rank,
//! fixed axes, shared symbols), so that what can be known before the run is refused before it. How
//! the reply shall look is settled by [`negotiate`] before the run as well; only what the outputs
//! themselves show is left to [`encode`].

mod conform;
mod csv;
mod element;
mod error;
mod json;
mod layout;
mod media;
mod npy;
#[allow(dead_code, unused_imports)]
mod npz;
#[allow(dead_code, unused_imports)]
mod recordio;
mod text;

use bytes::Bytes;

pub use error::{DecodeError, EncodeError, NotAcceptable};
pub use json::example;
pub use media::negotiate;

use crate::model::Signature;
use crate::tensor::{Tensor, Value};

/// What can be read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/json`
    Json,
    /// `text/csv`
    Csv,
    /// `application/x-npy`
    Npy,
}

impl Format {
    /// Every format, the ones that carry more first.
    pub const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Npy];

    /// Every media type, for messages.
    const LIST: &'static str = "application/json, text/csv, application/x-npy";
}

/// How a JSON reply is shaped: as the request was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialect {
    /// The output itself; several as an object by name.
    Bare,
    /// `{"predictions": …}`
    Instances,
    /// `{"outputs": …}`, TF Serving's columns.
    Columns,
    /// KServe v2.
    V2 {
        /// The request's id, given back.
        id: Option<String>,
        /// Positions of the outputs asked for, in that order; `None` for all. Formats other than
        /// JSON keep to it as well.
        outputs: Option<Vec<usize>>,
    },
}

/// How the caller would like the reply, as far as the request's body tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyHint {
    /// The request's own format.
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

/// The media type of a format, without parameters.
#[must_use]
pub fn content_type(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json",
        Format::Csv => "text/csv",
        Format::Npy => "application/x-npy",
    }
}

/// Reads a request body. A missing content type means JSON where the body is JSON; parameters and
/// case are ignored. A model without inputs takes an empty body of any type.
///
/// # Errors
/// [`DecodeError`]: an unknown type, bytes that are not of their type, or tensors that do not fit.
pub fn decode(
    content_type: Option<&str>,
    body: Bytes,
    signature: &Signature,
) -> Result<Decoded, DecodeError> {
    let essence = content_type.map(media::essence).filter(|t| !t.is_empty());
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
        let format = format.unwrap_or(Format::Json);
        return Ok(decoded(Vec::new(), format));
    }
    match format {
        Some(Format::Json) => json::decode(&body, signature),
        Some(Format::Csv) => Ok(decoded(csv::decode(&body, signature)?, Format::Csv)),
        Some(Format::Npy) => Ok(decoded(npy::decode(&body, signature)?, Format::Npy)),
        None if json::is_json(&body) => json::decode(&body, signature),
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

/// Writes a reply body. `outputs` are in the signature's order.
///
/// # Errors
/// [`EncodeError::NotCarried`] where the outputs' shapes do not fit the format, with the reason;
/// [`EncodeError::OutputCount`] where they are not the signature's.
pub fn encode(
    format: Format,
    dialect: &Dialect,
    outputs: &[Value],
    signature: &Signature,
    model_name: &str,
) -> Result<Vec<u8>, EncodeError> {
    if outputs.len() != signature.outputs.len() {
        return Err(EncodeError::OutputCount {
            expected: signature.outputs.len(),
            found: outputs.len(),
        });
    }
    let chosen = chosen(dialect, signature)
        .filter_map(|i| {
            Some(Named {
                name: signature.outputs.get(i)?.name.as_str(),
                value: outputs.get(i)?,
            })
        })
        .collect::<Vec<_>>();
    match format {
        Format::Json => Ok(json::encode(dialect, &chosen, model_name)),
        Format::Csv => csv::encode(&chosen),
        Format::Npy => npy::encode(&chosen),
    }
}

/// An output on its way into the reply.
struct Named<'a> {
    name: &'a str,
    value: &'a Value,
}

/// Positions of the outputs that the reply carries, in its order.
fn chosen<'a>(dialect: &'a Dialect, signature: &Signature) -> impl Iterator<Item = usize> + 'a {
    let asked = match dialect {
        Dialect::V2 { outputs, .. } => outputs.as_deref(),
        _ => None,
    };
    let all = match asked {
        Some(_) => 0..0,
        None => 0..signature.outputs.len(),
    };
    asked.unwrap_or_default().iter().copied().chain(all)
}

#[cfg(test)]
mod tests;
