//! Outputs → records, a row of each under `label`.

use super::frame;
use super::proto::{BYTES, ELEMENTS, FLOAT32, FLOAT64, INT32, KEY, LABEL, SHAPE, VALUE};
use super::read::VALUES;
use crate::codec::{EncodeError, Named};
use crate::tensor::{Data, Tensor, Value};
use crate::wire::{put_bytes, put_varint};

/// Writes a record per row.
///
/// # Errors
/// [`EncodeError::NotCarried`] where outputs are no tensors, have no common first axis, or hold
/// integers beyond int32.
pub(in crate::codec) fn encode(outputs: &[Named<'_>]) -> Result<Vec<u8>, EncodeError> {
    records(outputs).map_err(|what| {
        EncodeError::NotCarried(format!(
            "application/x-recordio-protobuf cannot carry this reply: {what}"
        ))
    })
}

fn records(outputs: &[Named<'_>]) -> Result<Vec<u8>, String> {
    let mut tables = Vec::with_capacity(outputs.len());
    let mut rows: Option<(usize, &str)> = None;
    for output in outputs {
        let name = output.name;
        let Value::Tensor(tensor) = output.value else {
            return Err(format!("output {name} is no tensor"));
        };
        let table = Table::new(name, tensor)?;
        match rows {
            Some((known, other)) if known != table.rows => {
                return Err(format!(
                    "output {other} has {known} rows and output {name} has {}",
                    table.rows
                ));
            }
            _ => rows = Some((table.rows, name)),
        }
        tables.push(table);
    }
    let single = tables.len() == 1;
    let (mut out, mut payload) = (Vec::new(), Vec::new());
    let (mut entry, mut value, mut message, mut packed) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows.map_or(0, |(rows, _)| rows) {
        payload.clear();
        for table in &tables {
            for buffer in [&mut entry, &mut value, &mut message, &mut packed] {
                buffer.clear();
            }
            table.message(row, &mut message, &mut packed)?;
            put_bytes(&mut value, table.kind(), &message);
            let key = if single { VALUES } else { table.name };
            put_bytes(&mut entry, KEY, key.as_bytes());
            put_bytes(&mut entry, VALUE, &value);
            put_bytes(&mut payload, LABEL, &entry);
        }
        frame::put(&mut out, &payload)?;
    }
    Ok(out)
}

/// An output as rows.
struct Table<'a> {
    name: &'a str,
    data: &'a Data,
    rows: usize,
    /// Sizes of a row's axes.
    shape: &'a [usize],
    /// Elements of a row.
    size: usize,
}

impl<'a> Table<'a> {
    fn new(name: &'a str, tensor: &'a Tensor) -> Result<Self, String> {
        let Some((&rows, shape)) = tensor.shape().split_first() else {
            return Err(format!(
                "output {name} is a scalar, without an axis of rows"
            ));
        };
        if matches!(tensor.data(), Data::String(_)) && shape.len() > 1 {
            return Err(format!(
                "output {name} has rows of shape {shape:?}, and text comes without a shape"
            ));
        }
        Ok(Self {
            name,
            data: tensor.data(),
            rows,
            shape,
            size: tensor.data().len().checked_div(rows).unwrap_or(0),
        })
    }

    /// The field of the value that says what kind it is.
    fn kind(&self) -> u64 {
        match self.data {
            Data::Float32(_) | Data::Float16(_) | Data::BFloat16(_) => FLOAT32,
            Data::Float64(_) => FLOAT64,
            Data::String(_) => BYTES,
            _ => INT32,
        }
    }

    /// Writes a row's tensor, or its bytes.
    fn message(&self, row: usize, out: &mut Vec<u8>, packed: &mut Vec<u8>) -> Result<(), String> {
        match self.data {
            Data::Float32(all) => self.floats(all, row, packed, |v| v.to_le_bytes()),
            Data::Float16(all) => self.floats(all, row, packed, |v| v.to_f32().to_le_bytes()),
            Data::BFloat16(all) => self.floats(all, row, packed, |v| v.to_f32().to_le_bytes()),
            Data::Float64(all) => self.floats(all, row, packed, |v| v.to_le_bytes()),
            Data::Bool(all) => self.integers(all, row, packed, |v| Ok(i32::from(v)))?,
            Data::Int8(all) => self.integers(all, row, packed, |v| Ok(i32::from(v)))?,
            Data::Int16(all) => self.integers(all, row, packed, |v| Ok(i32::from(v)))?,
            Data::Int32(all) => self.integers(all, row, packed, Ok)?,
            Data::Int64(all) => self.integers(all, row, packed, narrow)?,
            Data::Uint8(all) => self.integers(all, row, packed, |v| Ok(i32::from(v)))?,
            Data::Uint16(all) => self.integers(all, row, packed, |v| Ok(i32::from(v)))?,
            Data::Uint32(all) => self.integers(all, row, packed, narrow)?,
            Data::Uint64(all) => self.integers(all, row, packed, narrow)?,
            Data::String(all) => {
                for text in self.row(all, row) {
                    put_bytes(out, ELEMENTS, text.as_bytes());
                }
                return Ok(());
            }
        }
        put_bytes(out, ELEMENTS, packed);
        if self.shape.len() > 1 {
            packed.clear();
            for size in self.shape {
                put_varint(packed, *size as u64);
            }
            put_bytes(out, SHAPE, packed);
        }
        Ok(())
    }

    fn row<'d, T>(&self, all: &'d [T], row: usize) -> &'d [T] {
        let start = row.saturating_mul(self.size);
        all.get(start..start.saturating_add(self.size))
            .unwrap_or_default()
    }

    fn floats<T: Copy, const N: usize>(
        &self,
        all: &[T],
        row: usize,
        packed: &mut Vec<u8>,
        bytes: impl Fn(T) -> [u8; N],
    ) {
        packed.extend(self.row(all, row).iter().flat_map(|value| bytes(*value)));
    }

    fn integers<T: Copy>(
        &self,
        all: &[T],
        row: usize,
        packed: &mut Vec<u8>,
        narrow: impl Fn(T) -> Result<i32, String>,
    ) -> Result<(), String> {
        for value in self.row(all, row) {
            let value = narrow(*value)
                .map_err(|value| format!("output {} holds {value}, beyond int32", self.name))?;
            // Negative ones are sign-extended on the wire.
            put_varint(packed, i64::from(value).cast_unsigned());
        }
        Ok(())
    }
}

fn narrow<T: Copy + std::fmt::Display + TryInto<i32>>(value: T) -> Result<i32, String> {
    value.try_into().map_err(|_| value.to_string())
}
