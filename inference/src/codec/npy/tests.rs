//! npy in and out. The bytes of whole files were taken from NumPy.

use bytes::Bytes;
use half::bf16;
use proptest::prelude::*;

use crate::codec::tests::{
    floats, ints, mix, output_of, port, read_as, signature, strings, sum4, v2, words, write_as,
};
use crate::codec::{DecodeError, Dialect, Format};
use crate::model::{PortType, Signature};
use crate::tensor::{Buffer, Data, ElementType, Tensor, Value};

fn read(body: &[u8], signature: &Signature) -> Result<Vec<Tensor>, DecodeError> {
    let body = Bytes::copy_from_slice(body);
    read_as(Some("application/x-npy"), body, signature).map(|decoded| decoded.inputs)
}

fn refusal(body: &[u8], signature: &Signature) -> String {
    read(body, signature).unwrap_err().to_string()
}

fn write(value: Value, signature: &Signature) -> Vec<u8> {
    write_as(Format::Npy, &Dialect::Bare, &[value], signature).unwrap()
}

/// A version 1 file.
fn file(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let header =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    raw(&header, data)
}

fn raw(header: &str, data: &[u8]) -> Vec<u8> {
    let mut body = b"\x93NUMPY\x01\x00".to_vec();
    body.extend((header.len() as u16).to_le_bytes());
    body.extend(header.as_bytes());
    body.extend(data);
    body
}

fn le(elements: &[f32]) -> Vec<u8> {
    elements.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn any(element: ElementType) -> Signature {
    signature(vec![port("x", element, "*")], vec![port("y", element, "*")])
}

const EIGHT: [f32; 8] = [1., 2., 3., 4., 5., 6., 7., 8.];

#[test]
fn numpys_own_file_is_read() {
    // np.save of np.arange(1, 9, dtype="float32").reshape(2, 4)
    let mut body =
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }"
            .to_vec();
    body.resize(127, b' ');
    body.push(b'\n');
    body.extend(le(&EIGHT));
    assert_eq!(read(&body, &sum4()).unwrap(), [floats(&[2, 4], &EIGHT)]);
}

#[test]
fn a_reply_is_what_numpy_would_save() {
    let out = write(Value::Tensor(floats(&[2, 1], &[10.0, 26.0])), &sum4());
    let mut expected =
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }"
            .to_vec();
    expected.resize(127, b' ');
    expected.push(b'\n');
    expected.extend(le(&[10.0, 26.0]));
    assert_eq!(out, expected);
    for (shape, text) in [(&[][..], "()"), (&[1], "(1,)"), (&[1, 1, 1], "(1, 1, 1)")] {
        let out = write(Value::Tensor(floats(shape, &[1.0])), &sum4());
        let header = String::from_utf8_lossy(&out[10..128]).into_owned();
        assert!(header.contains(&format!("'shape': {text}, }}")), "{header}");
        assert_eq!(out.len(), 132);
    }
}

#[test]
fn every_version_is_read() {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }\n";
    for version in [2u8, 3] {
        let mut body = b"\x93NUMPY".to_vec();
        body.extend([version, 0]);
        body.extend((header.len() as u32).to_le_bytes());
        body.extend(header.as_bytes());
        body.extend(le(&EIGHT[..4]));
        assert_eq!(
            read(&body, &sum4()).unwrap(),
            [floats(&[1, 4], &EIGHT[..4])]
        );
    }
}

#[test]
fn headers_are_read_strictly_and_in_any_order() {
    let good = [
        "{'shape': (1, 4), 'descr': '<f4', 'fortran_order': False}",
        "{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(1,4,),}   \n",
        "  { 'descr' : '=f4' , 'fortran_order' : False , 'shape' : ( 1 , 4 ) }",
    ];
    for header in good {
        assert!(
            read(&raw(header, &le(&EIGHT[..4])), &sum4()).is_ok(),
            "{header}"
        );
    }
    let bad = [
        "",
        "{}",
        "{'descr': '<f4'",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [1, 4]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 99999999999999999999)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), 'x': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
    ];
    for header in bad {
        assert_eq!(
            refusal(&raw(header, &le(&EIGHT[..4])), &sum4()),
            "body is not a readable npy file: its header is malformed",
            "{header}"
        );
    }
}

#[test]
fn broken_files_are_refused_with_the_reason() {
    let good = file("<f4", false, "(1, 4)", &le(&EIGHT[..4]));
    let prefix = "body is not a readable npy file: ";
    for cut in 1..6 {
        assert_eq!(
            refusal(&good[..cut], &sum4()),
            format!("{prefix}it does not begin as an npy file")
        );
    }
    for cut in [6, 7, 8, 9, 10, 40] {
        assert_eq!(
            refusal(&good[..cut], &sum4()),
            format!("{prefix}it ends inside its header"),
            "{cut}"
        );
    }
    let version = [b"\x93NUMPY\x04\x00".as_slice(), &[0; 20]].concat();
    assert_eq!(
        refusal(&version, &sum4()),
        format!("{prefix}its version 4.0 is unknown")
    );
    let long = [b"\x93NUMPY\x02\x00\xff\xff\xff\xff".as_slice(), &[0; 20]].concat();
    assert_eq!(
        refusal(&long, &sum4()),
        format!("{prefix}its header of 4294967295 bytes is longer than 65536")
    );
    assert_eq!(
        refusal(&good[..good.len() - 1], &sum4()),
        "npy data is truncated: shape [1, 4] of \"<f4\" needs 16 bytes, 15 follow the header"
    );
    assert_eq!(
        refusal(&[good.as_slice(), b"x"].concat(), &sum4()),
        "npy data is too long: shape [1, 4] of \"<f4\" needs 16 bytes, 17 follow the header"
    );
    assert_eq!(
        refusal(
            &file("<f4", false, "(9223372036854775807, 9)", &[]),
            &sum4()
        ),
        "npy shape [9223372036854775807, 9] is too large"
    );
    for (descr, text) in [
        ("|O", "it holds python objects, which are refused"),
        ("<c8", "its dtype \"<c8\" cannot be read"),
        ("<M8[ns]", "its dtype \"<M8[ns]\" cannot be read"),
        ("<f16", "its dtype \"<f16\" cannot be read"),
        ("<i3", "its dtype \"<i3\" cannot be read"),
        ("<U0", "its dtype \"<U0\" cannot be read"),
        ("|S", "its dtype \"|S\" cannot be read"),
        ("<i+4", "its dtype \"<i+4\" cannot be read"),
        (
            "<U9223372036854775807",
            "its dtype \"<U9223372036854775807\" cannot be read",
        ),
        ("f4", "its dtype \"f4\" cannot be read"),
        ("", "its dtype \"\" cannot be read"),
        ("é", "its dtype \"é\" cannot be read"),
    ] {
        assert_eq!(
            refusal(&file(descr, false, "(1,)", &[0; 8]), &sum4()),
            format!("{prefix}{text}")
        );
    }
    let structure = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }";
    assert_eq!(
        refusal(&raw(structure, &[0; 4]), &sum4()),
        format!("{prefix}it holds structures, which cannot be read")
    );
}

#[test]
fn models_and_shapes_that_do_not_fit_are_named() {
    let body = file("<f4", false, "(1, 4)", &le(&EIGHT[..4]));
    assert_eq!(
        refusal(&body, &mix()),
        "application/x-npy brings one array, and the model has 2 inputs"
    );
    assert_eq!(
        refusal(&file("<f4", false, "(4,)", &le(&EIGHT[..4])), &sum4()),
        "input x float32[N,4]: found shape [4], rank 1 where 2 is expected; wrap one record in a list: [ … ]"
    );
    assert_eq!(
        read(&file("<f4", false, "(0, 4)", &[]), &sum4()).unwrap(),
        [floats(&[0, 4], &[])]
    );
    let scalar = read(
        &file("<f4", false, "()", &le(&[3.0])),
        &any(ElementType::Float32),
    )
    .unwrap();
    assert_eq!(scalar, [floats(&[], &[3.0])]);
}

#[test]
fn fortran_order_and_big_endian_are_put_right() {
    let columns = le(&[1., 5., 2., 6., 3., 7., 4., 8.]);
    assert_eq!(
        read(&file("<f4", true, "(2, 4)", &columns), &sum4()).unwrap(),
        [floats(&[2, 4], &EIGHT)]
    );
    let big: Vec<u8> = EIGHT.iter().flat_map(|v| v.to_be_bytes()).collect();
    assert_eq!(
        read(&file(">f4", false, "(2, 4)", &big), &sum4()).unwrap(),
        [floats(&[2, 4], &EIGHT)]
    );
    let column = read(&file("<f4", true, "(1, 4)", &le(&EIGHT[..4])), &sum4()).unwrap();
    assert_eq!(column, [floats(&[1, 4], &EIGHT[..4])]);
    let texts: Vec<u8> = ["a", "c", "b", "d"]
        .iter()
        .flat_map(|s| [s.as_bytes()[0], 0, 0, 0])
        .collect();
    let read = read(
        &file("<U1", true, "(2, 2)", &texts),
        &any(ElementType::String),
    )
    .unwrap();
    assert_eq!(read, [strings(&[2, 2], &["a", "b", "c", "d"])]);
}

#[test]
fn an_array_of_the_right_type_stays_in_the_body() {
    let mut body = file("<f4", false, "(1, 4)", &le(&EIGHT[..4]));
    // The header as NumPy pads it, so that the data is aligned.
    let end = body.len() - 16;
    body.splice(end - 1..end - 1, std::iter::repeat_n(b' ', 128 - end));
    body[8..10].copy_from_slice(&118u16.to_le_bytes());
    let aligned = (0..4).find_map(|offset| {
        let shifted = [vec![0; offset], body.clone()].concat();
        let bytes = Bytes::from(shifted).slice(offset..);
        (bytes[128..].as_ptr().align_offset(4) == 0).then_some(bytes)
    });
    let inputs = read_as(Some("application/x-npy"), aligned.unwrap(), &sum4())
        .unwrap()
        .inputs;
    assert!(matches!(inputs[0].data(), Data::Float32(Buffer::Held(_))));
    assert_eq!(inputs, [floats(&[1, 4], &EIGHT[..4])]);
}

#[test]
fn other_types_are_converted_where_every_value_fits() {
    let doubles: Vec<u8> = EIGHT
        .iter()
        .flat_map(|v| f64::from(*v).to_le_bytes())
        .collect();
    assert_eq!(
        read(&file("<f8", false, "(2, 4)", &doubles), &sum4()).unwrap(),
        [floats(&[2, 4], &EIGHT)]
    );
    let bytes: Vec<u8> = (1..=8).collect();
    assert_eq!(
        read(&file("|u1", false, "(2, 4)", &bytes), &sum4()).unwrap(),
        [floats(&[2, 4], &EIGHT)]
    );
    let flags = read(
        &file("|b1", false, "(2,)", &[1, 0]),
        &any(ElementType::Float32),
    )
    .unwrap();
    assert_eq!(flags, [floats(&[2], &[1.0, 0.0])]);
    let short: Vec<u8> = [-1i16, 300].iter().flat_map(|v| v.to_be_bytes()).collect();
    let long = read(
        &file(">i2", false, "(2,)", &short),
        &any(ElementType::Int64),
    )
    .unwrap();
    assert_eq!(long, [ints(&[2], &[-1, 300])]);
    let bools = read(
        &file("<i2", false, "(2,)", &[1, 0, 0, 0]),
        &any(ElementType::Bool),
    )
    .unwrap();
    assert_eq!(bools[0].data(), &Data::Bool(vec![true, false].into()));
    let half = read(
        &file("<f4", false, "(1,)", &le(&[1.5])),
        &any(ElementType::BFloat16),
    )
    .unwrap();
    assert_eq!(
        half[0].data(),
        &Data::BFloat16(vec![bf16::from_f32(1.5)].into())
    );
    let rounded = read(
        &file(
            "<f8",
            false,
            "(2,)",
            &[0.1f64.to_le_bytes(), f64::INFINITY.to_le_bytes()].concat(),
        ),
        &any(ElementType::Float32),
    )
    .unwrap();
    assert_eq!(rounded, [floats(&[2], &[0.1, f32::INFINITY])]);

    let texts = [
        (
            "<f4",
            le(&[1.0]),
            ElementType::Int64,
            "npy dtype \"<f4\" does not become int64",
        ),
        (
            "<f4",
            le(&[1.0]),
            ElementType::Bool,
            "npy dtype \"<f4\" does not become bool",
        ),
        (
            "<f4",
            le(&[1.0]),
            ElementType::String,
            "npy dtype \"<f4\" does not become string",
        ),
        (
            "<U1",
            vec![b'1', 0, 0, 0],
            ElementType::Float32,
            "npy dtype \"<U1\" does not become float32",
        ),
        (
            "<i2",
            vec![0, 1],
            ElementType::Uint8,
            "element 0 of the npy array is a number outside the range of uint8",
        ),
        (
            "|i1",
            vec![255],
            ElementType::Uint8,
            "element 0 of the npy array is a number outside the range of uint8",
        ),
        (
            "|i1",
            vec![2],
            ElementType::Bool,
            "element 0 of the npy array is a number outside the range of bool",
        ),
        (
            "<f8",
            1e39f64.to_le_bytes().to_vec(),
            ElementType::Float32,
            "element 0 of the npy array is a number outside the range of float32",
        ),
        (
            "<U1",
            vec![0, 0xd8, 0, 0],
            ElementType::String,
            "element 0 of the npy array is text that is not unicode where string is expected",
        ),
        (
            "|S1",
            vec![0xff],
            ElementType::String,
            "element 0 of the npy array is text that is not utf-8 where string is expected",
        ),
    ];
    for (descr, data, element, text) in texts {
        assert_eq!(
            refusal(&file(descr, false, "(1,)", &data), &any(element)),
            format!("input x: {text}")
        );
    }
}

#[test]
fn text_is_read_in_both_forms_and_written_in_one() {
    let out = write(Value::Tensor(strings(&[3], &["ü", "", "a🦀b"])), &words());
    assert!(String::from_utf8_lossy(&out).contains("'descr': '<U3'"));
    assert_eq!(out.len(), 128 + 36);
    assert_eq!(
        read(&out, &words()).unwrap(),
        [strings(&[3], &["ü", "", "a🦀b"])]
    );
    let bytes = read(&file("|S3", false, "(2,)", b"ab\0c\0\0"), &words()).unwrap();
    assert_eq!(bytes, [strings(&[2], &["ab", "c"])]);
    let big = read(&file(">U1", false, "(1,)", &[0, 1, 0xf9, 0x80]), &words()).unwrap();
    assert_eq!(big, [strings(&[1], &["🦀"])]);
    let empty = write(Value::Tensor(strings(&[1], &[""])), &words());
    assert_eq!(read(&empty, &words()).unwrap(), [strings(&[1], &[""])]);
}

#[test]
fn replies_that_are_not_one_plain_array_are_refused() {
    let refuse = |values: &[Value], signature: &Signature| {
        write_as(Format::Npy, &Dialect::Bare, values, signature)
            .unwrap_err()
            .to_string()
    };
    let y = || Value::Tensor(floats(&[1], &[1.0]));
    let prefix = "application/x-npy cannot carry this reply: ";
    assert_eq!(
        refuse(&[y(), y()], &mix()),
        format!("{prefix}it holds one array, and there are 2 outputs")
    );
    assert_eq!(
        refuse(&[Value::Absent], &sum4()),
        format!("{prefix}output y is no tensor")
    );
    let bf16 = Tensor::new(vec![1], Data::BFloat16(vec![bf16::ONE].into())).unwrap();
    let signature = output_of(PortType::Other(String::new()));
    assert_eq!(
        refuse(&[Value::Tensor(bf16)], &signature),
        format!("{prefix}output y is bfloat16, which it does not know")
    );
    let mut unequal = vec![String::new(); 300_000];
    unequal.push("x".repeat(100_000));
    let unequal = Tensor::new(vec![unequal.len()], Data::String(unequal.into())).unwrap();
    assert_eq!(
        refuse(&[Value::Tensor(unequal)], &sum4()),
        format!("{prefix}output y has strings too unequal for fixed-width text")
    );
    let asked = v2(None, Some(&[1]));
    assert!(write_as(Format::Npy, &asked, &[y(), y()], &mix()).is_ok());
}

proptest! {
    #[test]
    fn no_header_panics(header in "[{}()'a-z_:, <0-9FT]{0,60}", data: Vec<u8>) {
        let _ = read(&raw(&header, &data), &sum4());
    }
}

#[test]
fn axes_are_bounded() {
    let ones = |count: usize| format!("({})", "1, ".repeat(count));
    let many = any(ElementType::Float32);
    let body = file("<f4", true, &ones(64), &le(&[2.0]));
    assert_eq!(read(&body, &many).unwrap()[0].shape(), [1; 64]);
    for count in [65, 20_000] {
        let body = file("<f4", true, &ones(count), &le(&[2.0]));
        assert_eq!(
            refusal(&body, &many),
            "body is not a readable npy file: its shape has more than 64 axes"
        );
    }
}

#[test]
fn axes_of_size_one_do_not_slow_fortran_order_down() {
    let shape = format!("({}2, 4)", "1, ".repeat(62));
    let body = file("<f4", true, &shape, &le(&EIGHT));
    let tensor = &read(&body, &any(ElementType::Float32)).unwrap()[0];
    assert_eq!(
        tensor.data(),
        &Data::Float32(vec![1., 3., 5., 7., 2., 4., 6., 8.].into())
    );
}

#[test]
fn a_wrong_shape_is_refused_before_an_element_is_looked_at() {
    // One element that does not fit: whoever reads it complains about it.
    let fixed = signature(vec![port("x", ElementType::Int8, "N,4")], vec![]);
    for (shape, expected) in [
        ("(1, 1, 1)", "input x int8[N,4]: found shape [1, 1, 1], rank 3 where 2 is expected; there is one list too many around it"),
        ("(1, 1)", "input x int8[N,4]: found shape [1, 1], axis 1 must be 4"),
    ] {
        let body = file("<i4", true, shape, &1000i32.to_le_bytes());
        assert_eq!(refusal(&body, &fixed), expected);
    }
}

#[test]
fn converting_counts_against_the_limit() {
    let limited = |body: Vec<u8>, signature: &Signature, unpacked_limit| {
        let intake = crate::codec::Intake {
            unpacked_limit,
            ..crate::codec::Intake::of(Some("application/x-npy"))
        };
        crate::codec::decode(intake, body.into(), signature).map_err(|error| error.to_string())
    };
    let text = file("|S1", false, "(1000,)", &[b'a'; 1000]);
    assert_eq!(
        limited(text.clone(), &words(), 50_000).unwrap_err(),
        "input x would take 57000 bytes unpacked, more than the limit of 50000 bytes \
         (PLIMSOLL_MAX_UNPACKED_MB sets it)"
    );
    assert!(limited(text, &words(), 57_000).is_ok());
    // What is used in place takes nothing.
    let own = file("<f4", false, "(2, 4)", &le(&EIGHT));
    assert!(limited(own, &sum4(), 0).is_ok());
}
