//! An npy file → the tensor of the one input.

use bytes::Bytes;

use super::array::{Array, Origin};
use crate::codec::conform;
use crate::codec::error::misfit;
use crate::codec::DecodeError;
use crate::model::Signature;
use crate::tensor::Tensor;

/// Reads the array for a model of one input.
///
/// # Errors
/// [`DecodeError`]: no npy file, a type or shape that does not fit, several inputs.
pub(in crate::codec) fn decode(
    body: &Bytes,
    signature: &Signature,
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
    let data = array.read(element)?;
    let inputs = vec![conform::tensor(port, array.shape().to_vec(), data)?];
    conform::check(signature, &inputs)?;
    Ok(inputs)
}
