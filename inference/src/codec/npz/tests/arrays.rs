//! Named arrays, in and out.

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::codec::tests::{floats, ints, mix, strings, sum4};
use crate::tensor::{Buffer, Data};

#[test]
fn numpys_archives_are_read_by_name() {
    let expected = [
        ints(&[2, 2], &[1, 2, 3, 4]),
        floats(&[2, 2], &[0.5, 1.5, 2.5, 3.5]),
    ];
    for body in [golden!("named.npz"), golden!("named_deflated.npz")] {
        assert_eq!(read(body, &mix()).unwrap(), expected);
        let turned = signature(
            vec![
                port("b", ElementType::Float64, "N,2"),
                port("a", ElementType::Int8, "N,2"),
            ],
            vec![],
        );
        let [b, a] = read(body, &turned).unwrap().try_into().unwrap();
        assert_eq!(a.data(), &Data::Int8(vec![1, 2, 3, 4].into()));
        assert_eq!(b.data(), &Data::Float64(vec![0.5, 1.5, 2.5, 3.5].into()));
    }
}

#[test]
fn an_array_without_a_name_is_for_a_model_of_one_input() {
    let body = golden!("unnamed.npz");
    let expected = floats(&[2, 4], &[1., 2., 3., 4., 5., 6., 7., 8.]);
    assert_eq!(read(body, &sum4()).unwrap(), [expected]);
    assert_eq!(
        refusal(body, &mix()),
        "the npz archive lacks \"a.npy\", \"b.npy\" and holds \"arr_0.npy\", which no input takes"
    );
}

#[test]
fn every_kind_of_array_is_read() {
    let mut inputs = vec![
        port("ünïcode/é:0", ElementType::String, "N"),
        port("bool", ElementType::Bool, "N"),
        port("half", ElementType::Float16, "N"),
        port("big", ElementType::Float64, "M,2"),
        port("fortran", ElementType::Float32, "M,3"),
        port("bytes", ElementType::String, "M"),
        port("none", ElementType::Uint16, "K,4"),
        port("scalar", ElementType::Int8, ""),
    ];
    let body = golden!("kinds.npz");
    let read_all = read(body, &signature(inputs.clone(), vec![])).unwrap();
    let [unicode, flags, half, big, fortran, bytes, none, scalar] =
        read_all.try_into().ok().unwrap();
    assert_eq!(unicode, strings(&[3], &["ä", "", "a🦀b"]));
    assert_eq!(flags.data(), &Data::Bool(vec![true, false, true].into()));
    let halves = [1.5, -2.0, f32::INFINITY].map(f16::from_f32);
    assert_eq!(half.data(), &Data::Float16(halves.to_vec().into()));
    let Data::Float64(big) = big.data() else {
        panic!("another type");
    };
    let bits: Vec<u64> = big.iter().map(|v| v.to_bits()).collect();
    assert_eq!(bits, [0.1, f64::NAN, -0.0, 1e300].map(f64::to_bits));
    assert_eq!(fortran, floats(&[2, 3], &[0., 1., 2., 3., 4., 5.]));
    assert_eq!(bytes, strings(&[2], &["ab", "c"]));
    assert_eq!(none.shape(), [0, 4]);
    assert_eq!(scalar.data(), &Data::Int8(vec![-7].into()));

    inputs.remove(3);
    inputs.push(port("x", ElementType::Int8, "N"));
    assert_eq!(
        refusal(body, &signature(inputs, vec![])),
        "the npz archive lacks \"x.npy\" and holds \"big.npy\", which no input takes"
    );
}

#[test]
fn missing_and_surplus_members_are_named() {
    let x = || file(floats(&[1, 4], &[1., 2., 3., 4.]));
    let cases = [
        (stored(&[]), "lacks \"x.npy\""),
        (
            stored(&[("x.npy", x()), ("y.npy", x())]),
            "holds \"y.npy\", which no input takes",
        ),
        (
            stored(&[("x", x())]),
            "lacks \"x.npy\" and holds \"x\", which no input takes",
        ),
        (
            stored(&[("x.npy", x()), ("arr_0.npy", x())]),
            "holds \"arr_0.npy\", which no input takes",
        ),
        (
            stored(&[("x.npy", x()), ("folder/", vec![])]),
            "holds \"folder/\", which no input takes",
        ),
    ];
    for (body, text) in cases {
        assert_eq!(refusal(&body, &sum4()), format!("the npz archive {text}"));
    }
    let many: Vec<_> = (10..30).map(|i| (format!("{i}.npy"), vec![])).collect();
    let many: Vec<_> = many.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    let text = refusal(&stored(&many), &sum4());
    assert!(
        text.ends_with("\"17.npy\", 12 more, which no input takes"),
        "{text}"
    );
}

#[test]
fn a_member_is_read_as_strictly_as_a_body() {
    let cases = [
        (
            b"nothing".to_vec(),
            "member \"x.npy\" is not a readable npy file: it does not begin as an npy file",
        ),
        (
            file(floats(&[4], &[1., 2., 3., 4.])),
            "input x float32[N,4]: found shape [4], rank 1 where 2 is expected; \
             wrap one record in a list: [ … ]",
        ),
        (
            file(strings(&[1], &["a"])),
            "input x: npy dtype \"<U1\" does not become float32",
        ),
    ];
    for (bytes, text) in cases {
        assert_eq!(refusal(&stored(&[("x.npy", bytes.clone())]), &sum4()), text);
        assert_eq!(refusal(&deflated(&[("x.npy", bytes)]), &sum4()), text);
    }
    let mut cut = file(floats(&[1, 4], &[1., 2., 3., 4.]));
    cut.pop();
    assert_eq!(
        refusal(&stored(&[("x.npy", cut)]), &sum4()),
        "npy data of member \"x.npy\" is truncated: \
         shape [1, 4] of \"<f4\" needs 16 bytes, 15 follow the header"
    );
    let objects =
        b"\x93NUMPY\x01\x00\x38\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }";
    assert_eq!(
        refusal(&stored(&[("x.npy", objects.to_vec())]), &sum4()),
        "member \"x.npy\" is not a readable npy file: it holds python objects, which are refused"
    );
    let large = file(floats(&[1], &[1e30]));
    assert_eq!(
        refusal(
            &stored(&[("x.npy", large)]),
            &free("x", ElementType::Float16)
        ),
        "input x: element 0 of the npy array is a number outside the range of float16"
    );
}

#[test]
fn a_stored_array_stays_in_the_body_where_it_is_aligned() {
    let good = stored(&[("x.npy", file(floats(&[1, 4], &[1., 2., 3., 4.])))]);
    let mut held = 0;
    for offset in 0..4 {
        let shifted = Bytes::from([vec![0; offset], good.clone()].concat()).slice(offset..);
        let [tensor] = decode(&shifted, &sum4(), 0).unwrap().try_into().unwrap();
        held += usize::from(matches!(tensor.data(), Data::Float32(Buffer::Held(_))));
        assert_eq!(tensor, floats(&[1, 4], &[1., 2., 3., 4.]));
    }
    assert_eq!(held, 1);
}

#[test]
fn outputs_that_npy_does_not_know_are_refused() {
    let prefix = "application/x-npz cannot carry this reply: output y ";
    let half = Tensor::new(vec![1], Data::BFloat16(vec![bf16::ONE].into())).unwrap();
    assert_eq!(
        write(&[("y", Value::Tensor(half))]).unwrap_err(),
        format!("{prefix}is bfloat16, which it does not know")
    );
    assert_eq!(
        write(&[("y", Value::Absent)]).unwrap_err(),
        format!("{prefix}is no tensor")
    );
    let y = || ("y", Value::Tensor(floats(&[1], &[1.0])));
    let twice = write(&[y(), y()]).unwrap_err();
    assert!(
        twice.starts_with(&format!("{prefix}does not go into an archive: ")),
        "{twice}"
    );
}

#[test]
fn names_go_out_and_come_in_as_they_are() {
    for name in [
        "y", "a/b:0", "/abs", "../up", "ü🦀", "", "a\\b", "a.npy", " ",
    ] {
        let body = write(&[(name, Value::Tensor(floats(&[1], &[1.0])))]).unwrap();
        let back = read(&body, &free(name, ElementType::Float32)).unwrap();
        assert_eq!(back, [floats(&[1], &[1.0])], "{name}");
    }
    let long = "x".repeat(1 << 16);
    assert!(write(&[(&long, Value::Tensor(floats(&[1], &[1.0])))]).is_err());
}

/// A tensor of each type, one element per word.
fn tensor(element: ElementType, words: &[u64], texts: &[String]) -> Option<Tensor> {
    fn each<T>(words: &[u64], convert: impl Fn(u64) -> T) -> Buffer<T> {
        words.iter().map(|w| convert(*w)).collect::<Vec<_>>().into()
    }
    let data = match element {
        ElementType::Bool => Data::Bool(each(words, |w| w % 2 == 1)),
        ElementType::Int8 => Data::Int8(each(words, |w| w as i8)),
        ElementType::Int16 => Data::Int16(each(words, |w| w as i16)),
        ElementType::Int32 => Data::Int32(each(words, |w| w as i32)),
        ElementType::Int64 => Data::Int64(each(words, |w| w as i64)),
        ElementType::Uint8 => Data::Uint8(each(words, |w| w as u8)),
        ElementType::Uint16 => Data::Uint16(each(words, |w| w as u16)),
        ElementType::Uint32 => Data::Uint32(each(words, |w| w as u32)),
        ElementType::Uint64 => Data::Uint64(each(words, |w| w)),
        ElementType::Float16 => Data::Float16(each(words, |w| f16::from_bits(w as u16))),
        ElementType::BFloat16 => return None,
        ElementType::Float32 => Data::Float32(each(words, |w| f32::from_bits(w as u32))),
        ElementType::Float64 => Data::Float64(each(words, f64::from_bits)),
        // Fixed-width text cannot tell a closing zero from its padding.
        ElementType::String => Data::String(
            texts
                .iter()
                .map(|text| text.trim_end_matches('\0').to_owned())
                .collect::<Vec<_>>()
                .into(),
        ),
    };
    Some(Tensor::new(vec![1, data.len()], data).unwrap())
}

/// The elements' bits: what is not a number is not equal to itself.
fn bits(tensor: &Tensor) -> Vec<u8> {
    let name = "y";
    let value = Value::Tensor(Tensor::new(tensor.shape().to_vec(), copy(tensor.data())).unwrap());
    npy::file(&Named {
        position: 0,
        name,
        value: &value,
    })
    .unwrap()
}

fn copy(data: &Data) -> Data {
    match data {
        Data::Bool(v) => Data::Bool(v.to_vec().into()),
        Data::Int8(v) => Data::Int8(v.to_vec().into()),
        Data::Int16(v) => Data::Int16(v.to_vec().into()),
        Data::Int32(v) => Data::Int32(v.to_vec().into()),
        Data::Int64(v) => Data::Int64(v.to_vec().into()),
        Data::Uint8(v) => Data::Uint8(v.to_vec().into()),
        Data::Uint16(v) => Data::Uint16(v.to_vec().into()),
        Data::Uint32(v) => Data::Uint32(v.to_vec().into()),
        Data::Uint64(v) => Data::Uint64(v.to_vec().into()),
        Data::Float16(v) => Data::Float16(v.to_vec().into()),
        Data::BFloat16(v) => Data::BFloat16(v.to_vec().into()),
        Data::Float32(v) => Data::Float32(v.to_vec().into()),
        Data::Float64(v) => Data::Float64(v.to_vec().into()),
        Data::String(v) => Data::String(v.to_vec().into()),
    }
}

proptest! {
    #[test]
    fn every_type_comes_back_bit_for_bit(words: Vec<u64>, texts: Vec<String>, name: String) {
        for element in ElementType::ALL {
            let Some(tensor) = tensor(element, &words, &texts) else {
                continue;
            };
            let expected = bits(&tensor);
            let signature = free(&name, element);
            let body = write(&[(&name, Value::Tensor(tensor))]).unwrap();
            let [back] = read(&body, &signature).unwrap().try_into().unwrap();
            prop_assert_eq!(bits(&back), expected.clone());
            let packed = deflated(&[(&format!("{name}.npy"), expected.clone())]);
            let [back] = read(&packed, &signature).unwrap().try_into().unwrap();
            prop_assert_eq!(bits(&back), expected);
        }
    }
}
