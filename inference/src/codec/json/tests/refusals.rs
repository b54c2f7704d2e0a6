//! Requests that are refused, and what they are told.

use super::{read, refusal};
use crate::codec::tests::{mix, port, signature, sum4, words};
use crate::codec::DecodeError;
use crate::model::{Port, PortType};
use crate::tensor::ElementType::{Float32, String as Text};

const FORMS: &str =
    "accepted are a json array, {\"instances\":[…]}, {\"inputs\":{…}}, or kserve v2 \
                     {\"inputs\":[{\"name\",\"shape\",\"datatype\",\"data\"}]}";

#[test]
fn bodies_that_are_not_json_are_unreadable() {
    for body in [
        "{\"instances\":",
        "[[\"1\",",
        "[\"1\"]]",
        "{\"inputs\" 1}",
        "[\"a\" \"b\"]",
        "nul",
        " ",
        "[\"a\",]",
        "[\"\\ud800\"]",
        "[\"a\"]x",
    ] {
        let error = read(body, &words()).unwrap_err();
        assert!(
            matches!(error, DecodeError::Unreadable(_)),
            "{body}: {error:?}"
        );
    }
    assert_eq!(
        refusal("{\"instances\":", &sum4()),
        "body is not valid json: EOF while parsing a value at line 1 column 13"
    );
    let bytes = bytes::Bytes::from_static(b"[\"\xff\"]");
    let error =
        crate::codec::tests::read_as(Some("application/json"), bytes, &words()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "body is not valid json: invalid unicode code point at line 1 column 3"
    );
}

#[test]
fn a_body_of_no_dialect_is_told_the_forms() {
    assert_eq!(
        refusal("{\"foo\":1}", &sum4()),
        format!("unknown key \"foo\"; {FORMS}")
    );
    assert_eq!(
        refusal("{}", &sum4()),
        format!("the body is no request; {FORMS}")
    );
    assert_eq!(
        refusal("{\"id\":\"a\"}", &sum4()),
        format!("the body is no request; {FORMS}")
    );
    let texts = [
        (
            "{\"instances\":[[1,2,3,4]],\"inputs\":{}}",
            "instances or inputs must be given once, and not both",
        ),
        (
            "{\"instances\":[[1,2,3,4]],\"instances\":[]}",
            "instances or inputs must be given once, and not both",
        ),
        (
            "{\"instances\":{\"x\":[1]}}",
            "\"instances\" must be a list of records",
        ),
        (
            "{\"instances\":3}",
            "\"instances\" must be a list of records",
        ),
        ("{\"instances\":[]}", "no records: \"instances\" is empty"),
        (
            "{\"inputs\":[[1,2,3,4]],\"id\":\"a\"}",
            "\"id\" belongs to the kserve v2 form alone",
        ),
        (
            "{\"parameters\":{},\"inputs\":[[1,2,3,4]]}",
            "\"parameters\" belongs to the kserve v2 form alone",
        ),
        ("{\"id\":1,\"inputs\":[]}", "\"id\" must be a string"),
        ("{\"id\":\"a\",\"id\":\"b\"}", "\"id\" is given twice"),
        (
            "[{\"x\":[1,2,3,4]}]",
            "input x at [0]: an object where float32 is expected",
        ),
    ];
    for (body, text) in texts {
        assert_eq!(refusal(body, &sum4()), text, "{body}");
    }
}

#[test]
fn wrong_names_are_named() {
    let texts = [
        ("[[1,2]]", "the model has several inputs, name them (a, b)"),
        (
            "{\"instances\":[[1,2]]}",
            "the model has several inputs, name them (a, b)",
        ),
        (
            "{\"inputs\":[[1,2]]}",
            "the model has several inputs, name them (a, b)",
        ),
        ("{\"inputs\":{\"a\":[[1,2]]}}", "missing input b"),
        ("{\"inputs\":{}}", "missing inputs a, b"),
        (
            "{\"inputs\":{\"a\":[[1,2]],\"z\":1}}",
            "unknown input \"z\"; the model's inputs are a, b",
        ),
        (
            "{\"inputs\":{\"a\":[[1,2]],\"a\":[[1,2]]}}",
            "input a is given twice",
        ),
        (
            "{\"instances\":[{\"a\":[1,2]}]}",
            "instances[0] lacks input b",
        ),
        (
            "{\"instances\":[{\"a\":[1,2],\"b\":[1,2]},{\"b\":[1,2]}]}",
            "instances[1] lacks input a",
        ),
        (
            "{\"instances\":[{\"a\":[1,2],\"a\":[1,2]}]}",
            "input a is given twice",
        ),
        (
            "{\"instances\":[{\"a\":[1,2],\"features\":[1,2,3,4]}]}",
            "input a is given twice",
        ),
        (
            "{\"instances\":[{\"q\":[1,2]}]}",
            "unknown input \"q\"; the model's inputs are a, b",
        ),
    ];
    for (body, text) in texts {
        assert_eq!(refusal(body, &mix()), text, "{body}");
    }
}

#[test]
fn v2_refusals_name_what_is_wrong() {
    let entry = |rest: &str| format!("{{\"inputs\":[{{\"name\":\"x\"{rest}}}]}}");
    let shape = ",\"shape\":[1,4],\"datatype\":\"FP32\"";
    let every = "every member of \"inputs\" must be an object with name, shape, datatype and data";
    let texts = [
        (
            entry(&format!("{shape},\"data\":[1,2,3]")),
            "input x: shape [1, 4] does not hold the 3 elements of its data".to_owned(),
        ),
        (
            entry(&format!("{shape},\"data\":[[1,2],[3,4]]")),
            "input x: data is nested as [2, 2], its shape says [1, 4]".to_owned(),
        ),
        (
            entry(",\"shape\":[1,4],\"datatype\":\"INT64\",\"data\":[1,2,3,4]"),
            "input x has datatype \"INT64\", FP32 is expected".to_owned(),
        ),
        (
            entry(",\"data\":[1,2,3,4],\"shape\":[1,4],\"datatype\":\"INT64\""),
            "input x has datatype \"INT64\", FP32 is expected".to_owned(),
        ),
        (
            entry(",\"shape\":[2,2],\"datatype\":\"FP32\",\"data\":[1,2,3,4]"),
            "input x float32[N,4]: found shape [2, 2], axis 1 must be 4".to_owned(),
        ),
        (
            entry(",\"shape\":[18446744073709551615,4],\"datatype\":\"FP32\",\"data\":[1]"),
            "input x: shape [18446744073709551615, 4] does not hold the 1 elements of its data"
                .to_owned(),
        ),
        (
            entry(",\"shape\":[-1,4],\"datatype\":\"FP32\",\"data\":[1]"),
            "an input's \"shape\" must be a list of non-negative integers".to_owned(),
        ),
        (entry(shape), "input x lacks \"data\"".to_owned()),
        (
            entry(",\"shape\":[1,4],\"data\":[1]"),
            "input x lacks \"datatype\"".to_owned(),
        ),
        (
            entry(",\"datatype\":\"FP32\",\"data\":[1]"),
            "input x lacks \"shape\"".to_owned(),
        ),
        (
            entry(",\"name\":\"x\""),
            "key \"name\" of input x is given twice".to_owned(),
        ),
        (
            "{\"inputs\":[{\"datatype\":\"FP32\",\"datatype\":\"FP32\"}]}".to_owned(),
            "key \"datatype\" of an input is given twice".to_owned(),
        ),
        (
            entry(",\"parameters\":{},\"parameters\":null"),
            "key \"parameters\" of input x is given twice".to_owned(),
        ),
        (
            "{\"outputs\":[{\"name\":\"y\",\"nmae\":1}]}".to_owned(),
            "unknown key \"nmae\" in an output; \"outputs\" must be a list of objects with a name"
                .to_owned(),
        ),
        (
            "{\"outputs\":[{\"name\":\"y\",\"parameters\":{},\"parameters\":{}}]}".to_owned(),
            "key \"parameters\" of an output is given twice".to_owned(),
        ),
        (
            "{\"outputs\":3}".to_owned(),
            "\"outputs\" must be a list of objects with a name".to_owned(),
        ),
        (
            "{\"parameters\":{\"binary_data_output\":true},\"parameters\":{}}".to_owned(),
            "\"parameters\" is given twice".to_owned(),
        ),
        (
            entry(",\"extra\":1"),
            format!("unknown key \"extra\" in an input; {every}"),
        ),
        (
            "{\"inputs\":[{\"shape\":[1]}]}".to_owned(),
            format!("an input lacks \"name\"; {every}"),
        ),
        (
            "{\"inputs\":[{\"name\":\"q\"}]}".to_owned(),
            "unknown input \"q\"; the model's inputs are x".to_owned(),
        ),
        (
            "{\"inputs\":[{\"name\":7}]}".to_owned(),
            "an input's \"name\" must be a string".to_owned(),
        ),
        (
            format!("{{\"inputs\":[{{\"name\":\"x\"{shape},\"data\":[1,2,3,4]}},3]}}"),
            every.to_owned(),
        ),
        (
            format!(
                "{{\"inputs\":[{{\"name\":\"x\"{shape},\"data\":[1,2,3,4]}},{{\"name\":\"x\"}}]}}"
            ),
            "input x is given twice".to_owned(),
        ),
        (
            "{\"outputs\":[{\"name\":\"q\"}]}".to_owned(),
            "unknown output \"q\"; the model's outputs are y".to_owned(),
        ),
        (
            "{\"outputs\":[{\"name\":\"y\"},{\"name\":\"y\"}]}".to_owned(),
            "output y is asked for twice".to_owned(),
        ),
        (
            "{\"outputs\":[\"y\"]}".to_owned(),
            "\"outputs\" must be a list of objects with a name".to_owned(),
        ),
        (
            "{\"outputs\":[],\"outputs\":[]}".to_owned(),
            "\"outputs\" is given twice".to_owned(),
        ),
    ];
    for (body, text) in texts {
        assert_eq!(refusal(&body, &sum4()), text, "{body}");
    }
    let missing =
        "{\"inputs\":[{\"name\":\"a\",\"shape\":[1,2],\"datatype\":\"INT64\",\"data\":[1,2]}]}";
    assert_eq!(refusal(missing, &mix()), "missing input b");
}

#[test]
fn flat_rows_of_the_wrong_width_or_depth_are_refused() {
    let texts = [
        ("{\"instances\":[{\"features\":[1,2,3]}]}", "instances[0] has 3 features, 4 expected (x float32[N,4])"),
        ("{\"instances\":[{\"features\":[1,2,[3],4]}]}", "the features of instances[0] must be a flat list of values"),
        ("{\"instances\":[{\"features\":3}]}", "\"features\" must be a list of values"),
        ("{\"instances\":[{\"data\":[1]}]}", "\"data\" must be {\"features\":{\"values\":[…]}}"),
        ("{\"instances\":[{\"data\":{\"features\":{\"keys\":[4],\"shape\":[4],\"values\":[1]}}}]}", "instances[0]: key 4 lies outside of 4 features"),
        ("{\"instances\":[{\"features\":[1,2,3,\"a\"]}]}", "input x at [0][3]: a string where float32 is expected"),
    ];
    for (body, text) in texts {
        assert_eq!(refusal(body, &sum4()), text, "{body}");
    }
}

#[test]
fn ragged_and_mixed_lists_are_refused_with_the_place() {
    let texts = [
        (
            "[[1,2,3,4],[1,2,3]]",
            "input x at [1]: ragged: 3 members where earlier lists have 4",
        ),
        (
            "[[1,2,3,4],5]",
            "input x at [1]: a value where other rows have a list",
        ),
        (
            "[[1,2,3,4],[1,2,[3],4]]",
            "input x at [1][2]: a list where other rows have a value",
        ),
        (
            "[[],[1]]",
            "input x at [1]: ragged: 1 members where earlier lists have 0",
        ),
        (
            "{\"instances\":[[1,2,3,4],[1,2,3]]}",
            "input x at [1]: ragged: 3 members where earlier lists have 4",
        ),
        (
            "{\"inputs\":[[1,2,3,4],[1,2,3,4,5]]}",
            "input x at [1]: ragged: 5 members where earlier lists have 4",
        ),
        (
            "[[1,2,{},4]]",
            "input x at [0][2]: an object where float32 is expected",
        ),
    ];
    for (body, text) in texts {
        assert_eq!(refusal(body, &sum4()), text, "{body}");
    }
    // A number that needs its own text takes the slow way, which refuses alike.
    assert_eq!(
        refusal("[[1,2,3,7.038531e-26],[1,2,3]]", &sum4()),
        "input x at [1]: ragged: 3 members where earlier lists have 4"
    );
}

#[test]
fn depth_is_bounded() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let any = signature(vec![port("x", Float32, "*")], vec![]);
    assert!(read(&deep(64), &any).is_ok());
    assert_eq!(
        refusal(&deep(65), &any),
        "input x at [0][0][0][0]: lists nest more than 64 deep"
    );
    for body in [
        "[".repeat(1_000_000),
        "{\"a\":".repeat(100_000),
        format!("{{\"instances\":{}", "[".repeat(1_000_000)),
        format!("{{\"inputs\":[{{\"data\":{}", "[".repeat(1_000_000)),
        format!("[7.038531e-26,{}", "[".repeat(100_000)),
    ] {
        assert!(read(&body, &any).is_err());
    }
}

#[test]
fn an_input_that_is_no_tensor_refuses_every_request() {
    let map = Port {
        name: "m".to_owned(),
        kind: PortType::Map {
            key: Text,
            value: Float32,
        },
    };
    assert_eq!(
        refusal("{}", &signature(vec![map], vec![])),
        "input m is map(string,float32), which no request can bring"
    );
}

#[test]
fn bare_words_for_what_is_no_number_are_told_what_to_write() {
    for body in [
        "[[NaN,2,3,4]]",
        "[[1,Infinity,3,4]]",
        "[[1,2,\n-Infinity,4]]",
    ] {
        let text = refusal(body, &sum4());
        assert!(text.contains("NaN is null"), "{body}: {text}");
    }
    let text = refusal("[[1,2,x]]", &sum4());
    assert!(!text.contains("NaN"), "{text}");
}

#[test]
fn a_sequence_is_not_begun_in_silence() {
    let body = "{\"parameters\":{\"sequence_id\":5},\"inputs\":[]}";
    let text = refusal(body, &sum4());
    assert!(text.contains("sequences are not kept"), "{text}");
}
