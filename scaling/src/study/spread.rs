//! A figure over several runs.

use serde::{Deserialize, Serialize};

/// Mean, least and most of a figure over the runs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Least.
    pub least: f64,
    /// Most.
    pub most: f64,
}

impl Spread {
    /// Of these values; all 0 where there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let Some(&first) = values.first() else {
            return Self::default();
        };
        Self {
            mean: mean(values),
            least: values.iter().copied().fold(first, f64::min),
            most: values.iter().copied().fold(first, f64::max),
        }
    }
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / (values.len() as f64).max(1.0)
}

/// How far the mean of what these values were drawn from may lie from their mean, in 19 of 20 cases
/// (Student's distribution, by the expansion of Cornish and Fisher); without a bound for one value.
pub(super) fn margin(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if n < 2.0 {
        return f64::INFINITY;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let (z, freedom) = (1.959_964_f64, n - 1.0);
    let first = (z.powi(3) + z) / (4.0 * freedom);
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * freedom.powi(2));
    let third = 3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z;
    let third = third / (384.0 * freedom.powi(3));
    (z + first + second + third) * (squares / freedom / n).sqrt()
}
