//! The answer of CloudWatch's `GetMetricData`.

use serde::Deserialize;

use super::csv::{LATEST_STAMP, LATEST_US};
use super::{Gaps, Kind, Row, MOST_COSTS};
use crate::moment::millis;
use crate::policy::Invalid;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    metric_data_results: Vec<Series>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    #[serde(default)]
    id: String,
    #[serde(default)]
    label: String,
    timestamps: Vec<Stamp>,
    values: Vec<f64>,
}

/// As the CLI and the SDKs write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stamp {
    Seconds(f64),
    Text(String),
}

impl Stamp {
    fn millis(&self) -> Option<i64> {
        match self {
            Self::Seconds(secs) => (secs.abs() < LATEST_STAMP).then_some((secs * 1000.0) as i64),
            Self::Text(text) => millis(text),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Seconds(secs) => secs.to_string(),
            Self::Text(text) => format!("{text:?}"),
        }
    }
}

/// The bins of one metric's sums, in order of time, and when they begin (milliseconds since 1970). A period that CloudWatch has no datapoint for had no
/// requests, unless `gaps` says otherwise.
///
/// # Errors
/// No answer of `GetMetricData`, several metrics, an answer that goes on (`NextToken`), fewer than two
/// datapoints, times that are no multiples of a period, or a value that cannot be a count.
pub fn cloudwatch(text: &str, gaps: Gaps) -> Result<(Kind, Vec<Row>, i64), Invalid> {
    let answer: Answer =
        serde_json::from_str(text).map_err(|error| Invalid::new("trace", error.to_string()))?;
    if answer.next_token.is_some() {
        return Err(Invalid::new(
            "NextToken",
            "the answer goes on; expected all of it (the CLI fetches it without --no-paginate)",
        ));
    }
    let [series] = answer.metric_data_results.as_slice() else {
        let names = answer.metric_data_results.iter();
        let names: Vec<&str> = names.map(|one| one.id.as_str()).collect();
        return Err(Invalid::new(
            "MetricDataResults",
            format!("{} metrics {names:?}; expected one", names.len()),
        ));
    };
    let field = |what: &str| format!("MetricDataResults[0].{what}");
    if series.timestamps.len() != series.values.len() {
        let (times, values) = (series.timestamps.len(), series.values.len());
        return Err(Invalid::new(
            field("Values"),
            format!("{values} of them and {times} Timestamps; expected as many"),
        ));
    }
    let mut points = Vec::with_capacity(series.values.len());
    for (at, (stamp, &value)) in series.timestamps.iter().zip(&series.values).enumerate() {
        let moment = stamp.millis().ok_or_else(|| {
            Invalid::new(
                field(&format!("Timestamps[{at}]")),
                format!("{}; expected an ISO 8601 time", stamp.shown()),
            )
        })?;
        super::csv::check_amount(value)
            .map_err(|reason| Invalid::new(field(&format!("Values[{at}]")), reason))?;
        points.push((moment, value));
    }
    points.sort_by_key(|point| point.0);
    let steps = points.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let Some(step) = steps.min() else {
        return Err(Invalid::new(
            field("Timestamps"),
            format!(
                "{} of {:?}; expected two at least, so that the period is known",
                points.len(),
                series.label
            ),
        ));
    };
    let first = points[0].0;
    if step <= 0 {
        return Err(Invalid::new(
            field("Timestamps"),
            "one of them is there twice",
        ));
    }
    let mut rows: Vec<Row> = Vec::with_capacity(points.len());
    for (moment, value) in points {
        let off = moment - first;
        if off % step != 0 {
            return Err(Invalid::new(
                field("Timestamps"),
                format!("{off} ms after the first; expected multiples of {step} ms"),
            ));
        }
        let from_us = off.unsigned_abs().saturating_mul(1000);
        if from_us > LATEST_US {
            return Err(Invalid::new(
                field("Timestamps"),
                format!("{off} ms after the first; expected ten years at most"),
            ));
        }
        if let (Gaps::Previous, Some(last)) = (gaps, rows.last_mut()) {
            last.amount *= (from_us - last.from_us) as f64 / (last.until_us - last.from_us) as f64;
            last.until_us = from_us;
        }
        rows.push(Row {
            from_us,
            until_us: from_us + step.unsigned_abs() * 1000,
            amount: value,
            costs: [0.0; MOST_COSTS],
            class: None,
        });
    }
    Ok((Kind::Bins, rows, first))
}
