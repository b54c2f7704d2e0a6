//! Requests of all sizes for ten minutes: memory that is kept after the last against after the first.

use std::time::{Duration, Instant};

use benches::memory::resident_bytes;
use benches::served::Server;
use benches::target::{self, Wanted};
use benches::Result;
use probe::Request;

use crate::bodies::Form;
use crate::Bench;

/// Numbers in a row of digits.
const COLUMNS: usize = 64;
const MINUTES: usize = 10;
/// Rows of the requests; small ones come more often.
const ROWS: [(usize, usize); 6] = [
    (1, 400),
    (10, 200),
    (100, 100),
    (1_000, 20),
    (10_000, 4),
    (100_000, 1),
];
/// Requests at once.
const AT_ONCE: usize = 3;
/// From the last reply to the reading.
const QUIET: Duration = Duration::from_millis(500);

pub(crate) fn measure(bench: &Bench) -> Result<()> {
    let minute = match bench.quick {
        true => Duration::from_secs(3),
        false => Duration::from_secs(60),
    };
    let server = bench
        .cores
        .serving(|| Server::asked(&bench.files, "digits", &[], &Form::Json.body(1, COLUMNS)))?;
    let mut requests = Vec::new();
    for form in [Form::Npy, Form::Json] {
        for (rows, times) in ROWS {
            let request = form.body(rows, COLUMNS).sent_to(server.request.target())?;
            requests.extend(std::iter::repeat_n(request, times));
        }
    }
    let mut readings = Vec::new();
    let mut answered = 0;
    let mut begin = 0;
    for _ in 0..MINUTES {
        let sent = bench.sender.run(all_sizes(&requests, begin, minute))?;
        answered += sent;
        begin += sent;
        std::thread::sleep(QUIET);
        readings.push(resident_bytes(server.child.id())? as f64 / 1e6);
    }
    let list: Vec<String> = readings.iter().map(|mb| format!("{mb:.0}")).collect();
    println!(
        "  digits, {answered} requests of 1 to 100,000 rows in npy and JSON, {AT_ONCE} at once; MB after each of {MINUTES} times {} s: {}",
        minute.as_secs(),
        list.join(", ")
    );
    let (first, last) = (readings[0], readings[MINUTES - 1]);
    let shorter = match bench.quick {
        true => " (a minute of 3 s)",
        false => "",
    };
    target::say(
        &format!("digits, requests of all sizes, memory after ten minutes over after one{shorter}"),
        last / first,
        Wanted::AtMost(1.1),
    );
    Ok(())
}

/// Sends for so long; how many were answered. The requests are taken in an order that leaves no
/// neighbours beside one another, from the one at `begin`.
async fn all_sizes(requests: &[Request], begin: usize, time: Duration) -> Result<usize> {
    let end = Instant::now() + time;
    let next = std::cell::Cell::new(begin);
    let one = async || -> Result<usize> {
        let mut answered = 0;
        while Instant::now() < end {
            let turn = next.replace(next.get() + 1);
            let request = &requests[turn * STRIDE % requests.len()];
            let reply = probe::once(request).await?;
            if reply.status != 200 {
                let said = String::from_utf8_lossy(&reply.body).into_owned();
                return Err(format!("status {}: {said}", reply.status).into());
            }
            answered += 1;
        }
        Ok(answered)
    };
    let (a, b, c) = tokio::try_join!(one(), one(), one())?;
    Ok(a + b + c)
}

/// Shares no factor with the number of requests, 1450.
const STRIDE: usize = 601;
