//! Medians, spreads, and how they are written.

/// Lowest, middle and highest of some rounds.
pub struct Spread {
    /// The smallest value.
    pub lowest: f64,
    /// The median.
    pub middle: f64,
    /// The largest value.
    pub highest: f64,
}

impl Spread {
    /// Zeros when there are no values.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        let half = sorted.len() / 2;
        let middle = if sorted.len() % 2 == 1 {
            at(half)
        } else {
            (at(half.max(1) - 1) + at(half)) / 2.0
        };
        Self {
            lowest: at(0),
            middle,
            highest: at(sorted.len().max(1) - 1),
        }
    }
}

/// The middle value.
#[must_use]
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    Spread::of(&values.collect::<Vec<_>>()).middle
}

/// `middle (lowest – highest)`.
pub fn spread(values: &[f64], write: impl Fn(f64) -> String) -> String {
    let Spread {
        lowest,
        middle,
        highest,
    } = Spread::of(values);
    format!("{} ({} – {})", write(middle), write(lowest), write(highest))
}

/// A whole number with thousands set apart.
#[must_use]
pub fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
