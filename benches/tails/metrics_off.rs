//! Metrics and limits on and off, for the model whose requests are so small that they show most.

use benches::figures::{count, median, spread};
use benches::served::{Files, Server};
use benches::target::{self, Wanted};
use benches::Result;

use crate::{plain, Bench};

const MODEL: &str = "digits";
/// Connections that keep the core busy.
const CONNECTIONS: usize = 32;
/// Rounds here for each of another part: what is looked for is a few percent.
const MORE: usize = 3;

/// Replies per CPU-second of all threads of the server, the sidecar's included: without; with, out of
/// the same program; and with, of the binary that ships.
pub(crate) fn measure(bench: &Bench) -> Result<()> {
    // Whether sharing runs pays is close for this model, and each server would decide for itself.
    let settings = [("PLIMSOLL_BATCHING", "off")];
    let start = |files: &Files| {
        bench
            .cores
            .serving(|| Server::start(files, MODEL, &settings))
    };
    let servers = [
        start(&bench.files.this_program(plain::WITHOUT)?)?,
        start(&bench.files.this_program(plain::WITH)?)?,
        start(&bench.files)?,
    ];
    let per_cpu_second = |server: &Server| -> Result<f64> {
        let before = server.child.cpu_seconds()?;
        let report = bench
            .sender
            .closed(&server.request, CONNECTIONS, bench.interval)?;
        Ok(report.answered as f64 / (server.child.cpu_seconds()? - before))
    };
    // Outside the figures: caches, arenas, connections.
    for server in &servers {
        per_cpu_second(server)?;
    }
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..MORE * bench.rounds {
        // Each is first, second and last equally often.
        for turn in 0..servers.len() {
            let which = (round + turn) % servers.len();
            rates[which].push(per_cpu_second(&servers[which])?);
        }
    }
    let [without, with, shipped] = &rates;
    for (name, rates) in [
        ("without metrics, limits never met", without),
        ("as shipped, out of the same program", with),
        ("the binary that ships", shipped),
    ] {
        println!(
            "  {name:<36} {} replies per CPU-second",
            spread(rates, count)
        );
    }
    let over = |rates: &[f64]| -> Vec<f64> {
        let pairs = rates.iter().zip(without);
        pairs.map(|(rate, without)| rate / without).collect()
    };
    let (same, other) = (over(with), over(shipped));
    let two = |ratio: f64| format!("{ratio:.3}");
    println!(
        "  over without: {} out of the same program, {} the binary that ships",
        spread(&same, two),
        spread(&other, two)
    );
    target::say(
        "digits, 32 connections, replies per CPU-second with metrics and limits over without",
        median(same.into_iter()),
        Wanted::AtLeast(0.97),
    );
    Ok(())
}
