//! Takes `ZipMap` nodes out of a graph.
//!
//! Classifiers converted from scikit-learn end in `ZipMap`, which turns one tensor of scores into a
//! sequence of maps. Reading those maps back costs the runtime an allocation or more per record:
//! several times the model itself. So the node is removed at load and its scores become the output;
//! the keys are kept here, and the reply shows the same maps
//! ([`Value::Maps`](crate::tensor::Value::Maps)).
//!
//! Only the plain case is touched: the map is an output of the main graph, nothing else reads it,
//! and its scores are not an output already. Otherwise the model is left as it is and the runtime's
//! maps are read one by one.

use std::sync::Arc;

use crate::tensor::Keys;
use crate::wire::{fields, put_bytes, Field, Fields, Malformed, Wire};

/// A `ZipMap` that was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipMap {
    /// The output that was a sequence of maps.
    pub output: String,
    /// The tensor that carries its scores, now an output in its place.
    pub scores: String,
    /// The keys of every map.
    pub keys: Arc<Keys>,
}

/// A message without its `ZipMap` nodes, and what they did.
pub type Stripped = (Vec<u8>, Vec<ZipMap>);

struct Node {
    op: String,
    domain: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    keys: Option<Keys>,
}

/// The model without its `ZipMap` nodes, and what they did; `None` where there is nothing to do.
#[must_use]
pub fn strip(model: &[u8]) -> Option<Stripped> {
    // Most models hold no such node; one pass over the bytes tells.
    memchr::memmem::find(model, b"ZipMap")?;
    try_strip(model).ok().flatten()
}

fn try_strip(model: &[u8]) -> Result<Option<Stripped>, Malformed> {
    let mut out = Vec::with_capacity(model.len());
    let mut maps = Vec::new();
    for field in fields(model) {
        let field = field?;
        if field.number == 7 {
            let Some((graph, found)) = strip_graph(field.bytes())? else {
                return Ok(None);
            };
            put_bytes(&mut out, 7, &graph);
            maps = found;
        } else {
            out.extend_from_slice(field.raw);
        }
    }
    Ok((!maps.is_empty()).then_some((out, maps)))
}

fn strip_graph(graph: &[u8]) -> Result<Option<Stripped>, Malformed> {
    let mut maps: Vec<ZipMap> = Vec::new();
    let mut read_by_others: Vec<String> = Vec::new();
    let mut graph_outputs: Vec<String> = Vec::new();
    for field in fields(graph) {
        let field = field?;
        match field.number {
            1 => {
                let node = node(field.bytes())?;
                match zip_map(node) {
                    Ok(map) => maps.push(map),
                    Err(inputs) => read_by_others.extend(inputs),
                }
            }
            12 => graph_outputs.push(value_name(field.bytes())?),
            _ => {}
        }
    }
    let plain = |map: &ZipMap| {
        graph_outputs.contains(&map.output)
            && !graph_outputs.contains(&map.scores)
            && !read_by_others.contains(&map.output)
            && maps.iter().filter(|m| m.scores == map.scores).count() == 1
    };
    if maps.is_empty() || !maps.iter().all(plain) {
        return Ok(None);
    }

    let mut out = Vec::with_capacity(graph.len());
    for field in fields(graph) {
        let field = field?;
        match field.number {
            1 if zip_map(node(field.bytes())?).is_ok() => {}
            12 => {
                let name = value_name(field.bytes())?;
                match maps.iter().find(|map| map.output == name) {
                    Some(map) => put_bytes(&mut out, 12, &float_tensor(&map.scores)),
                    None => out.extend_from_slice(field.raw),
                }
            }
            _ => out.extend_from_slice(field.raw),
        }
    }
    Ok(Some((out, maps)))
}

/// A `ValueInfoProto` of this name: a float tensor whose shape the runtime infers.
fn float_tensor(name: &str) -> Vec<u8> {
    const FLOAT_TENSOR_TYPE: &[u8] = &[0x0a, 2, 0x08, 1];
    let mut value = Vec::new();
    put_bytes(&mut value, 1, name.as_bytes());
    put_bytes(&mut value, 2, FLOAT_TENSOR_TYPE);
    value
}

fn value_name(value: &[u8]) -> Result<String, Malformed> {
    for field in fields(value) {
        let field = field?;
        if field.number == 1 {
            return Ok(field.text());
        }
    }
    Ok(String::new())
}

/// The node as a [`ZipMap`], or its inputs where it is something else.
fn zip_map(mut node: Node) -> Result<ZipMap, Vec<String>> {
    let is_zip_map = node.op == "ZipMap"
        && node.domain == "ai.onnx.ml"
        && node.inputs.len() == 1
        && node.outputs.len() == 1;
    match node.keys.take() {
        Some(keys) if is_zip_map => Ok(ZipMap {
            output: node.outputs.remove(0),
            scores: node.inputs.remove(0),
            keys: Arc::new(keys),
        }),
        _ => Err(node.inputs),
    }
}

fn node(bytes: &[u8]) -> Result<Node, Malformed> {
    let mut node = Node {
        op: String::new(),
        domain: String::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        keys: None,
    };
    for field in fields(bytes) {
        let field = field?;
        match field.number {
            1 => node.inputs.push(field.text()),
            2 => node.outputs.push(field.text()),
            4 => node.op = field.text(),
            5 => {
                if let Some(keys) = class_labels(fields(field.bytes()))? {
                    node.keys = Some(keys);
                }
            }
            7 => node.domain = field.text(),
            _ => {}
        }
    }
    Ok(node)
}

fn class_labels(attribute: Fields<'_>) -> Result<Option<Keys>, Malformed> {
    let (mut name, mut ints, mut strings) = (String::new(), Vec::new(), Vec::new());
    for field in attribute {
        let field = field?;
        match field.number {
            1 => name = field.text(),
            8 => push_ints(&field, &mut ints)?,
            9 => strings.push(field.text()),
            _ => {}
        }
    }
    Ok(match name.as_str() {
        "classlabels_int64s" if !ints.is_empty() => Some(Keys::Int64(ints)),
        "classlabels_strings" if !strings.is_empty() => Some(Keys::String(strings)),
        _ => None,
    })
}

/// Repeated integers come packed or one by one.
fn push_ints(field: &Field<'_>, ints: &mut Vec<i64>) -> Result<(), Malformed> {
    match field.value {
        Wire::Varint(value) => ints.push(value.cast_signed()),
        Wire::Bytes(mut packed) => {
            while !packed.is_empty() {
                let (value, rest) = crate::wire::varint(packed).ok_or(Malformed)?;
                ints.push(value.cast_signed());
                packed = rest;
            }
        }
        Wire::Fixed32(_) | Wire::Fixed64(_) => return Err(Malformed),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node_bytes(op: &str, input: &str, output: &str, labels: &[i64]) -> Vec<u8> {
        let mut attribute = Vec::new();
        put_bytes(&mut attribute, 1, b"classlabels_int64s");
        let mut packed = Vec::new();
        for &label in labels {
            crate::wire::put_varint(&mut packed, label.cast_unsigned());
        }
        put_bytes(&mut attribute, 8, &packed);
        let mut node = Vec::new();
        put_bytes(&mut node, 1, input.as_bytes());
        put_bytes(&mut node, 2, output.as_bytes());
        put_bytes(&mut node, 4, op.as_bytes());
        put_bytes(&mut node, 5, &attribute);
        put_bytes(&mut node, 7, b"ai.onnx.ml");
        node
    }

    fn output(name: &str) -> Vec<u8> {
        let mut value = Vec::new();
        put_bytes(&mut value, 1, name.as_bytes());
        value
    }

    fn model(nodes: &[Vec<u8>], outputs: &[&str]) -> Vec<u8> {
        let mut graph = Vec::new();
        for node in nodes {
            put_bytes(&mut graph, 1, node);
        }
        for name in outputs {
            put_bytes(&mut graph, 12, &output(name));
        }
        let mut model = Vec::new();
        put_bytes(&mut model, 7, &graph);
        model
    }

    #[test]
    fn the_scores_become_the_output_and_the_keys_are_kept() {
        let nodes = [
            node_bytes("LinearClassifier", "X", "scores", &[]),
            node_bytes("ZipMap", "scores", "probability", &[0, -1, 2]),
        ];
        let (stripped, maps) = strip(&model(&nodes, &["label", "probability"])).unwrap();
        assert_eq!(maps.len(), 1);
        assert_eq!(maps[0].output, "probability");
        assert_eq!(*maps[0].keys, Keys::Int64(vec![0, -1, 2]));
        assert!(!stripped.windows(6).any(|w| w == b"ZipMap"));
        assert!(stripped.windows(6).any(|w| w == b"scores"));
    }

    #[test]
    fn a_map_that_something_else_reads_is_left_alone() {
        let zip = node_bytes("ZipMap", "scores", "probability", &[0, 1]);
        let reader = node_bytes("SequenceLength", "probability", "n", &[]);
        assert!(strip(&model(&[zip.clone(), reader], &["probability"])).is_none());
        assert!(strip(&model(
            std::slice::from_ref(&zip),
            &["probability", "scores"]
        ))
        .is_none());
        assert!(strip(&model(&[zip], &["other"])).is_none());
    }
}
