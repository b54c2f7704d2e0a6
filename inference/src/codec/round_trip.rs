//! Round trips: what a format writes as a reply, it reads back as a request, for every element type
//! of ONNX.
//!
//! A reply is no request as it stands: [`Way::request`] turns one into the other and changes nothing
//! but names of keys. What a format cannot say is listed here, in [`carries`] and in the ways below,
//! and nowhere skipped: a type that is not carried must be refused.

use half::{bf16, f16};
use proptest::prelude::*;

use super::tests::{port, signature, v2};
use super::*;
use crate::tensor::{Data, ElementType};
use ElementType::{BFloat16, Float16, Float32, Float64};

/// The element types of each format.
fn carries(format: Format, element: ElementType) -> bool {
    match format {
        Format::Json | Format::JsonLines | Format::Csv | Format::RecordIo | Format::Triton => true,
        // NumPy has no bfloat16.
        Format::Npy | Format::Npz => element != BFloat16,
        // Strings have no fixed size.
        Format::Octets => element != ElementType::String,
    }
}

#[test]
fn negotiation_offers_each_format_for_the_types_that_it_carries() {
    for format in Format::ALL {
        for element in ElementType::ALL {
            let signature = signature(vec![], vec![port("x", element, "N")]);
            let hint = ReplyHint {
                format: Format::Json,
                dialect: Dialect::Bare,
            };
            let choice = negotiate(Some(format.media_type()), None, &hint, &signature);
            assert_eq!(
                choice.map(|choice| choice.format).ok(),
                carries(format, element).then_some(format),
                "{format:?} of {element}"
            );
        }
    }
}

#[test]
fn every_format_has_a_way() {
    for format in Format::ALL {
        assert!(WAYS.iter().any(|way| way.format == format), "{format:?}");
    }
}

/// One way out and back in.
struct Way {
    format: Format,
    dialect: fn() -> Dialect,
    /// Whether the axes behind the first are declared: a format without a shape needs them.
    fixed: bool,
    /// The shapes that it can say.
    says: fn(ElementType, &[usize]) -> bool,
    /// The types whose NaN keep their bits; others stay some NaN.
    nan_bits: &'static [ElementType],
    /// A reply as a request: its content type and its body.
    request: fn(Encoded) -> (String, Vec<u8>),
}

const WAYS: [&Way; 11] = [
    &BARE, &ROWS, &COLUMNS, &V2_FORM, &LINES, &CSV, &NPY, &NPZ, &RECORDIO, &TRITON, &OCTETS,
];

/// Lists show their depth only while they have members.
fn nested(_: ElementType, shape: &[usize]) -> bool {
    shape.iter().rev().skip(1).all(|size| *size > 0)
}

/// Besides, no records are no request.
fn nested_rows(element: ElementType, shape: &[usize]) -> bool {
    nested(element, shape) && shape.first().is_some_and(|rows| *rows > 0)
}

/// No elements are no text and no bytes.
fn filled(_: ElementType, shape: &[usize]) -> bool {
    !shape.contains(&0)
}

fn anything(_: ElementType, _: &[usize]) -> bool {
    true
}

const BINARY: &[ElementType] = &[Float16, BFloat16, Float32, Float64];

const BARE: Way = Way {
    format: Format::Json,
    dialect: || Dialect::Bare,
    fixed: false,
    says: nested,
    nan_bits: &[],
    request: |reply| as_it_is(Format::Json, reply),
};

const ROWS: Way = Way {
    dialect: || Dialect::Instances,
    says: nested_rows,
    request: |reply| renamed("{\"predictions\":", "{\"instances\":", reply),
    ..BARE
};

const COLUMNS: Way = Way {
    dialect: || Dialect::Columns,
    request: |reply| renamed("{\"outputs\":", "{\"inputs\":", reply),
    ..BARE
};

const V2_REPLY: &str = "{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":";

const V2_FORM: Way = Way {
    dialect: || v2(None, None),
    says: anything,
    request: |reply| renamed(V2_REPLY, "{\"inputs\":", reply),
    ..BARE
};

const LINES: Way = Way {
    format: Format::JsonLines,
    says: nested_rows,
    request: |reply| as_it_is(Format::JsonLines, reply),
    ..BARE
};

const CSV: Way = Way {
    format: Format::Csv,
    fixed: true,
    says: filled,
    request: |reply| as_it_is(Format::Csv, reply),
    ..BARE
};

const NPY: Way = Way {
    format: Format::Npy,
    says: anything,
    nan_bits: BINARY,
    request: |reply| as_it_is(Format::Npy, reply),
    ..BARE
};

const NPZ: Way = Way {
    format: Format::Npz,
    request: |reply| as_it_is(Format::Npz, reply),
    ..NPY
};

const RECORDIO: Way = Way {
    format: Format::RecordIo,
    // A body without records is empty, and text comes without a shape.
    says: |element, shape| {
        shape.first().is_some_and(|rows| *rows > 0)
            && (element != ElementType::String || shape.len() < 3)
    },
    // A half goes through float32.
    nan_bits: &[Float32, Float64],
    request: |reply| {
        let mut body = reply.body;
        labels_to_features(&mut body);
        (Format::RecordIo.media_type().to_owned(), body)
    },
    ..BARE
};

const TRITON: Way = Way {
    format: Format::Triton,
    says: anything,
    nan_bits: BINARY,
    request: |reply| {
        let (json, behind) = reply.body.split_at(reply.json_header_size.unwrap());
        let json = replaced(V2_REPLY, "{\"inputs\":", json);
        let media_type = Format::Triton.media_type();
        let content_type = format!("{media_type};json-header-size={}", json.len());
        (content_type, [&json, behind].concat())
    },
    ..BARE
};

const OCTETS: Way = Way {
    format: Format::Octets,
    fixed: true,
    says: filled,
    nan_bits: BINARY,
    request: |reply| as_it_is(Format::Octets, reply),
    ..BARE
};

fn as_it_is(format: Format, reply: Encoded) -> (String, Vec<u8>) {
    (format.media_type().to_owned(), reply.body)
}

fn renamed(from: &str, to: &str, reply: Encoded) -> (String, Vec<u8>) {
    let body = replaced(from, to, &reply.body);
    (Format::Json.media_type().to_owned(), body)
}

fn replaced(from: &str, to: &str, body: &[u8]) -> Vec<u8> {
    let rest = body.strip_prefix(from.as_bytes());
    let rest = rest.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(body)));
    [to.as_bytes(), rest].concat()
}

/// Field 2 of each record becomes field 1. A payload is one such field, and stands behind its magic
/// number and its length.
fn labels_to_features(body: &mut [u8]) {
    let mut rest = body;
    while let Some((head, after)) = rest.split_first_chunk_mut::<8>() {
        let [.., a, b, c, d] = *head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        assert_eq!(after[0], 0x12, "a payload begins with its label");
        after[0] = 0x0a;
        rest = &mut after[length.next_multiple_of(4)..];
    }
}

/// What a tensor of any type is made from.
#[derive(Debug, Clone)]
struct Sample {
    shape: Vec<usize>,
    /// Bits of the numbers, and a choice: some of the floats shall be special ones.
    numbers: Vec<(u64, u8)>,
    texts: Vec<String>,
}

fn samples() -> impl Strategy<Value = Sample> {
    let axis = prop_oneof![1 => Just(0usize), 6 => 1usize..4];
    let text = prop_oneof![
        4 => any::<String>(),
        1 => Just(String::new()),
        3 => "[\"',;\\\\\r\n\t \0aü🦀\u{feff}]{0,6}",
        1 => proptest::sample::select(vec!["NaN", "null", "true", "1.5", "-0", "[]", "{}", "b'x'"])
            .prop_map(str::to_owned),
    ];
    proptest::collection::vec(axis, 1..=3).prop_flat_map(move |shape| {
        let count = shape.iter().product::<usize>();
        (
            Just(shape),
            proptest::collection::vec(any::<(u64, u8)>(), count),
            proptest::collection::vec(text.clone(), count),
        )
            .prop_map(|(shape, numbers, texts)| Sample {
                shape,
                numbers,
                texts,
            })
    })
}

/// Two floats in three have any bits; the others are those that are often forgotten.
macro_rules! float {
    ($type:ty, $uint:ty) => {
        |&(bits, choice): &(u64, u8)| {
            let special = [
                <$type>::from_bits(0),
                <$type>::from_bits(1 << (<$uint>::BITS - 1)),
                // The smallest above and below zero.
                <$type>::from_bits(1),
                <$type>::from_bits((1 << (<$uint>::BITS - 1)) | 1),
                <$type>::MIN_POSITIVE,
                <$type>::MAX,
                <$type>::MIN,
                <$type>::EPSILON,
                <$type>::INFINITY,
                <$type>::NEG_INFINITY,
                <$type>::NAN,
            ];
            let special = special.get(usize::from(choice / 3));
            special
                .filter(|_| choice % 3 == 0)
                .copied()
                .unwrap_or(<$type>::from_bits(bits as $uint))
        }
    };
}

impl Sample {
    fn tensor(&self, element: ElementType, way: &Way) -> Tensor {
        fn each<T>(numbers: &[(u64, u8)], make: impl Fn(&(u64, u8)) -> T) -> Vec<T> {
            numbers.iter().map(make).collect()
        }
        let numbers = self.numbers.as_slice();
        // Integers of this format have 32 bits and a sign.
        let narrow = way.format == Format::RecordIo;
        let long = |bits: u64| match narrow {
            true => i64::from(bits as i32),
            false => bits.cast_signed(),
        };
        let natural = |bits: u64| match narrow {
            true => bits & 0x7fff_ffff,
            false => bits,
        };
        // Fixed-width text cannot tell a closing zero from its padding.
        let text = |text: &String| match way.format {
            Format::Npy | Format::Npz => text.trim_end_matches('\0').to_owned(),
            _ => text.clone(),
        };
        let texts = self.texts.iter();
        let data = match element {
            ElementType::Bool => Data::Bool(each(numbers, |n| n.0 & 1 == 1).into()),
            ElementType::Int8 => Data::Int8(each(numbers, |n| n.0 as i8).into()),
            ElementType::Int16 => Data::Int16(each(numbers, |n| n.0 as i16).into()),
            ElementType::Int32 => Data::Int32(each(numbers, |n| n.0 as i32).into()),
            ElementType::Int64 => Data::Int64(each(numbers, |n| long(n.0)).into()),
            ElementType::Uint8 => Data::Uint8(each(numbers, |n| n.0 as u8).into()),
            ElementType::Uint16 => Data::Uint16(each(numbers, |n| n.0 as u16).into()),
            ElementType::Uint32 => Data::Uint32(each(numbers, |n| natural(n.0) as u32).into()),
            ElementType::Uint64 => Data::Uint64(each(numbers, |n| natural(n.0)).into()),
            Float16 => Data::Float16(each(numbers, float!(f16, u16)).into()),
            BFloat16 => Data::BFloat16(each(numbers, float!(bf16, u16)).into()),
            Float32 => Data::Float32(each(numbers, float!(f32, u32)).into()),
            Float64 => Data::Float64(each(numbers, float!(f64, u64)).into()),
            ElementType::String => Data::String(texts.map(text).collect::<Vec<_>>().into()),
        };
        Tensor::new(self.shape.clone(), data).unwrap()
    }
}

/// Equal bit for bit, but for the bits of NaN where they need not be kept.
fn same(sent: &Data, found: &Data, nan_bits: &[ElementType]) -> bool {
    let keeps = nan_bits.contains(&sent.element_type());
    macro_rules! floats {
        ($a:expr, $b:expr) => {
            $a.len() == $b.len()
                && $a.iter().zip($b.iter()).all(|(a, b)| {
                    a.to_bits() == b.to_bits() || (!keeps && a.is_nan() && b.is_nan())
                })
        };
    }
    match (sent, found) {
        (Data::Float16(a), Data::Float16(b)) => floats!(a, b),
        (Data::BFloat16(a), Data::BFloat16(b)) => floats!(a, b),
        (Data::Float32(a), Data::Float32(b)) => floats!(a, b),
        (Data::Float64(a), Data::Float64(b)) => floats!(a, b),
        (a, b) => a == b,
    }
}

/// Writes the sample as each type and reads it again.
fn comes_back(way: &Way, sample: &Sample) -> Result<(), TestCaseError> {
    for element in ElementType::ALL {
        let mut dims = vec!["N".to_owned()];
        dims.extend(
            sample
                .shape
                .iter()
                .skip(1)
                .enumerate()
                .map(|(axis, size)| match way.fixed {
                    true => size.to_string(),
                    false => format!("A{axis}"),
                }),
        );
        let port = port("x", element, &dims.join(","));
        let signature = signature(vec![port.clone()], vec![port]);
        let outputs = [Value::Tensor(sample.tensor(element, way))];
        let setting = Setting {
            signature: &signature,
            model_name: "m",
            ends_with_newline: false,
        };
        let reply = encode(way.format, &(way.dialect)(), &outputs, setting);
        if !carries(way.format, element) {
            prop_assert!(matches!(reply, Err(EncodeError::NotCarried(_))));
            continue;
        }
        if !(way.says)(element, &sample.shape) {
            continue;
        }
        let (content_type, body) = (way.request)(reply.unwrap());
        let shown = String::from_utf8_lossy(&body).into_owned();
        let decoded = decode(Intake::of(Some(&content_type)), body.into(), &signature);
        let [Value::Tensor(sent)] = &outputs else {
            unreachable!("a tensor was sent")
        };
        match decoded.as_ref().map(|decoded| decoded.inputs.as_slice()) {
            Ok([found]) => {
                prop_assert_eq!(sent.shape(), found.shape(), "{} {:?}", element, shown);
                prop_assert!(
                    same(sent.data(), found.data(), way.nan_bits),
                    "{element}: {sent:?} came back as {found:?} from {shown:?}"
                );
            }
            other => prop_assert!(false, "{element}: {sent:?} gave {other:?} from {shown:?}"),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn bare_json(sample in samples()) {
        comes_back(&BARE, &sample)?;
    }

    #[test]
    fn rows_of_json(sample in samples()) {
        comes_back(&ROWS, &sample)?;
    }

    #[test]
    fn columns_of_json(sample in samples()) {
        comes_back(&COLUMNS, &sample)?;
    }

    #[test]
    fn kserve_v2(sample in samples()) {
        comes_back(&V2_FORM, &sample)?;
    }

    #[test]
    fn json_lines(sample in samples()) {
        comes_back(&LINES, &sample)?;
    }

    #[test]
    fn csv(sample in samples()) {
        comes_back(&CSV, &sample)?;
    }

    #[test]
    fn npy(sample in samples()) {
        comes_back(&NPY, &sample)?;
    }

    #[test]
    fn npz(sample in samples()) {
        comes_back(&NPZ, &sample)?;
    }

    #[test]
    fn recordio(sample in samples()) {
        comes_back(&RECORDIO, &sample)?;
    }

    #[test]
    fn triton(sample in samples()) {
        comes_back(&TRITON, &sample)?;
    }

    #[test]
    fn octets(sample in samples()) {
        comes_back(&OCTETS, &sample)?;
    }
}
