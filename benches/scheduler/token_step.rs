//! One token of a text that gpt2 writes: the token, and the keys and values of those before it, which
//! travel with each request and come back one token longer. Triton's binary type carries them as they
//! lie in memory.

use benches::bare::Axes;
use benches::served::Body;

/// Tokens that are kept when the step begins.
pub(crate) const KEPT: usize = 32;

const LAYERS: usize = 6;
const HEADS: usize = 8;
const HEAD: usize = 64;
const WORDS: usize = 8192;
const TYPE: &str = "application/vnd.sagemaker-triton.binary+json";

/// The sizes of `texts` texts of which each takes a step.
pub(crate) fn axes(texts: usize) -> Axes {
    let sizes = [("sequence", 1), ("past", KEPT), ("total", KEPT + 1)];
    Axes {
        first: texts as i64,
        other: 1,
        named: sizes
            .map(|(name, size)| (name.to_owned(), size as i64))
            .to_vec(),
    }
}

/// The request of one text.
pub(crate) fn body() -> Body {
    let mut inputs = Vec::new();
    let mut data = Vec::new();
    let mut add = |name: &str, datatype, shape: &[usize], bytes: Vec<u8>| {
        inputs.push(serde_json::json!({
            "name": name,
            "shape": shape,
            "datatype": datatype,
            "parameters": {"binary_data_size": bytes.len()},
        }));
        data.extend(bytes);
    };
    let whole = |numbers: &[i64]| -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    };
    add("input_ids", "INT64", &[1, 1], whole(&[WORDS as i64 / 2]));
    add(
        "attention_mask",
        "INT64",
        &[1, KEPT + 1],
        whole(&[1; KEPT + 1]),
    );
    for layer in 0..LAYERS {
        for kind in ["key", "value"] {
            let name = format!("past_key_values.{layer}.{kind}");
            let values = (0..HEADS * KEPT * HEAD).flat_map(|index| value(index).to_le_bytes());
            add(&name, "FP32", &[1, HEADS, KEPT, HEAD], values.collect());
        }
    }
    let head = serde_json::json!({
        "inputs": inputs,
        "parameters": {"binary_data_output": true},
    })
    .to_string();
    Body {
        content_type: format!("{TYPE};json-header-size={}", head.len()),
        accept: Some(TYPE),
        bytes: [head.into_bytes(), data].concat(),
    }
}

/// Numbers between -0.5 and 0.5.
fn value(index: usize) -> f32 {
    let mixed = (index as u32).wrapping_add(1).wrapping_mul(2_654_435_761);
    (mixed >> 8) as f32 / (1 << 24) as f32 - 0.5
}
