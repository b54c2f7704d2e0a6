//! What a sparse matrix consists of beside its shape and values.

use super::reader::{Integers, Reader};
use crate::codec::error::misfit;
use crate::codec::npz::archive::Archive;
use crate::codec::DecodeError;
use crate::tensor::Buffer;

const INDPTR: &str = "indptr.npy";
const INDICES: &str = "indices.npy";
const OFFSETS: &str = "offsets.npy";
const ROW: &str = "row.npy";
const COL: &str = "col.npy";
const COORDS: &str = "coords.npy";

/// Where the values belong.
pub(super) enum Parts {
    /// csr and csc.
    Compressed {
        lines: Lines,
        /// The lines are columns.
        columns: bool,
    },
    /// bsr: as csr, but every entry is a block.
    Blocks {
        lines: Lines,
        /// Rows and columns of a block.
        size: [usize; 2],
    },
    /// coo: of each axis, the place of each value along it.
    Coordinates(Vec<Buffer<i64>>),
    /// dia: the values of some diagonals.
    Diagonals {
        /// How far right of the main one each is.
        offsets: Buffer<i64>,
        /// Values of each.
        width: usize,
    },
}

/// Entries sorted into lines.
pub(super) struct Lines {
    /// Where each line begins, and where the last ends.
    pub(super) indptr: Buffer<i64>,
    /// The place of each entry in its line.
    pub(super) indices: Buffer<i64>,
}

/// The members that hold the parts of a format; `None` where it is unknown.
pub(super) fn members(format: &str, archive: &Archive) -> Option<&'static [&'static str]> {
    match format {
        "csr" | "csc" | "bsr" => Some(&[INDPTR, INDICES]),
        "coo" if archive.has(COORDS) => Some(&[COORDS]),
        "coo" => Some(&[ROW, COL]),
        "dia" => Some(&[OFFSETS]),
        _ => None,
    }
}

impl Parts {
    /// Reads the parts for values and a matrix of these shapes; `None` where the ranks of the two
    /// are not those of the format.
    pub(super) fn read(
        format: &str,
        reader: &mut Reader<'_>,
        (values, shape): (&[usize], &[usize]),
    ) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match (format, values, shape) {
            ("csr", [_], [_] | [_, _]) | ("csc", [_], [_, _]) => Self::Compressed {
                lines: Lines::read(reader)?,
                columns: format == "csc",
            },
            ("bsr", &[_, rows, columns], [_, _]) => Self::Blocks {
                lines: Lines::read(reader)?,
                size: [rows, columns],
            },
            ("dia", &[_, width], [_, _]) => {
                let offsets = reader.line(OFFSETS)?;
                // They are sorted once, in a copy.
                let bytes = offsets.len().saturating_mul(size_of::<i64>());
                reader
                    .budget
                    .charge(bytes, || format!("member {OFFSETS:?}"))?;
                Self::Diagonals { offsets, width }
            }
            ("coo", [_], axes) if reader.archive.has(COORDS) => {
                Self::Coordinates(coordinates(reader, axes.len())?)
            }
            ("coo", [_], [_, _]) => Self::Coordinates(vec![reader.line(ROW)?, reader.line(COL)?]),
            _ => return Ok(None),
        }))
    }
}

impl Lines {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            indptr: reader.line(INDPTR)?,
            indices: reader.line(INDICES)?,
        })
    }
}

/// The newer form of coo: one row of places for each axis.
fn coordinates(reader: &mut Reader<'_>, axes: usize) -> Result<Vec<Buffer<i64>>, DecodeError> {
    let Integers { shape, numbers } = reader.integers(COORDS)?;
    let &[rows, count] = shape.as_slice() else {
        return Err(misfit(format!(
            "member {COORDS:?} has shape {shape:?} where two axes are expected"
        )));
    };
    if rows != axes {
        return Err(misfit(format!(
            "member {COORDS:?} has {rows} rows where the matrix has {axes} axes"
        )));
    }
    let bytes = numbers.len().saturating_mul(size_of::<i64>());
    reader
        .budget
        .charge(bytes, || format!("member {COORDS:?}"))?;
    let row = |axis: usize| numbers.iter().skip(axis * count).take(count).copied();
    Ok((0..axes)
        .map(|axis| row(axis).collect::<Vec<_>>().into())
        .collect())
}
