//! Moments as documents and traces have them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::Timestamp;

/// Milliseconds since 1970 of an ISO 8601 time, with a `T` or a blank, with or without a zone (UTC then).
pub(crate) fn millis(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_millisecond());
    }
    let plain: DateTime = text.parse().ok()?;
    // A date alone is no moment.
    if !text.contains(':') {
        return None;
    }
    let moment = TimeZone::UTC
        .to_ambiguous_timestamp(plain)
        .compatible()
        .ok()?;
    Some(moment.as_millisecond())
}

/// Seconds since 1970 of the same, or of a number of them.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    match text.trim().parse::<f64>() {
        Ok(seconds) => (seconds.abs() < 1e11).then_some(seconds as i64),
        Err(_) => millis(text).map(|millis| millis.div_euclid(1000)),
    }
}
