//! Half-precision tensors go in and out as they are: every bit pattern, NaN payloads and subnormals
//! included, and without a copy where they lie aligned. Through a 32-bit float a signalling NaN
//! would come out as another one.

use bytes::Bytes;
use half::{bf16, f16};

use super::tests::{port, read_as, signature, write_as};
use super::{Dialect, Format};
use crate::model::Signature;
use crate::tensor::{Data, ElementType, Tensor, Value};

const ALL: usize = 1 << 16;

fn of(element: ElementType) -> Signature {
    signature(vec![port("x", element, "N")], vec![port("x", element, "N")])
}

/// Every pattern, little-endian.
fn patterns() -> Vec<u8> {
    (0..=u16::MAX).flat_map(u16::to_le_bytes).collect()
}

/// The patterns of a tensor of halves, and where they lie.
fn bits(tensor: &Tensor) -> (Vec<u16>, usize) {
    match tensor.data() {
        Data::Float16(halves) => {
            let bits = halves.iter().map(|half| half.to_bits()).collect();
            (bits, halves.as_ptr() as usize)
        }
        Data::BFloat16(halves) => {
            let bits = halves.iter().map(|half| half.to_bits()).collect();
            (bits, halves.as_ptr() as usize)
        }
        other => panic!("halves are expected, not {:?}", other.element_type()),
    }
}

fn all(element: ElementType) -> Value {
    let data = match element {
        ElementType::Float16 => Data::Float16(
            (0..=u16::MAX)
                .map(f16::from_bits)
                .collect::<Vec<_>>()
                .into(),
        ),
        _ => Data::BFloat16(
            (0..=u16::MAX)
                .map(bf16::from_bits)
                .collect::<Vec<_>>()
                .into(),
        ),
    };
    Value::Tensor(Tensor::new(vec![ALL], data).unwrap())
}

/// A body whose last bytes are the patterns, at an even address.
fn aligned(head: Vec<u8>) -> Bytes {
    let body = Bytes::from([head, patterns()].concat());
    let at = body.len() - 2 * ALL;
    assert!((body.as_ptr() as usize + at).is_multiple_of(2));
    body
}

fn goes_in(content_type: &str, body: Bytes, element: ElementType) {
    let begin = body.as_ptr() as usize + body.len() - 2 * ALL;
    let decoded = read_as(Some(content_type), body, &of(element)).unwrap();
    let (bits, at) = bits(&decoded.inputs[0]);
    assert!((0..=u16::MAX).eq(bits), "{content_type} {element:?}");
    assert_eq!(at, begin, "{content_type} {element:?} is copied");
}

#[test]
fn npy_carries_every_float16_as_it_is() {
    let mut head = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    head.extend(b"{'descr': '<f2', 'fortran_order': False, 'shape': (65536,), }");
    head.resize(127, b' ');
    head.push(b'\n');
    goes_in("application/x-npy", aligned(head), ElementType::Float16);
    let signature = of(ElementType::Float16);
    let written = write_as(
        Format::Npy,
        &Dialect::Bare,
        &[all(ElementType::Float16)],
        &signature,
    );
    assert!(written.unwrap().ends_with(&patterns()));
}

#[test]
fn triton_carries_every_float16_and_bfloat16_as_it_is() {
    for (element, name) in [
        (ElementType::Float16, "FP16"),
        (ElementType::BFloat16, "BF16"),
    ] {
        let json = format!(
            "{{\"parameters\":{{\"binary_data_output\":true}},\"inputs\":[{{\"name\":\"x\",\"shape\":[{ALL}],\"datatype\":\"{name}\",\"parameters\":{{\"binary_data_size\":{}}}}}]}}",
            2 * ALL
        );
        let json = format!("{json:<width$}", width = json.len().next_multiple_of(2));
        let content_type = format!(
            "application/vnd.sagemaker-triton.binary+json;json-header-size={}",
            json.len()
        );
        goes_in(&content_type, aligned(json.clone().into_bytes()), element);
        // The reply is asked for by the request.
        let body = aligned(json.into_bytes());
        let decoded = read_as(Some(&content_type), body, &of(element)).unwrap();
        let written = write_as(
            Format::Triton,
            &decoded.reply.dialect,
            &[all(element)],
            &of(element),
        );
        assert!(written.unwrap().ends_with(&patterns()), "{name}");
    }
}
