//! JSON Lines in and out.

use crate::codec::tests::{
    floats, ints, mix, port, read_as, signature, strings, sum4, words, write_as,
};
use crate::codec::{DecodeError, Decoded, Dialect, Format};
use crate::model::Signature;
use crate::tensor::ElementType::{Float32, String as Text};
use crate::tensor::Value;

fn read(body: &str, signature: &Signature) -> Result<Decoded, DecodeError> {
    read_as(
        Some("application/jsonlines"),
        body.as_bytes().to_vec(),
        signature,
    )
}

fn refusal(body: &str, signature: &Signature) -> String {
    read(body, signature).unwrap_err().to_string()
}

#[test]
fn a_line_is_a_record_in_any_form() {
    let decoded = read(
        "[1,2,3,4]\n\n{\"features\":[5,6,7,8]}\r\n \n\
         {\"data\":{\"features\":{\"values\":[9,10,11,12]}}}\n{\"x\":[0,0,0,1]}",
        &sum4(),
    )
    .unwrap();
    let values = [
        1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 0., 0., 0., 1.,
    ];
    assert_eq!(decoded.inputs, [floats(&[4, 4], &values)]);
    assert_eq!(decoded.reply.format, Format::JsonLines);
    assert_eq!(decoded.reply.dialect, Dialect::Instances);
    let several = "{\"a\":[1,2],\"b\":[0.5,0.5]}\n{\"b\":[1,1],\"a\":[3,4]}\n";
    assert_eq!(
        read(several, &mix()).unwrap().inputs,
        [
            ints(&[2, 2], &[1, 2, 3, 4]),
            floats(&[2, 2], &[0.5, 0.5, 1.0, 1.0])
        ]
    );
    assert_eq!(
        read("\u{feff}\"a\"\n\"b\"", &words()).unwrap().inputs,
        [strings(&[2], &["a", "b"])]
    );
}

#[test]
fn sparse_features_are_filled_with_zeros() {
    let sparse = "{\"data\":{\"features\":{\"keys\":[3,0],\"shape\":[4],\"values\":[5,6]}}}";
    assert_eq!(
        read(sparse, &sum4()).unwrap().inputs,
        [floats(&[1, 4], &[6.0, 0.0, 0.0, 5.0])]
    );
    let cases = [
        (
            "\"keys\":[0],\"values\":[1]",
            "sparse features need their \"shape\"",
        ),
        (
            "\"keys\":[4],\"shape\":[4],\"values\":[1]",
            "key 4 lies outside of 4 features",
        ),
        (
            "\"keys\":[1,1],\"shape\":[4],\"values\":[1,2]",
            "key 1 is given twice",
        ),
        (
            "\"keys\":[1],\"shape\":[4],\"values\":[1,2]",
            "1 keys were given for 2 values",
        ),
        (
            "\"shape\":[5],\"values\":[1,2,3,4]",
            "its shape asks for 5 features, 4 values were given",
        ),
        (
            "\"keys\":[1,3,1],\"shape\":[4],\"values\":[1,2,3]",
            "key 1 is given twice",
        ),
        (
            "\"keys\":[3,0],\"shape\":[4],\"values\":[1,[2]]",
            "the features of the record must be a flat list of values",
        ),
        (
            "\"keys\":[0],\"shape\":[99999999999],\"values\":[1]",
            "the record has 99999999999 features, 4 expected (x float32[N,4])",
        ),
        (
            "\"keys\":[0],\"shape\":[5],\"values\":[1]",
            "the record has 5 features, 4 expected (x float32[N,4])",
        ),
    ];
    for (features, expected) in cases {
        let line = format!("{{\"data\":{{\"features\":{{{features}}}}}}}");
        let text = refusal(&line, &sum4());
        assert!(
            text.contains(expected) && text.starts_with("line 1: "),
            "{text}"
        );
    }
}

#[test]
fn what_is_wrong_is_named_by_its_line() {
    let cases = [
        (
            "[1,2,3,4]\n[1,2,3]",
            "line 2: input x at [1]: ragged: 3 members where earlier lists have 4",
        ),
        (
            "[1,2,3,4]\n\n[1,2,3,",
            "line 3 is not valid json: EOF while parsing a value at column 7",
        ),
        (
            "[1,2,3,4] [1,2,3,4]",
            "line 1 is not valid json: trailing characters at column 11",
        ),
        (
            "[1,2,3,\"a\"]",
            "line 1: input x at [0][3]: a string where float32 is expected",
        ),
        (
            "{\"z\":1}",
            "line 1: unknown input \"z\"; the model's inputs are x",
        ),
        ("\n \n", "no records: every line is blank"),
    ];
    for (body, text) in cases {
        assert_eq!(refusal(body, &sum4()), text, "{body}");
    }
    assert_eq!(
        refusal("{\"a\":[1,2],\"b\":[1,2]}\n{\"a\":[1,2]}", &mix()),
        "line 2: the record lacks input b"
    );
}

#[test]
fn numbers_between_two_floats_are_exact_in_every_line() {
    // The digits decide which of two neighbours it is; two roundings would take the other one.
    let text = "1.00000005960464488641292746251565404236316680908203125";
    let one = signature(vec![port("x", Float32, "N,1")], vec![]);
    let decoded = read(&format!("[1]\n[{text}]"), &one).unwrap();
    assert_eq!(
        decoded.inputs,
        [floats(&[2, 1], &[1.0, text.parse().unwrap()])]
    );
}

#[test]
fn a_reply_has_a_line_for_every_record() {
    let write = |dialect: &Dialect, outputs: &[Value], signature: &Signature| {
        String::from_utf8(write_as(Format::JsonLines, dialect, outputs, signature).unwrap())
            .unwrap()
    };
    let y = || Value::Tensor(floats(&[2, 1], &[10.0, 26.0]));
    for dialect in [Dialect::Bare, Dialect::Instances, super::v2(None, None)] {
        assert_eq!(write(&dialect, &[y()], &sum4()), "[10.0]\n[26.0]\n");
    }
    let d = || Value::Tensor(floats(&[2, 2], &[0.5, 1.5, 2.5, 3.5]));
    assert_eq!(
        write(&Dialect::Bare, &[y(), d()], &mix()),
        "{\"s\":[10.0],\"d\":[0.5,1.5]}\n{\"s\":[26.0],\"d\":[2.5,3.5]}\n"
    );
    assert_eq!(
        write(&super::v2(None, Some(&[1])), &[y(), d()], &mix()),
        "[0.5,1.5]\n[2.5,3.5]\n"
    );
    // No common axis of records: the reply is one.
    let scalar = || Value::Tensor(floats(&[], &[3.0]));
    assert_eq!(write(&Dialect::Bare, &[scalar()], &sum4()), "3.0\n");
    assert_eq!(
        write(&Dialect::Bare, &[y(), scalar()], &mix()),
        "{\"s\":[[10.0],[26.0]],\"d\":3.0}\n"
    );
    let texts = signature(vec![], vec![port("y", Text, "N")]);
    let lines = Value::Tensor(strings(&[2], &["a\nb", "ü"]));
    assert_eq!(
        write(&Dialect::Bare, &[lines], &texts),
        "\"a\\nb\"\n\"ü\"\n"
    );
}

#[test]
fn sparse_features_count_against_the_limit_before_they_are_made() {
    let free = signature(vec![port("x", Float32, "N,?")], vec![]);
    let line = "{\"data\":{\"features\":{\"keys\":[0],\"shape\":[99999999999],\"values\":[1]}}}";
    assert_eq!(
        refusal(line, &free),
        "line 1: the record would take 799999999992 bytes unpacked, more than the limit of \
         1073741824 bytes (PLIMSOLL_MAX_UNPACKED_MB sets it)"
    );
    let ones = "1,".repeat(100);
    let line = format!("{{\"data\":{{\"features\":{{\"shape\":[{ones}1],\"values\":[1]}}}}}}");
    assert_eq!(
        refusal(&line, &free),
        "line 1: the record: its shape has more than 64 axes"
    );
}

#[test]
fn sparse_features_go_over_all_inputs_in_any_order() {
    let row = |keys, values| {
        format!(
            "{{\"data\":{{\"features\":{{\"keys\":{keys},\"shape\":[4],\"values\":{values}}}}}}}"
        )
    };
    let rows = [
        row("[1,2]", "[5,0.5]"),
        row("[3,1,0]", "[1.5,6,7]"),
        row("[]", "[]"),
    ];
    assert_eq!(
        read(&rows.join("\n"), &mix()).unwrap().inputs,
        [
            ints(&[3, 2], &[0, 5, 7, 6, 0, 0]),
            floats(&[3, 2], &[0.5, 0.0, 0.0, 1.5, 0.0, 0.0])
        ]
    );
    // Text has no zero to fill in, and needs none where nothing is left out.
    let texts = signature(vec![port("s", Text, "N,4")], vec![]);
    let full = row("[0,1,2,3]", "[\"a\",\"b\",\"c\",\"d\"]");
    assert!(read(&full, &texts).is_ok());
    assert_eq!(
        refusal(&row("[0]", "[\"a\"]"), &texts),
        "line 1: input s at [0][0]: a number where string is expected"
    );
}

#[test]
fn a_number_beyond_every_type_is_named_with_its_place() {
    assert_eq!(
        refusal("[1,2,3,4]\n{\"features\":[1,2,1e400,4]}", &sum4()),
        "line 2: input x at [1][2]: a number outside the range of float32"
    );
}
