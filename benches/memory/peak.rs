//! The most that one body takes: resident memory at its peak, from before the request to its reply, over
//! the size of the body. A server of its own for each, whose first large body it is: the arena that
//! ONNX Runtime keeps for later counts as well.
//!
//! Two models: one that adds up four numbers, and needs next to nothing for itself, shows what the
//! server holds; digits, whose layers are as wide as its input, what a real one makes of so many rows
//! at once. What bare ONNX Runtime takes for the same rows, them included, stands beside it.

use std::path::PathBuf;

use benches::bare::{self, Axes};
use benches::memory::{forget_peak, peak_bytes, resident_bytes};
use benches::served::Server;
use benches::server;
use benches::target::{self, Wanted};
use benches::Result;

use crate::bodies::Form;
use crate::Bench;

const BODY_BYTES: usize = 100_000_000;
/// Small requests before the large one.
const SMALL: usize = 100;

pub(crate) fn measure(bench: &Bench) -> Result<()> {
    for (model, file, columns) in [
        ("sum4", server::fixture("sum4")?, 4),
        ("digits", server::model("digits")?, 64),
    ] {
        for (name, form) in [("npy", Form::Npy), ("JSON", Form::Json)] {
            let (what, peak) = one_body(bench, (model, &file, columns), form)?;
            println!("  {model}, {name}: {what}");
            target::say(
                &format!("{model}, a body of 100 MB in {name}, peak of memory over its size"),
                peak,
                Wanted::AtMost(2.2),
            );
        }
    }
    Ok(())
}

/// What was seen, and the peak in sizes of the body.
fn one_body(
    bench: &Bench,
    (model, file, columns): (&str, &PathBuf, usize),
    form: Form,
) -> Result<(String, f64)> {
    let rows = form.rows_of(BODY_BYTES, columns);
    let small = form.body(1, columns);
    let server = bench
        .cores
        .serving(|| Server::on(file, model, &bench.files, &[], &small))?;
    for _ in 0..SMALL {
        bench.sender.once(&server.request)?;
    }
    let body = form.body(rows, columns);
    let request = body.sent_to(server.request.target())?;
    let process = server.child.id();
    let before = resident_bytes(process)?;
    let in_bodies = |bytes: u64| bytes as f64 / body.bytes.len() as f64;
    let above = |bytes: u64| in_bodies(bytes.saturating_sub(before));
    forget_peak(process)?;
    let reply = bench.sender.once(&request)?;
    let first = above(peak_bytes(process)?);
    let kept = above(resident_bytes(process)?);
    bench.sender.once(&request)?;
    let second = above(peak_bytes(process)?);
    let alone = bare::Model {
        library: &bench.files.library,
        file,
        axes: Axes {
            first: rows as i64,
            ..Axes::one_record(1)
        },
    };
    let alone = in_bodies(alone.memory_of_a_run(&bench.cores)?);
    let what = format!(
        "{rows} rows, {:.1} MB, a reply of {:.1} MB; in sizes of the body: peak {first:.2}, of two {second:.2}, kept after one {kept:.2}; bare ONNX Runtime with these rows {alone:.2}",
        body.bytes.len() as f64 / 1e6,
        reply.body.len() as f64 / 1e6,
    );
    Ok((what, first))
}
