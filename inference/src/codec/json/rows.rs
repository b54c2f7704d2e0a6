//! The rows dialect: `{"instances":[…]}`, one member per record.

use serde::de::{self, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::any::{Any, Context, Key, Scalar, Target};
use super::features::Flat;
use super::flat::Slot;
use super::request::{find, Request};
use crate::model::Dim;

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

impl<'a> Row<'_, 'a> {
    fn plain<E: de::Error>(&mut self) -> Result<Slot<'_, 'a>, E> {
        self.request.sole(1)
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
                    let values: &'de RawValue = object.next_value()?;
                    let flat = Flat::dense(values, context)?;
                    self.lay(flat)?;
                }
                Field::Data => {
                    let record: &'de RawValue = object.next_value()?;
                    let flat = self.flat(record)?;
                    self.lay(flat)?;
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
