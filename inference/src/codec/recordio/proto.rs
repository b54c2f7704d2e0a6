//! `aialgs.data.Record`, as far as it is read: features by name, each a tensor or bytes.
//!
//! ```text
//! Record { 1 map<string, Value> features, 2 map<string, Value> label, 3 uid, 4 metadata, 5 configuration }
//! Value  { oneof 2 Float32Tensor, 3 Float64Tensor, 7 Int32Tensor, 9 Bytes }
//! …Tensor { 1 repeated values, 2 repeated uint64 keys, 3 repeated uint64 shape }
//! Bytes  { 1 repeated bytes value, 2 string content_type }
//! ```

use crate::codec::conform::MOST_AXES;
use crate::wire::{fields, varint, Fields, Malformed, Wire};

pub(super) const FEATURES: u64 = 1;
pub(super) const LABEL: u64 = 2;
pub(super) const KEY: u64 = 1;
pub(super) const VALUE: u64 = 2;
pub(super) const FLOAT32: u64 = 2;
pub(super) const FLOAT64: u64 = 3;
pub(super) const INT32: u64 = 7;
pub(super) const BYTES: u64 = 9;
pub(super) const ELEMENTS: u64 = 1;
pub(super) const KEYS: u64 = 2;
pub(super) const SHAPE: u64 = 3;

/// What a feature's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float32,
    Float64,
    Int32,
    Bytes,
}

impl Kind {
    fn of(number: u64) -> Option<Self> {
        match number {
            FLOAT32 => Some(Self::Float32),
            FLOAT64 => Some(Self::Float64),
            INT32 => Some(Self::Int32),
            BYTES => Some(Self::Bytes),
            _ => None,
        }
    }

    /// For messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Int32 => "int32",
            Self::Bytes => "bytes",
        }
    }
}

/// One feature: its name and the message of its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Feature<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    message: &'a [u8],
}

/// One element, as exactly as it was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Item<'a> {
    Float32(f32),
    Float64(f64),
    Int32(i32),
    Bytes(&'a [u8]),
}

/// The features of a record.
///
/// # Errors
/// What is wrong with the message.
pub(super) fn features(payload: &[u8]) -> Result<Vec<Feature<'_>>, String> {
    let mut features: Vec<Feature<'_>> = Vec::new();
    for field in fields(payload) {
        let field = field.map_err(malformed)?;
        if field.number == FEATURES {
            features.push(feature(field.bytes())?);
        }
    }
    Ok(features)
}

fn feature(entry: &[u8]) -> Result<Feature<'_>, String> {
    let (mut name, mut value) = ("", &[][..]);
    for field in fields(entry) {
        let field = field.map_err(malformed)?;
        match field.number {
            KEY => {
                name = std::str::from_utf8(field.bytes())
                    .map_err(|_| "the name of a feature is not utf-8")?;
            }
            VALUE => value = field.bytes(),
            _ => {}
        }
    }
    let mut feature: Option<Feature<'_>> = None;
    for field in fields(value) {
        let field = field.map_err(malformed)?;
        let Some(kind) = Kind::of(field.number) else {
            continue;
        };
        let message = field.bytes();
        if feature
            .replace(Feature {
                name,
                kind,
                message,
            })
            .is_some()
        {
            return Err("a feature has two values".to_owned());
        }
    }
    feature.ok_or_else(|| "a feature has no value of float32, float64, int32 or bytes".to_owned())
}

impl<'a> Feature<'a> {
    /// The elements, in order; ends with the first error.
    pub(super) fn items(&self) -> Items<'a> {
        Items {
            kind: self.kind,
            packed: Packed::new(self.message, ELEMENTS),
        }
    }

    /// The keys of a sparse tensor, in order; ends with the first error.
    pub(super) fn keys(&self) -> Numbers<'a> {
        self.numbers(KEYS)
    }

    /// The sizes of the row's axes; none where they were not sent.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub(super) fn shape(&self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        for size in self.numbers(SHAPE) {
            let size = size?;
            if shape.len() == MOST_AXES {
                return Err(format!("a feature has more than {MOST_AXES} axes"));
            }
            shape.push(usize::try_from(size).map_err(|_| malformed(Malformed))?);
        }
        Ok(shape)
    }

    fn numbers(&self, number: u64) -> Numbers<'a> {
        // Bytes have neither keys nor shape, but a content type in the place of one.
        let message = match self.kind {
            Kind::Bytes => &[],
            _ => self.message,
        };
        Numbers(Packed::new(message, number))
    }
}

/// The repeated field of one number: its values one by one, or several packed in one field.
struct Packed<'a> {
    number: u64,
    fields: Fields<'a>,
    /// What is left of a field.
    rest: &'a [u8],
}

impl<'a> Packed<'a> {
    fn new(message: &'a [u8], number: u64) -> Self {
        Self {
            number,
            fields: fields(message),
            rest: &[],
        }
    }

    /// The next field of the number.
    fn field(&mut self) -> Option<Result<Wire<'a>, Malformed>> {
        loop {
            match self.fields.next()? {
                Ok(field) if field.number != self.number => {}
                Ok(field) => return Some(Ok(field.value)),
                Err(malformed) => return Some(Err(malformed)),
            }
        }
    }

    /// The next value: `split` takes one from the front of packed ones, `single` reads one that
    /// stands alone.
    fn next<T>(
        &mut self,
        split: impl Fn(&'a [u8]) -> Option<(T, &'a [u8])>,
        single: impl Fn(Wire<'a>) -> Option<T>,
    ) -> Option<Result<T, String>> {
        let value = loop {
            if !self.rest.is_empty() {
                let (value, rest) = split(self.rest).unzip();
                self.rest = rest.unwrap_or_default();
                break value;
            }
            match self.field()? {
                Ok(Wire::Bytes(packed)) => self.rest = packed,
                Ok(wire) => break single(wire),
                Err(_) => break None,
            }
        };
        if value.is_none() {
            (self.fields, self.rest) = (fields(&[]), &[]);
        }
        Some(value.ok_or_else(|| malformed(Malformed)))
    }
}

/// Elements of a feature.
pub(super) struct Items<'a> {
    kind: Kind,
    packed: Packed<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, String>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.kind {
            Kind::Float32 => self.packed.next(
                |bytes| {
                    let (bits, rest) = bytes.split_first_chunk()?;
                    Some((Item::Float32(f32::from_le_bytes(*bits)), rest))
                },
                |wire| match wire {
                    Wire::Fixed32(bits) => Some(Item::Float32(f32::from_bits(bits))),
                    _ => None,
                },
            ),
            Kind::Float64 => self.packed.next(
                |bytes| {
                    let (bits, rest) = bytes.split_first_chunk()?;
                    Some((Item::Float64(f64::from_le_bytes(*bits)), rest))
                },
                |wire| match wire {
                    Wire::Fixed64(bits) => Some(Item::Float64(f64::from_bits(bits))),
                    _ => None,
                },
            ),
            // Protobuf cuts integers to their width.
            Kind::Int32 => self.packed.next(
                |bytes| varint(bytes).map(|(value, rest)| (Item::Int32(value as i32), rest)),
                |wire| match wire {
                    Wire::Varint(value) => Some(Item::Int32(value as i32)),
                    _ => None,
                },
            ),
            Kind::Bytes => match self.packed.field()? {
                Ok(Wire::Bytes(bytes)) => Some(Ok(Item::Bytes(bytes))),
                _ => {
                    self.packed.fields = fields(&[]);
                    Some(Err(malformed(Malformed)))
                }
            },
        }
    }
}

/// Unsigned integers of a feature.
pub(super) struct Numbers<'a>(Packed<'a>);

impl Iterator for Numbers<'_> {
    type Item = Result<u64, String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(varint, |wire| match wire {
            Wire::Varint(value) => Some(value),
            _ => None,
        })
    }
}

fn malformed(_: Malformed) -> String {
    "its payload is no protobuf message of that kind".to_owned()
}
