//! Whether records of one run leave one another alone: shown by two different records that are
//! answered alike together and one by one.
//!
//! What is shown for two synthetic records is not proven for all, but the ways in which graphs mix
//! records (reductions, normalisation or a softmax over axis 0, recurrent state along it) mix those
//! too. Scales taken over a whole run may hide in them; [`crate::onnx_file`] looks for these.

use std::time::Duration;

use scaling::catalogue::internal::Batching;

use super::warmup::Warm;
use super::{Engine, RunError};
use crate::model::{Batch, Signature};
use crate::tensor::{Data, Tensor, Value};

/// How far two runs may differ: kernels sum in another order for another number of rows.
const TOLERANCE: f64 = 1e-3;

/// Three runs of this must not hold up the start.
const LONGEST_RUN: Duration = Duration::from_millis(500);

/// Why the records of one run are not known to leave one another alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependence {
    /// In a word.
    pub why: Batching,
    /// In one phrase.
    pub reason: String,
}

impl Dependence {
    fn new(why: Batching, reason: impl Into<String>) -> Self {
        Self {
            why,
            reason: reason.into(),
        }
    }
}

/// What was tried failed.
impl From<RunError> for Dependence {
    fn from(error: RunError) -> Self {
        Self::new(Batching::Untried, error.to_string())
    }
}

/// Runs two records together and alone. `warm` is a record that the model accepts.
///
/// # Errors
/// Why the records depend on one another, or why nobody can tell.
pub fn dependence(
    engine: &mut dyn Engine,
    signature: &Signature,
    warm: &Warm,
) -> Result<(), Dependence> {
    let (one, run) = (&warm.inputs, warm.run);
    if signature.batch() != Batch::Free {
        let reason = "it has no free axis of records";
        return Err(Dependence::new(Batching::FixedAxis, reason));
    }
    if run > LONGEST_RUN {
        let reason = "its runs are too long to find out at start";
        return Err(Dependence::new(Batching::Untried, reason));
    }
    if one.iter().any(|input| input.rows() != 1) {
        let reason = "its synthetic input is no single record";
        return Err(Dependence::new(Batching::Untried, reason));
    }
    let other = other(engine, one)?;
    let both = one
        .iter()
        .zip(&other)
        .map(|(one, other)| Tensor::concat_rows(&[one, other]))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Dependence::new(Batching::Untried, "two synthetic records do not join"))?;
    let mut run = |inputs: &[Tensor]| engine.run(inputs);
    let (first, second, together) = (run(one)?, run(&other)?, run(&both)?);
    for (i, port) in signature.outputs.iter().enumerate() {
        let (Some(first), Some(second), Some(together)) =
            (first.get(i), second.get(i), together.get(i))
        else {
            let reason = "the number of outputs changes";
            return Err(Dependence::new(Batching::Dependent, reason));
        };
        for (row, alone) in [first, second].into_iter().enumerate() {
            if !alike(alone, together, row) {
                let reason = format!(
                    "output {} answers two records differently together and alone",
                    port.name
                );
                return Err(Dependence::new(Batching::Dependent, reason));
            }
        }
    }
    Ok(())
}

/// What an index, a flag or a count is in the other record: zero, by which a graph may divide, where
/// two is too much.
const INTEGERS: [u8; 2] = [2, 0];

/// A record like `one`, with other values that the model takes as well. Integers may be limited, each
/// in its own way: token types are often 0 and 1 alone.
fn other(engine: &mut dyn Engine, one: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    let mut other: Vec<Tensor> = one
        .iter()
        .map(|input| changed(input, INTEGERS[0]))
        .collect();
    let Err(error) = engine.run(&other) else {
        return Ok(other);
    };
    let are_integers = |input: &&Tensor| input.element_type().is_integer();
    if !one.iter().any(|input| are_integers(&input)) {
        return Err(error);
    }
    // From a record whose integers are those that the model is known to take, one input at a time.
    for (other, one) in other
        .iter_mut()
        .zip(one)
        .filter(|(_, one)| are_integers(one))
    {
        *other = one.slice_rows(0..1);
    }
    for (at, one) in one.iter().enumerate().filter(|(_, one)| are_integers(one)) {
        let before = other[at].slice_rows(0..1);
        let is_taken = |value| {
            other[at] = changed(one, value);
            engine.run(&other).is_ok()
        };
        if !INTEGERS.into_iter().any(is_taken) {
            other[at] = before;
        }
    }
    // If it has not become one that the model takes, then nothing was found.
    engine.run(&other)?;
    match other == one {
        true => Err(error),
        false => Ok(other),
    }
}

/// A record like this one with other values: `integer` for integers.
fn changed(input: &Tensor, integer: u8) -> Tensor {
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
        Data::Int8(elements) => Data::Int8(last(elements, integer.cast_signed()).into()),
        Data::Int16(elements) => Data::Int16(last(elements, integer.into()).into()),
        Data::Int32(elements) => Data::Int32(last(elements, integer.into()).into()),
        Data::Int64(elements) => Data::Int64(last(elements, integer.into()).into()),
        Data::Uint8(elements) => Data::Uint8(last(elements, integer).into()),
        Data::Uint16(elements) => Data::Uint16(last(elements, integer.into()).into()),
        Data::Uint32(elements) => Data::Uint32(last(elements, integer.into()).into()),
        Data::Uint64(elements) => Data::Uint64(last(elements, integer.into()).into()),
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
    match (alone.data().floats(), record.data().floats()) {
        (Some(a), Some(b)) => a.iter().zip(&b).all(|(a, b)| {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * (1.0 + b.abs())
        }),
        _ => alone.data() == record.data(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dim, Port, PortType};
    use crate::tensor::ElementType;

    /// A sentence encoder: ids below 30, a mask, types of 0 and 1. Its output is a mean over the
    /// record, or over the whole run.
    struct Encoder {
        mixes: bool,
    }

    impl Engine for Encoder {
        fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
            let ids = |at: usize| match inputs[at].data() {
                Data::Int64(ids) => ids.to_vec(),
                other => panic!("{other:?}"),
            };
            for (name, at, below) in [("ids", 0, 30), ("types", 2, 2)] {
                if let Some(id) = ids(at).iter().find(|&&id| id >= below) {
                    let refused = format!("{name}: {id} is not below {below}");
                    return Err(RunError::Failed(refused));
                }
            }
            let rows = inputs[0].rows();
            let all = ids(0);
            let width = all.len() / rows;
            let mean = |of: &[i64]| of.iter().sum::<i64>() as f32 / of.len() as f32;
            let means: Vec<f32> = match self.mixes {
                true => vec![mean(&all); rows],
                false => all.chunks(width).map(mean).collect(),
            };
            let means = Tensor::new(vec![rows, 1], Data::Float32(means.into()));
            Ok(vec![Value::Tensor(means.unwrap())])
        }
    }

    fn encoder() -> (Signature, Warm) {
        let port = |name: &str, element| Port {
            name: name.to_owned(),
            kind: PortType::Tensor {
                element,
                dims: Some(vec![Dim::Free, Dim::Free]),
            },
        };
        let signature = Signature {
            inputs: ["ids", "mask", "types"]
                .map(|name| port(name, ElementType::Int64))
                .to_vec(),
            outputs: vec![port("mean", ElementType::Float32)],
        };
        let ones = |()| Tensor::new(vec![1, 4], Data::Int64(vec![1; 4].into())).unwrap();
        let warm = Warm {
            inputs: [(); 3].map(ones).into(),
            run: Duration::from_millis(1),
        };
        (signature, warm)
    }

    #[test]
    fn an_input_of_few_values_gets_one_of_them_in_the_other_record() {
        let (signature, warm) = encoder();
        let mut engine = Encoder { mixes: false };
        let other = other(&mut engine, &warm.inputs).unwrap();
        let ids = |at: usize| other[at].data();
        let twos = Data::Int64(vec![2, 1, 2, 1].into());
        assert_eq!((ids(0), ids(1)), (&twos, &twos));
        assert_eq!(ids(2), &Data::Int64(vec![0, 1, 0, 1].into()));
        assert_eq!(dependence(&mut engine, &signature, &warm), Ok(()));
        let mixed = dependence(&mut Encoder { mixes: true }, &signature, &warm);
        let mixed = mixed.unwrap_err();
        assert_eq!(mixed.why, Batching::Dependent);
        assert!(mixed.reason.contains("output mean answers"), "{mixed:?}");
    }

    #[test]
    fn a_model_that_takes_no_other_record_says_what_it_said() {
        struct Ones;
        impl Engine for Ones {
            fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
                let ones = Data::Int64(vec![1; 4].into());
                match inputs.iter().all(|input| *input.data() == ones) {
                    true => Ok(vec![]),
                    false => Err(RunError::Failed("ones only".to_owned())),
                }
            }
        }
        let (signature, warm) = encoder();
        let refused = dependence(&mut Ones, &signature, &warm).unwrap_err();
        assert_eq!(refused.why, Batching::Untried);
        assert!(refused.reason.contains("ones only"), "{refused:?}");
    }
}
