//! Replies that are written.

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::codec::tests::{floats, ints, strings};
use crate::tensor::{Buffer, Data};

#[test]
fn a_row_is_a_record_with_its_results_under_label() {
    let out = write(&[("y", Value::Tensor(floats(&[2, 1], &[10.0, 26.0])))]).unwrap();
    let mut expected = Vec::new();
    for value in [10.0f32, 26.0] {
        expected.extend([0x0a, 0x23, 0xd7, 0xce, 20, 0, 0, 0]);
        expected.extend(b"\x12\x12\x0a\x06values\x12\x08\x12\x06\x0a\x04");
        expected.extend(value.to_le_bytes());
    }
    assert_eq!(out, expected);
}

#[test]
fn several_outputs_go_by_their_names() {
    let out = write(&[
        ("scores", Value::Tensor(floats(&[2, 2], &[1., 2., 3., 4.]))),
        ("class", Value::Tensor(strings(&[2], &["a", ""]))),
    ])
    .unwrap();
    let model = signature(
        vec![
            port("class", ElementType::String, "N"),
            port("scores", ElementType::Float32, "N,2"),
        ],
        vec![],
    );
    assert_eq!(
        read(&labels_as_features(&out), &model).unwrap(),
        [
            strings(&[2], &["a", ""]),
            floats(&[2, 2], &[1., 2., 3., 4.])
        ]
    );
}

#[test]
fn rows_of_several_axes_carry_their_shape() {
    let cube = || floats(&[2, 2, 1], &[1., 2., 3., 4.]);
    let out = write(&[("y", Value::Tensor(cube()))]).unwrap();
    assert!(memchr::memmem::find(&out, &[0x1a, 2, 2, 1]).is_some());
    let any = one(ElementType::Float32, "*");
    assert_eq!(read(&labels_as_features(&out), &any).unwrap(), [cube()]);
    assert_eq!(
        write(&[("y", Value::Tensor(floats(&[0, 3], &[])))]),
        Ok(vec![])
    );
}

#[test]
fn what_has_no_rows_or_no_room_is_refused_with_the_reason() {
    let y = |tensor| write(&[("y", Value::Tensor(tensor))]).unwrap_err();
    let prefix = "application/x-recordio-protobuf cannot carry this reply: output y ";
    let wide = 1i64 << 31;
    let cases = [
        (
            y(floats(&[], &[1.0])),
            "is a scalar, without an axis of rows".to_owned(),
        ),
        (
            y(ints(&[1, 2], &[0, wide])),
            "holds 2147483648, beyond int32".to_owned(),
        ),
        (
            y(ints(&[1], &[i64::MIN])),
            "holds -9223372036854775808, beyond int32".to_owned(),
        ),
        (
            y(Tensor::new(vec![1], Data::Uint64(vec![u64::MAX].into())).unwrap()),
            "holds 18446744073709551615, beyond int32".to_owned(),
        ),
        (
            y(strings(&[1, 1, 1], &["a"])),
            "has rows of shape [1, 1], and text comes without a shape".to_owned(),
        ),
        (
            write(&[("y", Value::Absent)]).unwrap_err(),
            "is no tensor".to_owned(),
        ),
        (
            write(&[
                ("y", Value::Tensor(floats(&[1], &[1.]))),
                ("z", Value::Tensor(floats(&[2], &[1., 2.]))),
            ])
            .unwrap_err(),
            "has 1 rows and output z has 2".to_owned(),
        ),
    ];
    for (found, text) in cases {
        assert_eq!(found, format!("{prefix}{text}"));
    }
}

/// A tensor of each type whose values the format has room for.
fn tensor(element: ElementType, words: &[u64], texts: &[String]) -> Tensor {
    fn each<T>(words: &[u64], convert: impl Fn(u64) -> T) -> Buffer<T> {
        words.iter().map(|w| convert(*w)).collect::<Vec<_>>().into()
    }
    let data = match element {
        ElementType::Bool => Data::Bool(each(words, |w| w % 2 == 1)),
        ElementType::Int8 => Data::Int8(each(words, |w| w as i8)),
        ElementType::Int16 => Data::Int16(each(words, |w| w as i16)),
        ElementType::Int32 => Data::Int32(each(words, |w| w as i32)),
        ElementType::Int64 => Data::Int64(each(words, |w| i64::from(w as i32))),
        ElementType::Uint8 => Data::Uint8(each(words, |w| w as u8)),
        ElementType::Uint16 => Data::Uint16(each(words, |w| w as u16)),
        ElementType::Uint32 => Data::Uint32(each(words, |w| w as u32 >> 1)),
        ElementType::Uint64 => Data::Uint64(each(words, |w| w >> 33)),
        ElementType::Float16 => Data::Float16(each(words, |w| f16::from_bits(w as u16))),
        ElementType::BFloat16 => Data::BFloat16(each(words, |w| bf16::from_bits(w as u16))),
        ElementType::Float32 => Data::Float32(each(words, |w| f32::from_bits(w as u32))),
        ElementType::Float64 => Data::Float64(each(words, f64::from_bits)),
        ElementType::String => Data::String(texts.to_vec().into()),
    };
    Tensor::new(vec![1, data.len()], data).unwrap()
}

/// Bits of floats, where what is not a number shall be equal to itself.
fn comparable(data: &Data) -> String {
    match data {
        Data::Float32(all) => format!("{:?}", all.iter().map(|v| v.to_bits()).collect::<Vec<_>>()),
        Data::Float64(all) => format!("{:?}", all.iter().map(|v| v.to_bits()).collect::<Vec<_>>()),
        // A half that is not a number becomes a quiet one on its way through the wider type.
        Data::Float16(all) => format!("{:?}", all.iter().map(|v| v.to_f64()).collect::<Vec<_>>()),
        Data::BFloat16(all) => format!("{:?}", all.iter().map(|v| v.to_f64()).collect::<Vec<_>>()),
        other => crate::each_type!(other, all => format!("{:?}", all.to_vec())),
    }
}

proptest! {
    #[test]
    fn every_type_comes_back(
        words in proptest::collection::vec(any::<u64>(), 0..40),
        texts in proptest::collection::vec(any::<String>(), 0..8),
    ) {
        for element in ElementType::ALL {
            let sent = tensor(element, &words, &texts);
            let (shape, expected) = (sent.shape().to_vec(), comparable(sent.data()));
            let out = write(&[("y", Value::Tensor(sent))]).unwrap();
            let [back] = read(&labels_as_features(&out), &one(element, "N,?")).unwrap().try_into().unwrap();
            prop_assert_eq!(back.shape(), shape);
            prop_assert_eq!(comparable(back.data()), expected);
        }
    }
}
