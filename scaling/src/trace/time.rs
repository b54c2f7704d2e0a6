//! Time stamps.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// Milliseconds since 1970 of an ISO 8601 time, with a `T` or a blank, with or without a zone (UTC then).
pub(super) fn millis(text: &str) -> Option<i64> {
    let with_zone = OffsetDateTime::parse(text, &Rfc3339).ok();
    let moment = with_zone.or_else(|| {
        let plain = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
        let text = text.replacen('T', " ", 1);
        let moment = PrimitiveDateTime::parse(&text, &plain).ok()?;
        Some(moment.assume_utc())
    })?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}
