//! Whether records of one run leave one another alone: shown by two different records that are
//! answered alike together and one by one.
//!
//! What is shown for two synthetic records is not proven for all, but the ways in which graphs mix
//! records (reductions, normalisation or a softmax over axis 0, recurrent state along it) mix those
//! too. Scales taken over a whole run may hide in them; [`crate::onnx_file`] looks for these.

use std::time::Duration;

use super::warmup::Warm;
use super::Engine;
use crate::model::{Batch, Signature};
use crate::tensor::{Data, Tensor, Value};

/// How far two runs may differ: kernels sum in another order for another number of rows.
const TOLERANCE: f64 = 1e-3;

/// Three runs of this must not hold up the start.
const LONGEST_RUN: Duration = Duration::from_millis(500);

/// Runs two records together and alone. `warm` is a record that the model accepts.
///
/// # Errors
/// Why the records depend on one another, or why nobody can tell.
pub fn dependence(
    engine: &mut dyn Engine,
    signature: &Signature,
    warm: &Warm,
) -> Result<(), String> {
    let (one, run) = (&warm.inputs, warm.run);
    if signature.batch() != Batch::Free {
        return Err("it has no free axis of records".to_owned());
    }
    if run > LONGEST_RUN {
        return Err("its runs are too long to find out at start".to_owned());
    }
    if one.iter().any(|input| input.rows() != 1) {
        return Err("its synthetic input is no single record".to_owned());
    }
    let other: Vec<Tensor> = one.iter().map(changed).collect();
    let both = one
        .iter()
        .zip(&other)
        .map(|(one, other)| Tensor::concat_rows(&[one, other]))
        .collect::<Option<Vec<_>>>()
        .ok_or("two synthetic records do not join")?;
    let mut run = |inputs: &[Tensor]| engine.run(inputs).map_err(|error| error.to_string());
    let (first, second, together) = (run(one)?, run(&other)?, run(&both)?);
    for (i, port) in signature.outputs.iter().enumerate() {
        let (Some(first), Some(second), Some(together)) =
            (first.get(i), second.get(i), together.get(i))
        else {
            return Err("the number of outputs changes".to_owned());
        };
        for (row, alone) in [first, second].into_iter().enumerate() {
            if !alike(alone, together, row) {
                return Err(format!(
                    "output {} answers two records differently together and alone",
                    port.name
                ));
            }
        }
    }
    Ok(())
}

/// A record like this one with other values; none of them zero, by which a graph may divide.
fn changed(input: &Tensor) -> Tensor {
    fn last<T: Clone>(elements: &[T], other: T) -> Vec<T> {
        // Every second element: a sum over a record must not stay the same.
        let values = elements.iter().enumerate();
        values
            .map(|(i, element)| match i % 2 {
                0 => other.clone(),
                _ => element.clone(),
            })
            .collect()
    }
    let data = match input.data() {
        Data::Bool(elements) => Data::Bool(last(elements, true).into()),
        Data::Int8(elements) => Data::Int8(last(elements, 2).into()),
        Data::Int16(elements) => Data::Int16(last(elements, 2).into()),
        Data::Int32(elements) => Data::Int32(last(elements, 2).into()),
        Data::Int64(elements) => Data::Int64(last(elements, 2).into()),
        Data::Uint8(elements) => Data::Uint8(last(elements, 2).into()),
        Data::Uint16(elements) => Data::Uint16(last(elements, 2).into()),
        Data::Uint32(elements) => Data::Uint32(last(elements, 2).into()),
        Data::Uint64(elements) => Data::Uint64(last(elements, 2).into()),
        Data::Float16(elements) => Data::Float16(last(elements, half::f16::from_f32(0.25)).into()),
        Data::BFloat16(elements) => {
            Data::BFloat16(last(elements, half::bf16::from_f32(0.25)).into())
        }
        Data::Float32(elements) => Data::Float32(last(elements, 0.25).into()),
        Data::Float64(elements) => Data::Float64(last(elements, 0.25).into()),
        Data::String(elements) => Data::String(last(elements, "b".to_owned()).into()),
    };
    // As many elements as before.
    Tensor::new(input.shape().to_vec(), data).unwrap_or_else(|_| input.slice_rows(0..1))
}

/// Whether record `row` of a run of two is what the record gave alone.
fn alike(alone: &Value, together: &Value, row: usize) -> bool {
    match (alone, together) {
        (Value::Tensor(alone), Value::Tensor(both)) => tensors(alone, both, row),
        (
            Value::Maps {
                keys,
                values: alone,
            },
            Value::Maps {
                keys: same,
                values: both,
            },
        ) => keys == same && tensors(alone, both, row),
        _ => false,
    }
}

fn tensors(alone: &Tensor, both: &Tensor, row: usize) -> bool {
    if alone.rows() != 1 || both.rows() != 2 || alone.shape().is_empty() {
        return false;
    }
    let record = both.slice_rows(row..row + 1);
    if record.shape() != alone.shape() {
        return false;
    }
    match (floats(alone.data()), floats(record.data())) {
        (Some(a), Some(b)) => a.iter().zip(&b).all(|(a, b)| {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * (1.0 + b.abs())
        }),
        _ => alone.data() == record.data(),
    }
}

/// Floats of any width; `None` for what must be equal.
fn floats(data: &Data) -> Option<Vec<f64>> {
    match data {
        Data::Float16(elements) => Some(elements.iter().map(|x| x.to_f64()).collect()),
        Data::BFloat16(elements) => Some(elements.iter().map(|x| x.to_f64()).collect()),
        Data::Float32(elements) => Some(elements.iter().map(|x| f64::from(*x)).collect()),
        Data::Float64(elements) => Some(elements.to_vec()),
        _ => None,
    }
}
