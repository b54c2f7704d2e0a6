//! Tests of schedules: when they come, and what is refused.

use serde_json::json;

use super::*;

fn next(text: &str, after: &str, zone: &str) -> Option<String> {
    let schedule = Schedule::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let zone = Zone::named(zone).unwrap();
    let after = seconds(after).unwrap();
    let at = schedule.next(after, &zone, after)?;
    Some(Timestamp::from_second(at).unwrap().to_string())
}

#[test]
fn a_cron_comes_when_its_fields_match() {
    let after = "2026-11-27T09:00:00Z"; // a Friday
    for (cron, expected) in [
        ("cron(0 8 ? * MON-FRI *)", "2026-11-30T08:00:00Z"),
        ("cron(15 10 ? * 6L *)", "2026-11-27T10:15:00Z"),
        ("cron(15 8 ? * 6L *)", "2026-12-25T08:15:00Z"),
        ("cron(0 0 L * ? *)", "2026-11-30T00:00:00Z"),
        ("cron(0 0 29 2 ? *)", "2028-02-29T00:00:00Z"),
        ("cron(0 12 ? * TUE#2 *)", "2026-12-08T12:00:00Z"),
        ("cron(*/20 9 * * ? *)", "2026-11-27T09:20:00Z"),
        ("cron(0 18 1W * ? *)", "2026-12-01T18:00:00Z"),
        ("cron(0 18 28W * ? *)", "2026-11-27T18:00:00Z"),
        ("cron(5 9 ? * FRI-MON *)", "2026-11-27T09:05:00Z"),
        ("cron(0 0 1 JAN ? 2030-2031)", "2030-01-01T00:00:00Z"),
        ("cron(30 8,20 * * ? *)", "2026-11-27T20:30:00Z"),
        ("at(2027-01-31T08:00:00)", "2027-01-31T08:00:00Z"),
        ("rate(5 minutes)", "2026-11-27T09:05:00Z"),
        ("rate(1 day)", "2026-11-28T09:00:00Z"),
    ] {
        assert_eq!(
            next(cron, after, "UTC").as_deref(),
            Some(expected),
            "{cron}"
        );
    }
    assert_eq!(next("at(2020-01-31T08:00:00)", after, "UTC"), None);
    assert_eq!(next("cron(0 8 * * ? 2020)", after, "UTC"), None);
}

#[test]
fn a_time_of_day_follows_the_clocks() {
    let morning = "cron(0 8 * * ? *)";
    let zone = "Europe/Berlin";
    assert_eq!(
        next(morning, "2026-10-24T12:00:00Z", zone).unwrap(),
        "2026-10-25T07:00:00Z"
    );
    assert_eq!(
        next(morning, "2026-10-23T12:00:00Z", zone).unwrap(),
        "2026-10-24T06:00:00Z"
    );
    // At 02:30 on 28 March 2027 the clocks have jumped over it; on 31 October it comes twice.
    let night = "cron(30 2 * * ? *)";
    assert_eq!(
        next(night, "2027-03-27T12:00:00Z", zone).unwrap(),
        "2027-03-28T01:30:00Z"
    );
    assert_eq!(
        next(night, "2027-10-30T12:00:00Z", zone).unwrap(),
        "2027-10-31T00:30:00Z"
    );
    assert_eq!(
        next(night, "2027-10-31T00:30:00Z", zone).unwrap(),
        "2027-11-01T01:30:00Z"
    );
    // West of UTC the day is another.
    assert_eq!(
        next(
            "cron(0 23 ? * SUN *)",
            "2026-11-27T00:00:00Z",
            "America/Los_Angeles"
        )
        .unwrap(),
        "2026-11-30T07:00:00Z"
    );
}

#[test]
fn what_is_no_schedule_is_refused_by_its_part() {
    for (text, expected) in [
        ("every day", "\"every day\" is none; expected at("),
        ("at(2027-01-31)", "at(2027-01-31) is no time"),
        ("at(2027-02-30T08:00:00)", "is no time"),
        ("rate(5)", "rate(5) is none"),
        ("rate(0 minutes)", "rate(0 minutes) is none"),
        ("rate(5 weeks)", "expected such as rate(1 minute)"),
        ("rate(-1 minutes)", "rate(-1 minutes) is none"),
        ("cron(0 8 * * *)", "has 5 fields; expected six"),
        ("cron(0 8 * * * *)", "expected ? for one of them"),
        ("cron(0 8 ? * ? *)", "expected ? for one of them"),
        (
            "cron(61 8 * * ? *)",
            "\"61\" is no minute; expected 0 to 59",
        ),
        ("cron(0 24 * * ? *)", "\"24\" is no hour"),
        (
            "cron(0 8 0 * ? *)",
            "\"0\" is no day of month; expected 1 to 31",
        ),
        ("cron(0 8 ? * MOO *)", "\"MOO\" is no day of week"),
        ("cron(0 8 ? * MON#6 *)", "\"MON#6\" is no day of week"),
        ("cron(*/0 8 * * ? *)", "\"*/0\" is no minute"),
        ("cron(0 8 * * ? 1969)", "\"1969\" is no year"),
        ("cron(0 8 31 2 ? *)", "never comes"),
        ("cron(0 8 29 2 ? 2027)", "never comes"),
        ("cron(0 8 31W 2 ? *)", "never comes"),
        ("", "is none; expected"),
    ] {
        let error = Schedule::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

fn action(change: serde_json::Value) -> ScheduledAction {
    let mut document = json!({
        "ScheduledActionName": "morning",
        "Schedule": "cron(0 8 * * ? *)",
        "ScalableTargetAction": {"MinCapacity": 5},
    });
    for (name, value) in change.as_object().unwrap() {
        document[name] = value.clone();
    }
    serde_json::from_value(document).unwrap()
}

#[test]
fn an_action_says_what_is_wrong_with_it() {
    assert_eq!(action(json!({})).check(), Ok(()));
    for (change, expected) in [
        (
            json!({"Timezone": "Europe/Berln"}),
            "Timezone: \"Europe/Berln\" is no time zone",
        ),
        (json!({"Timezone": "berlin"}), "such as Europe/Berlin"),
        (json!({"Timezone": "+02:00"}), "is no time zone"),
        (
            json!({"Schedule": "rate(1 hour)", "Timezone": "UTC"}),
            "beside a rate",
        ),
        (
            json!({"StartTime": "soon"}),
            "StartTime: \"soon\" is no time",
        ),
        (
            json!({"StartTime": "2027-01-02T00:00:00Z", "EndTime": "2027-01-01T00:00:00Z"}),
            "EndTime: is before StartTime",
        ),
        (
            json!({"ScalableTargetAction": {}}),
            "expected MinCapacity, MaxCapacity or both",
        ),
        (
            json!({"ScalableTargetAction": {"MinCapacity": 5, "MaxCapacity": 2}}),
            "5 is more than MaxCapacity, which is 2",
        ),
        (json!({"at": 5}), "and not both"),
        (json!({"Schedule": "cron(0 8 31 2 ? *)"}), "Schedule: "),
    ] {
        let error = action(change).check().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_simulation_gets_every_time() {
    let begins = seconds("2026-11-27T07:00:00Z");
    let two_days = action(json!({})).within(begins, 2 * 86_400).unwrap();
    assert_eq!(two_days, [3600, 3600 + 86_400]);
    let once = action(json!({"EndTime": "2026-11-27T12:00:00Z"}));
    assert_eq!(once.within(begins, 2 * 86_400).unwrap(), [3600]);
    // Nobody needs the time of day for a rate.
    let rate = action(json!({"Schedule": "rate(10 minutes)"}));
    assert_eq!(rate.within(None, 1800).unwrap(), [600, 1200, 1800]);
    let error = action(json!({}))
        .within(None, 1800)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("needs to know at what time the traffic begins"),
        "{error}"
    );
    // The very first moment counts.
    let begins = seconds("2026-11-27T08:00:00Z");
    assert_eq!(action(json!({})).within(begins, 60).unwrap(), [0]);
}

#[test]
fn an_action_that_is_over_never_comes() {
    let now = seconds("2026-11-27T07:00:00Z").unwrap();
    let over = action(json!({"Schedule": "at(2026-11-27T06:59:59)"}));
    assert_eq!(over.next(now), Ok(None));
    let ended = action(json!({"EndTime": "2026-11-27T07:30:00Z"}));
    assert_eq!(ended.next(now), Ok(None));
    assert_eq!(action(json!({})).next(now), Ok(Some(now + 3600)));
}
