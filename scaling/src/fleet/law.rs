//! Service times: log-normal, by a table.

use super::random::Random;

/// Cells of equal probability. A cell stands for the mean of the values in it, so that the law's mean is
/// exact; what its variance lacks is the spread inside of the cells.
const CELLS: usize = 4096;

/// A law of mean 1.
#[derive(Debug, Clone)]
pub(super) struct Law {
    /// Empty where every value is 1.
    cells: Vec<f32>,
}

/// The standard normal distribution up to `z`.
fn normal(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// Where the standard normal distribution reaches `p`, by halving.
fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        match normal(middle) < p {
            true => low = middle,
            false => high = middle,
        }
    }
    0.5 * (low + high)
}

impl Law {
    /// Of this standard deviation ÷ mean.
    pub(super) fn new(cv: f64) -> Self {
        if cv <= 0.0 {
            return Self { cells: Vec::new() };
        }
        let sigma = (1.0 + cv * cv).ln().sqrt();
        // The mean of a cell is the part of the mean in it: exp(σz) moves the normal law by σ.
        let below = |cell: usize| match cell {
            0 => 0.0,
            CELLS => 1.0,
            cell => normal(quantile(cell as f64 / CELLS as f64) - sigma),
        };
        let edges: Vec<f64> = (0..=CELLS).map(below).collect();
        let means = edges
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) * CELLS as f64);
        Self {
            cells: means.map(|mean| mean as f32).collect(),
        }
    }

    /// The means of so many equal parts of it.
    pub(super) fn parts(&self, parts: usize) -> Vec<f64> {
        if self.cells.is_empty() {
            return vec![1.0; parts];
        }
        let part = |n: usize| {
            let cells = &self.cells[n * CELLS / parts..(n + 1) * CELLS / parts];
            cells.iter().map(|&cell| f64::from(cell)).sum::<f64>() / cells.len() as f64
        };
        (0..parts).map(part).collect()
    }

    pub(super) fn draw(&self, random: &mut Random) -> f64 {
        if self.cells.is_empty() {
            return 1.0;
        }
        f64::from(self.cells[random.below(CELLS as u32) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_spread_are_as_asked() {
        for cv in [0.3, 0.68, 1.1, 2.0] {
            let law = Law::new(cv);
            let n = CELLS as f64;
            let values = || law.cells.iter().map(|&value| f64::from(value));
            let mean = values().sum::<f64>() / n;
            let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            assert!((mean - 1.0).abs() < 1e-5, "mean {mean} for cv {cv}");
            let short = variance.sqrt() / cv;
            assert!((0.9..=1.0).contains(&short), "cv {cv}: {short} of it");
        }
        let even = Law::new(0.0);
        assert_eq!(even.draw(&mut Random::new(1)), 1.0);
    }
}
