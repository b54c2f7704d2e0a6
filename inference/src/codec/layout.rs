//! A record as a flat row of columns: which columns belong to which input. CSV lines and the
//! `features` rows of JSON are both read by it.
//!
//! Axis 0 of every input counts records. The inputs take their columns in the signature's order,
//! each as many as its remaining axes hold. One free axis among them takes what is left; inputs
//! whose free axes share a symbol share what is left equally.

use super::conform;
use super::error::misfit;
use super::DecodeError;
use crate::model::{Dim, Port, Signature};
use crate::tensor::element_count;

/// The columns of a model's inputs.
pub(super) struct Layout<'s> {
    inputs: Vec<(&'s Port, &'s [Dim])>,
    /// Columns of the inputs without a free axis.
    fixed: usize,
    /// Columns that each step of the free axis adds; `None` where no axis is free.
    step: Option<usize>,
}

impl<'s> Layout<'s> {
    /// Lays out the inputs.
    ///
    /// # Errors
    /// A reason where a flat record cannot be mapped onto them.
    pub(super) fn new(signature: &'s Signature) -> Result<Self, DecodeError> {
        let mut inputs = Vec::with_capacity(signature.inputs.len());
        let mut fixed = Some(0usize);
        let mut free: Option<(&Dim, Option<usize>)> = None;
        for port in &signature.inputs {
            conform::element(port)?;
            let refuse = |reason: &str| {
                misfit(format!(
                    "flat records do not fit input {port}: {reason}; use nested json or npy"
                ))
            };
            let Some((_, Some(dims))) = port.tensor() else {
                return Err(refuse("it declares no axes"));
            };
            let Some((_, axes)) = dims.split_first() else {
                return Err(refuse("it is a scalar, without an axis for records"));
            };
            let mut size = Some(1usize);
            let mut open: Option<&Dim> = None;
            for dim in axes {
                match dim {
                    Dim::Fixed(n) => size = size.and_then(|s| s.checked_mul(*n)),
                    _ if open.is_some() => return Err(refuse("two of its axes are free")),
                    _ => open = Some(dim),
                }
            }
            let total = |sum: Option<usize>| sum?.checked_add(size?);
            match (open, &mut free) {
                (None, _) => fixed = total(fixed),
                (Some(dim), None) => free = Some((dim, size)),
                (Some(dim), Some((known, step))) => {
                    // Unnamed axes are each their own.
                    if !matches!(dim, Dim::Symbol(_)) || dim != *known {
                        return Err(refuse("a second input has a free axis of its own"));
                    }
                    *step = total(*step);
                }
            }
            inputs.push((port, axes));
        }
        let overflow = || misfit("the inputs declare more columns than can be counted");
        Ok(Self {
            inputs,
            fixed: fixed.ok_or_else(overflow)?,
            step: match free {
                Some((_, step)) => Some(step.ok_or_else(overflow)?),
                None => None,
            },
        })
    }

    /// The shape of one record of each input, without axis 0, for rows of `columns` columns.
    ///
    /// # Errors
    /// The number of columns there should be, in words.
    pub(super) fn shapes(&self, columns: usize) -> Result<Vec<Vec<usize>>, String> {
        let rest = columns.checked_sub(self.fixed);
        let free = match (rest, self.step) {
            (Some(0), None) => Some(0),
            (Some(rest), Some(step)) if step > 0 && rest % step == 0 => Some(rest / step),
            _ => None,
        };
        let Some(free) = free else {
            return Err(self.expected());
        };
        let size = |dim: &Dim| match dim {
            Dim::Fixed(n) => *n,
            _ => free,
        };
        let shape = |(_, axes): &(_, &[Dim])| axes.iter().map(size).collect::<Vec<_>>();
        let shapes: Vec<_> = self.inputs.iter().map(shape).collect();
        debug_assert_eq!(
            shapes
                .iter()
                .filter_map(|s| element_count(s))
                .sum::<usize>(),
            columns
        );
        Ok(shapes)
    }

    /// The number of columns that rows need, and for which inputs.
    fn expected(&self) -> String {
        let count = match (self.fixed, self.step) {
            (fixed, None) => format!("{fixed}"),
            (0, Some(step)) => format!("a multiple of {step}"),
            (fixed, Some(step)) => format!("{fixed} and a multiple of {step}"),
        };
        // A table of hundred columns needs no list of their names.
        const NAMED: usize = 8;
        let mut names: Vec<_> = self
            .inputs
            .iter()
            .take(NAMED)
            .map(|(p, _)| p.to_string())
            .collect();
        if self.inputs.len() > NAMED {
            names.push(format!("{} more", self.inputs.len() - NAMED));
        }
        format!("{count} expected ({})", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::{mix, port, signature, sum4};
    use crate::tensor::ElementType::{Float32, Int64, String};

    #[test]
    fn columns_fill_the_inputs_in_order() {
        assert_eq!(Layout::new(&sum4()).unwrap().shapes(4), Ok(vec![vec![4]]));
        assert_eq!(
            Layout::new(&mix()).unwrap().shapes(4),
            Ok(vec![vec![2], vec![2]])
        );
        let image = signature(vec![port("x", Float32, "N,3,2,2")], vec![]);
        assert_eq!(
            Layout::new(&image).unwrap().shapes(12),
            Ok(vec![vec![3, 2, 2]])
        );
        let word = signature(vec![port("s", String, "N")], vec![]);
        assert_eq!(Layout::new(&word).unwrap().shapes(1), Ok(vec![vec![]]));
    }

    #[test]
    fn a_free_axis_takes_what_is_left_and_a_shared_one_is_shared() {
        let tail = signature(
            vec![port("a", Int64, "N,2"), port("x", Float32, "N,?,3")],
            vec![],
        );
        assert_eq!(
            Layout::new(&tail).unwrap().shapes(8),
            Ok(vec![vec![2], vec![2, 3]])
        );
        let text = signature(
            vec![port("ids", Int64, "N,L"), port("mask", Int64, "N,L")],
            vec![],
        );
        assert_eq!(
            Layout::new(&text).unwrap().shapes(6),
            Ok(vec![vec![3], vec![3]])
        );
        let odd = Layout::new(&text).unwrap().shapes(5).unwrap_err();
        assert_eq!(
            odd,
            "a multiple of 2 expected (ids int64[N,L], mask int64[N,L])"
        );
        let few = Layout::new(&tail).unwrap().shapes(4).unwrap_err();
        assert_eq!(
            few,
            "2 and a multiple of 3 expected (a int64[N,2], x float32[N,?,3])"
        );
    }

    #[test]
    fn inputs_that_no_flat_row_can_fill_are_refused_with_the_reason() {
        let cases = [
            (
                vec![port("x", Float32, "*")],
                "x float32 of any shape: it declares no axes",
            ),
            (
                vec![port("x", Float32, "")],
                "x float32[]: it is a scalar, without an axis for records",
            ),
            (
                vec![port("x", Float32, "N,?,?")],
                "x float32[N,?,?]: two of its axes are free",
            ),
            (
                vec![port("a", Float32, "N,L"), port("b", Float32, "N,M")],
                "b float32[N,M]: a second input has a free axis of its own",
            ),
        ];
        for (inputs, reason) in cases {
            let error = Layout::new(&signature(inputs, vec![])).err().unwrap();
            assert_eq!(
                error.to_string(),
                format!("flat records do not fit input {reason}; use nested json or npy")
            );
        }
    }

    #[test]
    fn a_wide_table_is_described_shortly() {
        let wide = (0..100)
            .map(|i| port(&format!("c{i}"), Float32, "N,1"))
            .collect();
        let text = Layout::new(&signature(wide, vec![]))
            .unwrap()
            .shapes(3)
            .unwrap_err();
        assert!(
            text.starts_with("100 expected (c0 float32[N,1], "),
            "{text}"
        );
        assert!(text.ends_with(", 92 more)"), "{text}");
    }
}
