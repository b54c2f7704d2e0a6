//! How many records of which size may share a run.
//!
//! Warm-up measures the shortest records that the model takes. Of those as many share a run as were
//! measured to pay. What sharing saves is what every run takes, however little is in it: of larger
//! records as many share one as leave a tenth of their own work of that, and no more, since a larger run
//! would only be a longer one. Until one of a size has been run, elements stand for time.

use super::batch::rows_of;
use super::cost::nanos;
use crate::runtime::capacity::Most;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use crate::tensor::{ElementType, Tensor};

/// What every run takes is little beside so many times as much.
const LITTLE: u64 = 10;
/// A part of a large request is no smaller than this in bytes: what is around a run would show.
const SMALLEST_PART: usize = 128 << 10;

/// What one model's requests may put into a run.
pub(super) struct Sharing {
    part: AtomicUsize,
    rows: AtomicUsize,
    elements: AtomicUsize,
    fixed_nanos: AtomicU64,
}

impl Default for Sharing {
    fn default() -> Self {
        let sharing = Self {
            part: AtomicUsize::default(),
            rows: AtomicUsize::default(),
            elements: AtomicUsize::default(),
            fixed_nanos: AtomicU64::default(),
        };
        sharing.stop();
        sharing
    }
}

impl Sharing {
    pub(super) fn set(&self, most: Most) {
        self.elements.store(most.elements, Relaxed);
        self.fixed_nanos.store(nanos(most.fixed), Relaxed);
        self.part.store(most.part, Relaxed);
        self.rows.store(most.rows.max(1), Relaxed);
    }

    /// Each request has a run to itself from now on.
    pub(super) fn stop(&self) {
        self.set(Most::ONE);
    }

    /// Records of a request, 0 where it shares no run, and the most of their size in a run.
    /// `own_nanos` is what a request like it adds to a run, 0 while that is not known.
    pub(super) fn of(&self, inputs: &[Tensor], own_nanos: u64) -> (usize, usize) {
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
        let fit = match own_nanos {
            0 => fit,
            own => {
                let room = self.fixed_nanos.load(Relaxed).saturating_mul(LITTLE);
                let records = room.saturating_mul(rows as u64) / own;
                usize::try_from(records).unwrap_or(most)
            }
        };
        (rows, fit.clamp(1, most))
    }

    /// Records in each part of a request that runs part by part; `None` where it runs whole.
    pub(super) fn part_of(&self, inputs: &[Tensor]) -> Option<usize> {
        let elements: usize = inputs.iter().map(|input| input.data().len()).sum();
        let part = self.part.load(Relaxed);
        if elements / 2 < part {
            return None;
        }
        let rows = rows_of(inputs)?;
        // What is wrong with one is said by its place in the whole.
        let is_text = |input: &Tensor| input.element_type() == ElementType::String;
        if inputs.iter().any(is_text) {
            return None;
        }
        let bytes: usize = inputs.iter().map(Tensor::bytes).sum();
        let records =
            |of: usize, all: usize| (rows as u128 * of as u128 / all.max(1) as u128) as usize;
        let most = records(part, elements)
            .max(records(SMALLEST_PART, bytes))
            .max(1);
        let parts = rows.div_ceil(most);
        (rows / 2 >= most).then(|| rows.div_ceil(parts))
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

    /// A run takes 2.2 ms, and 0.2 a token.
    fn encoder() -> Sharing {
        let sharing = Sharing::default();
        sharing.set(Most {
            rows: 64,
            elements: 64 * 3,
            fixed: Duration::from_micros(2_200),
            part: 16 * 64 * 3,
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
    fn a_large_request_has_parts_that_are_about_as_large() {
        let sharing = encoder();
        for (shape, part) in [
            ([1, 512], None),
            // 128 KiB of 24 bytes a token.
            ([5461, 1], None),
            ([20_000, 1], Some(5_000)),
            ([19, 512], None),
            ([20, 512], Some(10)),
            ([22, 512], Some(8)),
            ([256, 512], Some(10)),
            // One record is never parted.
            ([1, 100_000], None),
            ([2, 100_000], Some(1)),
        ] {
            assert_eq!(sharing.part_of(&tokens(&shape)), part, "{shape:?}");
        }
        let text = Data::String(vec![String::from("a"); 20_000].into());
        let text = Tensor::new(vec![20_000, 1], text).unwrap();
        assert_eq!(sharing.part_of(&[text]), None);
        let uneven: Vec<Tensor> = [[256, 512], [1, 512]]
            .iter()
            .flat_map(|s| tokens(s))
            .collect();
        assert_eq!(sharing.part_of(&uneven), None);
        sharing.stop();
        assert_eq!(sharing.part_of(&tokens(&[256, 512])), None);
        assert_eq!(Sharing::default().part_of(&tokens(&[256, 512])), None);
    }

    #[test]
    fn what_a_size_adds_to_a_run_says_how_many_of_it_share_one() {
        let sharing = encoder();
        let of = |shape: &[usize], micros: u64| sharing.of(&tokens(shape), 1_000 * micros);
        // Tokens that cost as much as those that were measured.
        assert_eq!(of(&[1, 8], 1_600), (1, 13));
        assert_eq!(of(&[1, 32], 6_400), (1, 3));
        assert_eq!(of(&[1, 128], 25_600), (1, 1));
        // Many elements and little work, like what a decoder keeps of a text.
        assert_eq!(of(&[1, 4096], 800), (1, 27));
        assert_eq!(of(&[2, 4096], 800), (2, 55));
        assert_eq!(of(&[1, 4096], 1), (1, 64));
        // The size that was measured needs no second look, however long it takes today.
        assert_eq!(of(&[1, 1], 9_000), (1, 64));
    }
}
