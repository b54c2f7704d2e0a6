//! A large request's run, part by part.
//!
//! A run needs memory for all its records at once, as often as the graph is wide: several times the
//! request. Records that leave one another alone need not be there at once: in parts that are large
//! enough for a run's fixed cost to vanish, and small enough to stay in the processor's caches, they
//! take no longer, and of the request only its inputs and outputs are held. A request that nobody
//! waits for any more ends with the part that it is in.

use crate::runtime::{Engine, RunError};
use crate::tensor::{Tensor, Value};

/// Why a request that was run in parts has no outputs.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The model failed.
    Failed(RunError),
    /// Nobody waits for them any more.
    Abandoned,
    /// An output of a part has not one record for each of the part's.
    Dependent,
}

/// Runs `each` records at a time until all have run or `go_on` says no. The inputs agree on a number of
/// records.
pub(super) fn run(
    engine: &mut dyn Engine,
    inputs: &[Tensor],
    each: usize,
    go_on: impl Fn() -> bool,
) -> Result<Vec<Value>, Stopped> {
    let rows = inputs.first().map_or(0, Tensor::rows);
    let mut all: Vec<Value> = Vec::new();
    let mut begin = 0;
    while begin < rows {
        if !go_on() {
            return Err(Stopped::Abandoned);
        }
        let own = begin..rows.min(begin + each.max(1));
        let part: Vec<Tensor> = inputs
            .iter()
            .map(|input| input.slice_rows(own.clone()))
            .collect();
        let outputs = engine.run(&part).map_err(Stopped::Failed)?;
        let fits = |output: &Value| output.rows() == Some(own.len());
        if !outputs.iter().all(fits) {
            return Err(Stopped::Dependent);
        }
        all = match begin {
            0 => with_room(outputs, rows)?,
            _ => put_behind(all, outputs)?,
        };
        begin = own.end;
    }
    Ok(all)
}

/// The first part's outputs, with room for all records: what they are in the end is set aside once.
fn with_room(outputs: Vec<Value>, rows: usize) -> Result<Vec<Value>, Stopped> {
    let with_room = |output: Value| {
        output.with_room(rows).map_err(|bytes| {
            let reason = format!("{bytes} bytes for the outputs of {rows} records");
            Stopped::Failed(RunError::OutOfMemory(reason))
        })
    };
    outputs.into_iter().map(with_room).collect()
}

fn put_behind(mut all: Vec<Value>, outputs: Vec<Value>) -> Result<Vec<Value>, Stopped> {
    let fit = all.len() == outputs.len()
        && all
            .iter_mut()
            .zip(outputs)
            .all(|(all, output)| all.append_rows(output));
    match fit {
        true => Ok(all),
        false => Err(Stopped::Dependent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Data, Keys};
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::sync::Arc;

    /// Doubles each record, names it, and maps it; notes how many came at once.
    #[derive(Default)]
    struct Doubling {
        runs: Vec<usize>,
        /// This run's outputs have a record too few.
        short: Option<usize>,
        /// This run fails.
        failing: Option<usize>,
    }

    impl Engine for Doubling {
        fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
            let run = self.runs.len();
            self.runs.push(inputs[0].rows());
            if self.failing == Some(run) {
                return Err(RunError::Failed("as told".to_owned()));
            }
            let Data::Int64(ids) = inputs[0].data() else {
                panic!("{inputs:?}");
            };
            let doubled: Vec<i64> = ids.iter().map(|id| 2 * id).collect();
            let names: Vec<String> = inputs[1]
                .data()
                .floats()
                .unwrap()
                .iter()
                .map(f64::to_string)
                .collect();
            let rows = inputs[0].rows() - usize::from(self.short == Some(run));
            let doubled = Tensor::new(inputs[0].shape().to_vec(), Data::Int64(doubled.into()));
            let names = Tensor::new(vec![inputs[1].rows()], Data::String(names.into()));
            let maps = Value::Maps {
                keys: Arc::new(Keys::Int64(vec![3, 4])),
                values: inputs[0].slice_rows(0..rows),
            };
            let doubled = doubled.unwrap().slice_rows(0..rows);
            Ok(vec![
                Value::Tensor(doubled),
                Value::Tensor(names.unwrap()),
                maps,
            ])
        }
    }

    fn records(rows: usize) -> Vec<Tensor> {
        let ids: Vec<i64> = (0..2 * rows as i64).collect();
        let halves: Vec<f32> = (0..rows).map(|row| row as f32 / 2.0).collect();
        vec![
            Tensor::new(vec![rows, 2], Data::Int64(ids.into())).unwrap(),
            Tensor::new(vec![rows, 1], Data::Float32(halves.into())).unwrap(),
        ]
    }

    proptest! {
        #[test]
        fn parts_give_what_the_whole_gives(rows in 1_usize..40, each in 0_usize..50) {
            let inputs = records(rows);
            let whole = Doubling::default().run(&inputs).unwrap();
            let mut engine = Doubling::default();
            let parts = run(&mut engine, &inputs, each, || true).unwrap();
            prop_assert_eq!(parts, whole);
            prop_assert_eq!(engine.runs.iter().sum::<usize>(), rows);
            prop_assert!(engine.runs.iter().all(|part| *part <= each.max(1)));
        }
    }

    #[test]
    fn it_ends_with_the_part_that_it_is_in_when_nobody_waits() {
        let left = Cell::new(3);
        let mut engine = Doubling::default();
        let stopped = run(&mut engine, &records(10), 2, || {
            left.set(left.get() - 1);
            left.get() > 0
        });
        assert!(matches!(stopped, Err(Stopped::Abandoned)), "{stopped:?}");
        assert_eq!(engine.runs, [2, 2]);
    }

    #[test]
    fn what_fails_or_does_not_fit_is_told_apart() {
        let mut failing = Doubling {
            failing: Some(1),
            ..Doubling::default()
        };
        let stopped = run(&mut failing, &records(10), 4, || true);
        let Err(Stopped::Failed(RunError::Failed(reason))) = stopped else {
            panic!("{stopped:?}");
        };
        assert_eq!(reason, "as told");
        for at in 0..3 {
            let mut short = Doubling {
                short: Some(at),
                ..Doubling::default()
            };
            let stopped = run(&mut short, &records(10), 4, || true);
            assert!(matches!(stopped, Err(Stopped::Dependent)), "{stopped:?}");
        }
    }
}
