//! An npy file → the tensor of the one input.

use bytes::Bytes;

use super::array::{Array, Origin};
use crate::codec::budget::Budget;
use crate::codec::conform;
use crate::codec::error::misfit;
use crate::codec::DecodeError;
use crate::model::Signature;
use crate::tensor::Tensor;

/// Reads the array for a model of one input. What converting takes beyond the body is at most `limit`
/// bytes.
///
/// # Errors
/// [`DecodeError`]: no npy file, a type or shape that does not fit, several inputs, too
/// much.
pub(in crate::codec) fn decode(
    body: &Bytes,
    signature: &Signature,
    limit: usize,
) -> Result<Vec<Tensor>, DecodeError> {
    let [port] = signature.inputs.as_slice() else {
        return Err(misfit(format!(
            "application/x-npy brings one array, and the model has {} inputs",
            signature.inputs.len()
        )));
    };
    let element = conform::element(port)?;
    let origin = Origin {
        member: None,
        input: Some(&port.name),
    };
    let array = Array::parse(body, origin)?;
    // First, so that a wrong type or shape costs nothing.
    array.check_kind(element)?;
    conform::shape(signature, port, array.shape())?;
    Budget::new(limit).charge(array.cost(element), || format!("input {}", port.name))?;
    let data = array.read(element)?;
    let inputs = vec![conform::tensor(port, array.shape().to_vec(), data)?];
    conform::check(signature, &inputs)?;
    Ok(inputs)
}
