//! What the sidecar is told by the binary, and the check of it.

use std::path::PathBuf;

use scaling::catalogue::Metric;

use crate::RouteChoice;

/// CloudWatch takes this many dimensions a metric.
const MAX_DIMENSIONS: usize = 30;
/// A line of embedded metric format repeats every dimension; so many bytes leave room for the
/// metrics in 16 KB. A name stands there twice.
const MAX_LINE_DIMENSIONS: usize = 8 * 1024;

/// The sidecar's settings. The environment is read by the binary, not here.
#[derive(Debug, Clone)]
pub struct Config {
    /// The way metrics leave.
    pub route: RouteChoice,
    /// Length of a publishing period: 10 s (high resolution) or 60 s.
    pub period_secs: u32,
    /// CloudWatch namespace.
    pub namespace: String,
    /// Dimensions of every metric, as name and value. Empty: no scaling metrics are published.
    pub dimensions: Vec<(String, String)>,
    /// The metrics that leave; `GET /metrics` has them all.
    pub metrics: Vec<Metric>,
    /// Seconds within which `OfferedLoad` asks for the queue's backlog to be cleared; none leaves the
    /// backlog out.
    pub drain_secs: Option<f64>,
    /// Region to publish to where the AWS SDK's own chain finds none.
    pub region: Option<String>,
    /// NVML library to load in place of the driver's.
    pub nvml_library: Option<PathBuf>,
    /// Value of `CUDA_VISIBLE_DEVICES`: which GPUs count; all if there is none.
    pub visible_gpus: Option<String>,
    /// Folder that holds `proc` and `sys`: `/` but for tests.
    pub root: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            route: RouteChoice::Auto,
            period_secs: 10,
            namespace: "Plimsoll".to_owned(),
            dimensions: Vec::new(),
            metrics: Metric::ALL.to_vec(),
            drain_secs: None,
            region: None,
            nvml_library: None,
            visible_gpus: None,
            root: PathBuf::from("/"),
        }
    }
}

impl Config {
    /// Every bad value, one message each; empty if all is well.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut bad = Vec::new();
        if !matches!(self.period_secs, 10 | 60) {
            bad.push(format!(
                "metrics period {} s: expected 10 or 60",
                self.period_secs
            ));
        }
        let namespace = &self.namespace;
        if namespace.starts_with("AWS/") {
            bad.push(format!(
                "namespace {namespace:?}: expected one of your own, because those beginning with AWS/ are reserved"
            ));
        }
        if !is_label(namespace, 255) {
            bad.push(format!(
                "namespace {namespace:?}: expected 1 to 255 printable ASCII characters, not all blank"
            ));
        }
        if self.dimensions.len() > MAX_DIMENSIONS {
            bad.push(format!(
                "{} dimensions: expected at most {MAX_DIMENSIONS}",
                self.dimensions.len()
            ));
        }
        let bytes = self.line_bytes();
        let by_line = matches!(self.route, RouteChoice::Auto | RouteChoice::Emf);
        if by_line && bytes > MAX_LINE_DIMENSIONS {
            bad.push(format!(
                "dimensions take {bytes} bytes of each line of embedded metric format: expected at \
                 most {MAX_LINE_DIMENSIONS} with route {}; shorten them, or use route cloudwatch",
                self.route
            ));
        }
        for (at, (name, value)) in self.dimensions.iter().enumerate() {
            if !is_label(name, 255) || name.starts_with(':') {
                bad.push(format!(
                    "dimension name {name:?}: expected 1 to 255 printable ASCII characters, not \
                     all blank, not beginning with a colon"
                ));
            }
            if !is_label(value, 1024) {
                bad.push(format!(
                    "dimension {name} with value {value:?}: expected 1 to 1024 printable ASCII \
                     characters, not all blank"
                ));
            }
            if self
                .dimensions
                .iter()
                .take(at)
                .any(|(earlier, _)| earlier == name)
            {
                bad.push(format!("dimension {name} is given twice"));
            }
        }
        bad
    }

    /// What the dimensions take of a line, in bytes of JSON.
    fn line_bytes(&self) -> usize {
        let json = |text: &str| {
            let escaped = text
                .bytes()
                .filter(|byte| matches!(byte, b'"' | b'\\'))
                .count();
            text.len() + escaped + 3
        };
        self.dimensions
            .iter()
            .map(|(name, value)| 2 * json(name) + json(value))
            .sum()
    }
}

/// Printable ASCII, 1 to `longest` characters, at least one of them not blank.
fn is_label(text: &str, longest: usize) -> bool {
    let printable = text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    printable && text.len() <= longest && !text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        change(&mut config);
        config.check()
    }

    fn dimension(name: &str, value: &str) -> Vec<String> {
        with(|config| config.dimensions = vec![(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn the_defaults_and_ordinary_values_pass() {
        assert!(Config::default().check().is_empty());
        assert!(dimension("EndpointName", "my-endpoint 2").is_empty());
        assert!(with(|config| config.period_secs = 60).is_empty());
    }

    #[test]
    fn each_bad_value_is_named() {
        for (bad, part) in [
            (with(|c| c.period_secs = 30), "30 s"),
            (with(|c| c.namespace = "AWS/Mine".to_owned()), "AWS/Mine"),
            (with(|c| c.namespace = " ".to_owned()), "namespace \" \""),
            (with(|c| c.namespace = "n".repeat(256)), "1 to 255"),
            (with(|c| c.namespace = "tab\t".to_owned()), "printable"),
            (dimension("", "v"), "dimension name \"\""),
            (dimension(":n", "v"), "colon"),
            (dimension("é", "v"), "ASCII"),
            (dimension("EndpointName", "  "), "EndpointName"),
            (dimension("EndpointName", &"v".repeat(1025)), "1 to 1024"),
            (dimension("EndpointName", "naïve"), "naïve"),
        ] {
            assert_eq!(bad.len(), 1, "{bad:?}");
            assert!(bad[0].contains(part), "{part} in {bad:?}");
        }
    }

    #[test]
    fn dimensions_must_fit_a_line_where_lines_are_written() {
        let long = |route| {
            with(|config| {
                config.route = route;
                let value = |n| (format!("d{n}"), "v".repeat(1024));
                config.dimensions = (0..8).map(value).collect();
            })
        };
        for route in [RouteChoice::Auto, RouteChoice::Emf] {
            let bad = long(route);
            assert!(bad.len() == 1 && bad[0].contains("at most 8192"), "{bad:?}");
        }
        assert!(long(RouteChoice::CloudWatch).is_empty());
    }

    #[test]
    fn all_bad_values_are_listed_at_once() {
        let bad = with(|config| {
            config.period_secs = 0;
            config.namespace = "AWS/x".to_owned();
            let twice = ("A".to_owned(), String::new());
            config.dimensions = vec![twice.clone(), twice];
        });
        assert_eq!(bad.len(), 5, "{bad:?}");
        let many = (0..31).map(|n| (format!("d{n}"), "v".to_owned())).collect();
        assert_eq!(with(|config| config.dimensions = many).len(), 1);
    }
}
