//! Inputs made from a signature, for the first runs of a model: they fill caches, prove that the
//! model runs at all before `/ping` says so, and give the first measured cost.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use half::{bf16, f16};

use super::{Engine, RunError};
use crate::model::{Dim, Signature};
use crate::tensor::{element_count, Data, ElementType, Tensor};

/// Sizes tried for axes that are free and not the batch: models with a minimum length or a stride
/// refuse the small ones.
const FREE_AXIS_SIZES: [usize; 11] = [1, 2, 8, 16, 32, 48, 64, 128, 224, 320, 576];
/// A synthetic input larger than this is not tried.
const MAX_ELEMENTS: usize = 1 << 24;
/// No further size is tried after this long.
const TRY_FOR: Duration = Duration::from_secs(20);
/// How long the cost is measured, and in how many runs at most.
const MEASURE_FOR: Duration = Duration::from_millis(10);
const MEASURE_RUNS: usize = 64;

/// One batch of synthetic inputs that the model accepted.
#[derive(Debug)]
pub struct Warm {
    /// The inputs, in the signature's order.
    pub inputs: Vec<Tensor>,
    /// Median time of a run on them.
    pub run: Duration,
}

/// Runs the model on synthetic inputs until one size works, then measures it.
///
/// # Errors
/// The last [`RunError`] where no synthetic input fits; `None` where the signature gives none.
pub fn warm_up(engine: &mut dyn Engine, signature: &Signature) -> Result<Warm, Option<RunError>> {
    let begun = Instant::now();
    let mut last = None;
    let sizes: &[usize] = if has_free_axis(signature) {
        &FREE_AXIS_SIZES
    } else {
        &FREE_AXIS_SIZES[..1]
    };
    for &size in sizes {
        let Some(inputs) = synthesize(signature, size) else {
            continue;
        };
        match engine.run(&inputs) {
            Ok(_) => {
                let run = measure(engine, &inputs)?;
                return Ok(Warm { inputs, run });
            }
            Err(error) => last = Some(error),
        }
        if begun.elapsed() > TRY_FOR {
            break;
        }
    }
    Err(last)
}

/// Median time of a run on these inputs.
///
/// # Errors
/// [`RunError`] of the first run that fails.
pub fn measure(engine: &mut dyn Engine, inputs: &[Tensor]) -> Result<Duration, RunError> {
    let begun = Instant::now();
    let mut times = Vec::with_capacity(MEASURE_RUNS);
    while times.len() < 2 || (times.len() < MEASURE_RUNS && begun.elapsed() < MEASURE_FOR) {
        let start = Instant::now();
        engine.run(inputs)?;
        times.push(start.elapsed());
        // One run of a model this slow is measurement enough.
        if begun.elapsed() > 20 * MEASURE_FOR {
            break;
        }
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn has_free_axis(signature: &Signature) -> bool {
    signature.inputs.iter().any(|port| {
        port.tensor().is_some_and(|(_, dims)| {
            dims.is_some_and(|dims| dims.iter().skip(1).any(|dim| !matches!(dim, Dim::Fixed(_))))
        })
    })
}

/// One record of inputs: free first axes are 1, other free axes `size`, equal symbols equal.
fn synthesize(signature: &Signature, size: usize) -> Option<Vec<Tensor>> {
    let mut symbols: HashMap<&str, usize> = HashMap::new();
    for port in &signature.inputs {
        if let Some((_, Some([Dim::Symbol(symbol), ..]))) = port.tensor() {
            symbols.insert(symbol, 1);
        }
    }
    signature
        .inputs
        .iter()
        .map(|port| {
            let (element, dims) = port.tensor()?;
            let shape: Vec<usize> = match dims {
                None => vec![1],
                Some(dims) => dims
                    .iter()
                    .enumerate()
                    .map(|(axis, dim)| match dim {
                        Dim::Fixed(n) => *n,
                        Dim::Symbol(symbol) => *symbols.entry(symbol).or_insert(size),
                        Dim::Free if axis == 0 => 1,
                        Dim::Free => size,
                    })
                    .collect(),
            };
            filled(element, shape)
        })
        .collect()
}

/// Records whose inputs take more bytes than this are not put together for the warm-up.
const LARGEST_BATCH: usize = 256 << 20;

/// Runs every number of records up to `rows` once on every engine: on a GPU the first run of each
/// chooses algorithms or builds engines, which no caller should wait for. The largest comes first,
/// so that a range of sizes that grows with them is built once. How many records all engines were
/// run with, and all fewer: `rows`, or less where a run failed, `limit` passed, or more are too large.
pub fn every_size(
    engines: &mut [Box<dyn Engine>],
    one: &[Tensor],
    rows: usize,
    limit: Duration,
) -> usize {
    let begun = Instant::now();
    let bytes: usize = one.iter().map(Tensor::bytes).sum();
    let rows = rows.min(most_rows(bytes));
    let mut run = |records: usize| {
        let times = |input: &Tensor| Tensor::concat_rows(&vec![input; records]);
        let repeated = || one.iter().map(times).collect::<Option<Vec<_>>>();
        let mut all = |inputs: Option<Vec<Tensor>>| {
            inputs.is_some_and(|inputs| {
                engines
                    .iter_mut()
                    .all(|engine| begun.elapsed() < limit && engine.run(&inputs).is_ok())
            })
        };
        // Values that the model does not take: its own record, repeated.
        all(spread(one, records)) || all(repeated())
    };
    if rows > 1 && !run(rows) {
        tracing::debug!("a run of {rows} records failed at warm-up");
    }
    // The single record has been run.
    (2..=rows)
        .find(|&records| !run(records))
        .map_or(rows, |records| records - 1)
}

/// Records of so many bytes each that are put together at most.
fn most_rows(bytes: usize) -> usize {
    (LARGEST_BATCH / bytes.max(1)).max(1)
}

/// So many records like `one`, with other floating-point values in each: a tree takes another path
/// for another record. Integers, which may be indices, stay as they are. `None` where an input has
/// no axis of records.
#[must_use]
pub fn spread(one: &[Tensor], rows: usize) -> Option<Vec<Tensor>> {
    one.iter()
        .map(|input| {
            let repeated = Tensor::concat_rows(&vec![input; rows])?;
            let (shape, data) = repeated.into_parts();
            let values = (0..data.len()).map(|at| {
                // Spread evenly over -2 to 2, without a pattern that a model would see.
                let share = (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
                4.0 * share as f32 / (1 << 24) as f32 - 2.0
            });
            let data = match data {
                Data::Float16(_) => {
                    Data::Float16(values.map(f16::from_f32).collect::<Vec<_>>().into())
                }
                Data::BFloat16(_) => {
                    Data::BFloat16(values.map(bf16::from_f32).collect::<Vec<_>>().into())
                }
                Data::Float32(_) => Data::Float32(values.collect::<Vec<_>>().into()),
                Data::Float64(_) => Data::Float64(values.map(f64::from).collect::<Vec<_>>().into()),
                other => other,
            };
            Tensor::new(shape, data).ok()
        })
        .collect()
}

/// Ones, because zero is a bad divisor and a bad attention mask, and one is a valid index nearly
/// everywhere.
fn filled(element: ElementType, shape: Vec<usize>) -> Option<Tensor> {
    let n = element_count(&shape).filter(|&n| n <= MAX_ELEMENTS)?;
    let data = match element {
        ElementType::Bool => Data::Bool(vec![false; n].into()),
        ElementType::Int8 => Data::Int8(vec![1; n].into()),
        ElementType::Int16 => Data::Int16(vec![1; n].into()),
        ElementType::Int32 => Data::Int32(vec![1; n].into()),
        ElementType::Int64 => Data::Int64(vec![1; n].into()),
        ElementType::Uint8 => Data::Uint8(vec![1; n].into()),
        ElementType::Uint16 => Data::Uint16(vec![1; n].into()),
        ElementType::Uint32 => Data::Uint32(vec![1; n].into()),
        ElementType::Uint64 => Data::Uint64(vec![1; n].into()),
        ElementType::Float16 => Data::Float16(vec![f16::ONE; n].into()),
        ElementType::BFloat16 => Data::BFloat16(vec![bf16::ONE; n].into()),
        ElementType::Float32 => Data::Float32(vec![1.0; n].into()),
        ElementType::Float64 => Data::Float64(vec![1.0; n].into()),
        ElementType::String => Data::String(vec!["a".to_owned(); n].into()),
    };
    Tensor::new(shape, data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Port, PortType};

    fn port(name: &str, element: ElementType, dims: Vec<Dim>) -> Port {
        Port {
            name: name.to_owned(),
            kind: PortType::Tensor {
                element,
                dims: Some(dims),
            },
        }
    }

    #[test]
    fn one_record_with_equal_symbols_equal() {
        let symbol = |s: &str| Dim::Symbol(s.to_owned());
        let signature = Signature {
            inputs: vec![
                port(
                    "ids",
                    ElementType::Int64,
                    vec![symbol("batch"), symbol("seq")],
                ),
                port(
                    "mask",
                    ElementType::Int64,
                    vec![symbol("batch"), symbol("seq")],
                ),
                port("scale", ElementType::Float32, vec![]),
            ],
            outputs: vec![],
        };
        let inputs = synthesize(&signature, 16).unwrap();
        assert_eq!(inputs[0].shape(), [1, 16]);
        assert_eq!(inputs[1].shape(), [1, 16]);
        assert_eq!(inputs[2].shape(), [0usize; 0]);
    }

    #[test]
    fn every_size_is_run_on_every_engine_the_largest_first() {
        use std::sync::{Arc, Mutex};
        struct Sizes(Arc<Mutex<Vec<usize>>>, usize);
        impl Engine for Sizes {
            fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<crate::tensor::Value>, RunError> {
                let rows = inputs[0].rows();
                self.0.lock().unwrap().push(rows);
                match rows < self.1 {
                    true => Ok(vec![]),
                    false => Err(RunError::OutOfMemory("full".to_owned())),
                }
            }
        }
        let one = [Tensor::new(vec![1, 2], Data::Float32(vec![1.0; 2].into())).unwrap()];
        let limit = Duration::from_secs(60);
        let warmed = |rows, fails_at, limit| {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let engine = || Box::new(Sizes(Arc::clone(&seen), fails_at)) as Box<dyn Engine>;
            let warmed = every_size(&mut [engine(), engine()], &one, rows, limit);
            let seen = seen.lock().unwrap().clone();
            (warmed, seen)
        };
        assert_eq!(warmed(4, 99, limit), (4, vec![4, 4, 2, 2, 3, 3, 4, 4]));
        assert_eq!(warmed(1, 99, limit), (1, vec![]));
        // A size that does not fit the device is not formed later.
        assert_eq!(warmed(4, 3, limit).0, 2);
        assert_eq!(warmed(64, 99, Duration::ZERO).0, 1);
        assert_eq!(most_rows(600_000), 447);
        assert_eq!((most_rows(0), most_rows(usize::MAX)), (LARGEST_BATCH, 1));
    }

    #[test]
    fn tries_larger_sizes_until_one_is_accepted() {
        struct AtLeast(usize);
        impl Engine for AtLeast {
            fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<crate::tensor::Value>, RunError> {
                if inputs[0].shape()[1] < self.0 {
                    return Err(RunError::Failed("too short".to_owned()));
                }
                Ok(vec![])
            }
        }
        let signature = Signature {
            inputs: vec![port("x", ElementType::Float32, vec![Dim::Free, Dim::Free])],
            outputs: vec![],
        };
        let warm = warm_up(&mut AtLeast(40), &signature).unwrap();
        assert_eq!(warm.inputs[0].shape(), [1, 48]);
        let refused = warm_up(&mut AtLeast(100_000), &signature).unwrap_err();
        assert_eq!(refused, Some(RunError::Failed("too short".to_owned())));
    }
}
