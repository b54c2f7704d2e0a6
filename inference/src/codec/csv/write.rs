//! Tensors → CSV text.

use std::ops::Range;

use crate::codec::text::Text;
use crate::codec::{EncodeError, Named};
use crate::each_type;
use crate::tensor::{Data, Value};

/// Writes one line per record.
///
/// # Errors
/// [`EncodeError::NotCarried`] where the outputs have different numbers of records, or an output is
/// neither tensor nor map.
pub(in crate::codec) fn encode(outputs: &[Named<'_>]) -> Result<Vec<u8>, EncodeError> {
    let mut count: Option<(usize, &str)> = None;
    for output in outputs {
        let found = records(output)?;
        match count {
            Some((known, name)) if known != found => {
                return Err(EncodeError::NotCarried(format!(
                    "text/csv writes one line per record, and output {} has {found} where {name} \
                     has {known}",
                    output.name
                )));
            }
            _ => count = Some((found, output.name)),
        }
    }
    let mut out = Vec::with_capacity(128);
    for row in 0..count.map_or(0, |(count, _)| count) {
        if row > 0 {
            out.push(b'\n');
        }
        let start = out.len();
        let mut cells = 0;
        for output in outputs {
            record(&mut out, output.value, row, &mut cells);
        }
        // A lone empty cell would read back as a blank line.
        if cells == 1 && out.len() == start {
            out.extend_from_slice(b"\"\"");
        }
    }
    Ok(out)
}

/// How many lines an output needs; a scalar and a map are one record.
fn records(output: &Named<'_>) -> Result<usize, EncodeError> {
    let refuse = |what| {
        EncodeError::NotCarried(format!(
            "text/csv cannot carry output {}: {what}",
            output.name
        ))
    };
    match output.value {
        Value::Tensor(tensor) => Ok(tensor.rows()),
        Value::Map { .. } => Ok(1),
        Value::Maps { values, .. } => Ok(values.rows()),
        Value::Sequence(members) => match members.iter().all(|m| matches!(m, Value::Map { .. })) {
            true => Ok(members.len()),
            false => Err(refuse("it is a sequence")),
        },
        Value::Absent => Err(refuse("it has no value")),
    }
}

fn record(out: &mut Vec<u8>, value: &Value, row: usize, cells: &mut usize) {
    match value {
        Value::Tensor(tensor) => line(out, tensor.data(), tensor.rows(), row, cells),
        Value::Maps { values, .. } => line(out, values.data(), values.rows(), row, cells),
        Value::Map { values, .. } => line(out, values.data(), 1, 0, cells),
        Value::Sequence(members) => {
            if let Some(member) = members.get(row) {
                record(out, member, 0, cells);
            }
        }
        Value::Absent => {}
    }
}

/// The elements of one of `rows` records.
fn line(out: &mut Vec<u8>, data: &Data, rows: usize, row: usize, cells: &mut usize) {
    let width = data.len().checked_div(rows).unwrap_or(0);
    let range: Range<usize> = row * width..(row + 1) * width;
    each_type!(data, buffer => for element in buffer.get(range).unwrap_or_default() {
        if *cells > 0 {
            out.push(b',');
        }
        *cells += 1;
        element.csv(out);
    });
}
