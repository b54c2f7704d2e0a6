//! Which requests share a run, and how their records are put together and taken apart.
//!
//! Pure: reads no clock, touches no queue. Requests share a run where their records have the same
//! types and shapes, and where the run stays within the most records that pay.

use std::collections::VecDeque;

use super::queue::{self, Fit};
use super::{Job, Request};
use crate::tensor::{Tensor, Value};

/// What somebody asks of a model: records, as tensors hold them.
pub trait Records {
    /// Records, where they may share a run; otherwise 0.
    fn rows(&self) -> usize;

    /// The most records of this size that share a run.
    fn most_rows(&self) -> usize;

    /// The tensors, in the signature's order.
    fn inputs(&self) -> &[Tensor];
}

impl Records for Job {
    fn rows(&self) -> usize {
        self.request.rows
    }

    fn most_rows(&self) -> usize {
        self.request.most_rows
    }

    fn inputs(&self) -> &[Tensor] {
        &self.request.inputs
    }
}

/// What one run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Records.
    pub rows: usize,
    /// Records of the request that brought most.
    pub largest: usize,
    /// Requests that brought them.
    pub requests: usize,
    /// The most records of their size that share a run.
    pub most: usize,
}

impl Batch {
    /// What these jobs bring. A job whose records cannot be told counts as one.
    pub(super) fn of(jobs: &[impl Records]) -> Self {
        let rows = || jobs.iter().map(|job| job.rows().max(1));
        Self {
            rows: rows().sum(),
            largest: rows().max().unwrap_or(0),
            requests: jobs.len(),
            most: jobs.first().map_or(1, Records::most_rows),
        }
    }

    /// One request's.
    pub(super) fn of_one(request: &Request) -> Self {
        let rows = request.rows.max(1);
        Self {
            rows,
            largest: rows,
            requests: 1,
            most: request.most_rows,
        }
    }
}

/// Records that a request brings; `None` where its inputs do not agree on a number, or there are
/// none.
pub fn rows_of(inputs: &[Tensor]) -> Option<usize> {
    let rows = inputs.first()?.shape().first().copied()?;
    let same = |input: &Tensor| input.shape().first() == Some(&rows);
    (rows > 0 && inputs.iter().all(same)).then_some(rows)
}

/// Whether `next` may share a run with those `taken`, which are one at least.
pub(super) fn fit<R: Records>(taken: &[R], next: &R) -> Fit {
    let Some(first) = taken.first() else {
        return Fit::Full;
    };
    let (rows, most_rows) = (Batch::of(taken).rows, first.most_rows());
    if first.rows() == 0 || rows >= most_rows {
        return Fit::Full;
    }
    if next.rows() == 0 || rows + next.rows() > most_rows {
        return Fit::Stays;
    }
    let alike = |(one, other): (&Tensor, &Tensor)| {
        one.element_type() == other.element_type() && one.shape().get(1..) == other.shape().get(1..)
    };
    let (one, other) = (first.inputs(), next.inputs());
    match one.len() == other.len() && one.iter().zip(other).all(alike) {
        true => Fit::Joins,
        false => Fit::Stays,
    }
}

/// Takes the first out of a list, which keeps its order, and those that share a run with it, of at
/// most as many records as it allows: they are alike in the types of their tensors and the shapes of
/// their records. A larger request is taken alone.
pub fn take_first<R: Records>(jobs: &mut VecDeque<R>) -> Vec<R> {
    queue::take(jobs, fit)
}

/// The inputs of several jobs as one run's; `None` where they do not join after all.
pub(super) fn joined(jobs: &[impl Records]) -> Option<Vec<Tensor>> {
    let ports = jobs.first()?.inputs().len();
    (0..ports)
        .map(|port| {
            let parts: Option<Vec<&Tensor>> =
                jobs.iter().map(|job| job.inputs().get(port)).collect();
            Tensor::concat_rows(&parts?)
        })
        .collect()
}

/// One run's outputs as each job's; `None` where an output has not a record for each record.
pub(super) fn split(outputs: &[Value], jobs: &[impl Records]) -> Option<Vec<Vec<Value>>> {
    let rows = Batch::of(jobs).rows;
    if outputs.iter().any(|output| output.rows() != Some(rows)) {
        return None;
    }
    let mut begin = 0;
    jobs.iter()
        .map(|job| {
            let own = begin..begin + job.rows();
            begin = own.end;
            let part = |output: &Value| output.slice_rows(own.clone());
            outputs.iter().map(part).collect()
        })
        .collect()
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod properties;

#[cfg(test)]
mod tests {
    use super::super::Request;
    use super::*;
    use crate::tensor::Data;
    use std::time::Instant;

    fn tensor(shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        Tensor::new(shape.to_vec(), Data::Float32(vec![1.0; count].into())).unwrap()
    }

    fn job(most_rows: usize, inputs: Vec<Tensor>) -> Job {
        let now = Instant::now();
        let request = Request {
            rows: rows_of(&inputs).unwrap_or(0),
            most_rows,
            inputs,
            class: 0,
            work_nanos: 0,
            queued: now,
            deadline: now,
        };
        Job::new(request).0
    }

    #[test]
    fn records_are_counted_where_all_inputs_agree() {
        assert_eq!(rows_of(&[tensor(&[3, 2]), tensor(&[3])]), Some(3));
        assert_eq!(rows_of(&[tensor(&[3, 2]), tensor(&[2])]), None);
        assert_eq!(rows_of(&[tensor(&[])]), None);
        assert_eq!(rows_of(&[tensor(&[0, 2])]), None);
        assert_eq!(rows_of(&[]), None);
    }

    #[test]
    fn jobs_of_one_shape_share_a_run_up_to_the_limit() {
        let shapes: [&[usize]; 6] = [&[1, 4], &[2, 4], &[1, 5], &[1, 4], &[4, 4], &[1, 4]];
        let mut jobs: VecDeque<Job> = shapes.map(|shape| job(5, vec![tensor(shape)])).into();
        let first = take_first(&mut jobs);
        assert_eq!(
            Batch::of(&first),
            Batch {
                largest: 2,
                rows: 5,
                requests: 4,
                most: 5
            }
        );
        assert_eq!(jobs.len(), 2);
        assert_eq!(take_first(&mut jobs).len(), 1);
        assert_eq!(take_first(&mut jobs).len(), 1);
        assert!(take_first(&mut jobs).is_empty());
    }

    #[test]
    fn a_request_larger_than_the_limit_runs_alone() {
        let mut jobs =
            VecDeque::from([job(8, vec![tensor(&[9, 4])]), job(8, vec![tensor(&[1, 4])])]);
        assert_eq!(take_first(&mut jobs).len(), 1);
        assert_eq!(jobs.len(), 1);
    }

    #[test]
    fn each_job_gets_its_own_records_back() {
        let numbered = |shape: &[usize], from: i64| {
            let count = shape.iter().product::<usize>() as i64;
            let data = Data::Int64((from..from + count).collect::<Vec<_>>().into());
            Tensor::new(shape.to_vec(), data).unwrap()
        };
        let jobs = [
            job(8, vec![numbered(&[1, 2], 0)]),
            job(8, vec![numbered(&[2, 2], 2)]),
        ];
        let all = joined(&jobs).unwrap();
        assert_eq!(all, [numbered(&[3, 2], 0)]);
        let outputs = all.into_iter().map(Value::Tensor).collect::<Vec<_>>();
        let parts = split(&outputs, &jobs).unwrap();
        assert_eq!(parts[0], [Value::Tensor(numbered(&[1, 2], 0))]);
        assert_eq!(parts[1], [Value::Tensor(numbered(&[2, 2], 2))]);
        let scalar = [Value::Tensor(tensor(&[]))];
        assert_eq!(split(&scalar, &jobs), None);
        let short = [Value::Tensor(tensor(&[2, 2]))];
        assert_eq!(split(&short, &jobs), None);
    }
}
