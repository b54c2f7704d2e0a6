//! How many records of which size may share a run.
//!
//! Warm-up measures the shortest records that the model takes. Of those as many share a run as were
//! measured to pay. Of larger ones as many as make a run that takes no longer than that one did: what
//! sharing saves is what every run takes, and once the records take much more than that, a larger run
//! is only a longer one. Until one of a size has been run alone, elements stand for time.

use super::batch::rows_of;
use super::cost::nanos;
use crate::runtime::capacity::Most;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use crate::tensor::Tensor;

/// What one model's requests may put into a run.
pub(super) struct Sharing {
    rows: AtomicUsize,
    elements: AtomicUsize,
    fixed_nanos: AtomicU64,
    longest_nanos: AtomicU64,
}

impl Default for Sharing {
    fn default() -> Self {
        let sharing = Self {
            rows: AtomicUsize::default(),
            elements: AtomicUsize::default(),
            fixed_nanos: AtomicU64::default(),
            longest_nanos: AtomicU64::default(),
        };
        sharing.stop();
        sharing
    }
}

impl Sharing {
    pub(super) fn set(&self, most: Most) {
        self.elements.store(most.elements, Relaxed);
        self.fixed_nanos.store(nanos(most.fixed), Relaxed);
        self.longest_nanos.store(nanos(most.longest), Relaxed);
        self.rows.store(most.rows.max(1), Relaxed);
    }

    /// Each request has a run to itself from now on.
    pub(super) fn stop(&self) {
        self.set(Most::ONE);
    }

    /// Records of a request, 0 where it shares no run, and the most of their size in a run.
    /// `alone_nanos` is what a request like it takes alone, 0 while that is not known.
    pub(super) fn of(&self, inputs: &[Tensor], alone_nanos: u64) -> (usize, usize) {
        let most = self.rows.load(Relaxed);
        if most == 1 {
            return (0, 1);
        }
        let Some(rows) = rows_of(inputs) else {
            return (0, 1);
        };
        let elements: usize = inputs.iter().map(|input| input.data().len()).sum();
        let fit = self.elements.load(Relaxed).saturating_mul(rows) / elements.max(1);
        if fit >= most {
            return (rows, most);
        }
        let fixed = self.fixed_nanos.load(Relaxed);
        let by_time = || {
            let room = self.longest_nanos.load(Relaxed).saturating_sub(fixed);
            let own = alone_nanos.saturating_sub(fixed).max(1);
            usize::try_from(room.saturating_mul(rows as u64) / own).unwrap_or(most)
        };
        let fit = match alone_nanos {
            0 => fit,
            _ => by_time(),
        };
        (rows, fit.clamp(1, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Data;
    use std::time::Duration;

    fn tokens(shape: &[usize]) -> Vec<Tensor> {
        let ids = |()| {
            let ids = Data::Int64(vec![1; shape.iter().product()].into());
            Tensor::new(shape.to_vec(), ids).unwrap()
        };
        [(); 3].map(ids).into()
    }

    /// A run of 64 texts of a token takes 15 ms, of which 2.2 are the run's own.
    fn encoder() -> Sharing {
        let sharing = Sharing::default();
        sharing.set(Most {
            rows: 64,
            elements: 64 * 3,
            fixed: Duration::from_micros(2_200),
            longest: Duration::from_micros(15_000),
        });
        sharing
    }

    #[test]
    fn the_longer_the_records_the_fewer_share_a_run() {
        assert_eq!(Sharing::default().of(&tokens(&[1, 1]), 0), (0, 1));
        let sharing = encoder();
        for (shape, of) in [
            ([1, 1], (1, 64)),
            ([2, 16], (2, 4)),
            ([1, 20], (1, 3)),
            ([1, 32], (1, 2)),
            ([1, 33], (1, 1)),
            ([9, 512], (9, 1)),
            ([1, 0], (1, 64)),
        ] {
            assert_eq!(sharing.of(&tokens(&shape), 0), of, "{shape:?}");
        }
        sharing.set(Most::records(8));
        assert_eq!(sharing.of(&tokens(&[3, 512]), 1_000_000_000), (3, 8));
        sharing.stop();
        assert_eq!(sharing.of(&tokens(&[1, 1]), 0), (0, 1));
    }

    #[test]
    fn what_a_size_takes_alone_says_how_many_of_it_share_a_run() {
        let sharing = encoder();
        let of = |shape: &[usize], micros: u64| sharing.of(&tokens(shape), 1_000 * micros);
        // Tokens that cost as much as those that were measured.
        assert_eq!(of(&[1, 32], 8_600), (1, 2));
        assert_eq!(of(&[1, 128], 28_000), (1, 1));
        // Many elements and little work, like what a decoder keeps of a text.
        assert_eq!(of(&[1, 4096], 3_000), (1, 16));
        assert_eq!(of(&[2, 4096], 3_000), (2, 32));
        assert_eq!(of(&[1, 4096], 2_000), (1, 64));
        // The size that was measured needs no second look, however long it takes today.
        assert_eq!(of(&[1, 1], 9_000), (1, 64));
    }
}
