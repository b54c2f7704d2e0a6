//! One container of the image: started, asked, stopped, and removed when it is let go.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::engine::Engine;
use crate::command::captured;
use crate::Result;

/// Tells the containers of these checks from others.
const LABEL: &str = "plimsoll.check";
/// How long a server may take to be ready on a busy machine.
const READY_PATIENCE: Duration = Duration::from_secs(30);

/// A container.
pub struct Container {
    engine: Engine,
    id: String,
}

/// How a container ended.
pub struct End {
    /// Exit code.
    pub code: i32,
    /// From when it was asked or started.
    pub took: Duration,
    /// All that it said.
    pub log: String,
}

impl Container {
    /// Starts one with `options` for the engine and `arguments` for the image.
    pub fn start(
        engine: Engine,
        image: &str,
        options: &[&str],
        arguments: &[&str],
    ) -> Result<Self> {
        let head = ["run", "--detach", "--label", LABEL];
        let id = engine.ask(&[&head[..], options, &[image], arguments].concat())?;
        Ok(Self { engine, id })
    }

    /// The same with a model and a port of this machine, `serve`, and a wait until it is ready.
    pub fn serve(engine: Engine, image: &str, model: &Path, options: &[&str]) -> Result<Self> {
        let volume = format!("{}:/opt/ml/model:ro", model.display());
        let published = ["--publish", "127.0.0.1::8080", "--volume", &volume];
        let options = [&published[..], options].concat();
        let container = Self::start(engine, image, &options, &["serve"])?;
        container.ready()?;
        Ok(container)
    }

    /// Waits for the first 200 of `/ping`; how long after the start of its process that came.
    pub fn ready(&self) -> Result<Duration> {
        let url = format!("{}/ping", self.url()?);
        let begun = Instant::now();
        for tries in 1_u32.. {
            if ureq::get(&url).call().is_ok() {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let now = now.map_err(|error| format!("the clock is wrong: {error}"))?;
                return self.since_start(now);
            }
            // Seldom: asking the engine takes longer than a start may be off by.
            let gave_up = begun.elapsed() > READY_PATIENCE;
            if gave_up || tries % 500 == 0 && !self.runs()? {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(format!("it is not ready; it said:\n{}", self.log()?))
    }

    /// The time since the engine saw the process start; both clocks are this machine's.
    fn since_start(&self, now: Duration) -> Result<Duration> {
        let started = self.inspect("{{.State.StartedAt}}")?;
        let of_day = seconds_of_day(&started)
            .ok_or_else(|| format!("the engine says that it started at {started}"))?;
        let since = (now.as_secs_f64() - of_day).rem_euclid(86_400.0);
        Ok(Duration::from_secs_f64(since))
    }

    /// Its address on this machine, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> Result<String> {
        let ports = self.engine.ask(&["port", &self.id])?;
        let address = ports.lines().find_map(|line| line.split(" -> ").nth(1));
        let address = address.ok_or("the engine published no port")?;
        Ok(format!("http://{address}"))
    }

    /// Asks `/invocations` for JSON.
    pub fn invoke(&self, body: &str) -> Result<String> {
        let url = format!("{}/invocations", self.url()?);
        let reply = ureq::post(&url)
            .header("Content-Type", "application/json")
            .send(body);
        let mut reply = reply.map_err(|error| format!("/invocations: {error}"))?;
        let text = reply.body_mut().read_to_string();
        text.map_err(|error| format!("/invocations: {error}"))
    }

    /// A value of `GET /metrics`.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let reply = ureq::get(format!("{}/metrics", self.url()?)).call();
        let mut reply = reply.map_err(|error| format!("/metrics: {error}"))?;
        let page = reply.body_mut().read_to_string();
        let page = page.map_err(|error| format!("/metrics: {error}"))?;
        let value = page.lines().find_map(|line| {
            let rest = line
                .strip_prefix(name)?
                .trim_start_matches(|c: char| c != ' ');
            rest.trim().parse().ok()
        });
        value.ok_or_else(|| format!("/metrics has no {name}"))
    }

    /// Runs a command inside.
    pub fn inside(&self, command: &[&str]) -> Result<String> {
        self.engine
            .ask(&[&["exec", self.id.as_str()][..], command].concat())
    }

    /// What the engine knows of it.
    pub fn inspect(&self, format: &str) -> Result<String> {
        self.engine.ask(&["inspect", "--format", format, &self.id])
    }

    /// Its name for the engine.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The number of its process 1 on this machine.
    pub fn process(&self) -> Result<u32> {
        let number = self.inspect("{{.State.Pid}}")?;
        number
            .parse()
            .map_err(|_| format!("{number} is no process"))
    }

    fn runs(&self) -> Result<bool> {
        Ok(self.inspect("{{.State.Running}}")? == "true")
    }

    /// All that it said, on either stream.
    pub fn log(&self) -> Result<String> {
        let output = captured(&mut self.engine.command(&["logs", &self.id]))?;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Waits until it ends by itself.
    pub fn end(&self, patience: Duration) -> Result<End> {
        let begun = Instant::now();
        while self.runs()? {
            if begun.elapsed() > patience {
                return Err(format!(
                    "still running after {} s; it said:\n{}",
                    patience.as_secs(),
                    self.log()?
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
        let code = self.inspect("{{.State.ExitCode}}")?;
        Ok(End {
            code: code
                .parse()
                .map_err(|_| format!("{code} is no exit code"))?,
            took: begun.elapsed(),
            log: self.log()?,
        })
    }

    /// Sends SIGTERM and waits until it has ended.
    pub fn stop(&self, patience: Duration) -> Result<End> {
        self.engine.ask(&["kill", "--signal", "TERM", &self.id])?;
        self.end(patience)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.engine.ask(&["rm", "--force", "--volumes", &self.id]);
    }
}

/// Removes what checks that were cut off have left.
pub fn sweep(engine: Engine) -> Result<()> {
    let filter = format!("label={LABEL}");
    let left = engine.ask(&["ps", "--all", "--quiet", "--filter", &filter])?;
    for id in left.lines() {
        engine.ask(&["rm", "--force", id])?;
    }
    Ok(())
}

/// Of a time stamp such as `2026-05-01T09:30:00.25Z`, the seconds since midnight.
fn seconds_of_day(stamp: &str) -> Option<f64> {
    let (_, time) = stamp.split_once('T')?;
    let mut parts = time.strip_suffix('Z')?.split(':');
    let mut part = || parts.next()?.parse::<f64>().ok();
    Some((part()? * 60.0 + part()?) * 60.0 + part()?)
}

#[cfg(test)]
mod tests {
    use super::seconds_of_day;

    #[test]
    fn a_time_stamp_has_its_seconds_of_the_day() {
        assert_eq!(seconds_of_day("2026-05-01T09:30:00.25Z"), Some(34_200.25));
        assert_eq!(seconds_of_day("2026-05-01"), None);
    }
}
