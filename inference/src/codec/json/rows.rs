//! The rows dialect: `{"instances":[…]}`, one member per record.

use serde::de::{self, MapAccess, SeqAccess};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::any::{Any, Context, Key, Scalar, Target};
use super::flat::Slot;
use super::request::{find, Request};
use crate::codec::layout::Layout;
use crate::model::Dim;
use crate::tensor::element_count;

/// The value of `instances`.
pub(super) struct Instances<'r, 'a>(pub(super) &'r mut Request<'a>);

const NO_LIST: &str = "\"instances\" must be a list of records";

impl<'de> Target<'de> for Instances<'_, '_> {
    fn context(&self) -> &Context {
        self.0.context
    }

    fn number<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(self.0.context.misfit(NO_LIST))
    }

    fn scalar<E: de::Error>(self, _: Scalar<'_>) -> Result<(), E> {
        Err(self.0.context.misfit(NO_LIST))
    }

    fn object<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.0.context.misfit(NO_LIST))
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let request = self.0;
        open(request);
        let mut rows = 0;
        loop {
            step(request, rows);
            let row = Row {
                request: &mut *request,
                row: rows,
            };
            if list.next_element_seed(Any(row))?.is_none() {
                break;
            }
            rows += 1;
        }
        if rows == 0 {
            return Err(request.context.misfit("no records: \"instances\" is empty"));
        }
        close(request, rows);
        Ok(())
    }
}

/// The list of records opens in every column.
pub(super) fn open(request: &mut Request<'_>) {
    for column in &mut request.columns {
        // A list at depth 0 always opens.
        let _ = column.grid.open(0);
        let dims = column.port.tensor().and_then(|(_, dims)| dims);
        column.grid.lone = matches!(dims, Some([_, Dim::Fixed(1)]));
    }
}

/// It goes on to its record `row`.
pub(super) fn step(request: &mut Request<'_>, row: usize) {
    for column in &mut request.columns {
        column.grid.step(0, row);
    }
}

/// It closes after `rows` records.
pub(super) fn close(request: &mut Request<'_>, rows: usize) {
    for column in &mut request.columns {
        // Every row has been counted, so this fits.
        let _ = column.grid.close(0, rows);
    }
}

/// One record.
pub(super) struct Row<'r, 'a> {
    pub(super) request: &'r mut Request<'a>,
    pub(super) row: usize,
}

/// Keys of a record.
enum Field {
    Input(usize),
    Features,
    Data,
    Unknown(String),
}

/// `{"features":{"values":[…]}}`, the built-in algorithms' record; with `keys`, the places of the
/// values, and `shape` all others are zero.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    features: Values<'a>,
}

#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    values: Vec<&'a RawValue>,
    keys: Option<Vec<usize>>,
    shape: Option<Vec<usize>>,
}

impl<'a> Values<'a> {
    /// Features of the whole record, as far as a shape says.
    fn features(&self) -> Result<Option<usize>, String> {
        let Some(shape) = &self.shape else {
            return Ok(None);
        };
        let too_large = || format!("shape {shape:?} is too large");
        element_count(shape).ok_or_else(too_large).map(Some)
    }

    /// The texts of all `features` values of the record, zeros included.
    fn dense(&self, features: Option<usize>) -> Result<Vec<&'a str>, String> {
        let found = self.values.len();
        let values = self.values.iter().map(|value| value.get());
        match (&self.keys, features) {
            (None, Some(features)) if features != found => Err(format!(
                "its shape asks for {features} features, {found} values were given"
            )),
            (None, _) => Ok(values.collect()),
            (Some(_), None) => Err("sparse features need their \"shape\"".to_owned()),
            (Some(keys), Some(_)) if keys.len() != found => {
                Err(format!("{} keys were given for {found} values", keys.len()))
            }
            (Some(keys), Some(features)) => {
                let mut dense = vec![None; features];
                for (key, value) in keys.iter().zip(values) {
                    match dense.get_mut(*key) {
                        None => {
                            return Err(format!("key {key} lies outside of {features} features"))
                        }
                        Some(Some(_)) => return Err(format!("key {key} is given twice")),
                        Some(place) => *place = Some(value),
                    }
                }
                Ok(dense
                    .into_iter()
                    .map(|value| value.unwrap_or("0"))
                    .collect())
            }
        }
    }
}

impl<'a> Row<'_, 'a> {
    fn plain<E: de::Error>(&mut self) -> Result<Slot<'_, 'a>, E> {
        self.request.sole(1)
    }

    /// The record's values; those that it leaves out count against the limit.
    fn values<'v, E: de::Error>(&mut self, values: &Values<'v>) -> Result<Vec<&'v str>, E> {
        let context = self.request.context;
        let record = self.request.record(self.row);
        let misfit = |what: String| context.misfit(format!("{record}: {what}"));
        let features = values.features().map_err(misfit)?;
        if values.keys.is_some() {
            // A zero is an element and, for a moment, its text.
            let bytes = features.unwrap_or(0).saturating_mul(size_of::<&str>());
            self.request
                .budget
                .charge(bytes, || record.clone())
                .map_err(|fault| context.refuse(fault))?;
        }
        values.dense(features).map_err(misfit)
    }

    /// A flat list of values over all inputs, in their order.
    fn flat<E: de::Error>(&mut self, values: &[&str]) -> Result<(), E> {
        let record = self.request.record(self.row);
        let Request {
            signature,
            context,
            columns,
            layout,
            ..
        } = &mut *self.request;
        let layout = match layout {
            Some(layout) => layout,
            None => layout.insert(Layout::new(signature).map_err(|e| context.refuse(e))?),
        };
        let shapes = layout.shapes(values.len()).map_err(|expected| {
            context.misfit(format!(
                "{record} has {} features, {expected}",
                values.len()
            ))
        })?;
        let mut values = values.iter().copied();
        for (column, shape) in columns.iter_mut().zip(shapes) {
            if column.given > self.row {
                let name = &column.port.name;
                return Err(context.misfit(format!("input {name} is given twice")));
            }
            column.given += 1;
            if let Err(ragged) = column.grid.block(1, &shape) {
                return Err(context.refuse(column.at(1, &ragged)));
            }
            let count = element_count(&shape).unwrap_or(0);
            for text in values.by_ref().take(count) {
                if text.starts_with(['[', '{']) {
                    return Err(context.misfit(format!(
                        "the features of {record} must be a flat list of values"
                    )));
                }
                let slot = Slot {
                    column: &mut *column,
                    context,
                    depth: 1 + shape.len(),
                };
                slot.raw(text)?;
            }
        }
        Ok(())
    }
}

impl<'de> Target<'de> for Row<'_, '_> {
    fn context(&self) -> &Context {
        self.request.context
    }

    fn number<E: de::Error>(mut self, text: &str) -> Result<(), E> {
        self.plain()?.number(text)
    }

    fn scalar<E: de::Error>(mut self, scalar: Scalar<'_>) -> Result<(), E> {
        self.plain()?.scalar(scalar)
    }

    fn list<A: SeqAccess<'de>>(mut self, list: A) -> Result<(), A::Error> {
        self.plain()?.list(list)
    }

    fn object<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        let mut expected = 0;
        loop {
            let signature = self.request.signature;
            let key = Key(|name: &str| match find(signature, name, expected) {
                Ok(input) => Field::Input(input),
                // A model's own input of that name comes first.
                Err(name) if name == "features" => Field::Features,
                Err(name) if name == "data" => Field::Data,
                Err(name) => Field::Unknown(name),
            });
            let Some(field) = object.next_key_seed(key)? else {
                break;
            };
            let context = self.request.context;
            match field {
                Field::Input(input) => {
                    expected = input + 1;
                    let row = self.row;
                    let Some(slot) = self.request.slot(input, 1) else {
                        continue;
                    };
                    if slot.column.given > row {
                        return Err(self.request.twice(input));
                    }
                    slot.column.given += 1;
                    object.next_value_seed(Any(slot))?;
                }
                Field::Features => {
                    let raw: &'de RawValue = object.next_value()?;
                    let values: Vec<&RawValue> = serde_json::from_str(raw.get())
                        .map_err(|_| context.misfit("\"features\" must be a list of values"))?;
                    let texts: Vec<&str> = values.iter().map(|value| value.get()).collect();
                    self.flat(&texts)?;
                }
                Field::Data => {
                    let raw: &'de RawValue = object.next_value()?;
                    let record: Record<'_> = serde_json::from_str(raw.get()).map_err(|_| {
                        context.misfit("\"data\" must be {\"features\":{\"values\":[…]}}")
                    })?;
                    let values = self.values(&record.features)?;
                    self.flat(&values)?;
                }
                Field::Unknown(name) => return Err(self.request.unknown_input(&name)),
            }
        }
        let missing = self.request.columns.iter().find(|c| c.given <= self.row);
        match missing {
            None => Ok(()),
            Some(column) => Err(self.request.context.misfit(format!(
                "{} lacks input {}",
                self.request.record(self.row),
                column.port.name
            ))),
        }
    }
}
