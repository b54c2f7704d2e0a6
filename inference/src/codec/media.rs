//! Media types: what a `Content-Type` names, and which type answers an `Accept`.
//!
//! Case and parameters are ignored, apart from `q`. Among the types that a caller accepts and that
//! can carry the outputs, the highest `q` wins; equal ones go by the order of the list; a wildcard
//! takes the preferred type, which is the deployer's default, else the request's own, else JSON.

use super::error::quoted;
use super::{chosen, Dialect, Format, NotAcceptable, ReplyHint};
use crate::model::{Port, PortType, Signature};
use crate::tensor::ElementType;

/// The type and subtype of a header value, without parameters and space around them.
pub(super) fn essence(header: &str) -> &str {
    header.split(';').next().unwrap_or_default().trim()
}

/// The format of a media type, compared without case.
pub(super) fn format_of(essence: &str) -> Option<Format> {
    Format::ALL.into_iter().find(|format| {
        format
            .media_types()
            .iter()
            .any(|name| essence.eq_ignore_ascii_case(name))
    })
}

/// The values of a parameter of a header value, without quotes.
pub(super) fn parameters<'h>(header: &'h str, name: &'h str) -> impl Iterator<Item = &'h str> {
    header.split(';').skip(1).filter_map(move |parameter| {
        let (found, value) = parameter.split_once('=')?;
        let value = value.trim();
        let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        found
            .trim()
            .eq_ignore_ascii_case(name)
            .then(|| quoted.unwrap_or(value))
    })
}

/// The format of a reply, and the name that the caller has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The format.
    pub format: Format,
    /// One of its [media types](Format::media_types).
    pub media_type: &'static str,
    /// Whether the caller named this type, rather than left the choice to us.
    pub is_named: bool,
}

impl Choice {
    fn ours(format: Format) -> Self {
        Self {
            format,
            media_type: format.media_type(),
            is_named: false,
        }
    }
}

/// Chooses the reply's format before the model runs. A missing or empty `Accept` means `*/*`;
/// `default_accept` is what the deployer wants in that case, and is passed over where it cannot
/// carry the outputs.
///
/// # Errors
/// [`NotAcceptable`], with the reason, where nothing that the caller accepts can carry the outputs.
pub fn negotiate(
    accept: Option<&str>,
    default_accept: Option<&str>,
    hint: &ReplyHint,
    signature: &Signature,
) -> Result<Choice, NotAcceptable> {
    let able = |format| obstacle(format, &hint.dialect, signature).is_none();
    // Whoever asked for binary tensors in a v2 body has chosen the type by it.
    let asked = match hint.format {
        Format::Json if hint.dialect.asks_for_binary(signature) => Format::Triton,
        Format::Triton if !hint.dialect.asks_for_binary(signature) => Format::Json,
        format => format,
    };
    let own = if able(asked) { asked } else { Format::Json };
    let preferred = match default_accept {
        Some(ranges) => choose(ranges, own, able).map_or(own, |choice| choice.format),
        None => own,
    };
    let Some(accept) = accept.filter(|ranges| !ranges.trim().is_empty()) else {
        return Ok(Choice::ours(preferred));
    };
    if let Some(choice) = choose(accept, preferred, able) {
        return Ok(choice);
    }
    // A type that is known and wanted, but has no room for these outputs, gets its own reason.
    match choose(accept, preferred, |_| true) {
        Some(choice) => Err(NotAcceptable(format!(
            "{} cannot carry this reply: {}",
            choice.media_type,
            obstacle(choice.format, &hint.dialect, signature).unwrap_or_default()
        ))),
        None => Err(NotAcceptable(format!(
            "accept {} names no type that can be written; offered are {}",
            quoted(accept),
            Format::list()
        ))),
    }
}

/// The format that serves a list of media ranges best, among those that are `able`.
fn choose(ranges: &str, preferred: Format, able: impl Fn(Format) -> bool) -> Option<Choice> {
    let ranges: Vec<Range> = split(ranges).filter_map(Range::parse).collect();
    let candidates = std::iter::once(preferred)
        .chain(
            Format::ALL
                .into_iter()
                .filter(|format| *format != preferred),
        )
        .filter(|format| able(*format));
    let mut best: Option<(u16, usize, Choice)> = None;
    for format in candidates {
        // The most specific range that covers a type speaks for it.
        let covering = ranges
            .iter()
            .enumerate()
            .filter_map(|(place, range)| {
                let (detail, name) = range.covers(format)?;
                Some((detail, place, range.quality, name))
            })
            .max_by_key(|(detail, place, ..)| (*detail, usize::MAX - place));
        let Some((_, place, quality, name)) = covering.filter(|(_, _, quality, _)| *quality > 0)
        else {
            continue;
        };
        let better = best.is_none_or(|(q, at, _)| (quality, at) > (q, place));
        if better {
            let choice = Choice {
                format,
                media_type: name.unwrap_or(format.media_type()),
                is_named: name.is_some(),
            };
            best = Some((quality, place, choice));
        }
    }
    best.map(|(_, _, choice)| choice)
}

/// One entry of an `Accept` header; `quality` in thousandths.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: u16,
}

impl<'a> Range<'a> {
    /// Entries that are not media ranges, or whose `q` is not a weight, are passed over.
    fn parse(entry: &'a str) -> Option<Self> {
        let (kind, subtype) = match essence(entry) {
            // Some HTTP clients write it so.
            "*" => ("*", "*"),
            essence => essence.split_once('/')?,
        };
        let weight = entry.split(';').skip(1).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
        });
        let quality = match weight {
            None => 1000,
            Some(text) => {
                let weight = text.parse::<f32>().ok()?;
                if !(0.0..=1.0).contains(&weight) {
                    return None;
                }
                (weight * 1000.0).round() as u16
            }
        };
        Some(Self {
            kind,
            subtype,
            quality,
        })
    }

    /// How closely this range names a format: 2 by name, which is given, 1 by `type/*`, 0 by `*/*`.
    fn covers(&self, format: Format) -> Option<(u8, Option<&'static str>)> {
        if self.kind == "*" && self.subtype == "*" {
            return Some((0, None));
        }
        format.media_types().iter().find_map(|name| {
            let (kind, subtype) = name.split_once('/')?;
            if !self.kind.eq_ignore_ascii_case(kind) {
                None
            } else if self.subtype == "*" {
                Some((1, None))
            } else {
                self.subtype
                    .eq_ignore_ascii_case(subtype)
                    .then_some((2, Some(*name)))
            }
        })
    }
}

/// The entries of a header list; commas inside quotes do not part them.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    list.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

/// Why a format cannot carry the chosen outputs, as far as their declared types tell.
fn obstacle(format: Format, dialect: &Dialect, signature: &Signature) -> Option<String> {
    let mut ports = chosen(dialect, signature).filter_map(|i| signature.outputs.get(i));
    match format {
        Format::Json | Format::JsonLines | Format::Triton => None,
        Format::Csv => ports.find_map(|port| {
            let fits = match &port.kind {
                PortType::Tensor { .. } | PortType::Map { .. } => true,
                PortType::Optional(inner) => matches!(**inner, PortType::Tensor { .. }),
                PortType::Sequence(inner) => matches!(**inner, PortType::Map { .. }),
                PortType::Other(_) => false,
            };
            (!fits).then(|| format!("output {} is {}", port.name, port.kind))
        }),
        Format::Npy => sole("array", ports).map_or_else(Some, not_an_array),
        Format::Npz => ports.find_map(not_an_array),
        Format::RecordIo => ports.find_map(|port| match port.tensor() {
            Some(_) => None,
            None => Some(format!("output {} is {}", port.name, port.kind)),
        }),
        Format::Octets => match sole("tensor", ports) {
            Err(reason) => Some(reason),
            Ok(port) => match port.tensor() {
                Some((ElementType::String, _)) => Some(format!(
                    "output {} is string, which has no fixed size",
                    port.name
                )),
                Some(_) => None,
                None => Some(format!("output {} is {}", port.name, port.kind)),
            },
        },
    }
}

/// The one output, or why that is not enough.
fn sole<'p>(what: &str, mut ports: impl Iterator<Item = &'p Port>) -> Result<&'p Port, String> {
    let first = ports.next();
    let others = ports.count();
    first.filter(|_| others == 0).ok_or_else(|| {
        let count = others + usize::from(first.is_some());
        format!("it holds one {what}, and there are {count} outputs")
    })
}

/// Why an output is no NumPy array.
fn not_an_array(port: &Port) -> Option<String> {
    match port.tensor() {
        Some((ElementType::BFloat16, _)) => Some(format!(
            "output {} is bfloat16, which it does not know",
            port.name
        )),
        Some(_) => None,
        None => Some(format!("output {} is {}", port.name, port.kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::{mix, output_of, sum4};

    fn hint(format: Format) -> ReplyHint {
        ReplyHint {
            format,
            dialect: Dialect::Bare,
        }
    }

    /// The negotiated format alone.
    fn format(
        accept: Option<&str>,
        default_accept: Option<&str>,
        hint: &ReplyHint,
        signature: &Signature,
    ) -> Result<Format, NotAcceptable> {
        negotiate(accept, default_accept, hint, signature).map(|choice| choice.format)
    }

    #[test]
    fn the_reply_has_the_name_that_the_caller_gave_the_type() {
        for (accept, name) in [
            ("application/x-ndjson", "application/x-ndjson"),
            ("APPLICATION/JSONS, */*", "application/jsons"),
            ("*/*", "application/json"),
        ] {
            let choice = negotiate(Some(accept), None, &hint(Format::Json), &sum4()).unwrap();
            assert_eq!(choice.media_type, name);
            assert_eq!(choice.is_named, accept != "*/*");
        }
    }

    #[test]
    fn a_v2_request_for_binary_outputs_gets_them_unless_accept_says_otherwise() {
        let binary = |outputs: Option<Vec<usize>>| ReplyHint {
            format: Format::Json,
            dialect: Dialect::V2(crate::codec::V2 {
                outputs,
                binary: vec![(0, true)],
                ..crate::codec::V2::default()
            }),
        };
        let all = binary(None);
        assert_eq!(format(None, None, &all, &mix()), Ok(Format::Triton));
        assert_eq!(format(Some("*/*"), None, &all, &mix()), Ok(Format::Triton));
        assert_eq!(
            format(Some("application/json"), None, &all, &mix()),
            Ok(Format::Json)
        );
        // The one that shall be binary is not among those asked for.
        let other = binary(Some(vec![1]));
        assert_eq!(format(None, None, &other, &mix()), Ok(Format::Json));
        let plain = ReplyHint {
            format: Format::Triton,
            dialect: crate::codec::tests::v2(None, None),
        };
        assert_eq!(format(None, None, &plain, &mix()), Ok(Format::Json));
        let named = Some("application/vnd.sagemaker-triton.binary+json");
        assert_eq!(format(named, None, &plain, &mix()), Ok(Format::Triton));
    }

    #[test]
    fn parameters_are_found_by_name() {
        let text = "a/b; charset=\"utf-8\" ;JSON-Header-Size = 12;x";
        let found = |text, name| parameters(text, name).collect::<Vec<_>>();
        assert_eq!(found(text, "json-header-size"), ["12"]);
        assert_eq!(found(text, "charset"), ["utf-8"]);
        assert!(found(text, "x").is_empty());
        assert!(found("a/b", "x").is_empty());
        assert_eq!(found("a/b; x=1; X=2", "x"), ["1", "2"]);
    }

    #[test]
    fn parameters_case_and_space_do_not_matter_in_a_content_type() {
        for text in [
            "application/json",
            "Application/JSON",
            " application/json ; charset=utf-8",
            "application/json;charset=UTF-8;x=1",
        ] {
            assert_eq!(format_of(essence(text)), Some(Format::Json), "{text}");
        }
        assert_eq!(
            format_of(essence("text/csv; label_size=0")),
            Some(Format::Csv)
        );
        assert_eq!(format_of(essence("APPLICATION/X-NPY")), Some(Format::Npy));
        for text in [
            "application/ld+json",
            "text/plain",
            "",
            "json",
            "application/json2",
        ] {
            assert_eq!(format_of(essence(text)), None, "{text}");
        }
    }

    #[test]
    fn an_accept_header_chooses_the_best_type_that_can_be_written() {
        use Format::{Csv, Json, Npy};
        let cases: &[(Option<&str>, Option<&str>, Format, Format)] = &[
            // accept, deployer's default, request, chosen
            (None, None, Json, Json),
            (None, None, Csv, Csv),
            (Some(""), None, Npy, Npy),
            (Some(" "), None, Csv, Csv),
            (Some("*/*"), None, Json, Json),
            (Some("*/*"), None, Csv, Csv),
            (Some("*"), None, Csv, Csv),
            (Some("*;q=0.1, text/csv"), None, Json, Csv),
            (Some("*/*"), Some("text/csv"), Json, Csv),
            (None, Some("text/csv"), Json, Csv),
            (None, Some("TEXT/CSV; charset=utf-8"), Json, Csv),
            (None, Some("application/x-unknown"), Csv, Csv),
            (Some("application/json"), Some("text/csv"), Csv, Json),
            (Some("text/csv, application/json"), None, Json, Csv),
            (
                Some("application/x-unknown, application/json;q=0.5"),
                None,
                Csv,
                Json,
            ),
            (Some("text/*"), None, Json, Csv),
            (Some("application/*"), None, Csv, Json),
            (Some("application/*"), None, Npy, Npy),
            (
                Some("text/csv;q=0.1, application/x-npy; q=0.9"),
                None,
                Json,
                Npy,
            ),
            (Some("*/*, application/json;q=0"), None, Json, Csv),
            (Some("*/*;q=0.1, text/csv;q=0.2"), None, Json, Csv),
            (Some("application/x-npy;q=0, */*"), None, Npy, Json),
            (
                Some("Application/Json; Charset=UTF-8; Q=1.000"),
                None,
                Csv,
                Json,
            ),
            (
                Some("text/csv;q=2, application/json;q=0.1"),
                None,
                Csv,
                Json,
            ),
            (Some("rubbish, ,;, text/csv"), None, Json, Csv),
            (
                Some("text/csv;x=\"a,application/json\";q=0.4, application/x-npy;q=0.5"),
                None,
                Json,
                Npy,
            ),
        ];
        for (accept, default, request, chosen) in cases {
            assert_eq!(
                format(*accept, *default, &hint(*request), &sum4()),
                Ok(*chosen),
                "{accept:?} {default:?} {request:?}"
            );
        }
    }

    #[test]
    fn an_accept_header_that_nothing_satisfies_is_refused_with_the_offer() {
        for accept in [
            "application/x-unknown",
            "image/*",
            "application/json;q=0",
            "*/*;q=0",
            "?",
        ] {
            let error = negotiate(Some(accept), None, &hint(Format::Json), &sum4()).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "accept {accept:?} names no type that can be written; offered are {}",
                    Format::list()
                ),
                "{accept}"
            );
        }
    }

    #[test]
    fn npy_is_refused_with_the_reason_where_one_array_is_not_enough() {
        let error = negotiate(Some("application/x-npy"), None, &hint(Format::Npy), &mix());
        assert_eq!(
            error.unwrap_err().to_string(),
            "application/x-npy cannot carry this reply: it holds one array, and there are 2 outputs"
        );
        // A list that leaves another way takes it, and so does silence.
        let list = format(
            Some("application/x-npy, text/csv"),
            None,
            &hint(Format::Npy),
            &mix(),
        );
        assert_eq!(list, Ok(Format::Csv));
        assert_eq!(
            format(None, None, &hint(Format::Npy), &mix()),
            Ok(Format::Json)
        );
        let asked = ReplyHint {
            format: Format::Json,
            dialect: crate::codec::tests::v2(None, Some(&[1])),
        };
        assert_eq!(
            format(Some("application/x-npy"), None, &asked, &mix()),
            Ok(Format::Npy)
        );
    }

    #[test]
    fn kinds_of_output_that_a_format_has_no_room_for_are_named() {
        let bf16 = output_of(PortType::Tensor {
            element: ElementType::BFloat16,
            dims: None,
        });
        let map = output_of(PortType::Sequence(Box::new(PortType::Map {
            key: ElementType::Int64,
            value: ElementType::Float32,
        })));
        let sequence = output_of(PortType::Sequence(Box::new(PortType::Tensor {
            element: ElementType::Float32,
            dims: None,
        })));
        let refusal = |accept, signature: &Signature| {
            negotiate(Some(accept), None, &hint(Format::Json), signature)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refusal("application/x-npy", &bf16),
            "application/x-npy cannot carry this reply: output y is bfloat16, which it does not know"
        );
        assert_eq!(
            refusal("application/x-npy", &map),
            "application/x-npy cannot carry this reply: output y is seq(map(int64,float32))"
        );
        assert_eq!(
            refusal("text/csv", &sequence),
            "text/csv cannot carry this reply: output y is seq(float32 of any shape)"
        );
        assert_eq!(
            format(Some("text/csv"), None, &hint(Format::Json), &map),
            Ok(Format::Csv)
        );
    }
}
