//! Signatures that the tests of this room share, and what concerns every format.

use super::*;
use crate::model::{Dim, Port, PortType};
use crate::tensor::{Data, ElementType};

/// A tensor port; `dims` as `N,4`, `?` for an unnamed axis, `*` for no rank, empty for a scalar.
pub(super) fn port(name: &str, element: ElementType, dims: &str) -> Port {
    let axis = |text: &str| match text.parse() {
        Ok(n) => Dim::Fixed(n),
        Err(_) if text == "?" => Dim::Free,
        Err(_) => Dim::Symbol(text.to_owned()),
    };
    let dims = match dims {
        "*" => None,
        "" => Some(vec![]),
        text => Some(text.split(',').map(axis).collect()),
    };
    Port {
        name: name.to_owned(),
        kind: PortType::Tensor { element, dims },
    }
}

pub(super) fn signature(inputs: Vec<Port>, outputs: Vec<Port>) -> Signature {
    Signature { inputs, outputs }
}

/// A signature of one output `y` and the input of sum4.
pub(super) fn output_of(kind: PortType) -> Signature {
    let mut signature = sum4();
    signature.outputs[0].kind = kind;
    signature
}

/// `x` FP32 [N,4] → `y` FP32 [N,1]
pub(super) fn sum4() -> Signature {
    signature(
        vec![port("x", ElementType::Float32, "N,4")],
        vec![port("y", ElementType::Float32, "N,1")],
    )
}

/// `a` INT64 [N,2], `b` FP32 [N,2] → `s`, `d` FP32 [N,2]
pub(super) fn mix() -> Signature {
    signature(
        vec![
            port("a", ElementType::Int64, "N,2"),
            port("b", ElementType::Float32, "N,2"),
        ],
        vec![
            port("s", ElementType::Float32, "N,2"),
            port("d", ElementType::Float32, "N,2"),
        ],
    )
}

/// STRING [N] → STRING [N]
pub(super) fn words() -> Signature {
    signature(
        vec![port("x", ElementType::String, "N")],
        vec![port("y", ElementType::String, "N")],
    )
}

pub(super) fn floats(shape: &[usize], elements: &[f32]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::Float32(elements.to_vec().into())).unwrap()
}

pub(super) fn ints(shape: &[usize], elements: &[i64]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::Int64(elements.to_vec().into())).unwrap()
}

pub(super) fn strings(shape: &[usize], elements: &[&str]) -> Tensor {
    let elements: Vec<String> = elements.iter().map(|s| (*s).to_owned()).collect();
    Tensor::new(shape.to_vec(), Data::String(elements.into())).unwrap()
}

/// Reads a body of a content type.
pub(super) fn read_as(
    content_type: Option<&str>,
    body: impl Into<Bytes>,
    signature: &Signature,
) -> Result<Decoded, DecodeError> {
    decode(Intake::of(content_type), body.into(), signature)
}

/// Writes a reply of a model called `m`.
pub(super) fn write_as(
    format: Format,
    dialect: &Dialect,
    outputs: &[Value],
    signature: &Signature,
) -> Result<Vec<u8>, EncodeError> {
    let setting = Setting {
        signature,
        model_name: "m",
        ends_with_newline: false,
    };
    encode(format, dialect, outputs, setting).map(|encoded| encoded.body)
}

/// KServe v2, for outputs at these positions or for all.
pub(super) fn v2(id: Option<&str>, outputs: Option<&[usize]>) -> Dialect {
    Dialect::V2(V2 {
        id: id.map(str::to_owned),
        outputs: outputs.map(<[usize]>::to_vec),
        ..V2::default()
    })
}

fn read(
    content_type: Option<&str>,
    body: &str,
    signature: &Signature,
) -> Result<Decoded, DecodeError> {
    read_as(
        content_type,
        Bytes::copy_from_slice(body.as_bytes()),
        signature,
    )
}

#[test]
fn every_spelling_of_the_json_type_reads_the_same() {
    for spelling in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
    ] {
        let decoded = read(Some(spelling), "[[1,2,3,4]]", &sum4()).unwrap();
        assert_eq!(decoded.inputs, [floats(&[1, 4], &[1., 2., 3., 4.])]);
        assert_eq!(decoded.reply.format, Format::Json);
    }
}

#[test]
fn a_missing_content_type_is_json_where_the_body_is() {
    assert!(read(None, "[[1,2,3,4]]", &sum4()).is_ok());
    assert!(read(Some(""), " [[1,2,3,4]] ", &sum4()).is_ok());
    assert!(matches!(
        read(None, "[[1,2,3]]", &sum4()),
        Err(DecodeError::Misfit(_))
    ));
    for body in ["1,2,3,4", "{\"instances\":", "\u{93}NUMPY", " "] {
        let error = read(None, body, &sum4()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "content type is missing and the body is not json; accepted are {}",
                Format::list()
            )
        );
    }
}

#[test]
fn an_unknown_content_type_is_refused_with_the_accepted_ones() {
    for (given, named) in [
        ("application/x-unknown", "\"application/x-unknown\""),
        ("image/jpeg; q=1", "\"image/jpeg\""),
        ("application/ld+json", "\"application/ld+json\""),
    ] {
        let error = read(Some(given), "[[1,2,3,4]]", &sum4()).unwrap_err();
        assert!(matches!(error, DecodeError::UnknownContentType { .. }));
        assert_eq!(
            error.to_string(),
            format!(
                "content type {named} is not supported; accepted are {}",
                Format::list()
            )
        );
    }
    let long = read(Some(&"x".repeat(1000)), "", &sum4()).unwrap_err();
    assert!(long.to_string().len() < 400);
}

#[test]
fn an_empty_body_is_for_models_without_inputs() {
    let known = Format::ALL.map(|format| Some(format.media_type()));
    for content_type in [None].into_iter().chain(known) {
        assert_eq!(read(content_type, "", &sum4()), Err(DecodeError::Empty));
        let constant = signature(vec![], vec![port("y", ElementType::Int64, "1")]);
        let decoded = read(content_type, "", &constant).unwrap();
        assert_eq!(decoded.inputs, []);
    }
    assert_eq!(DecodeError::Empty.to_string(), "empty body");
}

#[test]
fn a_reply_of_another_number_of_outputs_is_our_fault_and_said_so() {
    let error = write_as(Format::Json, &Dialect::Bare, &[], &sum4()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model gave 0 outputs, its signature declares 1"
    );
}

#[test]
fn a_callers_word_is_escaped_and_cut() {
    assert_eq!(error::quoted("a\nb"), "\"a\\nb\"");
    assert!(error::quoted(&"é".repeat(100)).chars().count() <= 67);
}

#[test]
fn an_output_of_endless_axes_is_refused_by_every_format_that_writes_its_shape() {
    let signature = output_of(PortType::Tensor {
        element: ElementType::Float32,
        dims: None,
    });
    let bare = || Dialect::Bare;
    let cases = [
        (Format::Json, bare()),
        (Format::Json, Dialect::Instances),
        (Format::Json, Dialect::Columns),
        (Format::Json, v2(None, None)),
        (Format::JsonLines, bare()),
        (Format::Npy, bare()),
        (Format::Npz, bare()),
        (Format::RecordIo, bare()),
        (Format::Triton, v2(None, None)),
    ];
    let tensor = |axes| Value::Tensor(floats(&vec![1; axes], &[2.0]));
    for (format, dialect) in cases {
        for value in [tensor(100_001), Value::Sequence(vec![tensor(100_001)])] {
            let error = write_as(format, &dialect, &[value], &signature).unwrap_err();
            let expected =
                "cannot carry this reply: output y has 100001 axes, at most 64 are expected";
            assert!(error.to_string().ends_with(expected), "{format:?}: {error}");
        }
        let written = write_as(format, &dialect, &[tensor(64)], &signature);
        assert!(written.is_ok(), "{format:?}: {written:?}");
    }
    // These write elements alone.
    for format in [Format::Csv, Format::Octets] {
        assert!(write_as(format, &bare(), &[tensor(100_001)], &signature).is_ok());
    }
}

#[test]
fn an_input_of_endless_axes_is_refused_by_every_format_that_states_a_shape() {
    let any = signature(vec![port("x", ElementType::Float32, "*")], vec![]);
    let ones = "1,".repeat(100_000);
    let v2 = format!(
        "{{\"inputs\":[{{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[{ones}1],\"data\":[2]}}]}}"
    );
    let triton = format!(
        "{{\"inputs\":[{{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[{ones}1],\
         \"parameters\":{{\"binary_data_size\":4}}}}]}}"
    );
    let size = triton.len();
    let nested = format!("{}2{}", "[".repeat(65), "]".repeat(65));
    let binary = format!("{}; json-header-size={size}", Format::Triton.media_type());
    let json = Format::Json.media_type();
    for (content_type, body, expected) in [
        (json, v2, "input x: found more than 64 axes"),
        (
            &binary,
            triton + "\0\0\0\0",
            "input x: found more than 64 axes",
        ),
        (
            json,
            nested,
            "input x at [0][0][0][0]: lists nest more than 64 deep",
        ),
    ] {
        let error = read(Some(content_type), &body, &any).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn what_may_unfold_is_told_by_type_and_by_sparse_records() {
    let sparse =
        |content_type, body: &str| may_be_sparse(&Intake::of(content_type), body.as_bytes());
    let body =
        "{\"instances\":[{\"data\":{\"features\":{\"keys\":[0],\"shape\":[9],\"values\":[1]}}}]}";
    for name in ["application/json; charset=utf-8", "application/x-ndjson"] {
        assert!(sparse(Some(name), body));
        assert!(sparse(Some(name), &body.replace("keys", "k\\u0065ys")));
        assert!(!sparse(Some(name), "[[1,2,3,4]]"));
    }
    assert!(sparse(None, body));
    assert!(!sparse(Some("text/csv"), body));
    for format in Format::ALL {
        let unfolds = matches!(format, Format::Npz | Format::RecordIo);
        let intake = Intake::of(Some(format.media_type()));
        assert_eq!(may_unfold(&intake), unfolds, "{format:?}");
    }
}
