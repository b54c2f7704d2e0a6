//! `GET /metrics` as Prometheus and the OpenTelemetry collector ask for it: OpenMetrics or the older
//! text, compressed or not.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{header, HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::encoding::Coding;
use super::{reply, App};

/// The formats that the page is made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFormat {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The draft, which differs in nothing that the page has.
const OPEN_METRICS_DRAFT: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";

/// The page; also while the model loads. Nobody is refused for what he would rather have: a scraper
/// that names no format of ours gets text.
pub async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let content_type = wanted(&all(&headers, &header::ACCEPT));
    let format = match content_type {
        TEXT => PageFormat::Text,
        _ => PageFormat::OpenMetrics,
    };
    let page = (app.page)(format).into_bytes();
    let coding = Coding::accepted(Some(&all(&headers, &header::ACCEPT_ENCODING)));
    let packed = coding.and_then(|coding| Some((coding, coding.compress(&page)?)));
    let (body, coding) = match packed {
        Some((coding, packed)) => (packed, Some(coding)),
        None => (page, None),
    };
    let mut response = reply(StatusCode::OK, content_type, body);
    let own = response.headers_mut();
    if let Some(coding) = coding {
        let name = HeaderValue::from_static(coding.name());
        own.insert(header::CONTENT_ENCODING, name);
    }
    const VARY: HeaderValue = HeaderValue::from_static("accept, accept-encoding");
    own.insert(header::VARY, VARY);
    response
}

/// Every value of a header as one list.
fn all(headers: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<&str> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    values.join(",")
}

/// The content type that `Accept` likes best of those there are; the first of equals.
fn wanted(accept: &str) -> &'static str {
    let mut best = (0.0, TEXT);
    for entry in accept.split(',') {
        let mut parts = entry.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut version, mut weight) = ("", 1.0);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => version = value,
                "q" => weight = value.parse::<f32>().unwrap_or(0.0),
                _ => {}
            }
        }
        let offer = match (media.as_str(), version) {
            ("application/openmetrics-text", "" | "1.0.0") => OPEN_METRICS,
            ("application/openmetrics-text", "0.0.1") => OPEN_METRICS_DRAFT,
            ("text/plain" | "text/*" | "*/*", "" | "0.0.4") => TEXT,
            _ => continue,
        };
        if weight > best.0 {
            best = (weight, offer);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_the_scraper_likes_best() {
        // What the collector's Prometheus receiver sends.
        let collector = "application/openmetrics-text;version=1.0.0;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, expected) in [
            (collector, OPEN_METRICS),
            ("", TEXT),
            ("*/*", TEXT),
            ("text/html", TEXT),
            ("application/json;q=0.9, */*;q=0.1", TEXT),
            ("application/openmetrics-text", OPEN_METRICS),
            (
                "Application/OpenMetrics-Text; Version=\"0.0.1\"",
                OPEN_METRICS_DRAFT,
            ),
            (
                "application/openmetrics-text;version=2.0.0,text/plain;q=0.1",
                TEXT,
            ),
            ("application/openmetrics-text;q=0", TEXT),
            ("application/openmetrics-text;q=high", TEXT),
            (
                "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=0.4",
                TEXT,
            ),
            ("text/plain;q=0.5,application/openmetrics-text;q=0.5", TEXT),
        ] {
            assert_eq!(wanted(accept), expected, "{accept}");
        }
    }
}
