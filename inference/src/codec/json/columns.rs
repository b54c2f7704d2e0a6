//! The value of `inputs`: columns, whole tensors by name or alone, or a v2 list. The first member of
//! a list tells the two apart.

use serde::de::{self, MapAccess, SeqAccess};

use super::any::{Any, Context, Key, Scalar, Target};
use super::flat::Slot;
use super::request::{find, Form, Request};
use super::v2;

/// The value of `inputs`: columns, or a v2 list.
pub(super) struct Inputs<'r, 'a>(pub(super) &'r mut Request<'a>);

impl<'de> Target<'de> for Inputs<'_, '_> {
    fn context(&self) -> &Context {
        self.0.context
    }

    fn number<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.0.settle(Form::Columns)?;
        self.0.sole(0)?.number(text)
    }

    fn scalar<E: de::Error>(self, scalar: Scalar<'_>) -> Result<(), E> {
        self.0.settle(Form::Columns)?;
        self.0.sole(0)?.scalar(scalar)
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let request = self.0;
        if list.next_element_seed(Any(First(request)))?.is_none() {
            if request.columns.is_empty() {
                return request.settle(Form::V2);
            }
            request.settle(Form::Columns)?;
            // The list has ended; this notes its emptiness.
            return request.sole(0)?.list(list);
        }
        if request.form != Some(Form::V2) {
            return match request.slot(0, 0) {
                Some(slot) => slot.rest(list, 1),
                None => Ok(()),
            };
        }
        while list.next_element_seed(Any(v2::Entry(request)))?.is_some() {}
        Ok(())
    }

    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let request = self.0;
        request.settle(Form::Columns)?;
        let mut expected = 0;
        loop {
            let signature = request.signature;
            let key = Key(|name: &str| find(signature, name, expected));
            let Some(found) = object.next_key_seed(key)? else {
                return Ok(());
            };
            let input = found.map_err(|name| request.unknown_input(&name))?;
            expected = input + 1;
            let Some(slot) = request.slot(input, 0) else {
                continue;
            };
            slot.column.given += 1;
            if slot.column.given > 1 {
                return Err(request.twice(input));
            }
            object.next_value_seed(Any(slot))?;
        }
    }
}

/// The first member of an `inputs` list, which tells the two forms apart.
struct First<'r, 'a>(&'r mut Request<'a>);

impl<'a> First<'_, 'a> {
    fn column<E: de::Error>(&mut self) -> Result<Slot<'_, 'a>, E> {
        self.0.settle(Form::Columns)?;
        let slot = self.0.sole(1)?;
        // A list at depth 0 always opens.
        let _ = slot.column.grid.open(0);
        Ok(slot)
    }
}

impl<'de> Target<'de> for First<'_, '_> {
    fn context(&self) -> &Context {
        self.0.context
    }

    fn number<E: de::Error>(mut self, text: &str) -> Result<(), E> {
        self.column()?.number(text)
    }

    fn scalar<E: de::Error>(mut self, scalar: Scalar<'_>) -> Result<(), E> {
        self.column()?.scalar(scalar)
    }

    fn list<A: SeqAccess<'de>>(mut self, list: A) -> Result<(), A::Error> {
        self.column()?.list(list)
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        self.0.settle(Form::V2)?;
        self.0.shapes.resize(self.0.columns.len(), None);
        v2::Entry(self.0).object(object)
    }
}
