//! A sparse matrix as `scipy.sparse.save_npz` writes it, filled out.
//!
//! Checked as strictly as SciPy checks it: pointers begin at 0 and never fall, indices are inside,
//! lengths agree. Entries of the same place add up in the matrix's own type, integers wrapping
//! around, as in SciPy.

mod fill;
mod parts;
mod reader;

use super::archive::Archive;
use super::read::complete;
use crate::codec::budget::Budget;
use crate::codec::conform::{self, MOST_AXES};
use crate::codec::error::{misfit, quoted};
use crate::codec::DecodeError;
use crate::model::{Port, Signature};
use crate::tensor::{element_count, Data, ElementType, Tensor};

use fill::fill;
use parts::Parts;
use reader::Reader;

/// The most members that such an archive has.
pub(super) const MEMBERS: usize = 6;

const FORMAT: &str = "format.npy";
const SHAPE: &str = "shape.npy";
const DATA: &str = "data.npy";

/// A mark of newer archives: `scipy.sparse` arrays instead of matrices, which are the same here.
const IS_ARRAY: &str = "_is_array.npy";

/// Whether the archive holds a sparse matrix for this input, the only one of the model.
pub(super) fn is_sparse(archive: &Archive, port: &Port) -> bool {
    let own = format!("{}.npy", port.name);
    !archive.has(&own) && [FORMAT, SHAPE, DATA].iter().all(|m| archive.has(m))
}

/// Fills out the matrix.
///
/// # Errors
/// [`DecodeError`]: an unknown format, missing or surplus members, indices that are not inside, a
/// type that does not fit, too much for the budget.
pub(super) fn decode(
    archive: &mut Archive,
    (signature, port): (&Signature, &Port),
    budget: &mut Budget,
) -> Result<Tensor, DecodeError> {
    let element = conform::element(port)?;
    let mut reader = Reader { archive, budget };
    let format = format(&mut reader)?;
    let members = parts::members(&format, reader.archive).ok_or_else(|| {
        misfit(format!(
            "input {}: sparse format {} is none of csr, csc, coo, bsr and dia",
            port.name,
            quoted(&format)
        ))
    })?;
    let mark = Some(IS_ARRAY).filter(|mark| reader.archive.has(mark));
    let all: Vec<String> = [FORMAT, SHAPE, DATA]
        .iter()
        .chain(members)
        .copied()
        .chain(mark)
        .map(str::to_owned)
        .collect();
    complete(reader.archive, &all)?;

    let shape = shape(&mut reader)?;
    conform::shape(signature, port, &shape)?;
    let invalid = |what: String| {
        misfit(format!(
            "input {}: the sparse {format} matrix of shape {shape:?} is not valid: {what}",
            port.name
        ))
    };
    let values = reader.array(DATA, Some(&port.name))?;
    values.check_kind(element)?;
    let own = values.own_type();
    let ranks = (values.shape(), shape.as_slice());
    let parts = Parts::read(&format, &mut reader, ranks)?.ok_or_else(|| {
        invalid(format!(
            "its data has shape {:?}, which is not that of the format",
            values.shape()
        ))
    })?;
    let data = reader.elements(&values, DATA, own)?;
    room(&shape, own, element, port, reader.budget)?;
    let dense = dense(&parts, &shape, &data).map_err(invalid)?;
    let data = values.retype(dense, element)?;
    conform::tensor(port, shape.clone(), data)
}

/// Charges what the dense form takes: in the matrix's own type, and in the input's where that is
/// another.
fn room(
    shape: &[usize],
    own: ElementType,
    element: ElementType,
    port: &Port,
    budget: &mut Budget,
) -> Result<(), DecodeError> {
    let size = |element: ElementType| element.size().unwrap_or_default();
    let each = match own == element {
        true => size(own),
        false => size(own) + size(element),
    };
    let bytes = element_count(shape).and_then(|count| count.checked_mul(each));
    budget.charge(bytes.unwrap_or(usize::MAX), || {
        format!("the dense form of input {}, shape {shape:?}", port.name)
    })
}

/// The values where they belong, all else zero.
fn dense(parts: &Parts, shape: &[usize], values: &Data) -> Result<Data, String> {
    Ok(match values {
        Data::Bool(v) => Data::Bool(fill(parts, shape, v)?.into()),
        Data::Int8(v) => Data::Int8(fill(parts, shape, v)?.into()),
        Data::Int16(v) => Data::Int16(fill(parts, shape, v)?.into()),
        Data::Int32(v) => Data::Int32(fill(parts, shape, v)?.into()),
        Data::Int64(v) => Data::Int64(fill(parts, shape, v)?.into()),
        Data::Uint8(v) => Data::Uint8(fill(parts, shape, v)?.into()),
        Data::Uint16(v) => Data::Uint16(fill(parts, shape, v)?.into()),
        Data::Uint32(v) => Data::Uint32(fill(parts, shape, v)?.into()),
        Data::Uint64(v) => Data::Uint64(fill(parts, shape, v)?.into()),
        Data::Float16(v) => Data::Float16(fill(parts, shape, v)?.into()),
        Data::Float32(v) => Data::Float32(fill(parts, shape, v)?.into()),
        Data::Float64(v) => Data::Float64(fill(parts, shape, v)?.into()),
        Data::BFloat16(_) | Data::String(_) => return Err("its data are no numbers".to_owned()),
    })
}

/// The member `format`: one text.
fn format(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let array = reader.array(FORMAT, None)?;
    if element_count(array.shape()) == Some(1) && array.own_type() == ElementType::String {
        if let Data::String(texts) = reader.elements(&array, FORMAT, ElementType::String)? {
            if let [text] = &*texts {
                return Ok(text.clone());
            }
        }
    }
    Err(misfit(format!("member {FORMAT:?} must hold one text")))
}

/// The member `shape`: the sizes of the axes.
fn shape(reader: &mut Reader<'_>) -> Result<Vec<usize>, DecodeError> {
    let array = reader.integers(SHAPE)?;
    let sizes: Option<Vec<usize>> = match array.shape.as_slice() {
        [1..=MOST_AXES] => array
            .numbers
            .iter()
            .map(|size| usize::try_from(*size).ok())
            .collect(),
        _ => None,
    };
    sizes.ok_or_else(|| {
        misfit(format!(
            "member {SHAPE:?} must hold the size of every axis, none of them negative"
        ))
    })
}
