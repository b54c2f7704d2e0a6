//! Which runs are so large that what they took of memory is given back at once.
//!
//! ONNX Runtime keeps what a run took for the next one. That is right for runs of the usual size, and
//! holds on for ever to what a single huge one needed; worse, the next huge one finds that in pieces
//! that do not fit and takes as much again.

/// Inputs of so many bytes are large whatever is usual: giving memory back costs little beside them.
const ALWAYS: usize = 8 << 20;
/// Inputs of fewer bytes never are.
const NEVER_BELOW: usize = 32 << 10;
/// How many times what is usual is large.
const TIMES: f64 = 8.0;
/// What is usual is the mean over about so many runs.
const RUNS: f64 = 16.0;

/// The usual size of a run.
#[derive(Debug, Default)]
pub(super) struct Usual {
    /// Bytes of all inputs.
    bytes: f64,
}

impl Usual {
    /// Takes in a run whose inputs have so many bytes; whether it is large.
    pub(super) fn is_passed_by(&mut self, bytes: usize) -> bool {
        let own = bytes as f64;
        let is_large = bytes >= ALWAYS || (bytes >= NEVER_BELOW && own > TIMES * self.bytes);
        self.bytes += (own - self.bytes) / RUNS;
        is_large
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_large_beside_those_before_it() {
        let mut usual = Usual::default();
        for _ in 0..100 {
            assert!(!usual.is_passed_by(256));
        }
        assert!(!usual.is_passed_by(NEVER_BELOW - 1));
        // Texts of a page among questions of a line, until they are what is asked.
        let large: Vec<bool> = (0..100).map(|_| usual.is_passed_by(100_000)).collect();
        assert!(large[0] && !large[99]);
        assert!(usual.is_passed_by(ALWAYS));
        for _ in 0..100 {
            usual.is_passed_by(ALWAYS);
        }
        assert!(usual.is_passed_by(ALWAYS), "usual or not");
        assert!(!usual.is_passed_by(ALWAYS - 1));
    }
}
