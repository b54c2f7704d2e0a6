//! One visitor for every JSON value, and the way our own refusals travel through the parser.
//!
//! The parser's error type carries text alone, so a refusal is put aside in the [`Context`] and
//! the parser is merely stopped; what it then reports is dropped in favour of the refusal.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::codec::conform::MOST_AXES;
use crate::codec::error::{misfit, quoted};
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

    /// Looks at what stopped the parser: a number that is too large for it may yet be named by what
    /// it was to become, if it is read from its text.
    pub(super) fn notice(&self, error: &serde_json::Error) {
        if !self.exact && error.to_string().starts_with("number out of range") {
            self.wants_exact.set(true);
        }
    }

    pub(super) fn wants_exact(&self) -> bool {
        self.wants_exact.get()
    }

    pub(super) fn take_fault(&self) -> Option<DecodeError> {
        self.fault.take()
    }
}

/// Sizes of axes as they are stated; of more than a tensor may have, one too many.
pub(super) struct Axes(pub(super) Vec<usize>);

impl<'de> Deserialize<'de> for Axes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sizes;
        impl<'de> Visitor<'de> for Sizes {
            type Value = Axes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of sizes")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Axes, A::Error> {
                let mut sizes = Vec::new();
                while let Some(size) = list.next_element()? {
                    if sizes.len() <= MOST_AXES {
                        sizes.push(size);
                    }
                }
                Ok(Axes(sizes))
            }
        }
        deserializer.deserialize_seq(Sizes)
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

/// Why an object of a few known keys is not taken.
pub(super) enum Strange {
    /// It is no object.
    Kind,
    /// It has a key that is not known, which is quoted here.
    Unknown(String),
    /// It has a key twice.
    Twice(&'static str),
}

/// The members of an object that has no keys but these, each at most once.
pub(super) fn members<'de, const N: usize>(
    text: &'de RawValue,
    keys: [&'static str; N],
) -> Result<[Option<&'de RawValue>; N], Strange> {
    struct Members<'f, const N: usize> {
        keys: [&'static str; N],
        fault: &'f mut Strange,
    }
    impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
        type Value = [Option<&'de RawValue>; N];
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            let mut found = [None; N];
            let slots = |key: &str| {
                let position = self.keys.iter().position(|known| *known == key);
                position.ok_or_else(|| quoted(key))
            };
            while let Some(position) = object.next_key_seed(Key(slots))? {
                let fault = match position {
                    Ok(at) => match (found.get_mut(at), self.keys.get(at)) {
                        (Some(place @ None), _) => {
                            *place = Some(object.next_value()?);
                            continue;
                        }
                        (_, key) => Strange::Twice(key.copied().unwrap_or_default()),
                    },
                    Err(key) => Strange::Unknown(key),
                };
                *self.fault = fault;
                return Err(de::Error::custom("refused"));
            }
            Ok(found)
        }
    }
    let mut fault = Strange::Kind;
    let visitor = Members {
        keys,
        fault: &mut fault,
    };
    serde_json::Deserializer::from_slice(text.get().as_bytes())
        .deserialize_map(visitor)
        .map_err(|_| fault)
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
