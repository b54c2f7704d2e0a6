//! Dialects and shapes of requests.

use super::{read, refusal, v2};
use crate::codec::tests::{floats, ints, mix, port, read_as, signature, strings, sum4, words};
use crate::codec::{example, Dialect};
use crate::tensor::ElementType::{Bool, Float32, Int64, String as Text};
use crate::tensor::{Data, Tensor};

#[test]
fn each_dialect_reads_the_same_record() {
    let v2 = |data: &str| {
        format!("{{\"id\":\"q1\",\"inputs\":[{{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":{data}}}]}}")
    };
    let q1 = super::v2(Some("q1"), None);
    let cases = [
        ("[[1,2,3,4]]", Dialect::Bare),
        (" [ [ 1.0 , 2e0, 3, 4 ] ] \n", Dialect::Bare),
        ("{\"instances\":[[1,2,3,4]]}", Dialect::Instances),
        (
            "{\"signature_name\":\"s\",\"instances\":[{\"x\":[1,2,3,4]}],\"configuration\":{}}",
            Dialect::Instances,
        ),
        (
            "{\"instances\":[{\"features\":[1,2,3,4]}]}",
            Dialect::Instances,
        ),
        (
            "{\"instances\":[{\"data\":{\"features\":{\"values\":[1,2,3,4]}}}]}",
            Dialect::Instances,
        ),
        ("{\"inputs\":{\"x\":[[1,2,3,4]]}}", Dialect::Columns),
        ("{\"inputs\":[[1,2,3,4]]}", Dialect::Columns),
        (&v2("[1,2,3,4]"), q1.clone()),
        (&v2("[[1,2,3,4]]"), q1),
    ];
    for (body, dialect) in cases {
        let decoded = read(body, &sum4()).unwrap();
        assert_eq!(
            decoded.inputs,
            [floats(&[1, 4], &[1., 2., 3., 4.])],
            "{body}"
        );
        assert_eq!(decoded.reply.dialect, dialect, "{body}");
    }
}

#[test]
fn several_inputs_are_taken_by_name_in_any_order() {
    let a = ints(&[2, 2], &[1, 2, 3, 4]);
    let b = floats(&[2, 2], &[0.5, 0.5, 1.5, 1.5]);
    let expected = [a, b];
    for body in [
        "{\"instances\":[{\"a\":[1,2],\"b\":[0.5,0.5]},{\"b\":[1.5,1.5],\"a\":[3,4]}]}",
        "{\"instances\":[{\"features\":[1,2,0.5,0.5]},{\"a\":[3,4],\"b\":[1.5,1.5]}]}",
        "{\"inputs\":{\"b\":[[0.5,0.5],[1.5,1.5]],\"a\":[[1,2],[3,4]]}}",
        "{\"inputs\":[\
         {\"data\":[0.5,0.5,1.5,1.5],\"datatype\":\"FP32\",\"shape\":[2,2],\"name\":\"b\",\"parameters\":{\"p\":[1]}},\
         {\"name\":\"a\",\"datatype\":\"INT64\",\"data\":[[1,2],[3,4]],\"shape\":[2,2]}]}",
    ] {
        assert_eq!(read(body, &mix()).unwrap().inputs, expected, "{body}");
    }
}

#[test]
fn v2_keeps_the_outputs_asked_for() {
    let body =
        "{\"outputs\":[{\"name\":\"d\",\"parameters\":{\"x\":1}}],\"parameters\":{},\"inputs\":[\
        {\"name\":\"a\",\"shape\":[1,2],\"datatype\":\"INT64\",\"data\":[1,2]},\
        {\"name\":\"b\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}]}";
    let dialect = read(body, &mix()).unwrap().reply.dialect;
    assert_eq!(dialect, v2(None, Some(&[1])));
}

#[test]
fn a_column_of_a_table_takes_scalars_as_rows() {
    let table = signature(
        vec![port("age", Int64, "N,1"), port("sex", Text, "N,1")],
        vec![],
    );
    let expected = [ints(&[2, 1], &[22, 33]), strings(&[2, 1], &["m", "f"])];
    for body in [
        "{\"instances\":[{\"age\":22,\"sex\":\"m\"},{\"age\":33,\"sex\":\"f\"}]}",
        "{\"instances\":[{\"age\":[22],\"sex\":\"m\"},{\"sex\":[\"f\"],\"age\":33}]}",
        "{\"instances\":[{\"features\":[22,\"m\"]},{\"features\":[33.0,\"f\"]}]}",
    ] {
        assert_eq!(read(body, &table).unwrap().inputs, expected, "{body}");
    }
    // A column as a whole keeps its shape: nothing is reshaped silently.
    assert_eq!(
        refusal("{\"inputs\":{\"age\":[22],\"sex\":[[\"m\"]]}}", &table),
        "input age int64[N,1]: found shape [1], rank 1 where 2 is expected; wrap one record in a list: [ … ]"
    );
    let one = signature(vec![port("x", Float32, "N,1")], vec![]);
    let rows = read("{\"instances\":[1,2.5,[3]]}", &one).unwrap();
    assert_eq!(rows.inputs, [floats(&[3, 1], &[1., 2.5, 3.])]);
}

#[test]
fn flat_rows_fill_all_axes() {
    let image = signature(vec![port("x", Float32, "N,2,?")], vec![]);
    let decoded = read(
        "{\"instances\":[{\"features\":[1,2,3,4,5,6]},[[1,2,3],[4,5,6]]]}",
        &image,
    )
    .unwrap();
    assert_eq!(decoded.inputs[0].shape(), [2, 2, 3]);
    let mixed = signature(vec![port("a", Int64, "N,2"), port("s", Text, "N")], vec![]);
    let decoded = read("{\"instances\":[{\"features\":[1,2,\"x\"]}]}", &mixed).unwrap();
    assert_eq!(
        decoded.inputs,
        [ints(&[1, 2], &[1, 2]), strings(&[1], &["x"])]
    );
}

#[test]
fn a_models_own_input_called_features_comes_first() {
    let own = signature(
        vec![
            port("features", Float32, "N,2"),
            port("data", Float32, "N,1"),
        ],
        vec![],
    );
    let decoded = read("{\"instances\":[{\"features\":[1,2],\"data\":3}]}", &own).unwrap();
    assert_eq!(
        decoded.inputs,
        [floats(&[1, 2], &[1., 2.]), floats(&[1, 1], &[3.])]
    );
}

#[test]
fn scalars_free_ranks_and_empty_axes_are_shapes_too() {
    let scalar = signature(vec![port("x", Float32, "")], vec![]);
    for body in [
        "3",
        "3.0",
        "{\"inputs\":3}",
        "{\"inputs\":{\"x\":3}}",
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[],\"datatype\":\"FP32\",\"data\":[3]}]}",
        "{\"inputs\":[{\"data\":3,\"name\":\"x\",\"shape\":[],\"datatype\":\"FP32\"}]}",
    ] {
        assert_eq!(
            read(body, &scalar).unwrap().inputs,
            [floats(&[], &[3.])],
            "{body}"
        );
    }
    assert_eq!(
        refusal("[3]", &scalar),
        "input x float32[]: found shape [1], rank 1 where 0 is expected; there is one list too many around it"
    );
    let any = signature(vec![port("x", Float32, "*")], vec![]);
    for (body, shape) in [
        ("1", vec![]),
        ("[1]", vec![1]),
        ("[[[1],[2]]]", vec![1, 2, 1]),
        ("[]", vec![0]),
        ("[[],[]]", vec![2, 0]),
    ] {
        assert_eq!(read(body, &any).unwrap().inputs[0].shape(), shape, "{body}");
    }
    let empty = "{\"inputs\":[{\"name\":\"x\",\"shape\":[0,4],\"datatype\":\"FP32\",\"data\":[]}]}";
    assert_eq!(read(empty, &sum4()).unwrap().inputs, [floats(&[0, 4], &[])]);
}

#[test]
fn a_model_without_inputs_takes_an_empty_request() {
    let constant = signature(vec![], vec![port("y", Int64, "1")]);
    for body in [
        "{}",
        "{\"inputs\":{}}",
        "{\"inputs\":[]}",
        "{\"id\":\"a\",\"inputs\":[]}",
        "{\"outputs\":[{\"name\":\"y\"}]}",
    ] {
        assert_eq!(read(body, &constant).unwrap().inputs, [], "{body}");
    }
    assert_eq!(
        refusal("[1]", &constant),
        "the model has no inputs; send {} or an empty body"
    );
}

#[test]
fn strings_arrive_as_they_are() {
    let expected = [strings(&[2], &["a", "ü\n🦀"])];
    for body in [
        "[\"a\",\"ü\\n🦀\"]",
        "[\"\\u0061\",\"\\u00fc\\n\\ud83e\\udd80\"]",
        "{\"instances\":[\"a\",\"ü\\n🦀\"]}",
        "{\"inputs\":[\"a\",\"ü\\n🦀\"]}",
        "{\"inputs\":[{\"data\":[\"a\",\"ü\\n🦀\"],\"name\":\"x\",\"shape\":[2],\"datatype\":\"BYTES\"}]}",
    ] {
        assert_eq!(read(body, &words()).unwrap().inputs, expected, "{body}");
    }
}

#[test]
fn the_example_of_a_signature_is_accepted() {
    let bools = Tensor::new(vec![1, 2], Data::Bool(vec![false; 2].into())).unwrap();
    let wide = signature(
        vec![
            port("a \"b\"", Bool, "N,2"),
            port("s", Text, "N"),
            port("f", Float32, ""),
            port("i", Int64, "?,1"),
        ],
        vec![],
    );
    let body = String::from_utf8(example(&wide).unwrap()).unwrap();
    assert_eq!(
        body,
        "{\"inputs\":{\"a \\\"b\\\"\":[[false,false]],\"s\":[\"\"],\"f\":0.0,\"i\":[[0]]}}"
    );
    let inputs = read(&body, &wide).unwrap().inputs;
    assert_eq!(
        inputs,
        [
            bools,
            strings(&[1], &[""]),
            floats(&[], &[0.]),
            ints(&[1, 1], &[0])
        ]
    );
    for signature in [sum4(), mix(), words()] {
        let body = String::from_utf8(example(&signature).unwrap()).unwrap();
        assert!(read(&body, &signature).is_ok(), "{body}");
    }
    let huge = signature(vec![port("x", Float32, "N,100000,100000")], vec![]);
    assert_eq!(
        example(&huge).unwrap_err().to_string(),
        "input x float32[N,100000,100000] is too large for an example"
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_json() {
    let body = "\u{feff}[[1,2,3,4]]";
    let expected = [floats(&[1, 4], &[1.0, 2.0, 3.0, 4.0])];
    assert_eq!(read(body, &sum4()).unwrap().inputs, expected);
    let unnamed = read_as(None, bytes::Bytes::from_static(body.as_bytes()), &sum4());
    assert_eq!(unnamed.unwrap().inputs, expected);
    assert!(read("\u{feff}\u{feff}[[1,2,3,4]]", &sum4()).is_err());
}

#[test]
fn an_empty_list_of_outputs_asks_for_all_and_null_counts_as_absent() {
    let inputs =
        "\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":[1,2,3,4],\
                  \"parameters\":null}]";
    for rest in [
        "",
        ",\"outputs\":[]",
        ",\"outputs\":null,\"id\":null,\"parameters\":null",
    ] {
        let decoded = read(&format!("{{{inputs}{rest}}}"), &sum4()).unwrap();
        assert_eq!(decoded.reply.dialect, v2(None, None), "{rest}");
    }
    let named = ",\"outputs\":[{\"name\":\"y\",\"parameters\":null}]";
    let decoded = read(&format!("{{{inputs}{named}}}"), &sum4()).unwrap();
    assert_eq!(decoded.reply.dialect, v2(None, Some(&[0])));
    // The keys that belong to v2 alone do not if they say nothing.
    let rows = "{\"id\":null,\"instances\":[[1,2,3,4]]}";
    assert!(read(rows, &sum4()).is_ok());
}
