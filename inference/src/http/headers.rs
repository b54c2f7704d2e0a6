//! What a request's headers say, read in one pass over them.

use std::borrow::Cow;

use axum::http::{header, HeaderMap, HeaderName, HeaderValue};

use super::error::HttpError;

/// `X-Amzn-SageMaker-Custom-Attributes`: opaque, given back.
pub const CUSTOM_ATTRIBUTES: HeaderName =
    HeaderName::from_static("x-amzn-sagemaker-custom-attributes");
/// `X-Amzn-SageMaker-Inference-Id`: the caller's name for the request, for the log.
const INFERENCE_ID: HeaderName = HeaderName::from_static("x-amzn-sagemaker-inference-id");
/// `X-Amzn-SageMaker-Session-Id`: `NEW_SESSION`, or the id of an open one.
const SESSION_ID: HeaderName = HeaderName::from_static("x-amzn-sagemaker-session-id");
/// How a caller of the streaming API says what it accepts; as `Accept` where that is missing.
const STREAMING_ACCEPT: HeaderName = HeaderName::from_static("x-amzn-sagemaker-accept");
/// KServe's way to say where binary tensors begin.
pub const JSON_HEADER_SIZE: HeaderName = HeaderName::from_static("inference-header-content-length");

/// The platform's own bound of custom attributes.
const CUSTOM_ATTRIBUTES_BYTES: usize = 1024;

/// The headers that matter here; all others are ignored.
#[derive(Debug, Default)]
pub struct Asked<'h> {
    pub content_type: Option<&'h str>,
    pub content_encoding: Option<&'h str>,
    pub content_length: Option<usize>,
    pub accept: Option<Cow<'h, str>>,
    pub accept_encoding: Option<Cow<'h, str>>,
    pub json_header_size: Option<&'h str>,
    pub inference_id: Option<&'h str>,
    pub expects_continue: bool,
}

impl<'h> Asked<'h> {
    /// Reads them.
    ///
    /// # Errors
    /// [`HttpError`]: more than `limit` bytes, a value that is not text, a header that may stand
    /// once only, another transfer encoding than chunks, or a session, which nobody keeps here.
    pub fn read(headers: &'h HeaderMap, limit: usize) -> Result<Self, HttpError> {
        let mut asked = Self::default();
        let mut bytes = 0;
        let mut streaming_accept = None;
        for (name, value) in headers {
            bytes += name.as_str().len() + value.len();
            if name == header::CONTENT_TYPE {
                once(&mut asked.content_type, text(name, value)?, name)?;
            } else if name == header::CONTENT_LENGTH {
                // hyper has read it already and refused what is no number.
                asked.content_length = text(name, value)?.trim().parse().ok();
            } else if name == header::ACCEPT {
                join(&mut asked.accept, text(name, value)?);
            } else if name == header::ACCEPT_ENCODING {
                join(&mut asked.accept_encoding, text(name, value)?);
            } else if name == header::CONTENT_ENCODING {
                once(&mut asked.content_encoding, text(name, value)?, name)?;
            } else if name == header::TRANSFER_ENCODING {
                // hyper undoes the chunks and nothing else; a list would end in a body that is not
                // what it seems.
                if !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                    let found = String::from_utf8_lossy(value.as_bytes());
                    return Err(HttpError::TransferEncoding(
                        found.chars().take(64).collect(),
                    ));
                }
            } else if name == header::EXPECT {
                asked.expects_continue = true;
            } else if name == CUSTOM_ATTRIBUTES && !is_attributes(value) {
                return Err(HttpError::CustomAttributes {
                    bytes: value.len(),
                    limit: CUSTOM_ATTRIBUTES_BYTES,
                });
            } else if name == JSON_HEADER_SIZE {
                once(&mut asked.json_header_size, text(name, value)?, name)?;
            } else if name == STREAMING_ACCEPT {
                streaming_accept = Some(text(name, value)?);
            } else if name == INFERENCE_ID {
                asked.inference_id = Some(text(name, value)?);
            } else if name == SESSION_ID && value.as_bytes().eq_ignore_ascii_case(b"NEW_SESSION") {
                return Err(HttpError::Session);
            }
        }
        if asked.accept.is_none() {
            asked.accept = streaming_accept.map(Cow::Borrowed);
        }
        if bytes > limit {
            return Err(HttpError::HeadersTooLarge { bytes, limit });
        }
        Ok(asked)
    }
}

/// A header value as text.
fn text<'h>(name: &HeaderName, value: &'h HeaderValue) -> Result<&'h str, HttpError> {
    value
        .to_str()
        .map_err(|_| HttpError::Header { name: name.clone() })
}

/// A header that may stand once only.
fn once<'h>(
    place: &mut Option<&'h str>,
    value: &'h str,
    name: &HeaderName,
) -> Result<(), HttpError> {
    match place.replace(value) {
        Some(before) if before != value => Err(HttpError::HeaderTwice { name: name.clone() }),
        _ => Ok(()),
    }
}

/// Several headers of a list are one list.
fn join<'h>(list: &mut Option<Cow<'h, str>>, more: &'h str) {
    match list {
        None => *list = Some(Cow::Borrowed(more)),
        Some(list) => {
            let list = list.to_mut();
            list.push_str(", ");
            list.push_str(more);
        }
    }
}

/// Whether custom attributes are within the platform's bounds: beyond them it would refuse the reply
/// that gives them back.
#[must_use]
pub fn is_attributes(value: &HeaderValue) -> bool {
    let visible = |byte: &u8| (b' '..=b'~').contains(byte);
    value.len() <= CUSTOM_ATTRIBUTES_BYTES && value.as_bytes().iter().all(visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn refusal(lines: &[(&'static str, &str)]) -> String {
        Asked::read(&headers(lines), 1000).unwrap_err().to_string()
    }

    #[test]
    fn several_accept_headers_are_one_list() {
        let headers = headers(&[("accept", "text/csv"), ("accept", "*/*;q=0.1")]);
        let asked = Asked::read(&headers, 1000).unwrap();
        assert_eq!(asked.accept.as_deref(), Some("text/csv, */*;q=0.1"));
    }

    #[test]
    fn the_streaming_apis_accept_stands_in_for_a_missing_one() {
        let streaming = ("x-amzn-sagemaker-accept", "application/jsonlines");
        let alone = headers(&[streaming]);
        let asked = Asked::read(&alone, 1000).unwrap();
        assert_eq!(asked.accept.as_deref(), Some("application/jsonlines"));
        let both = headers(&[streaming, ("accept", "text/csv")]);
        let asked = Asked::read(&both, 1000).unwrap();
        assert_eq!(asked.accept.as_deref(), Some("text/csv"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let twice = [
            ("content-type", "text/csv"),
            ("content-type", "application/json"),
        ];
        assert_eq!(
            refusal(&twice),
            "header content-type stands twice with different values; expected once"
        );
        let same = [("content-type", "text/csv"), ("content-type", "text/csv")];
        assert!(Asked::read(&headers(&same), 1000).is_ok());
        assert_eq!(
            refusal(&[("accept", "\u{e9}")]),
            "header accept is not text"
        );
        assert_eq!(
            refusal(&[("transfer-encoding", "gzip, chunked")]),
            "transfer encoding \"gzip, chunked\" is not supported; expected chunked alone"
        );
        assert!(Asked::read(&headers(&[("transfer-encoding", "Chunked")]), 1000).is_ok());
        let long = "x".repeat(1025);
        assert_eq!(
            refusal(&[("x-amzn-sagemaker-custom-attributes", &long)]),
            "header x-amzn-sagemaker-custom-attributes has 1025 bytes, or one that is no visible \
             ascii character; expected at most 1024 of these"
        );
        assert_eq!(
            refusal(&[("x-anything", &"x".repeat(2000))]),
            "the request's headers take 2010 bytes, more than the limit of 1000 \
             (PLIMSOLL_MAX_HEADER_BYTES sets it)"
        );
        let session = [("x-amzn-sagemaker-session-id", "NEW_SESSION")];
        assert!(refusal(&session).contains("sessions"));
        let open = headers(&[("x-amzn-sagemaker-session-id", "abc")]);
        assert!(Asked::read(&open, 1000).is_ok());
    }
}
