//! CSV in and out.

use std::sync::Arc;

use proptest::prelude::*;

use crate::codec::tests::{
    floats, ints, mix, output_of, port, read_as, signature, strings, sum4, words, write_as,
};
use crate::codec::{DecodeError, Dialect, Format};
use crate::model::{PortType, Signature};
use crate::tensor::ElementType::{Bool, Float32, Int64, String as Text};
use crate::tensor::{Data, Keys, Tensor, Value};

fn read(body: &str, signature: &Signature) -> Result<Vec<Tensor>, DecodeError> {
    let body = bytes::Bytes::copy_from_slice(body.as_bytes());
    read_as(Some("text/csv"), body, signature).map(|decoded| decoded.inputs)
}

fn refusal(body: &str, signature: &Signature) -> String {
    read(body, signature).unwrap_err().to_string()
}

fn write(outputs: &[Value], signature: &Signature) -> String {
    let reply = write_as(Format::Csv, &Dialect::Bare, outputs, signature).unwrap();
    String::from_utf8(reply).unwrap()
}

#[test]
fn lines_end_in_any_way() {
    let expected = [floats(&[2, 4], &[1., 2., 3., 4., 5., 6., 7., 8.])];
    for body in [
        "1,2,3,4\n5,6,7,8",
        "1,2,3,4\n5,6,7,8\n",
        "1,2,3,4\r\n5,6,7,8\r\n",
        "1,2,3,4\r5,6,7,8",
        "\n\n1,2,3,4\n\r\n5,6,7,8\n\n\n",
        "\u{feff}1,2,3,4\n5,6,7,8",
        " 1 ,\t2,3.0,+4\n5e0,\"6\",\" 7 \",8",
    ] {
        assert_eq!(read(body, &sum4()).unwrap(), expected, "{body:?}");
    }
    assert_eq!(
        read("1,2,3,4", &sum4()).unwrap(),
        [floats(&[1, 4], &[1., 2., 3., 4.])]
    );
}

#[test]
fn columns_fill_several_inputs_and_further_axes() {
    let inputs = read("1,2,0.5,0.5\n3,4,1.5,1.5", &mix()).unwrap();
    assert_eq!(
        inputs,
        [
            ints(&[2, 2], &[1, 2, 3, 4]),
            floats(&[2, 2], &[0.5, 0.5, 1.5, 1.5])
        ]
    );
    let image = signature(vec![port("x", Int64, "N,?,2")], vec![]);
    assert_eq!(
        read("1,2,3,4\n5,6,7,8", &image).unwrap()[0].shape(),
        [2, 2, 2]
    );
    let flags = signature(vec![port("b", Bool, "N,2"), port("s", Text, "N")], vec![]);
    let inputs = read("true,0,\n1,False, a \n", &flags).unwrap();
    assert_eq!(
        inputs[0].data(),
        &Data::Bool(vec![true, false, true, false].into())
    );
    assert_eq!(inputs[1], strings(&[2], &["", " a "]));
}

#[test]
fn empty_cells_are_nan_and_names_of_floats_are_read() {
    let inputs = read("1,,nan,-INF", &sum4()).unwrap();
    let Data::Float32(elements) = inputs[0].data() else {
        panic!()
    };
    assert!(elements[1].is_nan() && elements[2].is_nan());
    assert_eq!(elements[3], f32::NEG_INFINITY);
    let one = signature(vec![port("x", Float32, "N,1")], vec![]);
    assert_eq!(read("1\n\"\"\n2", &one).unwrap()[0].shape(), [3, 1]);
}

#[test]
fn quotes_follow_the_rfc() {
    let two = signature(vec![port("s", Text, "N,2")], vec![]);
    let inputs = read(
        "\"a,b\",\"say \"\"hi\"\"\"\n\"line\r\nbreak\",\"\"\n\"\"\"\",x\"y\n",
        &two,
    )
    .unwrap();
    let expected = ["a,b", "say \"hi\"", "line\r\nbreak", "", "\"", "x\"y"];
    assert_eq!(inputs, [strings(&[3, 2], &expected)]);
    assert_eq!(
        refusal("a,b\nc,\"d", &two),
        "line 2: a quote is opened and never closed"
    );
    assert_eq!(
        refusal("a,b\n\"c\"d,e", &two),
        "line 2: text after a closing quote"
    );
    // Lines are counted through the breaks inside quotes.
    assert_eq!(
        refusal("a,\"1\n2\"\nc", &two),
        "line 3 has 1 columns, line 1 has 2"
    );
}

#[test]
fn refusals_name_line_and_column() {
    let ints = signature(vec![port("i", Int64, "N,2")], vec![]);
    let cases: Vec<(&str, Signature, &str)> = vec![
        ("1,2,3,4\n5,6", sum4(), "line 2 has 2 columns, line 1 has 4"),
        ("1,2,3,4\n\n5,6,7,8,9", sum4(), "line 3 has 5 columns, line 1 has 4"),
        ("\n1,2,3,4\n5", sum4(), "line 3 has 1 columns, line 2 has 4"),
        ("1,2,3", sum4(), "line 1 has 3 columns, 4 expected (x float32[N,4])"),
        ("1,2,3,4,", sum4(), "line 1 has 5 columns, 4 expected (x float32[N,4])"),
        ("1;2;3;4", sum4(), "line 1 has 1 columns, 4 expected (x float32[N,4])"),
        ("a,b,c,d\n1,2,3,4", sum4(), "line 1, column 1 (input x): text where float32 is expected; a header line is not accepted"),
        ("1,2,3,4\n1,x,3,4", sum4(), "line 2, column 2 (input x): text where float32 is expected"),
        ("1,2,0.5,b", mix(), "line 1, column 4 (input b): text where float32 is expected; a header line is not accepted"),
        ("1,2\n3,", ints.clone(), "line 2, column 2 (input i): an empty cell where int64 is expected"),
        ("1,2\n3,1.5", ints.clone(), "line 2, column 2 (input i): a number with a fraction where int64 is expected"),
        ("1,9223372036854775808", ints.clone(), "line 1, column 2 (input i): a number outside the range of int64"),
        ("1,2,3,1e39", sum4(), "line 1, column 4 (input x): a number outside the range of float32"),
        ("\n\r\n\n", sum4(), "no records: every line is blank"),
        ("1", signature(vec![port("x", Float32, "")], vec![]), "flat records do not fit input x float32[]: it is a scalar, without an axis for records; use nested json or npy"),
        ("1", signature(vec![], vec![]), "the model has no inputs; send an empty body"),
        ("1,2", signature(vec![port("x", Float32, "3,2")], vec![]), "the model takes exactly 3 records per request, found 1 (input x float32[3,2])"),
    ];
    for (body, signature, text) in cases {
        assert_eq!(refusal(body, &signature), text, "{body:?}");
    }
    let error = read_as(Some("text/csv"), &b"1,\xff"[..], &sum4()).unwrap_err();
    assert_eq!(
        error,
        DecodeError::Unreadable("csv body is not utf-8 text".to_owned())
    );
}

#[test]
fn a_line_per_record_and_no_newline_at_the_end() {
    let sums = [Value::Tensor(floats(&[2, 1], &[10.0, 26.0]))];
    assert_eq!(write(&sums, &sum4()), "10\n26");
    let both = [
        Value::Tensor(floats(&[1, 2], &[1.5, 2.5])),
        Value::Tensor(floats(&[1, 2], &[0.5, 1.5])),
    ];
    assert_eq!(write(&both, &mix()), "1.5,2.5,0.5,1.5");
    let special = [Value::Tensor(floats(
        &[1, 4],
        &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-7],
    ))];
    assert_eq!(write(&special, &sum4()), "nan,inf,-inf,1e-7");
    let texts = [Value::Tensor(strings(&[4], &["a,b", "", "ü\n", "c"]))];
    assert_eq!(write(&texts, &words()), "\"a,b\"\n\"\"\n\"ü\n\"\nc");
    assert_eq!(write(&[Value::Tensor(floats(&[], &[3.0]))], &sum4()), "3");
    assert_eq!(write(&[Value::Tensor(floats(&[0, 1], &[]))], &sum4()), "");
}

#[test]
fn maps_give_their_values_in_key_order() {
    let mut signature = output_of(PortType::Other(String::new()));
    signature.outputs.push(port("p", Float32, "*"));
    let keys = Keys::Int64(vec![3, 1]);
    let values = || floats(&[2, 2], &[0.25, 0.75, 1.0, 0.0]);
    let label = || Value::Tensor(ints(&[2], &[3, 1]));
    let maps = Value::Maps {
        keys: Arc::new(keys.clone()),
        values: values(),
    };
    assert_eq!(write(&[label(), maps], &signature), "3,0.25,0.75\n1,1,0");
    let map = |elements: &[f32]| Value::Map {
        keys: keys.clone(),
        values: floats(&[2], elements),
    };
    let sequence = Value::Sequence(vec![map(&[0.25, 0.75]), map(&[1.0, 0.0])]);
    assert_eq!(
        write(&[label(), sequence], &signature),
        "3,0.25,0.75\n1,1,0"
    );
    assert_eq!(write(&[map(&[0.5, 2.0])], &sum4()), "0.5,2");
}

#[test]
fn outputs_that_make_no_lines_are_refused_with_the_reason() {
    let refuse = |outputs: &[Value], signature: &Signature| {
        write_as(Format::Csv, &Dialect::Bare, outputs, signature)
            .unwrap_err()
            .to_string()
    };
    let unequal = [
        Value::Tensor(floats(&[3], &[1.0, 2.0, 3.0])),
        Value::Tensor(floats(&[2], &[1.0, 2.0])),
    ];
    assert_eq!(
        refuse(&unequal, &mix()),
        "text/csv writes one line per record, and output d has 2 where s has 3"
    );
    let sequence = [Value::Sequence(vec![Value::Tensor(floats(&[1], &[1.0]))])];
    assert_eq!(
        refuse(&sequence, &sum4()),
        "text/csv cannot carry output y: it is a sequence"
    );
    assert_eq!(
        refuse(&[Value::Absent], &sum4()),
        "text/csv cannot carry output y: it has no value"
    );
}

/// Writes elements as a reply of records of two and reads them as a request.
fn through(data: Data) -> Tensor {
    let element = data.element_type();
    let signature = signature(
        vec![port("x", element, "N,2")],
        vec![port("y", element, "N,2")],
    );
    let tensor = Tensor::new(vec![data.len() / 2, 2], data).unwrap();
    let text = write(&[Value::Tensor(tensor)], &signature);
    read(&text, &signature).unwrap().remove(0)
}

proptest! {
    #[test]
    fn csv_cells_come_back(
        singles in prop::collection::vec(any::<[u32; 2]>(), 1..9),
        doubles in prop::collection::vec(any::<[u64; 2]>(), 1..9),
        long in prop::collection::vec(any::<[i64; 2]>(), 1..9),
        natural in prop::collection::vec(any::<[u64; 2]>(), 1..9),
        flags in prop::collection::vec(any::<[bool; 2]>(), 1..9),
        texts in prop::collection::vec(any::<[String; 2]>(), 1..9),
    ) {
        let number = |bits: u32| if f32::from_bits(bits).is_nan() { 0.0 } else { f32::from_bits(bits) };
        let data = || Data::Float32(singles.concat().into_iter().map(number).collect::<Vec<_>>().into());
        prop_assert_eq!(through(data()).into_parts().1, data());
        let number = |bits: u64| if f64::from_bits(bits).is_nan() { 0.0 } else { f64::from_bits(bits) };
        let data = || Data::Float64(doubles.concat().into_iter().map(number).collect::<Vec<_>>().into());
        prop_assert_eq!(through(data()).into_parts().1, data());
        let data = || Data::Int64(long.concat().into());
        prop_assert_eq!(through(data()).into_parts().1, data());
        let data = || Data::Uint64(natural.concat().into());
        prop_assert_eq!(through(data()).into_parts().1, data());
        let data = || Data::Bool(flags.concat().into());
        prop_assert_eq!(through(data()).into_parts().1, data());
        let data = || Data::String(texts.concat().into());
        prop_assert_eq!(through(data()).into_parts().1, data());
    }

    #[test]
    fn no_csv_panics(body in "[a\",\n\r1. ]{0,30}") {
        for signature in [sum4(), mix(), words()] {
            let _ = read(&body, &signature);
        }
    }
}
