//! What can go wrong between bytes and tensors. Kinds only: which status each becomes is decided
//! by the room that speaks HTTP. Texts name the input or output, what was expected and what was
//! found, and never repeat the payload.

use super::Format;

/// A request body that does not become tensors. Always the caller's fault.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// A content type that is not read here.
    #[error(
        "content type {found} is not supported; accepted are {}",
        Format::list()
    )]
    UnknownContentType {
        /// The type asked for, shortened, without parameters.
        found: String,
    },
    /// No content type, and the body is not JSON.
    #[error(
        "content type is missing and the body is not json; accepted are {}",
        Format::list()
    )]
    MissingContentType,
    /// No byte of body, for a model that has inputs.
    #[error("empty body")]
    Empty,
    /// Bytes that are not what their content type says.
    #[error("{0}")]
    Unreadable(String),
    /// A well-formed body that does not fit the model.
    #[error("{0}")]
    Misfit(String),
}

/// No type that the caller accepts can carry the reply. Known before the model runs.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct NotAcceptable(pub String);

/// A reply that the agreed type cannot carry, which only the outputs themselves could show.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum EncodeError {
    /// The outputs have a shape or kind that the format has no room for.
    #[error("{0}")]
    NotCarried(String),
    /// The engine gave another number of outputs than the signature declares.
    #[error("the model gave {found} outputs, its signature declares {expected}")]
    OutputCount {
        /// Outputs of the signature.
        expected: usize,
        /// Outputs given.
        found: usize,
    },
}

/// A [`DecodeError::Misfit`] from anything that prints.
pub(super) fn misfit(text: impl Into<String>) -> DecodeError {
    DecodeError::Misfit(text.into())
}

/// A [`DecodeError::Unreadable`] from anything that prints.
pub(super) fn unreadable(text: impl Into<String>) -> DecodeError {
    DecodeError::Unreadable(text.into())
}

/// A caller's word for use in a message: quoted, escaped, at most 64 characters.
pub(super) fn quoted(word: &str) -> String {
    match word.char_indices().nth(64) {
        None => format!("{word:?}"),
        Some((end, _)) => format!("{:?}…", &word[..end]),
    }
}
