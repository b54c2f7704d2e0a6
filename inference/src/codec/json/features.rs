//! Flat records of the rows dialect: `{"features":[…]}`, and the built-in algorithms'
//! `{"data":{"features":{"values":[…]}}}`, which may be sparse.
//!
//! A record's lists stay text until their lengths are known to fit the model, and what the text does
//! not bring is charged; then the values go straight into the inputs.

use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::any::{from_text, Any, Axes, Context, Scalar, Target};
use super::flat::{Column, Slot};
use super::rows::Row;
use crate::codec::conform::MOST_AXES;
use crate::codec::layout::Layout;
use crate::tensor::element_count;

const NO_RECORD: &str = "\"data\" must be {\"features\":{\"values\":[…]}}";

/// `{"features":{"values":[…]}}`, the built-in algorithms' record; with `keys`, the places of the
/// values, and `shape` all others are zero.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    features: Values<'a>,
}

/// Lists stay text until their lengths are known to fit.
#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
    #[serde(borrow)]
    keys: Option<&'a RawValue>,
    shape: Option<Axes>,
}

/// A flat row: how many features it has, and where the given ones belong if some are left out.
pub(super) struct Flat<'v> {
    values: &'v RawValue,
    features: usize,
    keys: Option<Vec<usize>>,
}

impl<'v> Flat<'v> {
    /// A list of all features.
    pub(super) fn dense<E: de::Error>(values: &'v RawValue, context: &Context) -> Result<Self, E> {
        let features =
            length(values).map_err(|_| context.misfit("\"features\" must be a list of values"))?;
        Ok(Self {
            values,
            features,
            keys: None,
        })
    }
}

/// What a key takes, in a list that grows by doubling.
const KEY_BYTES: usize = 2 * size_of::<usize>();
/// What a value takes beside its key where the keys do not rise: its text in a list that grows by
/// doubling, with its key in one to be sorted, and each alone again.
const TEXT_BYTES: usize = 4 * size_of::<&RawValue>() + 2 * size_of::<usize>();

impl Row<'_, '_> {
    /// A refusal of this record.
    fn misfit<E: de::Error>(&self, what: &str) -> E {
        let record = self.request.record(self.row);
        self.request.context.misfit(format!("{record}: {what}"))
    }

    fn charge<E: de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        let record = self.request.record(self.row);
        let context = self.request.context;
        let charged = self.request.budget.charge(bytes, || record);
        charged.map_err(|fault| context.refuse(fault))
    }

    /// A record of the built-in algorithms as a flat row; its lists are read as far as their lengths.
    pub(super) fn flat<'v, E: de::Error>(&mut self, record: &'v RawValue) -> Result<Flat<'v>, E> {
        let no_list = |_| self.request.context.misfit(NO_RECORD);
        let Record { features: values } = serde_json::from_str(record.get()).map_err(no_list)?;
        let given = length(values.values).map_err(no_list)?;
        let keys = values.keys.map(length).transpose().map_err(no_list)?;
        let features = match &values.shape {
            Some(Axes(shape)) if shape.len() > MOST_AXES => {
                return Err(self.misfit(&format!("its shape has more than {MOST_AXES} axes")));
            }
            Some(Axes(shape)) => match element_count(shape) {
                Some(features) => Some(features),
                None => return Err(self.misfit(&format!("shape {shape:?} is too large"))),
            },
            None => None,
        };
        let what = match (keys, features) {
            (None, Some(features)) if features != given => {
                format!("its shape asks for {features} features, {given} values were given")
            }
            (None, _) => {
                return Ok(Flat {
                    values: values.values,
                    features: given,
                    keys: None,
                });
            }
            (Some(_), None) => "sparse features need their \"shape\"".to_owned(),
            (Some(keys), Some(_)) if keys != given => {
                format!("{keys} keys were given for {given} values")
            }
            (Some(_), Some(features)) => {
                self.charge(given.saturating_mul(KEY_BYTES))?;
                let text = values.keys.map_or("[]", RawValue::get);
                let keys: Vec<usize> = serde_json::from_str(text)
                    .map_err(|_| self.request.context.misfit(NO_RECORD))?;
                match keys.iter().find(|key| **key >= features) {
                    Some(key) => format!("key {key} lies outside of {features} features"),
                    None => {
                        return Ok(Flat {
                            values: values.values,
                            features,
                            keys: Some(keys),
                        });
                    }
                }
            }
        };
        Err(self.misfit(&what))
    }

    fn refuse_twice<E: de::Error>(&self, sorted: &[usize]) -> Result<(), E> {
        match sorted.array_windows().find(|[a, b]| a == b) {
            Some([key, _]) => Err(self.misfit(&format!("key {key} is given twice"))),
            None => Ok(()),
        }
    }

    /// Lays a flat row over all inputs, in their order.
    pub(super) fn lay<E: de::Error>(&mut self, flat: Flat<'_>) -> Result<(), E> {
        let Flat {
            values,
            features,
            keys,
        } = flat;
        let record = self.request.record(self.row);
        let context = self.request.context;
        let layout = match &mut self.request.layout {
            Some(layout) => layout,
            layout => {
                layout.insert(Layout::new(self.request.signature).map_err(|e| context.refuse(e))?)
            }
        };
        let shapes = layout.shapes(features).map_err(|expected| {
            context.misfit(format!("{record} has {features} features, {expected}"))
        })?;
        let mut list = serde_json::Deserializer::from_slice(values.get().as_bytes());
        let Some(keys) = keys else {
            let laid = Laid {
                row: self,
                shapes: &shapes,
                record: &record,
                keys: None,
            };
            return list.deserialize_seq(laid).map_err(E::custom);
        };

        let sizes = self.request.columns.iter().zip(&shapes);
        let bytes = sizes.map(|(column, shape)| {
            // Rows are added to vectors that grow by doubling.
            let each = 2 * column.element.size().unwrap_or(size_of::<String>());
            element_count(shape)
                .unwrap_or(usize::MAX)
                .saturating_mul(each)
        });
        let bytes = bytes.fold(0, usize::saturating_add);
        self.charge(bytes)?;
        if keys.is_sorted() {
            self.refuse_twice(&keys)?;
            let laid = Laid {
                row: self,
                shapes: &shapes,
                record: &record,
                keys: Some(&keys),
            };
            return list.deserialize_seq(laid).map_err(E::custom);
        }
        self.charge(keys.len().saturating_mul(TEXT_BYTES))?;
        let texts: Vec<&RawValue> = serde_json::from_str(values.get()).map_err(E::custom)?;
        let mut pairs: Vec<(usize, &RawValue)> = keys.into_iter().zip(texts).collect();
        pairs.sort_unstable_by_key(|(key, _)| *key);
        let (keys, texts): (Vec<usize>, Vec<&RawValue>) = pairs.into_iter().unzip();
        self.refuse_twice(&keys)?;
        let mut texts = texts.into_iter();
        let laid = Laid {
            row: self,
            shapes: &shapes,
            record: &record,
            keys: Some(&keys),
        };
        laid.fill(|cell| match texts.next() {
            Some(text) => from_text(cell, text.get()),
            None => Ok(()),
        })
    }
}

/// The length of a list, of which no member is kept.
fn length(list: &RawValue) -> Result<usize, serde_json::Error> {
    struct Length;
    impl<'de> Visitor<'de> for Length {
        type Value = usize;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<usize, A::Error> {
            let mut count = 0;
            while list.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
            Ok(count)
        }
    }
    serde_json::Deserializer::from_slice(list.get().as_bytes()).deserialize_seq(Length)
}

/// Notes where in a row of this shape its element `at` stands.
fn stand(column: &mut Column<'_>, shape: &[usize], at: usize) {
    let mut rest = at;
    for (axis, size) in shape.iter().enumerate().rev() {
        let size = (*size).max(1);
        column.grid.step(1 + axis, rest % size);
        rest /= size;
    }
}

/// The zeros that a sparse row leaves out.
fn zeros<E: de::Error>(
    column: &mut Column<'_>,
    context: &Context,
    depth: usize,
    count: usize,
) -> Result<(), E> {
    let slot = Slot {
        column,
        context,
        depth,
    };
    slot.zeros(count)
}

/// A flat row on its way into the inputs.
struct Laid<'r, 'q, 'a> {
    row: &'r mut Row<'q, 'a>,
    /// The shape of the row in each input.
    shapes: &'r [Vec<usize>],
    record: &'r str,
    /// Places of the values, rising, where the others are zero.
    keys: Option<&'r [usize]>,
}

impl<'a> Laid<'_, '_, 'a> {
    /// Calls `read` for every value, in order.
    fn fill<E: de::Error>(
        self,
        mut read: impl FnMut(Cell<'_, 'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Row { request, row } = self.row;
        let context = request.context;
        let mut keys = self.keys.unwrap_or_default().iter().copied().peekable();
        let mut begin = 0;
        for (column, shape) in request.columns.iter_mut().zip(self.shapes) {
            if column.given > *row {
                let name = &column.port.name;
                return Err(context.misfit(format!("input {name} is given twice")));
            }
            column.given += 1;
            if let Err(ragged) = column.grid.block(1, shape) {
                return Err(context.refuse(column.at(1, &ragged)));
            }
            let depth = 1 + shape.len();
            let count = element_count(shape).unwrap_or(0);
            let end = begin + count;
            let mut cell = |column: &mut Column<'a>, at: usize| {
                stand(column, shape, at);
                read(Cell {
                    slot: Slot {
                        column,
                        context,
                        depth,
                    },
                    record: self.record,
                })
            };
            if self.keys.is_none() {
                for at in 0..count {
                    cell(&mut *column, at)?;
                }
            } else {
                while let Some(key) = keys.next_if(|key| *key < end) {
                    zeros(column, context, depth, key - begin)?;
                    cell(&mut *column, key + count - end)?;
                    begin = key + 1;
                }
                zeros(column, context, depth, end - begin)?;
            }
            begin = end;
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Laid<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.fill(|cell| list.next_element_seed(Any(cell)).map(|_| ()))
    }
}

/// One value of a flat row.
struct Cell<'s, 'a> {
    slot: Slot<'s, 'a>,
    record: &'s str,
}

impl Cell<'_, '_> {
    fn not_flat<E: de::Error>(&self) -> E {
        self.slot.context.misfit(format!(
            "the features of {} must be a flat list of values",
            self.record
        ))
    }
}

impl<'de> Target<'de> for Cell<'_, '_> {
    fn context(&self) -> &Context {
        self.slot.context
    }

    fn number<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.slot.number(text)
    }

    fn scalar<E: de::Error>(self, scalar: Scalar<'_>) -> Result<(), E> {
        self.slot.scalar(scalar)
    }

    fn list<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.not_flat())
    }

    fn object<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.not_flat())
    }
}
