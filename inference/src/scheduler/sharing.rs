//! How many records of which size may share a run.

use super::batch::rows_of;
use crate::runtime::capacity::Most;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::tensor::Tensor;

/// What one model's requests may put into a run.
pub(super) struct Sharing {
    rows: AtomicUsize,
    elements: AtomicUsize,
}

impl Default for Sharing {
    fn default() -> Self {
        Self {
            rows: AtomicUsize::new(1),
            elements: AtomicUsize::new(usize::MAX),
        }
    }
}

impl Sharing {
    pub(super) fn set(&self, most: Most) {
        self.rows.store(most.rows.max(1), Relaxed);
        self.elements.store(most.elements, Relaxed);
    }

    /// Each request has a run to itself from now on.
    pub(super) fn stop(&self) {
        self.set(Most::ONE);
    }

    /// Records of a request, 0 where it shares no run, and the most of their size in a run.
    pub(super) fn of(&self, inputs: &[Tensor]) -> (usize, usize) {
        let most = self.rows.load(Relaxed);
        if most == 1 {
            return (0, 1);
        }
        let Some(rows) = rows_of(inputs) else {
            return (0, 1);
        };
        let elements: usize = inputs.iter().map(|input| input.data().len()).sum();
        let fit = self.elements.load(Relaxed).saturating_mul(rows) / elements.max(1);
        (rows, fit.clamp(1, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Data;

    fn tokens(shape: &[usize]) -> Vec<Tensor> {
        let ids = |()| {
            let ids = Data::Int64(vec![1; shape.iter().product()].into());
            Tensor::new(shape.to_vec(), ids).unwrap()
        };
        [(); 3].map(ids).into()
    }

    #[test]
    fn the_longer_the_records_the_fewer_share_a_run() {
        let sharing = Sharing::default();
        assert_eq!(sharing.of(&tokens(&[1, 1])), (0, 1));
        let elements = 64 * 3;
        sharing.set(Most { rows: 64, elements });
        for (shape, of) in [
            ([1, 1], (1, 64)),
            ([2, 16], (2, 4)),
            ([1, 20], (1, 3)),
            ([1, 32], (1, 2)),
            ([1, 33], (1, 1)),
            ([9, 512], (9, 1)),
            ([1, 0], (1, 64)),
        ] {
            assert_eq!(sharing.of(&tokens(&shape)), of, "{shape:?}");
        }
        sharing.set(Most {
            rows: 8,
            elements: usize::MAX,
        });
        assert_eq!(sharing.of(&tokens(&[3, 512])), (3, 8));
        sharing.stop();
        assert_eq!(sharing.of(&tokens(&[1, 1])), (0, 1));
    }
}
