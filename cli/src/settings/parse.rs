//! From a setting's text to its value; an error is what was expected.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use inference::config::{Batching, OnLost};
use inference::device::Wanted;
use scaling::catalogue::Metric;
use tracing::level_filters::LevelFilter;

use super::file::nearest;
use crate::logging::Format;

pub(super) fn optional<T>(
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<Option<T>, String> {
    move |text| {
        if text.is_empty() {
            Ok(None)
        } else {
            parse(text).map(Some)
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every parser has this shape")]
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

#[expect(clippy::unnecessary_wraps, reason = "every parser has this shape")]
pub(super) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| "a port from 0 (any free one) to 65535".to_owned())
}

pub(super) fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let range = text
        .split_once('-')
        .and_then(|(first, last)| Some(first.trim().parse().ok()?..=last.trim().parse().ok()?));
    range
        .filter(|ports: &RangeInclusive<u16>| !ports.is_empty() && *ports.start() > 0)
        .ok_or_else(|| "two ports from 1 to 65535, such as 25000-25999".to_owned())
}

pub(super) fn whole(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "a whole number".to_owned())
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    positive(text).map(NonZeroUsize::get)
}

pub(super) fn positive(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "a whole number, 1 or more".to_owned())
}

pub(super) fn seconds(text: &str) -> Result<usize, String> {
    const DAY: usize = 86_400;
    match text.parse() {
        Ok(seconds) if (1..=DAY).contains(&seconds) => Ok(seconds),
        _ => Err(format!("a whole number of seconds from 1 to {DAY}")),
    }
}

pub(super) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    positive(text)
        .ok()
        .filter(|n| n.get() <= 1024)
        .ok_or_else(|| "a whole number from 1 to 1024".to_owned())
}

pub(super) fn batching(text: &str) -> Result<Batching, String> {
    match text {
        "auto" => Ok(Batching::Auto),
        "off" => Ok(Batching::Off),
        size => positive(size)
            .ok()
            .filter(|rows| rows.get() <= 65_536)
            .map(Batching::UpTo)
            .ok_or_else(|| "auto, off, or a whole number of records from 1 to 65536".to_owned()),
    }
}

pub(super) fn device(text: &str) -> Result<Wanted, String> {
    text.parse().map_err(|expected: &str| expected.to_owned())
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off".to_owned()),
    }
}

pub(super) fn on_lost(text: &str) -> Result<OnLost, String> {
    match text {
        "stay" => Ok(OnLost::Stay),
        "exit" => Ok(OnLost::Exit),
        _ => Err("stay or exit".to_owned()),
    }
}

/// When metrics leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// At the end of each period.
    Timer,
    /// With each reply too.
    Request,
}

pub(super) fn flush(text: &str) -> Result<Flush, String> {
    match text {
        "timer" => Ok(Flush::Timer),
        "request" => Ok(Flush::Request),
        _ => Err("timer or request".to_owned()),
    }
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("true, 1 or yes, or false, 0 or no".to_owned()),
    }
}

pub(super) fn strategy(text: &str) -> Result<&'static str, String> {
    match text.to_ascii_lowercase().replace('_', "").as_str() {
        "singlerecord" => Ok("SINGLE_RECORD"),
        "multirecord" => Ok("MULTI_RECORD"),
        _ => Err("SINGLE_RECORD or MULTI_RECORD".to_owned()),
    }
}

pub(super) fn media_type(text: &str) -> Result<String, String> {
    if inference::codec::is_known(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("one of {}", inference::codec::Format::list()))
    }
}

pub(super) fn log_format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err("text or json".to_owned()),
    }
}

pub(super) fn log_level(text: &str) -> Result<LevelFilter, String> {
    match text.to_ascii_uppercase().as_str() {
        "TRACE" | "5" => Ok(LevelFilter::TRACE),
        "DEBUG" | "10" => Ok(LevelFilter::DEBUG),
        "INFO" | "20" => Ok(LevelFilter::INFO),
        "WARNING" | "WARN" | "30" => Ok(LevelFilter::WARN),
        "ERROR" | "40" | "CRITICAL" | "FATAL" | "50" => Ok(LevelFilter::ERROR),
        _ => Err("DEBUG, INFO, WARNING, ERROR or CRITICAL, or 10 to 50 in tens".to_owned()),
    }
}

pub(super) fn route(text: &str) -> Result<sidecar::RouteChoice, String> {
    text.parse()
        .map_err(|_| "auto, cloudwatch, emf or none".to_owned())
}

/// In the catalogue's order, each once.
pub(super) fn metrics(text: &str) -> Result<Vec<Metric>, String> {
    if text == "all" {
        return Ok(Metric::ALL.to_vec());
    }
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_known = |name: &str| Metric::ALL.iter().any(|metric| metric.name() == name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        let known = Metric::ALL.iter().map(|metric| metric.name().to_owned());
        let advice = match nearest(unknown, known) {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "the README lists them all".to_owned(),
        };
        return Err(format!(
            "all, or names of metrics with commas between them; {unknown:?} is none; {advice}"
        ));
    }
    let is_chosen = |metric: &Metric| names.contains(&metric.name());
    Ok(Metric::ALL.iter().copied().filter(is_chosen).collect())
}

pub(super) fn price(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|price: &f64| price.is_finite() && *price >= 0.0)
        .ok_or_else(|| "a price in US dollars, 0 or more, such as 0.30".to_owned())
}

pub(super) fn period(text: &str) -> Result<u32, String> {
    match text {
        "10" => Ok(10),
        "60" => Ok(60),
        _ => Err("10 or 60".to_owned()),
    }
}
