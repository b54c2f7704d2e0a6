//! Rows that are read.

use super::*;
use crate::codec::tests::{floats, ints, mix, strings, sum4};
use crate::tensor::Data;

#[test]
fn dense_rows_of_every_kind_are_read() {
    let expected = [
        1., 2., 3., 4., 5., 6., 7., 8., 9., -10., 11., 12., 0.5, 1.5, 2.5, 3.5,
    ];
    assert_eq!(
        read(golden!("dense.pbr"), &sum4()).unwrap(),
        [floats(&[4, 4], &expected)]
    );
}

#[test]
fn sparse_rows_are_filled_with_zeros() {
    let expected = [-2., 0., 0., 1.5, 0., 0., 0., 0., 0., 0., 7., 0.];
    assert_eq!(
        read(golden!("sparse.pbr"), &sum4()).unwrap(),
        [floats(&[3, 4], &expected)]
    );
    // Dense and sparse rows may take turns, and one flat row may fill several inputs.
    let mixed = body(&[
        &[("values", floats32(&[1., 2., 3., 4.], &[], &[]))],
        &[("values", floats32(&[5., 6.], &[1, 2], &[4]))],
        &[("values", ints32(&[7, 8, 9, 10]))],
    ]);
    assert_eq!(
        read(&mixed, &mix()).unwrap(),
        [
            ints(&[3, 2], &[1, 2, 0, 5, 7, 8]),
            floats(&[3, 2], &[3., 4., 6., 0., 9., 10.])
        ]
    );
}

#[test]
fn inputs_take_features_of_their_names_or_a_flat_row() {
    let expected = [
        ints(&[2, 2], &[1, 2, 3, 4]),
        floats(&[2, 2], &[0.5, 1.5, 2.5, 3.5]),
    ];
    assert_eq!(read(golden!("named.pbr"), &mix()).unwrap(), expected);
    assert_eq!(read(golden!("flat.pbr"), &mix()).unwrap(), expected);
    let named = body(&[&[("x", floats32(&[1., 2., 3., 4.], &[], &[]))]]);
    assert_eq!(
        read(&named, &sum4()).unwrap(),
        [floats(&[1, 4], &[1., 2., 3., 4.])]
    );
}

#[test]
fn bytes_are_text() {
    assert_eq!(
        read(golden!("text.pbr"), &one(ElementType::String, "N")).unwrap(),
        [strings(&[2], &["ä🦀", ""])]
    );
    let two = single(texts(&[b"a", b"b"]));
    assert_eq!(
        read(&two, &one(ElementType::String, "N,2")).unwrap(),
        [strings(&[1, 2], &["a", "b"])]
    );
    assert_eq!(
        refusal(&single(texts(&[b"\xff"])), &one(ElementType::String, "N")),
        "record 1: input x: element 0 is text that is not utf-8 where string is expected"
    );
}

#[test]
fn rows_get_the_inputs_shape() {
    let image = one(ElementType::Float32, "N,2,2");
    let flat = single(floats32(&[1., 2., 3., 4.], &[], &[]));
    let expected = [floats(&[1, 2, 2], &[1., 2., 3., 4.])];
    assert_eq!(read(&flat, &image).unwrap(), expected);
    let shaped = single(floats32(&[1., 2., 3., 4.], &[], &[2, 2]));
    assert_eq!(read(&shaped, &image).unwrap(), expected);
    assert_eq!(
        read(&shaped, &one(ElementType::Float32, "*")).unwrap(),
        expected
    );
    assert_eq!(
        read(&shaped, &one(ElementType::Float32, "N,?,?")).unwrap(),
        expected
    );
    assert_eq!(
        read(&shaped, &sum4()).unwrap(),
        [floats(&[1, 4], &[1., 2., 3., 4.])]
    );
    let scalar = single(floats32(&[1.], &[], &[1]));
    assert_eq!(
        read(&scalar, &one(ElementType::Float32, "N")).unwrap(),
        [floats(&[1], &[1.])]
    );
    let other = single(floats32(&[1., 2., 3., 4.], &[], &[4, 1]));
    assert_eq!(
        refusal(&other, &image),
        "input x float32[N,2,2]: found shape [1, 4, 1], axis 1 must be 2"
    );
    assert!(
        refusal(&flat, &one(ElementType::Float32, "N,?,?")).contains("two of its axes are free")
    );
}

#[test]
fn padding_behind_the_last_record_may_be_missing() {
    let whole = single(texts(&[b"abcde"]));
    let words = one(ElementType::String, "N");
    let mut cuts = 0;
    for cut in 1..4 {
        if whole[whole.len() - cut] != 0 {
            break;
        }
        assert!(read(&whole[..whole.len() - cut], &words).is_ok());
        cuts += 1;
    }
    assert!(cuts > 0);
}

#[test]
fn numbers_become_the_inputs_type_where_they_fit() {
    let read = |value, element| read(&single(value), &one(element, "N,M"));
    let whole = read(floats64(&[3.0, -4.0]), ElementType::Int64).unwrap();
    assert_eq!(whole, [ints(&[1, 2], &[3, -4])]);
    let flags = read(ints32(&[1, 0]), ElementType::Bool).unwrap();
    assert_eq!(flags[0].data(), &Data::Bool(vec![true, false].into()));
    let wide = read(ints32(&[i32::MIN, i32::MAX]), ElementType::Float64).unwrap();
    assert_eq!(
        wide[0].data(),
        &Data::Float64(vec![-2147483648.0, 2147483647.0].into())
    );
    let cases = [
        (
            floats64(&[0.0, 0.5]),
            ElementType::Int64,
            "element 1 is a number with a fraction where int64 is expected",
        ),
        (
            floats32(&[f32::NAN], &[], &[]),
            ElementType::Int8,
            "element 0 is a number outside the range of int8",
        ),
        (
            ints32(&[-1]),
            ElementType::Uint8,
            "element 0 is a number outside the range of uint8",
        ),
        (
            floats64(&[1e39]),
            ElementType::Float32,
            "element 0 is a number outside the range of float32",
        ),
        (
            floats32(&[2.0], &[], &[]),
            ElementType::Bool,
            "element 0 is a number outside the range of bool",
        ),
        (
            floats32(&[0.5], &[2], &[4]),
            ElementType::Int64,
            "element 2 is a number with a fraction where int64 is expected",
        ),
        (
            ints32(&[1]),
            ElementType::String,
            "a feature of int32 does not become string",
        ),
        (
            texts(&[b"1"]),
            ElementType::Float32,
            "a feature of bytes does not become float32",
        ),
    ];
    for (value, element, text) in cases {
        let error = read(value, element).unwrap_err().to_string();
        assert_eq!(error, format!("record 1: input x: {text}"));
    }
}

#[test]
fn features_and_rows_that_do_not_fit_are_named() {
    let x = |n: usize| floats32(&vec![1.0; n], &[], &[]);
    let cases: Vec<(Vec<u8>, Signature, &str)> = vec![
        (
            body(&[&[("y", x(4))]]),
            sum4(),
            "record 1: feature \"x\" is missing",
        ),
        (body(&[&[]]), sum4(), "record 1: feature \"x\" is missing"),
        (
            body(&[&[("x", x(4)), ("y", x(4))]]),
            sum4(),
            "record 1: feature \"y\" is no input",
        ),
        (
            body(&[&[("x", x(4)), ("values", x(4))]]),
            sum4(),
            "record 1: feature \"values\" is no input",
        ),
        (
            body(&[&[("x", x(4)), ("x", x(4))]]),
            sum4(),
            "record 1: feature \"x\" is there twice",
        ),
        (
            body(&[&[("values", x(4))], &[("x", x(4))]]),
            sum4(),
            "record 2: feature \"x\" is no input",
        ),
        (
            body(&[&[("a", x(2))]]),
            mix(),
            "record 1: feature \"b\" is missing",
        ),
        (
            body(&[&[("values", x(3))]]),
            sum4(),
            "record 1: feature \"values\" has 3 values, 4 expected (x float32[N,4])",
        ),
        (
            body(&[&[("values", x(4))], &[("values", x(3))]]),
            sum4(),
            "record 2: feature \"values\" has 3 values where the first record has 4",
        ),
        (
            body(&[
                &[("values", floats32(&[1.; 4], &[], &[2, 2]))],
                &[("values", floats32(&[1.; 4], &[], &[4, 1]))],
            ]),
            sum4(),
            "record 2: feature \"values\" has shape [4, 1] where the first record has [2, 2]",
        ),
        (
            single(floats32(&[1., 2.], &[], &[3])),
            sum4(),
            "record 1: feature \"values\" has shape [3] for 2 values",
        ),
        (
            single(floats32(&[1., 2.], &[0, 1], &[])),
            sum4(),
            "record 1: feature \"values\" has keys and no shape",
        ),
        (
            single(floats32(&[1., 2.], &[0], &[4])),
            sum4(),
            "record 1: feature \"values\" has 1 keys for 2 values",
        ),
        (
            single(floats32(&[1., 2.], &[0, 4], &[4])),
            sum4(),
            "record 1: feature \"values\" has key 4, its shape [4] ends at 4",
        ),
        (
            single(floats32(&[1., 2., 3.], &[2, 0, 2], &[4])),
            sum4(),
            "record 1: feature \"values\" has key 2 twice",
        ),
        (
            single(x(1)),
            signature(vec![], vec![]),
            "the model has no input that a record could fill",
        ),
    ];
    for (body, signature, text) in cases {
        assert_eq!(refusal(&body, &signature), text);
    }
}

#[test]
fn features_may_change_their_places_from_record_to_record() {
    let a = |n| ("a", ints32(&[n, n]));
    let b = |n| ("b", floats32(&[n, n], &[], &[]));
    let whole = body(&[
        &[a(1), b(0.5)],
        &[a(2), b(1.5)],
        &[b(2.5), a(3)],
        &[b(3.5), a(4)],
    ]);
    assert_eq!(
        read(&whole, &mix()).unwrap(),
        [
            ints(&[4, 2], &[1, 1, 2, 2, 3, 3, 4, 4]),
            floats(&[4, 2], &[0.5, 0.5, 1.5, 1.5, 2.5, 2.5, 3.5, 3.5])
        ]
    );
    for (last, expected) in [
        (vec![a(2), a(2)], "record 2: feature \"a\" is there twice"),
        (vec![a(2)], "record 2: feature \"b\" is missing"),
        (
            vec![a(2), b(1.5), ("c", ints32(&[1]))],
            "record 2: feature \"c\" is no input",
        ),
    ] {
        let whole = body(&[&[a(1), b(0.5)], &last]);
        assert_eq!(refusal(&whole, &mix()), expected);
    }
}
