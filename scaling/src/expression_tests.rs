//! Tests of metric math: what binds how, what is missing, what is refused.

use super::*;

fn parsed(text: &str) -> Result<Expression, Invalid> {
    Expression::parse(text, &mut |id| match id.starts_with('m') {
        true => Ok(Expression::Metric(MetricStat {
            namespace: None,
            name: id.to_owned(),
            stat: "Average".to_owned(),
        })),
        false => Err(Invalid::new("Id", format!("no {id}"))),
    })
}

/// The value where m1 is 10, m2 is 4, and every other metric is missing.
fn value(text: &str) -> Option<f64> {
    parsed(text)
        .unwrap()
        .next(&mut |metric| match metric.name.as_str() {
            "m1" => Some(10.0),
            "m2" => Some(4.0),
            _ => None,
        })
}

#[test]
fn arithmetic_binds_as_usual() {
    for (text, expected) in [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("2 * 3 ^ 2", 18.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ -1", 0.5),
        ("10 - 4 - 3", 3.0),
        ("16 / 4 / 2", 2.0),
        ("1.5e2+m1", 160.0),
        ("m1/m2", 2.5),
        ("m1 > m2 + 5", 1.0),
        ("m1 <= m2", 0.0),
        ("IF(m1 == 10, 3, m2)", 3.0),
        ("IF(m1 != 10, 3, m2)", 4.0),
        ("CEIL(m1/m2) + FLOOR(m1/m2) + ABS(-1)", 6.0),
        ("MAX([m1, m2]) - MIN([m1,m2])", 6.0),
        ("SUM([m1, m2, 1])", 15.0),
        ("AVG([m1, m2])", 7.0),
        ("100*FILL(m9,0)/(60*2*m2)", 0.0),
        ("FILL(m9, -1.5)", -1.5),
    ] {
        assert_eq!(value(text), Some(expected), "{text}");
    }
}

#[test]
fn what_is_missing_stays_missing_and_what_is_no_number_is_missing() {
    for text in [
        "m9",
        "m9 + 1",
        "m1 / 0",
        "IF(m9, 1, 2)",
        "0 / 0",
        "AVG([m9])",
        "FILL(m9, REPEAT)",
    ] {
        assert_eq!(value(text), None, "{text}");
    }
    assert_eq!(
        value("AVG([m1, m9])"),
        Some(10.0),
        "a list has what is there"
    );
}

#[test]
fn repeat_remembers_the_last_value_there_was() {
    let mut filled = parsed("FILL(m1, REPEAT) * 2").unwrap();
    let slots = [None, Some(3.0), None, None, Some(5.0), None];
    let values = slots.map(|slot| filled.next(&mut |_| slot));
    let expected = [
        None,
        Some(6.0),
        Some(6.0),
        Some(6.0),
        Some(10.0),
        Some(10.0),
    ];
    assert_eq!(values, expected);
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    for (text, place, expected) in [
        (
            "",
            "the end at character 1",
            "a number, an id or a function",
        ),
        (
            "1 +",
            "the end at character 4",
            "a number, an id or a function",
        ),
        ("1 2", "\"2\" at character 3", "an operator or the end"),
        ("(1", "the end at character 3", "\")\""),
        ("RATE(m1)", "\"RATE(m1)\" at character 1", "FILL, ABS"),
        ("MAX(m1)", "\"m1)\" at character 5", "\"[\""),
        (
            "FILL(m1, LINEAR)",
            "\"LINEAR)\" at character 10",
            "a number or REPEAT",
        ),
        ("IF(1, 2)", "\")\" at character 8", "\",\""),
        ("1e999", "\"1e999\" at character 1", "a finite number"),
        ("ü", "\"ü\" at character 1", "a number, an id or a function"),
    ] {
        let error = parsed(text).unwrap_err();
        assert!(error.reason.contains(place), "{text}: {error}");
        assert!(error.reason.contains(expected), "{text}: {error}");
    }
    assert_eq!(parsed("m1 + x").unwrap_err(), Invalid::new("Id", "no x"));
    let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(parsed(&deep)
        .unwrap_err()
        .reason
        .contains("at most 64 levels"));
    let minus = "-".repeat(5_000);
    assert!(parsed(&minus)
        .unwrap_err()
        .reason
        .contains("at most 64 levels"));
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_strange(text in "[a-zA-Z0-9+*/^()\\[\\], .<>=!\u{e9}-]{0,40}") {
        let _ = parsed(&text);
    }
}
