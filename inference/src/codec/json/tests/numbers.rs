//! Numbers are typed and exact, in and out, for every element type.

use half::{bf16, f16};
use proptest::prelude::*;

use super::{read, refusal, write};
use crate::codec::tests::{mix, port, signature, sum4};
use crate::codec::Dialect;
use crate::each_type;
use crate::model::Signature;
use crate::tensor::{Buffer, Data, ElementType, Tensor, Value};

fn of(element: ElementType) -> Signature {
    signature(vec![port("x", element, "N")], vec![port("y", element, "N")])
}

/// Writes elements as a bare reply and reads them as a bare request.
fn through(data: Data) -> Tensor {
    let signature = of(data.element_type());
    let tensor = Tensor::new(vec![data.len()], data).unwrap();
    let text = write(&Dialect::Bare, &[Value::Tensor(tensor)], &signature);
    let mut inputs = read(&text, &signature).unwrap().inputs;
    inputs.remove(0)
}

fn unchanged<T: PartialEq + Clone + std::fmt::Debug>(
    elements: Vec<T>,
    wrap: fn(Buffer<T>) -> Data,
) {
    let count = elements.len();
    let expected = Tensor::new(vec![count], wrap(elements.clone().into())).unwrap();
    assert_eq!(through(wrap(elements.into())), expected);
}

#[test]
fn the_ends_of_every_type_come_back() {
    unchanged(vec![i8::MIN, 0, i8::MAX], Data::Int8);
    unchanged(vec![i16::MIN, 0, i16::MAX], Data::Int16);
    unchanged(vec![i32::MIN, 0, i32::MAX], Data::Int32);
    unchanged(
        vec![i64::MIN, -9_007_199_254_740_993, i64::MAX],
        Data::Int64,
    );
    unchanged(vec![0, u8::MAX], Data::Uint8);
    unchanged(vec![0, u16::MAX], Data::Uint16);
    unchanged(vec![0, u32::MAX], Data::Uint32);
    unchanged(vec![0, 9_007_199_254_740_993, u64::MAX], Data::Uint64);
    unchanged(vec![true, false], Data::Bool);
    unchanged(
        vec![
            f32::MIN,
            f32::MAX,
            f32::MIN_POSITIVE,
            1e-45,
            f32::INFINITY,
            f32::NEG_INFINITY,
            7.038_531e-26,
        ],
        Data::Float32,
    );
    unchanged(
        vec![
            f64::MIN,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ],
        Data::Float64,
    );
    unchanged(
        vec![f16::MIN, f16::MAX, f16::from_bits(1), f16::INFINITY],
        Data::Float16,
    );
    unchanged(
        vec![bf16::MIN, bf16::MAX, bf16::from_bits(1), bf16::NEG_INFINITY],
        Data::BFloat16,
    );
    unchanged(
        vec![String::new(), "\0\u{1f}\"\\/🦀".to_owned()],
        Data::String,
    );
    for element in [
        ElementType::Float16,
        ElementType::BFloat16,
        ElementType::Float32,
        ElementType::Float64,
    ] {
        let nan = read("[null,\"NaN\"]", &of(element)).unwrap();
        each_type!(nan.inputs[0].data(), buffer => {
            let mut out = Vec::new();
            for value in buffer.iter() {
                crate::codec::text::Text::csv(value, &mut out);
            }
            assert_eq!(out, b"nannan");
        });
    }
}

#[test]
fn integers_take_integral_numbers_in_range_alone() {
    for (body, text) in [
        (
            "[0.5]",
            "input x at [0]: a number with a fraction where int64 is expected",
        ),
        (
            "[9223372036854775808]",
            "input x at [0]: a number outside the range of int64",
        ),
        (
            "[9223372036854775807.0, 9223372036854775808.0]",
            "input x at [1]: a number outside the range of int64",
        ),
        (
            "[1e300]",
            "input x at [0]: a number outside the range of int64",
        ),
        (
            "[true]",
            "input x at [0]: true or false where int64 is expected",
        ),
        (
            "[\"1\"]",
            "input x at [0]: a string where int64 is expected",
        ),
        ("[1,null]", "input x at [1]: null where int64 is expected"),
    ] {
        assert_eq!(refusal(body, &of(ElementType::Int64)), text, "{body}");
    }
    assert_eq!(
        refusal("[-1]", &of(ElementType::Uint64)),
        "input x at [0]: a number outside the range of uint64"
    );
    assert_eq!(
        refusal("[256]", &of(ElementType::Uint8)),
        "input x at [0]: a number outside the range of uint8"
    );
    assert_eq!(
        refusal("[18446744073709551616]", &of(ElementType::Uint64)),
        "input x at [0]: a number outside the range of uint64"
    );
    let exact = read(
        "[3.0, -0.0, 1e2, 9007199254740993.0, 9.223372036854775807e18]",
        &of(ElementType::Int64),
    )
    .unwrap();
    let expected = vec![3, 0, 100, 9_007_199_254_740_993, i64::MAX];
    assert_eq!(exact.inputs[0].data(), &Data::Int64(expected.into()));
    assert_eq!(
        refusal("{\"instances\":[{\"a\":[1.5,2],\"b\":[0,0]}]}", &mix()),
        "input a at [0][0]: a number with a fraction where int64 is expected"
    );
}

#[test]
fn bools_take_true_false_one_and_zero() {
    let read = read("[true,false,1,0,1.0]", &of(ElementType::Bool)).unwrap();
    assert_eq!(
        read.inputs[0].data(),
        &Data::Bool(vec![true, false, true, false, true].into())
    );
    for (body, text) in [
        ("[2]", "input x at [0]: a number outside the range of bool"),
        ("[-1]", "input x at [0]: a number outside the range of bool"),
        (
            "[0.5]",
            "input x at [0]: a number with a fraction where bool is expected",
        ),
        (
            "[\"true\"]",
            "input x at [0]: a string where bool is expected",
        ),
        ("[null]", "input x at [0]: null where bool is expected"),
    ] {
        assert_eq!(refusal(body, &of(ElementType::Bool)), text, "{body}");
    }
}

#[test]
fn strings_take_strings_alone() {
    for (body, text) in [
        ("[1]", "input x at [0]: a number where string is expected"),
        ("[-1]", "input x at [0]: a number where string is expected"),
        ("[0.5]", "input x at [0]: a number where string is expected"),
        (
            "[true]",
            "input x at [0]: true or false where string is expected",
        ),
        ("[null]", "input x at [0]: null where string is expected"),
    ] {
        assert_eq!(refusal(body, &of(ElementType::String)), text, "{body}");
    }
}

#[test]
fn floats_round_once_and_refuse_finite_overflow() {
    // Through f64 the first of these would land one step off; the digits decide.
    let body = "[[7.038531e-26, 1, -1e-45, 0.1]]";
    let expected = vec![7.038_531e-26f32, 1.0, -1e-45, 0.1];
    let inputs = read(body, &sum4()).unwrap().inputs;
    assert_eq!(inputs[0].data(), &Data::Float32(expected.into()));
    for body in [
        "[[1e39,0,0,0]]",
        "[[3.4028236e38,0,0,0]]",
        "[[-1e39,0,0,0]]",
    ] {
        assert_eq!(
            refusal(body, &sum4()),
            "input x at [0][0]: a number outside the range of float32",
            "{body}"
        );
    }
    assert_eq!(
        refusal("[[1,2,1e400,0]]", &sum4()),
        "input x at [0][2]: a number outside the range of float32"
    );
    assert_eq!(
        refusal("[65520]", &of(ElementType::Float16)),
        "input x at [0]: a number outside the range of float16"
    );
    assert_eq!(
        refusal("[[1,2,\"3\",4]]", &sum4()),
        "input x at [0][2]: a string where float32 is expected"
    );
    assert_eq!(
        refusal("[[1,2,true,4]]", &sum4()),
        "input x at [0][2]: true or false where float32 is expected"
    );
}

#[test]
fn every_dialect_has_the_exact_way() {
    let value = 7.038_531e-26f32;
    for body in [
        "[7.038531e-26]",
        "{\"instances\":[7.038531e-26]}",
        "{\"instances\":[{\"x\":7.038531e-26}]}",
        "{\"instances\":[{\"features\":[7.038531e-26]}]}",
        "{\"inputs\":[7.038531e-26]}",
        "{\"inputs\":{\"x\":[7.038531e-26]}}",
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[7.038531e-26]}]}",
        "{\"inputs\":[{\"data\":[7.038531e-26],\"name\":\"x\",\"shape\":[1],\"datatype\":\"FP32\"}]}",
    ] {
        let inputs = read(body, &of(ElementType::Float32)).unwrap().inputs;
        assert_eq!(inputs[0].data(), &Data::Float32(vec![value].into()), "{body}");
    }
    let scalar = signature(vec![port("x", ElementType::Float32, "")], vec![]);
    for body in ["7.038531e-26", "{\"inputs\":7.038531e-26}"] {
        let inputs = read(body, &scalar).unwrap().inputs;
        assert_eq!(
            inputs[0].data(),
            &Data::Float32(vec![value].into()),
            "{body}"
        );
    }
}

proptest! {
    #[test]
    fn decimal_texts_read_as_their_nearest_float(whole: u32, fraction: u32, exponent in -45i32..28) {
        let text = format!("{whole}.{fraction}e{exponent}");
        let signature = of(ElementType::Float32);
        let inputs = read(&format!("[{text}]"), &signature).unwrap().inputs;
        prop_assert_eq!(inputs[0].data(), &Data::Float32(vec![text.parse::<f32>().unwrap()].into()));
        let signature = of(ElementType::Float64);
        let inputs = read(&format!("[{text}]"), &signature).unwrap().inputs;
        prop_assert_eq!(inputs[0].data(), &Data::Float64(vec![text.parse::<f64>().unwrap()].into()));
    }

    #[test]
    fn no_body_panics(bytes: Vec<u8>, text in "[\\[\\]{}\",:0-9a-z.\\-+ e]{0,40}") {
        for signature in [sum4(), mix(), of(ElementType::String)] {
            for content_type in [None, Some("application/json"), Some("text/csv"), Some("application/x-npy")] {
                let _ = crate::codec::tests::read_as(content_type, bytes.clone(), &signature);
                let _ = crate::codec::tests::read_as(content_type, text.clone(), &signature);
            }
        }
    }
}
