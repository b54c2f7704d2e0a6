//! SciPy's sparse matrices.

use super::*;
use crate::codec::tests::{floats, ints, mix, sum4};
use crate::tensor::Data;

fn wide(element: ElementType) -> Signature {
    signature(vec![port("x", element, "N,6")], vec![])
}

/// The matrix of `testdata`, as SciPy's `toarray` gives it.
const DENSE: [f32; 24] = [
    0., 0., 0., 0., 0., 1., //
    2., 0., 3., 0., 0., 0., //
    0., 0., 0., 0., 0., 0., //
    0., 9., 0., 0., 6., 0.,
];

#[test]
fn scipys_archives_are_filled_out() {
    for body in [
        golden!("csr.npz"),
        golden!("csc.npz"),
        golden!("coo.npz"),
        golden!("coo_coords.npz"),
        golden!("bsr.npz"),
    ] {
        let dense = read(body, &wide(ElementType::Float32)).unwrap();
        assert_eq!(dense, [floats(&[4, 6], &DENSE)]);
        let [dense] = read(body, &wide(ElementType::Float64))
            .unwrap()
            .try_into()
            .unwrap();
        assert_eq!(
            dense.data(),
            &Data::Float64(DENSE.map(f64::from).to_vec().into())
        );
    }
    let dia = read(golden!("dia.npz"), &wide(ElementType::Float32)).unwrap();
    let bands = [
        1., 0., 9., 0., 0., 0., //
        13., 2., 0., 10., 0., 0., //
        0., 14., 3., 0., 11., 0., //
        0., 0., 15., 4., 0., 12.,
    ];
    assert_eq!(dia, [floats(&[4, 6], &bands)]);
    let line = read(golden!("line.npz"), &free("x", ElementType::Int64)).unwrap();
    assert_eq!(line, [ints(&[4], &[0, 7, 0, -8])]);
}

#[test]
fn integers_become_what_an_array_of_them_becomes() {
    let body = golden!("bsr.npz");
    let ints8 = read(body, &wide(ElementType::Int8)).unwrap();
    assert_eq!(
        ints8[0].data(),
        &Data::Int8(DENSE.map(|v| v as i8).to_vec().into())
    );
    assert_eq!(
        refusal(golden!("csr.npz"), &wide(ElementType::Int64)),
        "input x: npy dtype \"<f4\" does not become int64"
    );
    assert_eq!(
        refusal(body, &wide(ElementType::Bool)),
        "input x: element 5 of the npy array is a number outside the range of bool"
            .replace("element 5", "element 6")
    );
    assert_eq!(
        refusal(body, &sum4()),
        "input x float32[N,4]: found shape [4, 6], axis 1 must be 4"
    );
}

fn text(word: &str) -> Vec<u8> {
    file(crate::codec::tests::strings(&[], &[word]))
}

fn int(numbers: &[i64]) -> Vec<u8> {
    file(ints(&[numbers.len()], numbers))
}

fn bytes(numbers: &[i8]) -> Vec<u8> {
    let data = Data::Int8(numbers.to_vec().into());
    file(Tensor::new(vec![numbers.len()], data).unwrap())
}

/// A csr matrix of two rows.
fn csr(shape: &[i64], indptr: &[i64], indices: &[i64], data: &[f32]) -> Vec<u8> {
    stored(&[
        ("format.npy", text("csr")),
        ("shape.npy", int(shape)),
        ("indptr.npy", int(indptr)),
        ("indices.npy", int(indices)),
        ("data.npy", file(floats(&[data.len()], data))),
    ])
}

#[test]
fn places_that_are_there_twice_add_up_in_their_own_type() {
    let body = csr(&[2, 6], &[0, 3, 4], &[1, 1, 1, 0], &[1.0, 2.0, 0.5, 4.0]);
    let [dense] = read(&body, &wide(ElementType::Float32))
        .unwrap()
        .try_into()
        .unwrap();
    let mut expected = [0.0; 12];
    (expected[1], expected[6]) = (3.5, 4.0);
    assert_eq!(dense, floats(&[2, 6], &expected));
    let wrapped = stored(&[
        ("format.npy", text("coo")),
        ("shape.npy", int(&[1, 2])),
        ("row.npy", int(&[0, 0, 0])),
        ("col.npy", int(&[0, 0, 1])),
        ("data.npy", bytes(&[100, 100, 1])),
    ]);
    let dense = read(&wrapped, &free("x", ElementType::Int64)).unwrap();
    assert_eq!(dense, [ints(&[1, 2], &[-56, 1])]);
    // Entries past the last pointer are unused, as in SciPy.
    let body = csr(&[2, 6], &[0, 0, 1], &[1, 99], &[1.0, 2.0]);
    assert!(read(&body, &wide(ElementType::Float32)).is_ok());
}

#[test]
fn indices_and_pointers_are_checked() {
    let prefix = "input x: the sparse csr matrix of shape [2, 6] is not valid: ";
    type Case<'a> = (&'a [i64], &'a [i64], &'a [f32], &'a str);
    let cases: &[Case<'_>] = &[
        (
            &[0, 1],
            &[0],
            &[1.0],
            "its indptr has 2 entries for 2 lines",
        ),
        (&[0, 1, 1], &[0, 1], &[1.0], "it has 2 indices for 1 values"),
        (&[1, 1, 1], &[0], &[1.0], "its indptr does not begin with 0"),
        (
            &[0, 1, 0],
            &[0],
            &[1.0],
            "its indptr goes from 1 to 0 at line 1, with 1 entries",
        ),
        (
            &[0, 1, 2],
            &[0],
            &[1.0],
            "its indptr goes from 1 to 2 at line 1, with 1 entries",
        ),
        (
            &[0, -1, 1],
            &[0],
            &[1.0],
            "its indptr goes from 0 to -1 at line 0, with 1 entries",
        ),
        (
            &[0, 0, 1],
            &[6],
            &[1.0],
            "index 6 of entry 0 is outside an axis of 6",
        ),
        (
            &[0, 0, 1],
            &[-1],
            &[1.0],
            "index -1 of entry 0 is outside an axis of 6",
        ),
    ];
    for (indptr, indices, data, text) in cases {
        assert_eq!(
            refusal(
                &csr(&[2, 6], indptr, indices, data),
                &wide(ElementType::Float32)
            ),
            format!("{prefix}{text}")
        );
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let data = || file(floats(&[1], &[1.0]));
    let cube = || file(floats(&[1, 2, 2], &[1., 2., 3., 4.]));
    type Members = Vec<(&'static str, Vec<u8>)>;
    let with = |format: &str, shape: &[i64], parts: Members| {
        let mut members = vec![("format.npy", text(format)), ("shape.npy", int(shape))];
        members.extend(parts);
        refusal(&stored(&members), &free("x", ElementType::Float32))
    };
    let one = || int(&[0]);
    let cases: Vec<(String, &str)> = vec![
        (
            with("lil", &[1, 1], vec![("data.npy", data())]),
            "input x: sparse format \"lil\" is none of csr, csc, coo, bsr and dia",
        ),
        (
            with("csr", &[1, 1], vec![("data.npy", data()), ("row.npy", one())]),
            "the npz archive lacks \"indptr.npy\", \"indices.npy\" and holds \"row.npy\", which no input takes",
        ),
        (
            with("coo", &[1, 1], vec![("data.npy", data()), ("row.npy", int(&[0, 0])), ("col.npy", one())]),
            "input x: the sparse coo matrix of shape [1, 1] is not valid: axis 0 has 2 indices for 1 values",
        ),
        (
            with("coo", &[1, 1], vec![("data.npy", data()), ("row.npy", one()), ("col.npy", int(&[-1]))]),
            "input x: the sparse coo matrix of shape [1, 1] is not valid: index -1 of entry 0 is outside an axis of 1",
        ),
        (
            with("coo", &[1, 1, 1], vec![("data.npy", data()), ("row.npy", one()), ("col.npy", one())]),
            "input x: the sparse coo matrix of shape [1, 1, 1] is not valid: its data has shape [1], which is not that of the format",
        ),
        (
            with("coo", &[1, 1], vec![("data.npy", data()), ("coords.npy", file(ints(&[1, 2], &[0, 0])))]),
            "member \"coords.npy\" has 1 rows where the matrix has 2 axes",
        ),
        (
            with("bsr", &[3, 2], vec![("data.npy", cube()), ("indptr.npy", int(&[0, 1])), ("indices.npy", one())]),
            "input x: the sparse bsr matrix of shape [3, 2] is not valid: blocks of 2 by 2 do not divide 3 by 2",
        ),
        (
            with("dia", &[1, 1], vec![("data.npy", file(floats(&[2, 1], &[1., 2.]))), ("offsets.npy", int(&[0, 0]))]),
            "input x: the sparse dia matrix of shape [1, 1] is not valid: offset 0 is there twice",
        ),
        (
            with("dia", &[1, 1], vec![("data.npy", file(floats(&[2, 1], &[1., 2.]))), ("offsets.npy", one())]),
            "input x: the sparse dia matrix of shape [1, 1] is not valid: 1 offsets do not belong to 2 values in diagonals of 1",
        ),
        (
            with("csr", &[-1, 1], vec![("data.npy", data()), ("indptr.npy", one()), ("indices.npy", one())]),
            "member \"shape.npy\" must hold the size of every axis, none of them negative",
        ),
        (
            with("csr", &[1, 1], vec![("data.npy", data()), ("indptr.npy", data()), ("indices.npy", one())]),
            "member \"indptr.npy\": npy dtype \"<f4\" does not become int64",
        ),
        (
            with("csr", &[1, 1], vec![("data.npy", text("a")), ("indptr.npy", one()), ("indices.npy", one())]),
            "input x: npy dtype \"<U1\" does not become float32",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    let many = |format: Vec<u8>| {
        stored(&[
            ("format.npy", format),
            ("shape.npy", int(&[1])),
            ("data.npy", data()),
        ])
    };
    for format in [
        int(&[1]),
        file(crate::codec::tests::strings(&[2], &["csr", "csr"])),
    ] {
        assert_eq!(
            refusal(&many(format), &free("x", ElementType::Float32)),
            "member \"format.npy\" must hold one text"
        );
    }
}

#[test]
fn a_dense_form_above_the_limit_is_refused_before_it_is_made() {
    let body = csr(&[1 << 40, 1 << 20], &[0], &[], &[]);
    assert_eq!(
        refusal(&body, &free("x", ElementType::Float32)),
        "the dense form of input x, shape [1099511627776, 1048576] would take 4611686018427387904 \
         bytes unpacked, more than the limit of 1048576 bytes (PLIMSOLL_MAX_UNPACKED_MB sets it)"
    );
    let beyond = csr(&[i64::MAX, 9], &[0], &[], &[]);
    assert!(refusal(&beyond, &free("x", ElementType::Float32)).contains("more than the limit of"));
    let claim = csr(&[i64::MAX, 0], &[0], &[], &[]);
    assert!(refusal(&claim, &free("x", ElementType::Float32)).contains("whose other axes exceed"));
    let short = csr(&[9, 0], &[0], &[], &[]);
    assert!(refusal(&short, &free("x", ElementType::Float32)).contains("its indptr has 1 entries"));
    // 96 bytes in its own type fit, together with 192 in the input's they do not.
    let limit = |limit, element| {
        let body = Bytes::from_static(golden!("csr.npz"));
        decode(&body, &wide(element), limit)
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    let enough = (0..1000)
        .find(|l| limit(*l, ElementType::Float32).is_ok())
        .unwrap();
    let more = (0..1000)
        .find(|l| limit(*l, ElementType::Float64).is_ok())
        .unwrap();
    assert_eq!(more - enough, 192);
}

#[test]
fn a_model_whose_inputs_have_those_names_takes_arrays() {
    let x = || file(floats(&[1], &[1.0]));
    let body = stored(&[("data.npy", x())]);
    assert!(read(&body, &free("data", ElementType::Float32)).is_ok());
    let three = signature(
        ["format", "shape", "data"]
            .map(|name| port(name, ElementType::Float32, "N"))
            .to_vec(),
        vec![],
    );
    let body = stored(&[("format.npy", x()), ("shape.npy", x()), ("data.npy", x())]);
    assert!(read(&body, &three).is_ok());
    assert!(refusal(&body, &free("shape", ElementType::Float32)).contains("which no input takes"));
    assert!(refusal(golden!("csr.npz"), &mix()).contains("lacks \"a.npy\", \"b.npy\""));
}

#[test]
fn a_wrong_rank_is_refused_before_a_value_is_read() {
    // The dense form would not fit, and there is no indptr of its length.
    let body = csr(&[1 << 20, 1 << 20], &[0], &[], &[]);
    assert_eq!(
        refusal(
            &body,
            &signature(vec![port("x", ElementType::Float32, "N")], vec![])
        ),
        "input x float32[N]: found shape [1048576, 1048576], rank 2 where 1 is expected; there is \
         one list too many around it"
    );
}
