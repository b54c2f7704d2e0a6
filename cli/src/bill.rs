//! What the metrics cost, as the start says it.

use scaling::bill::{Prices, Usage};
use sidecar::{Config, RouteChoice};

/// One line; none where nothing is published.
#[must_use]
pub fn line(config: &Config, prices: &Prices, with_each_reply: bool) -> Option<String> {
    let usage = sidecar::usage(config, config.route)?;
    let mut text = match config.route {
        RouteChoice::Emf => embedded(&usage, prices),
        _ => published(&usage, prices),
    };
    if config.route == RouteChoice::Auto {
        if let Some(usage) = sidecar::usage(config, RouteChoice::Emf) {
            text += &format!("; as embedded metric format {}", embedded(&usage, prices));
        }
    }
    if with_each_reply {
        text += "; a flush with each reply comes on top";
    }
    Some(format!("{text} (prices are settings: PLIMSOLL_PRICE_…)"))
}

fn metrics(usage: &Usage, prices: &Prices) -> String {
    let cost = usage.cost(prices, 1.0).metrics;
    let number = match usage.metrics {
        1 => "1 custom metric".to_owned(),
        number => format!("up to {number} custom metrics"),
    };
    format!("{number} ${cost:.2} a month")
}

fn published(usage: &Usage, prices: &Prices) -> String {
    format!(
        "{}, {} calls a month and instance ${:.2}",
        metrics(usage, prices),
        grouped(usage.calls_a_month()),
        usage.cost(prices, 1.0).calls
    )
}

fn embedded(usage: &Usage, prices: &Prices) -> String {
    format!(
        "{}, up to {:.2} GB of log a month and instance ${:.2}",
        metrics(usage, prices),
        usage.log_gb_a_month(),
        usage.cost(prices, 1.0).log
    )
}

/// `262800` → `262 800`.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use scaling::catalogue::Metric;

    use super::*;

    fn config(route: RouteChoice) -> Config {
        Config {
            route,
            metrics: vec![Metric::OfferedLoad, Metric::RequestLatency],
            dimensions: vec![("EndpointName".to_owned(), "e".to_owned())],
            ..Config::default()
        }
    }

    #[test]
    fn the_line_says_what_each_route_costs() {
        let line = |route| line(&config(route), &Prices::default(), false);
        let calls = line(RouteChoice::CloudWatch).unwrap();
        let expected = "up to 2 custom metrics $0.60 a month, 262 800 calls a month and instance $2.63 (prices";
        assert!(calls.starts_with(expected), "{calls}");
        let log = line(RouteChoice::Emf).unwrap();
        let expected = "up to 4 custom metrics $1.20 a month, up to 0.";
        assert!(
            log.starts_with(expected) && log.contains(" GB of log"),
            "{log}"
        );
        let auto = line(RouteChoice::Auto).unwrap();
        assert!(
            auto.contains("262 800 calls") && auto.contains("as embedded metric format up to 4")
        );
        assert_eq!(line(RouteChoice::None), None);
    }

    #[test]
    fn one_metric_is_one() {
        let one = Config {
            metrics: vec![Metric::OfferedLoad],
            ..config(RouteChoice::CloudWatch)
        };
        let line = line(&one, &Prices::default(), false).unwrap();
        assert!(
            line.starts_with("1 custom metric $0.30 a month, "),
            "{line}"
        );
    }

    #[test]
    fn prices_and_a_flush_with_each_reply_are_in_it() {
        let prices = Prices {
            metric: 1.0,
            thousand_calls: 0.0,
            log_gb: 0.0,
        };
        let line = line(&config(RouteChoice::CloudWatch), &prices, true).unwrap();
        assert!(
            line.contains("$2.00 a month") && line.contains("instance $0.00"),
            "{line}"
        );
        assert!(line.contains("a flush with each reply"), "{line}");
    }

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (43_800.0, "43 800"),
            (1e6, "1 000 000"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
