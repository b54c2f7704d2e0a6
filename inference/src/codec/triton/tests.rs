//! Triton's binary form in and out, and every lie that a header can tell.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::codec::tests::{floats, ints, mix, port, signature, strings, sum4, v2, words};
use crate::codec::{decode as read_any, encode as write_any, Setting};
use crate::tensor::Value;

const TYPE: &str = "application/vnd.sagemaker-triton.binary+json";

fn body(json: &str, tail: &[u8]) -> (String, Vec<u8>) {
    let content_type = format!("{TYPE};json-header-size={}", json.len());
    (content_type, [json.as_bytes(), tail].concat())
}

fn read(content_type: &str, body: &[u8], signature: &Signature) -> Result<Decoded, String> {
    read_any(
        Intake::of(Some(content_type)),
        Bytes::copy_from_slice(body),
        signature,
    )
    .map_err(|error| error.to_string())
}

fn read_parts(json: &str, tail: &[u8], signature: &Signature) -> Result<Decoded, String> {
    let (content_type, body) = body(json, tail);
    read(&content_type, &body, signature)
}

/// One input `x` of four floats, whose elements lie behind the JSON.
fn x(size: &str) -> String {
    format!(
        "{{\"inputs\":[{{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\",\
         \"parameters\":{{\"binary_data_size\":{size}}}}}]}}"
    )
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[test]
fn elements_lie_behind_the_json_in_its_order() {
    let json = "{\"id\":\"q\",\"parameters\":{\"binary_data_output\":true},\"inputs\":[\
        {\"name\":\"b\",\"parameters\":{\"binary_data_size\":8,\"other\":[1]},\"shape\":[1,2],\"datatype\":\"FP32\"},\
        {\"datatype\":\"INT64\",\"shape\":[1,2],\"parameters\":{\"binary_data_size\":16},\"name\":\"a\"}]}";
    let tail = [
        bytes(&[0.5, 1.5]),
        [1i64, -2].map(i64::to_le_bytes).concat(),
    ]
    .concat();
    let decoded = read_parts(json, &tail, &mix()).unwrap();
    assert_eq!(
        decoded.inputs,
        [ints(&[1, 2], &[1, -2]), floats(&[1, 2], &[0.5, 1.5])]
    );
    assert_eq!(decoded.reply.format, Format::Triton);
    let Dialect::V2(wishes) = decoded.reply.dialect else {
        panic!("v2 is expected")
    };
    assert_eq!(wishes.id.as_deref(), Some("q"));
    assert!(wishes.is_binary(0) && wishes.is_binary(1));
}

#[test]
fn some_inputs_may_be_json_and_outputs_are_asked_for_one_by_one() {
    let json = "{\"inputs\":[\
        {\"name\":\"a\",\"shape\":[1,2],\"datatype\":\"INT64\",\"data\":[1,2]},\
        {\"name\":\"b\",\"shape\":[1,2],\"datatype\":\"FP32\",\"parameters\":{\"binary_data_size\":8}}],\
        \"outputs\":[{\"name\":\"d\",\"parameters\":{\"binary_data\":true}},{\"name\":\"s\"}]}";
    let decoded = read_parts(json, &bytes(&[0.5, 0.5]), &mix()).unwrap();
    assert_eq!(
        decoded.inputs,
        [ints(&[1, 2], &[1, 2]), floats(&[1, 2], &[0.5, 0.5])]
    );
    let Dialect::V2(wishes) = decoded.reply.dialect else {
        panic!("v2 is expected")
    };
    assert_eq!(wishes.outputs, Some(vec![1, 0]));
    assert!(wishes.is_binary(1) && !wishes.is_binary(0));
}

#[test]
fn the_kserve_header_and_a_body_of_nothing_but_data() {
    let (_, whole) = body(&x("16"), &bytes(&[1.0; 4]));
    let size = x("16").len().to_string();
    for content_type in ["application/octet-stream", "application/json", TYPE] {
        let intake = Intake {
            json_header_size: Some(&size),
            ..Intake::of(Some(content_type))
        };
        let decoded = read_any(intake, Bytes::from(whole.clone()), &sum4()).unwrap();
        assert_eq!(decoded.inputs, [floats(&[1, 4], &[1.0; 4])]);
        assert_eq!(data_offset(&intake), x("16").len());
    }
    for content_type in [format!("{TYPE};json-header-size=0"), TYPE.to_owned()] {
        let decoded = read(&content_type, &bytes(&[1.0; 8]), &sum4()).unwrap();
        assert_eq!(decoded.inputs, [floats(&[2, 4], &[1.0; 8])]);
    }
    let json =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":[1,1,1,1]}]}";
    assert!(read(TYPE, json.as_bytes(), &sum4()).is_ok());
}

#[test]
fn aligned_elements_are_not_copied() {
    let json = format!(
        "{:<width$}",
        x("16"),
        width = x("16").len().next_multiple_of(64)
    );
    let (content_type, whole) = body(&json, &bytes(&[1.0; 4]));
    let whole = Bytes::from(whole);
    let at = whole.as_ptr() as usize + json.len();
    let decoded = read_any(Intake::of(Some(&content_type)), whole, &sum4()).unwrap();
    let Data::Float32(buffer) = decoded.inputs[0].data() else {
        panic!("float32 is expected")
    };
    assert_eq!(buffer.as_ptr() as usize == at, at.is_multiple_of(4));
}

#[test]
fn every_lie_of_a_header_is_named() {
    let good = bytes(&[1.0; 4]);
    let sizes = [
        (
            "-1",
            "json-header-size is \"-1\", a whole number of bytes is expected",
        ),
        (
            "1e3",
            "json-header-size is \"1e3\", a whole number of bytes is expected",
        ),
        (
            "+1",
            "json-header-size is \"+1\", a whole number of bytes is expected",
        ),
        (
            "",
            "json-header-size is \"\", a whole number of bytes is expected",
        ),
        (
            "18446744073709551616",
            "json-header-size is \"18446744073709551616\", a whole number of bytes is expected",
        ),
        ("999", "json-header-size is 999, and the body has 16 bytes"),
        (
            "18446744073709551615",
            "json-header-size is 18446744073709551615, and the body has 16 bytes",
        ),
    ];
    for (size, text) in sizes {
        let content_type = format!("{TYPE};json-header-size={size}");
        assert_eq!(read(&content_type, &good, &sum4()).unwrap_err(), text);
    }
    let tails: &[(&str, &[u8], &str)] = &[
        ("16", &good[..15], "input x: its binary_data_size is 16, and 15 bytes are left behind the json"),
        ("18446744073709551615", &good, "input x: its binary_data_size is 18446744073709551615, and 16 bytes are left behind the json"),
        ("12", &good[..12], "input x: shape [1, 4] asks for 4 elements, 3 were given"),
        ("15", &good[..15], "input x: 15 bytes are no whole number of elements of 4 bytes"),
        ("12", &good, "4 bytes behind the json belong to no input"),
        ("-1", &good, "an input's \"parameters\" must be an object, its binary_data_size a number of bytes"),
        ("\"16\"", &good, "an input's \"parameters\" must be an object, its binary_data_size a number of bytes"),
    ];
    for (size, tail, text) in tails {
        assert_eq!(&read_parts(&x(size), tail, &sum4()).unwrap_err(), text);
    }
    let huge = x("16").replace("[1,4]", "[4611686018427387904,4]");
    let text = read_parts(&huge, &good, &sum4()).unwrap_err();
    assert!(
        text.starts_with("input x: shape [4611686018427387904, 4] asks for"),
        "{text}"
    );
    let both = x("16").replace("\"shape\"", "\"data\":[1,2,3,4],\"shape\"");
    assert_eq!(
        read_parts(&both, &good, &sum4()).unwrap_err(),
        "input x has both \"data\" and a binary_data_size"
    );
    let other = x("16").replace("FP32", "FP64");
    assert_eq!(
        read_parts(&other, &good, &sum4()).unwrap_err(),
        "input x has datatype \"FP64\", FP32 is expected"
    );
    let text = read_parts("[[1,2,3,4]]", &[], &sum4()).unwrap_err();
    assert!(
        text.starts_with("the json part of a binary body must be kserve v2"),
        "{text}"
    );
    let text = read("application/json", x("16").as_bytes(), &sum4()).unwrap_err();
    assert!(
        text.contains("no json-header-size says where its bytes begin"),
        "{text}"
    );
}

#[test]
fn strings_and_bools_are_checked() {
    let json = |datatype: &str, size: usize| {
        format!(
            "{{\"inputs\":[{{\"name\":\"x\",\"shape\":[2],\"datatype\":\"{datatype}\",\
             \"parameters\":{{\"binary_data_size\":{size}}}}}]}}"
        )
    };
    let string = |tail: &[u8]| read_parts(&json("BYTES", tail.len()), tail, &words());
    let good = b"\x01\0\0\0a\x02\0\0\0\xc3\xbc";
    assert_eq!(string(good).unwrap().inputs, [strings(&[2], &["a", "ü"])]);
    let cases: &[(&[u8], &str)] = &[
        (
            b"\x01\0\0\0a\x02\0\0",
            "input x: the length of string 1 is cut off",
        ),
        (
            b"\x01\0\0\0a\xff\xff\xff\xffb",
            "input x: string 1 has 4294967295 bytes, and 1 are left",
        ),
        (b"\x01\0\0\0\xff", "input x: string 0 is not utf-8 text"),
        (
            b"\x01\0\0\0a",
            "input x: shape [2] asks for 2 elements, 1 were given",
        ),
    ];
    for (tail, text) in cases {
        assert_eq!(&string(tail).unwrap_err(), text);
    }
    let flags = signature(vec![port("x", ElementType::Bool, "N")], vec![]);
    assert!(read_parts(&json("BOOL", 2), &[0, 1], &flags).is_ok());
    assert_eq!(
        read_parts(&json("BOOL", 2), &[0, 2], &flags).unwrap_err(),
        "input x: byte 1 is neither 0 nor 1 where bool is expected"
    );
}

fn write(dialect: &Dialect, outputs: &[Value], signature: &Signature) -> (String, Vec<u8>) {
    let setting = Setting {
        signature,
        model_name: "m",
        ends_with_newline: false,
    };
    let reply = write_any(Format::Triton, dialect, outputs, setting).unwrap();
    let (json, tail) = reply.body.split_at(reply.json_header_size.unwrap());
    (String::from_utf8(json.to_vec()).unwrap(), tail.to_vec())
}

#[test]
fn a_reply_is_binary_where_it_was_asked_for() {
    let outputs = [
        Value::Tensor(floats(&[1, 2], &[1.5, 2.5])),
        Value::Tensor(floats(&[1, 2], &[0.5, 1.5])),
    ];
    let wishes = Dialect::V2(V2 {
        id: Some("q".to_owned()),
        binary: vec![(1, true)],
        ..V2::default()
    });
    let (json, tail) = write(&wishes, &outputs, &mix());
    assert_eq!(
        json,
        "{\"model_name\":\"m\",\"model_version\":\"1\",\"id\":\"q\",\"outputs\":[\
         {\"name\":\"s\",\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[1.5,2.5]},\
         {\"name\":\"d\",\"datatype\":\"FP32\",\"shape\":[1,2],\"parameters\":{\"binary_data_size\":8}}]}"
    );
    assert_eq!(tail, bytes(&[0.5, 1.5]));
    // Whoever chose the type by Accept alone gets everything in it.
    for dialect in [Dialect::Bare, v2(None, None)] {
        let (json, tail) = write(&dialect, &outputs, &mix());
        assert_eq!(json.matches("binary_data_size").count(), 2, "{json}");
        assert_eq!(tail, bytes(&[1.5, 2.5, 0.5, 1.5]));
    }
    let (json, tail) = write(&Dialect::Bare, &[Value::Absent], &sum4());
    assert!(
        json.contains("\"datatype\":\"BYTES\",\"shape\":[0],"),
        "{json}"
    );
    assert!(tail.is_empty());
}

proptest! {
    #[test]
    fn no_body_panics(cut in 0usize..200, flip in 0usize..200, value: u8) {
        let (content_type, mut whole) = body(&x("16"), &bytes(&[1.0; 4]));
        whole.truncate(cut);
        if let Some(byte) = whole.get_mut(flip) {
            *byte = value;
        }
        let _ = read(&content_type, &whole, &sum4());
    }
}

#[test]
fn a_size_beyond_the_body_is_told_under_the_name_that_it_was_sent_with() {
    let intake = Intake {
        json_header_size: Some("4000"),
        ..Intake::of(Some(TYPE))
    };
    let error = read_any(intake, Bytes::from_static(b"{}"), &sum4()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "inference-header-content-length is 4000, and the body has 2 bytes"
    );
}

#[test]
fn a_size_that_is_given_in_two_ways_is_refused() {
    let (content_type, whole) = body(&x("16"), &bytes(&[1.0; 4]));
    let size = x("16").len();
    let same = format!("{content_type}; json-header-size={size}");
    assert!(read(&same, &whole, &sum4()).is_ok());
    let other = format!("{content_type};json-header-size=0");
    assert_eq!(
        read(&other, &whole, &sum4()).unwrap_err(),
        format!("json-header-size is given as \"{size}\" and as \"0\"")
    );
}

#[test]
fn a_byte_order_mark_before_the_json_counts_to_its_size() {
    let json = format!("\u{feff}{}", x("16"));
    let inputs = read_parts(&json, &bytes(&[1.0; 4]), &sum4())
        .unwrap()
        .inputs;
    assert_eq!(inputs, [floats(&[1, 4], &[1.0; 4])]);
    let json = "\u{feff}{\"inputs\":[{\"name\":\"x\",\"shape\":[1,1],\"datatype\":\"FP32\",\"data\":[1]}]}";
    let one = signature(vec![port("x", ElementType::Float32, "N,1")], vec![]);
    assert!(read(TYPE, json.as_bytes(), &one).is_ok());
}

#[test]
fn a_wrong_shape_is_refused_before_the_elements_behind_the_json_are_read() {
    let json = "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,1],\"datatype\":\"BYTES\",\
                \"parameters\":{\"binary_data_size\":4}}]}";
    // The one string is cut off.
    assert_eq!(
        read_parts(json, &[9, 0, 0, 0], &words()).unwrap_err(),
        "input x string[N]: found shape [1, 1], rank 2 where 1 is expected; there is one list too \
         many around it"
    );
}
