//! The members of a sparse archive, each charged before it is read.

use crate::codec::budget::Budget;
use crate::codec::error::misfit;
use crate::codec::npy::{Array, Origin};
use crate::codec::npz::archive::Archive;
use crate::codec::DecodeError;
use crate::tensor::{Buffer, Data, ElementType};

/// An archive and what may still be taken.
pub(super) struct Reader<'a> {
    pub(super) archive: &'a mut Archive,
    pub(super) budget: &'a mut Budget,
}

/// An array of integers.
pub(super) struct Integers {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Buffer<i64>,
}

impl Reader<'_> {
    /// The array of a member; `input` is who takes its elements as they are.
    pub(super) fn array<'p>(
        &mut self,
        member: &'static str,
        input: Option<&'p str>,
    ) -> Result<Array<'p>, DecodeError> {
        let file = self.archive.unpack(member, self.budget)?;
        let origin = Origin {
            member: Some(member),
            input,
        };
        Array::parse(&file.unwrap_or_default(), origin)
    }

    /// The elements of a member's array.
    pub(super) fn elements(
        &mut self,
        array: &Array<'_>,
        member: &str,
        element: ElementType,
    ) -> Result<Data, DecodeError> {
        self.budget
            .charge(array.cost(element), || format!("member {member:?}"))?;
        array.read(element)
    }

    /// An array of integers of whatever width.
    pub(super) fn integers(&mut self, member: &'static str) -> Result<Integers, DecodeError> {
        let array = self.array(member, None)?;
        let numbers = match self.elements(&array, member, ElementType::Int64)? {
            Data::Int64(numbers) => numbers,
            // Nothing else comes of asking for this type.
            _ => Vec::new().into(),
        };
        Ok(Integers {
            shape: array.shape().to_vec(),
            numbers,
        })
    }

    /// Integers along one axis.
    pub(super) fn line(&mut self, member: &'static str) -> Result<Buffer<i64>, DecodeError> {
        let Integers { shape, numbers } = self.integers(member)?;
        match shape.as_slice() {
            [_] => Ok(numbers),
            _ => Err(misfit(format!(
                "member {member:?} has shape {shape:?} where one axis is expected"
            ))),
        }
    }
}
