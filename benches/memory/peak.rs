//! The most that one body takes: resident memory at its peak, from before the request to its reply, over
//! the size of the body. A server of its own for each, whose first large body it is: the arena that
//! ONNX Runtime keeps for later counts as well.

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
    for (name, form) in [("npy", Form::Npy), ("JSON", Form::Json)] {
        let rows = form.rows_of(BODY_BYTES);
        let small = form.body(1);
        let server = bench
            .cores
            .serving(|| Server::asked(&bench.files, "digits", &[], &small))?;
        for _ in 0..SMALL {
            bench.sender.once(&server.request)?;
        }
        let body = form.body(rows);
        let request = body.sent_to(server.request.target())?;
        let process = server.child.id();
        let of_body = |bytes: u64| bytes as f64 / body.bytes.len() as f64;
        let before = resident_bytes(process)?;
        forget_peak(process)?;
        let reply = bench.sender.once(&request)?;
        let first = of_body(peak_bytes(process)?.saturating_sub(before));
        let kept = of_body(resident_bytes(process)?.saturating_sub(before));
        bench.sender.once(&request)?;
        let again = of_body(peak_bytes(process)?.saturating_sub(before));
        let file = server::model("digits")?;
        let alone = bare::Model {
            library: &bench.files.library,
            file: &file,
            axes: Axes {
                first: rows as i64,
                ..Axes::one_record(1)
            },
        };
        let alone = of_body(alone.memory_of_a_run(&bench.cores)?);
        println!(
            "  digits, {name}: {rows} rows, {:.1} MB, a reply of {:.1} MB; in bodies: peak {first:.2}, after two {again:.2}, kept {kept:.2}; bare ONNX Runtime with these rows {alone:.2}",
            body.bytes.len() as f64 / 1e6,
            reply.body.len() as f64 / 1e6,
        );
        target::say(
            &format!("digits, a body of 100 MB in {name}, peak of memory over its size"),
            first,
            Wanted::AtMost(2.2),
        );
    }
    Ok(())
}
