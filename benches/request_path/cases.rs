//! The models under measure, and the bodies that ask them.

use std::fmt::Write as _;

use benches::npy;

/// An 8×8 picture of a five, spaced as Python's `json.dumps` does.
const ROW: &str = "[0.0, 2.0, 13.0, 16.0, 16.0, 16.0, 11.0, 0.0, \
                    0.0, 5.0, 16.0, 10.0, 5.0, 4.0, 1.0, 0.0, \
                    0.0, 6.0, 16.0, 7.0, 3.0, 0.0, 0.0, 0.0, \
                    0.0, 9.0, 16.0, 16.0, 16.0, 6.0, 0.0, 0.0, \
                    0.0, 3.0, 8.0, 4.0, 11.0, 15.0, 0.0, 0.0, \
                    0.0, 0.0, 0.0, 1.0, 12.0, 15.0, 0.0, 0.0, \
                    0.0, 0.0, 4.0, 13.0, 16.0, 6.0, 0.0, 0.0, \
                    0.0, 2.0, 16.0, 15.0, 8.0, 0.0, 0.0, 0.0]";
/// Tokens of minilm's text: `[CLS]`, words, `[SEP]`.
const TOKENS: usize = 32;
/// Side of resnet50's picture of three colours.
const SIDE: usize = 224;

/// A model and how it is asked.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    /// Size of every free axis but the first, which is 1.
    pub(crate) free_axis: usize,
    /// Settings beside what ships.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Connections that keep one core busy.
    pub(crate) connections: usize,
    /// Intervals this many times as long, so that the clock of CPU time is fine enough.
    pub(crate) longer: u32,
    /// Microseconds that one connection may take over the echo, where that is a target.
    pub(crate) alone_over_echo_us: Option<f64>,
    pub(crate) bodies: fn() -> Vec<Body>,
}

/// One shape of request.
pub(crate) struct Body {
    pub(crate) name: &'static str,
    pub(crate) content_type: String,
    pub(crate) accept: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Share of the limit that is wanted.
    pub(crate) share: f64,
}

/// Every model, lightest first.
pub(crate) const MODELS: [Model; 4] = [
    Model {
        name: "digits",
        free_axis: 1,
        environment: &[],
        connections: 32,
        longer: 1,
        alone_over_echo_us: Some(20.0),
        bodies: digits,
    },
    Model {
        name: "boosted",
        free_axis: 1,
        // Requests that share a run pass the limit, which is one run each.
        environment: &[("PLIMSOLL_BATCHING", "off")],
        connections: 32,
        longer: 1,
        alone_over_echo_us: None,
        bodies: boosted,
    },
    Model {
        name: "minilm",
        free_axis: TOKENS,
        environment: &[("PLIMSOLL_BATCHING", "off")],
        connections: 4,
        longer: 2,
        alone_over_echo_us: None,
        bodies: minilm,
    },
    Model {
        name: "resnet50",
        free_axis: 1,
        environment: &[],
        connections: 4,
        longer: 2,
        alone_over_echo_us: None,
        bodies: resnet50,
    },
];

fn json(name: &'static str, text: String, share: f64) -> Body {
    Body {
        name,
        content_type: "application/json".to_owned(),
        accept: "application/json",
        bytes: text.into_bytes(),
        share,
    }
}

fn digits() -> Vec<Body> {
    vec![
        json(
            "{\"instances\": [[64 numbers]]}",
            format!("{{\"instances\": [{ROW}]}}"),
            0.80,
        ),
        json("[[64 numbers]]", format!("[{ROW}]"), 0.80),
    ]
}

fn boosted() -> Vec<Body> {
    let row: Vec<String> = (0..40).map(|i| format!("{:.2}", value(i))).collect();
    let text = format!("{{\"instances\": [[{}]]}}", row.join(", "));
    vec![json("{\"instances\": [[40 numbers]]}", text, 0.80)]
}

fn minilm() -> Vec<Body> {
    let mut ids = vec![2_000; TOKENS];
    for (i, id) in ids.iter_mut().enumerate() {
        *id += 37 * i;
    }
    ids[0] = 101;
    ids[TOKENS - 1] = 102;
    let list = |of: &[usize]| {
        let words: Vec<String> = of.iter().map(ToString::to_string).collect();
        words.join(", ")
    };
    let text = format!(
        "{{\"instances\": [{{\"input_ids\": [{}], \"attention_mask\": [{}], \"token_type_ids\": [{}]}}]}}",
        list(&ids),
        list(&[1; TOKENS]),
        list(&[0; TOKENS]),
    );
    vec![json("{\"instances\": [{3 × 32 tokens}]}", text, 0.98)]
}

fn resnet50() -> Vec<Body> {
    let values: Vec<f32> = (0..3 * SIDE * SIDE).map(value).collect();
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut text = String::from("{\"instances\": [[");
    for (plane, rows) in values.chunks(SIDE * SIDE).enumerate() {
        text.push_str(if plane == 0 { "[" } else { ", [" });
        for (index, row) in rows.chunks(SIDE).enumerate() {
            text.push_str(if index == 0 { "[" } else { ", [" });
            for (column, value) in row.iter().enumerate() {
                let comma = if column == 0 { "" } else { "," };
                // Writing to a string cannot fail.
                let _ = write!(text, "{comma}{value:.5}");
            }
            text.push(']');
        }
        text.push(']');
    }
    text.push_str("]]}");
    let binary = |name, content_type: String, accept, head: Vec<u8>| Body {
        name,
        content_type,
        accept,
        bytes: [head, raw.clone()].concat(),
        share: 0.99,
    };
    let head = format!(
        "{{\"inputs\":[{{\"name\":\"gpu_0/data_0\",\"shape\":[1,3,{SIDE},{SIDE}],\"datatype\":\"FP32\",\"parameters\":{{\"binary_data_size\":{}}}}}]}}",
        raw.len()
    );
    vec![
        json("a picture in JSON", text, 0.95),
        binary(
            "a picture in npy",
            "application/x-npy".to_owned(),
            "application/x-npy",
            npy::head(&[1, 3, SIDE, SIDE]),
        ),
        binary(
            "a picture in Triton's binary type",
            format!(
                "application/vnd.sagemaker-triton.binary+json;json-header-size={}",
                head.len()
            ),
            "application/vnd.sagemaker-triton.binary+json",
            head.into_bytes(),
        ),
    ]
}

/// Numbers between -1 and 1 without a pattern that a predictor learns.
fn value(index: usize) -> f32 {
    let mixed = (index as u32).wrapping_add(1).wrapping_mul(2_654_435_761);
    (mixed >> 8) as f32 / (1 << 23) as f32 - 1.0
}
