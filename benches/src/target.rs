//! A target and whether it is kept, said in one line that `cargo xtask bench` gathers from all benches.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

/// What a figure has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Wanted {
    /// Whether `measured` keeps it; what could not be measured does not.
    #[must_use]
    pub fn is_kept_by(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(least) => measured >= least,
            Self::AtMost(most) => measured <= most,
        }
    }
}

/// The line: `target: NAME: 0.84, wanted at least 0.80: reached`.
#[must_use]
pub fn line(name: &str, measured: f64, wanted: Wanted) -> String {
    let verdict = if wanted.is_kept_by(measured) {
        "reached"
    } else {
        "NOT reached"
    };
    let (word, bound) = match wanted {
        Wanted::AtLeast(least) => ("at least", least),
        Wanted::AtMost(most) => ("at most", most),
    };
    format!("target: {name}: {measured:.2}, wanted {word} {bound:.2}: {verdict}")
}

/// Prints the line.
pub fn say(name: &str, measured: f64, wanted: Wanted) {
    println!("  {}", line(name, measured, wanted));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_wanted_and_whether_it_is_kept() {
        assert_eq!(
            line("digits", 0.841, Wanted::AtLeast(0.8)),
            "target: digits: 0.84, wanted at least 0.80: reached"
        );
        assert_eq!(
            line("p50", 35.0, Wanted::AtMost(20.0)),
            "target: p50: 35.00, wanted at most 20.00: NOT reached"
        );
        assert!(!Wanted::AtLeast(0.0).is_kept_by(f64::NAN));
        assert!(!Wanted::AtMost(0.0).is_kept_by(f64::NAN));
    }
}
