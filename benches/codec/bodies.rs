//! The bodies of the bench and the models that they are for.

use bytes::Bytes;
use inference::codec::{self, Decoded, Intake};
use inference::model::{Dim, Port, PortType, Signature};
use inference::tensor::ElementType;

/// One image of three channels.
pub const IMAGE: [usize; 4] = [1, 3, 224, 224];

/// A tensor of these axes.
fn port(name: &str, element: ElementType, dims: &[Dim]) -> Port {
    Port {
        name: name.to_owned(),
        kind: PortType::Tensor {
            element,
            dims: Some(dims.to_vec()),
        },
    }
}

/// A model of one float input with these axes, and the like output.
pub fn model(dims: &[Dim]) -> Signature {
    Signature {
        inputs: vec![port("x", ElementType::Float32, dims)],
        outputs: vec![port("y", ElementType::Float32, dims)],
    }
}

/// A model of token ids.
pub fn tokens() -> Signature {
    Signature {
        inputs: vec![port("x", ElementType::Int64, &[Dim::Free, Dim::Free])],
        outputs: Vec::new(),
    }
}

/// A model with an input for every column of a table.
pub fn columns(names: &[&str]) -> Signature {
    let input = |name: &&str| port(name, ElementType::Float32, &[Dim::Free, Dim::Fixed(1)]);
    Signature {
        inputs: names.iter().map(input).collect(),
        outputs: Vec::new(),
    }
}

/// A model of images of any size and number.
pub fn images() -> Signature {
    model(&[Dim::Free, Dim::Free, Dim::Free, Dim::Free])
}

/// A model of tables with so many columns.
pub fn table(columns: usize) -> Signature {
    model(&[Dim::Free, Dim::Fixed(columns)])
}

/// Reads a body that is known to fit.
pub fn decode(content_type: &str, body: Bytes, signature: &Signature) -> Decoded {
    match codec::decode(Intake::of(Some(content_type)), body, signature) {
        Ok(decoded) => decoded,
        Err(error) => panic!("{content_type}: {error}"),
    }
}

/// Pixels as a network wants them: a byte less a mean, over a deviation.
pub fn pixels(count: usize) -> Vec<f32> {
    let mut state = 0x9E37_79B9_u32;
    let pixel = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 24) as f32 / 255.0 - 0.485) / 0.229
    };
    (0..count).map(pixel).collect()
}

/// Numbers below the smallest normal float, as the tail of a distribution has them.
pub fn tails(count: usize) -> Vec<f64> {
    let tail = |i| -> f64 { (-90.0 - i as f64 * 0.007).exp() };
    (0..count).map(tail).collect()
}

/// Every number in its shortest text.
pub fn shortest(numbers: &[f32]) -> Vec<String> {
    numbers.iter().map(f32::to_string).collect()
}

/// Every number as Python's `tolist()` and `json` write it: by way of a double, up to 17 digits.
pub fn doubled(numbers: &[f32]) -> Vec<String> {
    numbers.iter().map(|n| f64::from(*n).to_string()).collect()
}

/// Numbers as nested JSON lists of this shape.
pub fn nested(shape: &[usize], numbers: &[String]) -> String {
    let [count, inner @ ..] = shape else {
        return numbers.concat();
    };
    let size = numbers.len() / count;
    let members: Vec<String> = numbers
        .chunks(size)
        .map(|chunk| nested(inner, chunk))
        .collect();
    format!("[{}]", members.join(","))
}

/// Numbers as a list of objects with these keys.
pub fn objects(names: &[&str], numbers: &[String]) -> String {
    let object = |row: &[String]| {
        let members: Vec<String> = names
            .iter()
            .zip(row)
            .map(|(name, number)| format!("{name:?}:{number}"))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    let rows: Vec<String> = numbers.chunks(names.len()).map(object).collect();
    format!("[{}]", rows.join(","))
}

/// Numbers as a KServe v2 request with flat data.
pub fn v2(shape: &[usize], numbers: &[String]) -> String {
    format!(
        r#"{{"inputs":[{{"name":"x","shape":{shape:?},"datatype":"FP32","data":[{}]}}]}}"#,
        numbers.join(",")
    )
}

/// Numbers as CSV.
pub fn csv(columns: usize, numbers: &[String]) -> String {
    let lines: Vec<String> = numbers.chunks(columns).map(|row| row.join(",")).collect();
    lines.join("\n")
}

/// Numbers as JSON Lines, a list a line.
pub fn lines(columns: usize, numbers: &[String]) -> String {
    let list = |row: &[String]| format!("[{}]\n", row.join(","));
    numbers.chunks(columns).map(list).collect()
}
