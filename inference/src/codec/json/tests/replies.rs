//! Replies in every dialect.

use std::sync::Arc;

use super::{read, v2, write};
use crate::codec::tests::{floats, ints, mix, output_of, port, signature, strings, sum4};
use crate::codec::Dialect::{Bare, Columns, Instances};
use crate::model::{PortType, Signature};
use crate::tensor::{Data, ElementType, Keys, Tensor, Value};

fn two_rows() -> [Value; 1] {
    [Value::Tensor(floats(&[2, 1], &[10.0, 26.0]))]
}

fn sums() -> [Value; 2] {
    [
        Value::Tensor(floats(&[1, 2], &[1.5, 2.5])),
        Value::Tensor(floats(&[1, 2], &[0.5, 1.5])),
    ]
}

#[test]
fn one_output_in_every_dialect() {
    let id = v2(Some("q\"1"), None);
    let cases = [
        (Bare, "[[10.0],[26.0]]"),
        (Instances, "{\"predictions\":[[10.0],[26.0]]}"),
        (Columns, "{\"outputs\":[[10.0],[26.0]]}"),
        (v2(None, None), "{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[2,1],\"data\":[10.0,26.0]}]}"),
        (id, "{\"model_name\":\"m\",\"model_version\":\"1\",\"id\":\"q\\\"1\",\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[2,1],\"data\":[10.0,26.0]}]}"),
    ];
    for (dialect, text) in cases {
        assert_eq!(write(&dialect, &two_rows(), &sum4()), text);
    }
}

#[test]
fn several_outputs_in_every_dialect() {
    let d = v2(None, Some(&[1]));
    let cases = [
        (Bare, "{\"s\":[[1.5,2.5]],\"d\":[[0.5,1.5]]}"),
        (Instances, "{\"predictions\":[{\"s\":[1.5,2.5],\"d\":[0.5,1.5]}]}"),
        (Columns, "{\"outputs\":{\"s\":[[1.5,2.5]],\"d\":[[0.5,1.5]]}}"),
        (d, "{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"d\",\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[0.5,1.5]}]}"),
    ];
    for (dialect, text) in cases {
        assert_eq!(write(&dialect, &sums(), &mix()), text);
    }
    let swapped = v2(None, Some(&[1, 0]));
    let text = write(&swapped, &sums(), &mix());
    assert!(text.find("\"d\"") < text.find("\"s\""), "{text}");
}

#[test]
fn a_request_and_its_reply_share_the_dialect() {
    let body = "{\"instances\":[[1,2,3,4],[5,6,7,8]]}";
    let decoded = read(body, &sum4()).unwrap();
    assert_eq!(
        write(&decoded.reply.dialect, &two_rows(), &sum4()),
        "{\"predictions\":[[10.0],[26.0]]}"
    );
}

#[test]
fn outputs_without_common_records_become_one_object_of_predictions() {
    let scalar = [Value::Tensor(floats(&[], &[3.0]))];
    assert_eq!(
        write(&Instances, &scalar, &sum4()),
        "{\"predictions\":{\"y\":3.0}}"
    );
    let unequal = [
        Value::Tensor(floats(&[2], &[1.0, 2.0])),
        Value::Tensor(floats(&[1], &[3.0])),
    ];
    assert_eq!(
        write(&Instances, &unequal, &mix()),
        "{\"predictions\":{\"s\":[1.0,2.0],\"d\":[3.0]}}"
    );
}

#[test]
fn deep_scalar_and_empty_tensors_keep_their_shape() {
    for (shape, elements, text) in [
        (&[][..], &[1.0][..], "1.0"),
        (&[0], &[], "[]"),
        (&[2, 0], &[], "[[],[]]"),
        (&[0, 3], &[], "[]"),
        (&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0], "[[[1.0,2.0],[3.0,4.0]]]"),
        (
            &[2, 1, 1],
            &[f32::NAN, f32::INFINITY],
            "[[[null]],[[\"Infinity\"]]]",
        ),
    ] {
        let value = [Value::Tensor(floats(shape, elements))];
        assert_eq!(write(&Bare, &value, &sum4()), text);
    }
    let empty = [Value::Tensor(floats(&[0, 1], &[]))];
    assert_eq!(write(&Instances, &empty, &sum4()), "{\"predictions\":[]}");
}

fn classifier() -> (Signature, [Value; 2]) {
    let mut signature = output_of(PortType::Tensor {
        element: ElementType::Int64,
        dims: None,
    });
    signature.outputs.push(port("p", ElementType::Float32, "*"));
    let maps = Value::Maps {
        keys: Arc::new(Keys::String(vec!["cat".to_owned(), "d\"g".to_owned()])),
        values: floats(&[2, 2], &[0.25, 0.75, 1.0, 0.0]),
    };
    (signature, [Value::Tensor(ints(&[2], &[1, 0])), maps])
}

#[test]
fn maps_are_objects() {
    let (signature, outputs) = classifier();
    assert_eq!(
        write(&Bare, &outputs, &signature),
        "{\"y\":[1,0],\"p\":[{\"cat\":0.25,\"d\\\"g\":0.75},{\"cat\":1.0,\"d\\\"g\":0.0}]}"
    );
    assert_eq!(
        write(&Instances, &outputs, &signature),
        "{\"predictions\":[{\"y\":1,\"p\":{\"cat\":0.25,\"d\\\"g\":0.75}},{\"y\":0,\"p\":{\"cat\":1.0,\"d\\\"g\":0.0}}]}"
    );
    let text = write(&v2(None, None), &outputs, &signature);
    assert!(
        text.ends_with("{\"name\":\"p\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":[\"{\\\"cat\\\":0.25,\\\"d\\\\\\\"g\\\":0.75}\",\"{\\\"cat\\\":1.0,\\\"d\\\\\\\"g\\\":0.0}\"]}]}"),
        "{text}"
    );
}

#[test]
fn single_maps_sequences_and_absent_values() {
    let map = || Value::Map {
        keys: Keys::Int64(vec![-1, 7]),
        values: floats(&[2], &[0.5, 2.0]),
    };
    let sequence = Value::Sequence(vec![
        Value::Tensor(floats(&[2], &[1.0, 2.0])),
        Value::Tensor(strings(&[], &["a"])),
        map(),
        Value::Absent,
    ]);
    let cases = [
        (map(), "{\"-1\":0.5,\"7\":2.0}"),
        (sequence, "[[1.0,2.0],\"a\",{\"-1\":0.5,\"7\":2.0},null]"),
        (Value::Absent, "null"),
    ];
    for (value, text) in cases {
        let outputs = [value];
        assert_eq!(write(&Bare, &outputs, &sum4()), text);
        assert_eq!(
            write(&Columns, &outputs, &sum4()),
            format!("{{\"outputs\":{text}}}")
        );
        let v2 = write(&v2(None, None), &outputs, &sum4());
        let parsed: serde_json::Value = serde_json::from_str(&v2).unwrap();
        assert_eq!(parsed["outputs"][0]["datatype"], "BYTES");
        let data = parsed["outputs"][0]["data"].as_array().unwrap();
        assert_eq!(parsed["outputs"][0]["shape"][0], data.len());
    }
    assert_eq!(
        write(&Instances, &[map()], &sum4()),
        "{\"predictions\":{\"y\":{\"-1\":0.5,\"7\":2.0}}}"
    );
}

#[test]
fn every_type_has_its_v2_name() {
    let bf16 = Tensor::new(vec![1], Data::BFloat16(vec![half::bf16::ONE].into())).unwrap();
    let signature = signature(vec![], vec![port("ü", ElementType::BFloat16, "1")]);
    assert_eq!(
        write(&v2(None, None), &[Value::Tensor(bf16)], &signature),
        "{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"ü\",\"datatype\":\"BF16\",\"shape\":[1],\"data\":[1.0]}]}"
    );
}
