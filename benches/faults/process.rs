//! What a server's process and its page say, and a stdout that is full.

use std::io::Write;
use std::process::Stdio;

use benches::Result;
use probe::{Request, Target};

/// Memory that a process has in use.
pub(crate) fn rss_kb(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Ok(line.ok_or("no VmRSS in /proc status")?.trim().parse()?)
}

/// Periods published and dropped, and attempts that failed.
pub(crate) fn counts(runtime: &tokio::runtime::Runtime, port: u16) -> Result<String> {
    let target = Target::parse(&format!("http://127.0.0.1:{port}/metrics"))?;
    let reply = runtime.block_on(probe::once(&Request::get(&target, &[])?))?;
    let page = String::from_utf8_lossy(&reply.body);
    let count = |name: &str| {
        let series = format!("plimsoll_sidecar_{name}_total ");
        let line = page.lines().find_map(|line| line.strip_prefix(&series));
        line.ok_or(format!("no {series}on the page"))
    };
    Ok(format!(
        "{}, {}; {}",
        count("periods_published")?,
        count("periods_dropped")?,
        count("publish_failures")?
    ))
}

/// A stdout that is full; nobody can write to it while the reader is there and does not read.
pub(crate) fn blocked_stdout() -> Result<(std::io::PipeReader, Stdio)> {
    let (reader, writer) = std::io::pipe()?;
    let mut filler = writer.try_clone()?;
    // Far more than a pipe holds: it waits until the reader is gone.
    std::thread::spawn(move || filler.write_all(&[b'\n'; 1 << 20]));
    Ok((reader, writer.into()))
}
