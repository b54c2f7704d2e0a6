//! Moments, as AWS's tools write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::Timestamp;

/// Seconds since 1970 of an ISO 8601 time, in UTC where it has no zone, or of a number of them.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_second());
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.abs() < 1e11).then_some(seconds as i64);
    }
    let plain: DateTime = text.parse().ok()?;
    let moment = TimeZone::UTC.to_timestamp(plain).ok()?;
    Some(moment.as_second())
}

/// Seconds since 1970 as `2027-01-31T08:00:00Z`.
#[must_use]
pub fn text(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(moment) => moment.to_string(),
        Err(_) => seconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_same_in_every_spelling() {
        let spelled = [
            "2027-01-31T08:00:00Z",
            "2027-01-31T09:00:00+01:00",
            "2027-01-31T08:00:00",
            "1801382400",
            "1801382400.0",
        ];
        for one in spelled {
            assert_eq!(seconds(one), Some(1_801_382_400), "{one}");
        }
        assert_eq!(text(1_801_382_400), spelled[0]);
        assert_eq!(seconds("soon"), None);
    }
}
