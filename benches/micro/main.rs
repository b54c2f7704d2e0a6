//! Small steps of the request path and of publishing, each by itself, with criterion: it says how sure
//! it is, and whether a figure has changed since the last run on this machine.
//!
//! Where a step has a natural floor, it stands in the same group as `…, floor`. These figures have no
//! targets; the benches with floors that are held (`codec`, `recording`) interleave the two, which
//! criterion does not.

mod codec;
mod encoding;
mod plan;
mod recording;

#[expect(dead_code, reason = "the bench `codec` has more of them")]
#[path = "../codec/binary.rs"]
mod binary;
#[expect(dead_code, reason = "the bench `codec` has more of them")]
#[path = "../codec/bodies.rs"]
mod bodies;
#[path = "../recording/request.rs"]
mod request;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        // What two runs on a quiet machine differ by is no change.
        .noise_threshold(0.05)
        .configure_from_args();
    codec::bench(&mut criterion);
    plan::bench(&mut criterion);
    recording::bench(&mut criterion);
    encoding::bench(&mut criterion);
    criterion.final_summary();
}
