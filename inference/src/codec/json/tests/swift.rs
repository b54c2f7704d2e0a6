//! Plain numbers are read in one loop, and as the visitors read them.

use proptest::prelude::*;

use crate::codec::json::any::Context;
use crate::codec::json::{decode, read};
use crate::codec::tests::{port, signature};
use crate::codec::{DecodeError, Decoded};
use crate::model::Signature;
use crate::tensor::{ElementType, Tensor};

const TYPES: [ElementType; 9] = [
    ElementType::Float32,
    ElementType::Float64,
    ElementType::Float16,
    ElementType::BFloat16,
    ElementType::Int64,
    ElementType::Uint64,
    ElementType::Int8,
    ElementType::Bool,
    ElementType::String,
];

fn of(element: ElementType, dims: &str) -> Signature {
    signature(
        vec![port("x", element, dims)],
        vec![port("y", element, "N")],
    )
}

/// Without the loop.
fn by_visitors(body: &str, signature: &Signature) -> Result<Decoded, DecodeError> {
    let pass = |exact| {
        let context = Context::new(exact);
        let read = read(body.as_bytes(), None, signature, &context, 1 << 20);
        (read, context.wants_exact())
    };
    match pass(false) {
        (Err(_), true) => pass(true).0,
        (result, _) => result,
    }
}

/// Shape and elements, bit for bit, or the refusal.
fn told(result: Result<Decoded, DecodeError>) -> String {
    let words = |input: &Tensor| {
        let data = match input.data().floats() {
            Some(floats) => {
                let bits: Vec<u64> = floats.iter().map(|float| float.to_bits()).collect();
                format!("{bits:?}")
            }
            None => format!("{:?}", input.data()),
        };
        format!("{:?} {data}", input.shape())
    };
    match result {
        Ok(decoded) => decoded.inputs.iter().map(words).collect(),
        Err(error) => error.to_string(),
    }
}

fn assert_same(body: &str) {
    for element in TYPES {
        for dims in ["N", "N,M", "N,1", "N,2,M", ""] {
            let signature = of(element, dims);
            let swift = told(decode(body.as_bytes(), &signature, 1 << 20));
            let visited = told(by_visitors(body, &signature));
            assert_eq!(swift, visited, "{body} as {element:?} of {dims:?}");
        }
    }
}

#[test]
fn numbers_of_every_spelling_read_as_the_visitors_read_them() {
    for number in [
        "0",
        "-0",
        "-0.0",
        "0.0",
        "1",
        "-1",
        "127",
        "128",
        "-128",
        "-129",
        "255",
        "256",
        "0.5",
        "1.0",
        "1e2",
        "1E+2",
        "1e-2",
        "-1.5e3",
        "1e400",
        "-1e400",
        "1e-400",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890",
        "0.1234567890123456789",
        "0.00000000000000000000000000001",
        "12345678901234567890.5",
        "0.30000001192092896",
        "16777217",
        "16777217.0",
        "7.038531e-26",
        "65504",
        "65520",
        "3.4028236e38",
        "0.000000000000000000000000",
        "null",
        "\"NaN\"",
        "\"Infinity\"",
        "true",
        "\"a\"",
        "{}",
        "[]",
    ] {
        for body in [
            number.to_owned(),
            format!("[{number}]"),
            format!(" [ [ {number} , 1 ] , [ 2 , {number} ] ] "),
            format!("{{\"instances\":[[{number}],[{number}]]}}"),
            format!("{{\"instances\": [ {number} , {number} ]}}"),
            format!("{{\"instances\":[{{\"x\":{number}}}]}}"),
            format!("{{\"inputs\":{{\"x\":[[[{number},{number}]],[[{number},{number}]]]}}}}"),
            format!("{{\"inputs\":[[{number}],[{number}]]}}"),
        ] {
            assert_same(&body);
        }
    }
}

#[test]
fn what_is_no_grid_or_no_json_is_refused_in_the_visitors_words() {
    for body in [
        "[[1,2],[3]]",
        "[[1,2],3]",
        "[1,[2]]",
        "[[],[]]",
        "[[],[1]]",
        "[[[]]]",
        "[]",
        "[[1,2],[3,4],]",
        "[1 2]",
        "[01]",
        "[1.]",
        "[-]",
        "[.5]",
        "[+1]",
        "[NaN]",
        "[nul]",
        "[1,2",
        "[1]]",
        "[1] x",
        "",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        "{\"instances\":[]}",
        "{\"instances\":[[1,2],[3]]}",
        "{\"instances\":[1,[2]]}",
        "{\"instances\":[[1]],\"instances\":[[1]]}",
        "{\"inputs\":{\"x\":[1],\"x\":[2]}}",
        "{\"inputs\":{\"y\":[1]}}",
        "{\"instances\":[{\"x\":[1]},[2]]}",
        "{\"instances\":[[1],{\"x\":[2]}]}",
    ] {
        assert_same(body);
    }
}

/// Nested lists of numbers, most of them grids.
fn nested() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        4 => "-?(0|[1-9][0-9]{0,6})\\.[0-9]{1,9}",
        2 => "-?(0|[1-9][0-9]{0,20})",
        1 => "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
        1 => Just("null".to_owned()),
    ];
    let list = (1_usize..4, 1_usize..4).prop_flat_map(move |(rows, columns)| {
        let row = prop::collection::vec(number.clone(), columns);
        prop::collection::vec(row, rows)
    });
    (list, 0_usize..3).prop_map(|(rows, form)| {
        let rows: Vec<String> = rows
            .iter()
            .map(|row| format!("[{}]", row.join(", ")))
            .collect();
        let rows = format!("[{}]", rows.join(","));
        match form {
            0 => rows,
            1 => format!("{{\"instances\": {rows}}}"),
            _ => format!("{{\"inputs\":{{\"x\":{rows}}}}}"),
        }
    })
}

proptest! {
    #[test]
    fn the_loop_reads_what_the_visitors_read(body in nested()) {
        assert_same(&body);
    }

    #[test]
    fn the_loop_refuses_what_the_visitors_refuse(body in "[\\[\\]{}\",:0-9eE.\\-+ nul]{0,30}") {
        assert_same(&body);
    }
}
