//! Tests of traces: what is read, and what is refused, with line and field.

use super::*;
use crate::policy::Invalid;

fn read_with(
    text: &str,
    gaps: Gaps,
    costs: &[&str],
    classes: &[&str],
) -> Result<(Kind, Vec<Row>), Invalid> {
    let owned = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    let mut reader = Reader::new(gaps, &owned(costs), &owned(classes));
    let mut rows = Vec::new();
    for line in text.lines() {
        rows.extend(reader.line(line)?);
    }
    let kind = reader.kind();
    rows.push(reader.finish()?);
    Ok((kind.unwrap(), rows))
}

fn read(text: &str) -> Result<(Kind, Vec<Row>), Invalid> {
    read_with(text, Gaps::Refuse, &[], &[])
}

/// Start and end in seconds, and the amount.
fn spans(rows: &[Row]) -> Vec<(f64, f64, f64)> {
    let secs = |micros: u64| micros as f64 / 1e6;
    rows.iter()
        .map(|row| (secs(row.from_us), secs(row.until_us), row.amount))
        .collect()
}

#[test]
fn every_shape_is_read() {
    let bins = [(0.0, 60.0, 5.0), (60.0, 120.0, 7.5)];
    for text in [
        "t_s,requests\n0,5\n60,7.5\n",
        "t_ms,requests\r\n0,5\r\n60000,7.5\r\n\r\n",
        "\u{feff}t_s, Requests\n0, 5\n60, 7.5",
        "0,5\n60,7.5\n",
        "timestamp,Sum\n2026-01-01T00:00:00Z,5\n2026-01-01T00:01:00Z,7.5\n",
        "timestamp,value\n\"2014-04-10 00:04:00\",5\n\"2014-04-10 00:05:00\",7.5\n",
        "timestamp,count\n1700000000,5\n1700000060,7.5\n",
        "t_s,requests,other\n0,5,x\n60,7.5,y\n",
    ] {
        let (kind, rows) = read(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(
            (kind, spans(&rows).as_slice()),
            (Kind::Bins, &bins[..]),
            "{text:?}"
        );
    }
    let (kind, rows) = read("t_ms\n100\n100\n350\n").unwrap();
    assert_eq!(kind, Kind::Requests);
    assert_eq!(
        spans(&rows),
        [(0.1, 0.1, 1.0), (0.1, 0.35, 1.0), (0.35, 0.351, 1.0)]
    );
    let (kind, rows) = read("t_s,clients\n0,3\n10,9\n600,0\n1190,0\n").unwrap();
    assert_eq!(kind, Kind::Clients);
    assert_eq!(rows[1].until_us, 600_000_000);
}

#[test]
fn columns_that_the_profile_uses_are_taken_by_request() {
    let text = "t_s,requests,context_tokens,x\n0,4,400,1\n1,0,0,1\n";
    let (_, rows) = read_with(text, Gaps::Refuse, &["context_tokens"], &[]).unwrap();
    assert_eq!((rows[0].costs[0], rows[1].costs[0]), (100.0, 0.0));
    let text = "t_ms,model,context_tokens\n0,b,12\n5,a,13\n";
    let (_, rows) = read_with(text, Gaps::Refuse, &["context_tokens"], &["a", "b"]).unwrap();
    assert_eq!(
        (rows[0].class, rows[1].class, rows[1].costs[0]),
        (Some(1), Some(0), 13.0)
    );
}

#[test]
fn gaps_are_what_one_is_told() {
    let text = "t_s,requests\n0,10\n300,20\n1200,30\n";
    let with = |gaps| spans(&read_with(text, gaps, &[], &[]).unwrap().1);
    assert_eq!(
        with(Gaps::Zero),
        [
            (0.0, 300.0, 10.0),
            (300.0, 600.0, 20.0),
            (1200.0, 1500.0, 30.0)
        ]
    );
    assert_eq!(with(Gaps::Previous)[1], (300.0, 1200.0, 60.0));
    let error = read(text).unwrap_err().to_string();
    assert_eq!(error, "line 4, t: a gap: 900 s after the line before; expected 300 s, or --gaps zero or previous, which says what came in it");
}

#[test]
fn what_cannot_be_is_refused_with_line_and_field() {
    for (text, expected) in [
        ("", "trace: no rows"),
        ("t_s,requests\n", "trace: no rows"),
        ("t_s,requests\n0,5\n", "line 2, t: one row"),
        (
            "t_s,requests\n0,5\n60,-1\n",
            "line 3, requests: -1; expected 0 to 1e12",
        ),
        ("t_s,requests\n0,5\n60,1e13\n", "line 3, requests: 1"),
        (
            "t_s,requests\n0,5\n60,many\n",
            "line 3, requests: \"many\"; expected a number",
        ),
        (
            "t_s,requests\n0,5\n60,NaN\n",
            "line 3, requests: \"NaN\"; expected a number",
        ),
        (
            "t_s,requests\n0,5\n60\n",
            "line 3, requests: 1 fields; expected 2",
        ),
        (
            "t_s,requests\n0,5\n60,1,2\n",
            "line 3, last field: 3 fields; expected 2",
        ),
        (
            "t_s,requests\n60,5\n0,1\n",
            "line 3, t: 0 s after 60 s; expected times in order",
        ),
        (
            "t_s,requests\n0,5\n0,1\n60,1\n",
            "line 3, t: 0 s is there twice",
        ),
        (
            "t_s,requests\n0,5\n60,1\n90,1\n",
            "line 4, t: 30 s after the line before; expected multiples of 60 s",
        ),
        (
            "t_s,requests\n-5,5\n60,1\n",
            "line 2, t_s: \"-5\"; expected the offset",
        ),
        (
            "t_s,requests\n0,5\n1e12,1\n",
            "line 3, t_s: \"1e12\"; expected the offset",
        ),
        (
            "requests,t_s\n5,0\n",
            "line 1, header: \"requests\"; expected the time first",
        ),
        (
            "t_s,requests,count\n0,1,1\n",
            "line 1, header: \"count\" is a second amount",
        ),
        (
            "0,1,2\n",
            "line 1, header: 3 columns of numbers and no header",
        ),
        (
            "timestamp,sum\nyesterday,5\n",
            "line 2, timestamp: \"yesterday\"; expected an ISO 8601 time",
        ),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
    let error = read_with("t_ms,x\n0,1\n", Gaps::Refuse, &["tokens"], &[]).unwrap_err();
    assert!(
        error.to_string().contains("no column \"tokens\""),
        "{error}"
    );
    let error = read_with("t_ms,class\n0,c\n", Gaps::Refuse, &[], &["a"]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("line 2, class: \"c\"; expected a class"),
        "{error}"
    );
}

#[test]
fn cloudwatch_answers_are_read_in_order() {
    let text = r#"{"MetricDataResults": [{"Id": "m1", "Label": "Invocations", "StatusCode": "Complete",
        "Timestamps": ["2026-01-01T00:04:00+00:00", "2026-01-01T00:01:00+00:00", "2026-01-01T00:00:00+00:00"],
        "Values": [30.0, 20.0, 10.0]}], "Messages": []}"#;
    let (kind, rows, begins) = cloudwatch(text, Gaps::Zero).unwrap();
    assert_eq!(kind, Kind::Bins);
    assert_eq!(begins, 1_767_225_600_000);
    assert_eq!(
        spans(&rows),
        [(0.0, 60.0, 10.0), (60.0, 120.0, 20.0), (240.0, 300.0, 30.0)]
    );
    let (_, rows, _) = cloudwatch(text, Gaps::Previous).unwrap();
    assert_eq!(spans(&rows)[1], (60.0, 240.0, 60.0));
}

#[test]
fn cloudwatch_answers_that_cannot_be_used_are_refused() {
    let one = |times: &str, values: &str| {
        format!(
            r#"{{"MetricDataResults": [{{"Id": "m1", "Timestamps": {times}, "Values": {values}}}]}}"#
        )
    };
    let series = r#"{"Id": "a", "Timestamps": [], "Values": []}"#;
    for (text, expected) in [
        ("{".to_owned(), "trace: EOF"),
        (r#"{"Datapoints": []}"#.to_owned(), "trace: missing field"),
        (
            format!(r#"{{"MetricDataResults": [{series}, {series}]}}"#),
            "MetricDataResults: 2 metrics",
        ),
        (
            format!(r#"{{"MetricDataResults": [{series}], "NextToken": "x"}}"#),
            "NextToken: the answer goes on",
        ),
        (
            one("[0, 60]", "[1]"),
            "MetricDataResults[0].Values: 1 of them and 2 Timestamps",
        ),
        (one("[0]", "[1]"), "MetricDataResults[0].Timestamps: 1 of"),
        (
            one("[0, 0]", "[1, 2]"),
            "MetricDataResults[0].Timestamps: one of them is there twice",
        ),
        (
            one("[0, 60, 150]", "[1, 2, 3]"),
            "MetricDataResults[0].Timestamps: 150000 ms after",
        ),
        (
            one("[0, 60]", "[1, -2]"),
            "MetricDataResults[0].Values[1]: -2; expected",
        ),
        (
            one("[0, \"noon\"]", "[1, 2]"),
            "MetricDataResults[0].Timestamps[1]: \"noon\"; expected",
        ),
    ] {
        let error = cloudwatch(&text, Gaps::Zero).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}
