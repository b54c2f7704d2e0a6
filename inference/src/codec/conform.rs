//! Shapes against the signature: everything about a request's shapes that can be known before the
//! run. Nothing is reshaped silently.

use super::error::misfit;
use super::DecodeError;
use crate::model::{Batch, Dim, Port, Signature};
use crate::tensor::{Data, ElementType, Tensor};

/// The most elements that an empty tensor may claim along its other axes. Its bytes say nothing
/// about them, and an array of a billion empty lists takes space all the same in a reply.
const EMPTY_CLAIM_LIMIT: usize = 1 << 16;

/// The most axes that a tensor may have, in requests and in replies: NumPy's own limit, and far more
/// than ONNX Runtime's operators know. Bodies state shapes without bringing a byte for an axis of
/// size 1, and every axis costs a level of nesting wherever the tensor is written.
pub(super) const MOST_AXES: usize = 64;

/// The element type of an input, which has to be a tensor for a request to bring it.
pub(super) fn element(port: &Port) -> Result<ElementType, DecodeError> {
    match port.tensor() {
        Some((element, _)) => Ok(element),
        None => Err(misfit(format!(
            "input {} is {}, which no request can bring",
            port.name, port.kind
        ))),
    }
}

/// Joins shape and elements of one input.
pub(super) fn tensor(port: &Port, shape: Vec<usize>, data: Data) -> Result<Tensor, DecodeError> {
    Tensor::new(shape, data).map_err(|mismatch| misfit(format!("input {}: {mismatch}", port.name)))
}

/// Checks one input's shape by itself: a bounded number of axes, and the rank and the fixed axes that
/// the signature declares. For formats that know a shape before its elements, so that a wrong one
/// costs nothing; [`check`] includes it.
pub(super) fn shape(
    signature: &Signature,
    port: &Port,
    shape: &[usize],
) -> Result<(), DecodeError> {
    if shape.len() > MOST_AXES {
        return Err(misfit(format!(
            "input {}: found more than {MOST_AXES} axes",
            port.name
        )));
    }
    empty_claim(port, shape)?;
    let Some((_, Some(dims))) = port.tensor() else {
        return Ok(());
    };
    if shape.len() != dims.len() {
        return Err(rank(port, dims, shape));
    }
    for (axis, (dim, &found)) in dims.iter().zip(shape).enumerate() {
        match dim {
            Dim::Fixed(size) if *size != found => {
                return Err(size_of_axis(signature, port, axis, *size, shape));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks that tensors, one per input in order, have the shapes that the signature declares: each by
/// itself ([`shape`]), and equal sizes where axes share a symbol.
pub(super) fn check(signature: &Signature, inputs: &[Tensor]) -> Result<(), DecodeError> {
    let mut symbols: Vec<(&str, usize, &str)> = Vec::new();
    for (port, tensor) in signature.inputs.iter().zip(inputs) {
        let sizes = tensor.shape();
        shape(signature, port, sizes)?;
        let Some((_, Some(dims))) = port.tensor() else {
            continue;
        };
        for (dim, &found) in dims.iter().zip(sizes) {
            match dim {
                // Anonymous symbols that exporters write name nothing.
                Dim::Symbol(symbol) if !symbol.is_empty() && symbol != "?" => {
                    match symbols.iter().find(|(known, ..)| known == symbol) {
                        None => symbols.push((symbol, found, &port.name)),
                        Some((_, size, _)) if *size == found => {}
                        Some((_, size, other)) => {
                            return Err(misfit(format!(
                                "axis {dim} is {size} in input {other} and {found} in input {}, \
                                 and must be the same",
                                port.name
                            )));
                        }
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn rank(port: &Port, dims: &[Dim], shape: &[usize]) -> DecodeError {
    let hint = if shape.contains(&0) {
        "; it holds no records"
    } else if shape.len() + 1 == dims.len() {
        "; wrap one record in a list: [ … ]"
    } else if shape.len() == dims.len() + 1 {
        "; there is one list too many around it"
    } else {
        ""
    };
    misfit(format!(
        "input {port}: found shape {shape:?}, rank {} where {} is expected{hint}",
        shape.len(),
        dims.len()
    ))
}

fn size_of_axis(
    signature: &Signature,
    port: &Port,
    axis: usize,
    size: usize,
    shape: &[usize],
) -> DecodeError {
    let found = shape[axis];
    if axis == 0 && signature.batch() == Batch::Fixed(size) {
        let records = if size == 1 { "record" } else { "records" };
        return misfit(format!(
            "the model takes exactly {size} {records} per request, found {found} (input {port})"
        ));
    }
    misfit(format!(
        "input {port}: found shape {shape:?}, axis {axis} must be {size}"
    ))
}

fn empty_claim(port: &Port, shape: &[usize]) -> Result<(), DecodeError> {
    if !shape.contains(&0) {
        return Ok(());
    }
    let claimed = shape
        .iter()
        .filter(|&&size| size != 0)
        .try_fold(1usize, |n, &size| n.checked_mul(size));
    if claimed.is_some_and(|n| n <= EMPTY_CLAIM_LIMIT) {
        return Ok(());
    }
    Err(misfit(format!(
        "input {}: found empty shape {shape:?}, whose other axes exceed {EMPTY_CLAIM_LIMIT}",
        port.name
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::{port, signature, sum4};

    fn ints(shape: &[usize]) -> Tensor {
        let count = crate::tensor::element_count(shape).unwrap();
        Tensor::new(shape.to_vec(), Data::Int64(vec![0; count].into())).unwrap()
    }

    fn refusal(signature: &Signature, shapes: &[&[usize]]) -> String {
        let inputs: Vec<_> = shapes.iter().map(|shape| ints(shape)).collect();
        check(signature, &inputs).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_rank_or_axis_names_input_expectation_and_finding() {
        let cases: &[(&[usize], &str)] = &[
            (&[3], "input x float32[N,4]: found shape [3], rank 1 where 2 is expected; wrap one record in a list: [ … ]"),
            (&[1, 1, 4], "input x float32[N,4]: found shape [1, 1, 4], rank 3 where 2 is expected; there is one list too many around it"),
            (&[], "input x float32[N,4]: found shape [], rank 0 where 2 is expected"),
            (&[1, 3], "input x float32[N,4]: found shape [1, 3], axis 1 must be 4"),
        ];
        for (shape, text) in cases {
            assert_eq!(refusal(&sum4(), &[shape]), *text);
        }
        assert_eq!(check(&sum4(), &[ints(&[0, 4])]), Ok(()));
    }

    #[test]
    fn a_model_of_fixed_batch_says_how_many_records_it_takes() {
        let three = signature(vec![port("x", ElementType::Int64, "3,2")], vec![]);
        assert_eq!(
            refusal(&three, &[&[2, 2]]),
            "the model takes exactly 3 records per request, found 2 (input x int64[3,2])"
        );
        let one = signature(vec![port("x", ElementType::Int64, "1,2")], vec![]);
        assert_eq!(
            refusal(&one, &[&[2, 2]]),
            "the model takes exactly 1 record per request, found 2 (input x int64[1,2])"
        );
    }

    #[test]
    fn inputs_that_share_a_symbol_agree_on_its_size() {
        let two = |a, b| {
            signature(
                vec![
                    port("a", ElementType::Int64, a),
                    port("b", ElementType::Int64, b),
                ],
                vec![],
            )
        };
        assert_eq!(
            refusal(&two("N,L", "N,L"), &[&[2, 5], &[2, 6]]),
            "axis L is 5 in input a and 6 in input b, and must be the same"
        );
        assert_eq!(
            check(&two("N,L", "N,M"), &[ints(&[2, 5]), ints(&[2, 6])]),
            Ok(())
        );
        assert_eq!(
            check(&two("?,L", "?,L"), &[ints(&[2, 5]), ints(&[3, 5])]),
            Ok(())
        );
        assert_eq!(check(&two("*", "N"), &[ints(&[]), ints(&[3])]), Ok(()));
    }

    #[test]
    fn a_tensor_has_a_bounded_number_of_axes() {
        let any = signature(vec![port("x", ElementType::Int64, "*")], vec![]);
        assert_eq!(check(&any, &[ints(&[1; MOST_AXES])]), Ok(()));
        assert_eq!(
            refusal(&any, &[&[1; MOST_AXES + 1]]),
            "input x: found more than 64 axes"
        );
        // The message of a wrong rank would repeat them all.
        assert_eq!(
            refusal(&sum4(), &[&[1; 100_001]]),
            "input x: found more than 64 axes"
        );
    }

    #[test]
    fn an_empty_tensor_may_not_claim_endless_axes() {
        let any = signature(vec![port("x", ElementType::Int64, "N,M")], vec![]);
        assert_eq!(
            refusal(&any, &[&[1_000_000_000_000, 0]]),
            "input x: found empty shape [1000000000000, 0], whose other axes exceed 65536"
        );
        assert_eq!(check(&any, &[ints(&[65536, 0])]), Ok(()));
    }

    #[test]
    fn an_input_that_is_no_tensor_is_named() {
        let map = Port {
            name: "m".to_owned(),
            kind: crate::model::PortType::Map {
                key: ElementType::String,
                value: ElementType::Float32,
            },
        };
        assert_eq!(
            element(&map).unwrap_err().to_string(),
            "input m is map(string,float32), which no request can bring"
        );
    }
}
