//! One visitor for every JSON value, and the way our own refusals travel through the parser.
//!
//! The parser's error type carries text alone, so a refusal is put aside in the [`Context`] and
//! the parser is merely stopped; what it then reports is dropped in favour of the refusal.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::codec::error::misfit;
use crate::codec::DecodeError;

/// What one pass over a body shares.
pub(super) struct Context {
    /// Whether numbers are read from their text.
    pub(super) exact: bool,
    wants_exact: Cell<bool>,
    fault: Cell<Option<DecodeError>>,
}

impl Context {
    pub(super) fn new(exact: bool) -> Self {
        Self {
            exact,
            wants_exact: Cell::new(false),
            fault: Cell::new(None),
        }
    }

    /// Stops the parser with a refusal.
    #[cold]
    pub(super) fn refuse<E: de::Error>(&self, fault: DecodeError) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }

    /// [`Context::refuse`] with a text.
    #[cold]
    pub(super) fn misfit<E: de::Error>(&self, text: impl Into<String>) -> E {
        self.refuse(misfit(text))
    }

    /// Stops the parser because a number needs its text.
    #[cold]
    pub(super) fn ask_exact<E: de::Error>(&self) -> E {
        self.wants_exact.set(true);
        E::custom("inexact")
    }

    pub(super) fn wants_exact(&self) -> bool {
        self.wants_exact.get()
    }

    pub(super) fn take_fault(&self) -> Option<DecodeError> {
        self.fault.take()
    }
}

/// A value that is neither list nor object.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

/// What to do with a value of any kind.
pub(super) trait Target<'de>: Sized {
    fn context(&self) -> &Context;
    /// A number by its text; called in place of [`Target::scalar`] in an exact pass.
    fn number<E: de::Error>(self, text: &str) -> Result<(), E>;
    fn scalar<E: de::Error>(self, scalar: Scalar<'_>) -> Result<(), E>;
    fn list<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error>;
    fn object<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error>;
}

/// Joins a [`Target`] to the parser.
pub(super) struct Any<T>(pub(super) T);

impl<'de, T: Target<'de>> DeserializeSeed<'de> for Any<T> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.context().exact {
            return from_text(self.0, <&RawValue>::deserialize(deserializer)?.get());
        }
        deserializer.deserialize_any(self)
    }
}

/// Reads a value from its text: a number by its digits, everything else by the parser, whose
/// members come back to the target.
pub(super) fn from_text<'de, T: Target<'de>, E: de::Error>(
    target: T,
    text: &'de str,
) -> Result<(), E> {
    match text.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => target.number(text),
        // The same reader as for the whole body, so that no visitor is compiled twice.
        _ => serde_json::Deserializer::from_slice(text.as_bytes())
            .deserialize_any(Any(target))
            .map_err(E::custom),
    }
}

impl<'de, T: Target<'de>> Visitor<'de> for Any<T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a json value")
    }

    #[inline]
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.0.scalar(Scalar::Null)
    }

    #[inline]
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.0.scalar(Scalar::Bool(value))
    }

    #[inline]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.0.scalar(Scalar::Unsigned(value))
    }

    #[inline]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.0.scalar(Scalar::Signed(value))
    }

    #[inline]
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.0.scalar(Scalar::Float(value))
    }

    #[inline]
    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.0.scalar(Scalar::Text(value))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        self.0.list(list)
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        self.0.object(object)
    }
}

/// An object's key, mapped without being stored.
pub(super) struct Key<F>(pub(super) F);

impl<'de, R, F: FnOnce(&str) -> R> DeserializeSeed<'de> for Key<F> {
    type Value = R;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<R, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<R, F: FnOnce(&str) -> R> Visitor<'_> for Key<F> {
    type Value = R;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<R, E> {
        Ok((self.0)(value))
    }
}
