//! Tensors, sequences and maps: into the runtime in place, out of it in place or copied.

use std::sync::Arc;

use ort::session::SessionInputValue;
use ort::value::{
    DynMapValueType, DynTensorValueType, DynValue, PrimitiveTensorElementType, TensorElementType,
    TensorRef, ValueType,
};

use half::{bf16, f16};

use crate::each_type;
use crate::model::Port;
use crate::runtime::RunError;
use crate::tensor::{Buffer, Data, Elements, Keys, Tensor, Value};

/// Outputs up to this many elements are copied out of the runtime's buffer; larger ones stay there
/// until the reply is written. A copy of so little costs less than holding the runtime's value.
pub(super) const COPY_UP_TO: usize = 4096;

/// The runtime's strings end at a NUL.
pub(super) fn refuse_nul(port: &Port, tensor: &Tensor) -> Result<(), RunError> {
    let Data::String(strings) = tensor.data() else {
        return Ok(());
    };
    match strings.iter().position(|string| string.contains('\0')) {
        None => Ok(()),
        Some(at) => Err(RunError::Unfit(format!(
            "{}: string {at} holds a NUL character, which ONNX Runtime cannot take",
            port.name
        ))),
    }
}

/// A tensor as the runtime takes it: in place, but for strings, which the runtime copies.
pub(super) fn input_value(tensor: &Tensor) -> ort::Result<SessionInputValue<'_>> {
    fn view<'t, T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static>(
        shape: &'t [usize],
        buffer: &'t Buffer<T>,
    ) -> ort::Result<SessionInputValue<'t>> {
        Ok(TensorRef::from_array_view((shape, &**buffer))?.into())
    }
    let shape = tensor.shape();
    match tensor.data() {
        Data::Bool(buffer) => view(shape, buffer),
        Data::Int8(buffer) => view(shape, buffer),
        Data::Int16(buffer) => view(shape, buffer),
        Data::Int32(buffer) => view(shape, buffer),
        Data::Int64(buffer) => view(shape, buffer),
        Data::Uint8(buffer) => view(shape, buffer),
        Data::Uint16(buffer) => view(shape, buffer),
        Data::Uint32(buffer) => view(shape, buffer),
        Data::Uint64(buffer) => view(shape, buffer),
        Data::Float16(buffer) => view(shape, buffer),
        Data::BFloat16(buffer) => view(shape, buffer),
        Data::Float32(buffer) => view(shape, buffer),
        Data::Float64(buffer) => view(shape, buffer),
        Data::String(buffer) => {
            Ok(ort::value::Tensor::from_string_array((shape, &**buffer))?.into())
        }
    }
}

pub(super) fn output_value(value: DynValue) -> ort::Result<Value> {
    match value.dtype().clone() {
        ValueType::Tensor { .. } => Ok(Value::Tensor(tensor(value.downcast()?)?)),
        ValueType::Sequence(inner) => {
            let sequence = value.downcast::<ort::value::DynSequenceValueType>()?;
            match *inner {
                ValueType::Map { .. } => sequence
                    .try_extract_sequence::<DynMapValueType>()?
                    .into_iter()
                    .map(map)
                    .collect::<Result<_, _>>()
                    .map(Value::Sequence),
                _ => sequence
                    .try_extract_sequence::<DynTensorValueType>()?
                    .into_iter()
                    .map(|member| tensor(member).map(Value::Tensor))
                    .collect::<Result<_, _>>()
                    .map(Value::Sequence),
            }
        }
        ValueType::Map { .. } => map(value.downcast()?),
        ValueType::Optional(_) => Ok(Value::Absent),
    }
}

type DynTensor = ort::value::Value<DynTensorValueType>;

/// An output that stays in the runtime's buffer until the reply is written.
struct Held(DynTensor);

impl<T: PrimitiveTensorElementType> Elements<T> for Held {
    fn elements(&self) -> &[T] {
        // The type was checked when it was taken; an empty slice would be caught as a wrong length.
        self.0.try_extract_tensor().map_or(&[], |(_, data)| data)
    }
}

pub(super) fn tensor(value: DynTensor) -> ort::Result<Tensor> {
    fn take<T: PrimitiveTensorElementType + Copy + 'static>(
        value: DynTensor,
        wrap: fn(Buffer<T>) -> Data,
    ) -> ort::Result<Data> {
        let copied = match value.try_extract_tensor::<T>()?.1 {
            elements if elements.len() <= COPY_UP_TO => Some(elements.to_vec()),
            _ => None,
        };
        Ok(wrap(match copied {
            Some(elements) => elements.into(),
            None => Buffer::held(Held(value)),
        }))
    }
    let shape: Vec<usize> = value
        .shape()
        .iter()
        .map(|&size| usize::try_from(size).unwrap_or(0))
        .collect();
    let data = match *value.data_type() {
        TensorElementType::Bool => take(value, Data::Bool),
        TensorElementType::Int8 => take(value, Data::Int8),
        TensorElementType::Int16 => take(value, Data::Int16),
        TensorElementType::Int32 => take(value, Data::Int32),
        TensorElementType::Int64 => take(value, Data::Int64),
        TensorElementType::Uint8 => take(value, Data::Uint8),
        TensorElementType::Uint16 => take(value, Data::Uint16),
        TensorElementType::Uint32 => take(value, Data::Uint32),
        TensorElementType::Uint64 => take(value, Data::Uint64),
        TensorElementType::Float16 => take::<f16>(value, Data::Float16),
        TensorElementType::Bfloat16 => take::<bf16>(value, Data::BFloat16),
        TensorElementType::Float32 => take(value, Data::Float32),
        TensorElementType::Float64 => take(value, Data::Float64),
        TensorElementType::String => value
            .try_extract_strings()
            .map(|(_, strings)| Data::String(strings.into())),
        other => Err(uncarried(other)),
    }?;
    Tensor::new(shape, data).map_err(|error| ort::Error::new(error.to_string()))
}

/// An output that lies in an input's memory, as one that is an input of the model does, gets elements of
/// its own: the input is gone before the reply is written.
pub(super) fn apart(value: Value, inputs: &[Tensor]) -> ort::Result<Value> {
    Ok(match value {
        Value::Tensor(tensor) if inputs.iter().any(|input| overlap(&tensor, input)) => {
            let (shape, data) = tensor.into_parts();
            let own = Tensor::new(shape, data.slice(0..data.len()));
            Value::Tensor(own.map_err(|error| ort::Error::new(error.to_string()))?)
        }
        Value::Sequence(members) => {
            let members = members.into_iter().map(|member| apart(member, inputs));
            Value::Sequence(members.collect::<ort::Result<_>>()?)
        }
        other => other,
    })
}

/// Whether two tensors share memory.
fn overlap(one: &Tensor, other: &Tensor) -> bool {
    let place = |tensor: &Tensor| {
        each_type!(tensor.data(), buffer => {
            let start = buffer.as_ptr().addr();
            start..start + size_of_val(&**buffer)
        })
    };
    let (one, other) = (place(one), place(other));
    one.start < other.end && other.start < one.end
}

pub(super) fn uncarried(kind: TensorElementType) -> ort::Error {
    ort::Error::new(format!(
        "an output of type tensor({kind}) cannot be carried by a reply"
    ))
}

/// The maps that a stripped `ZipMap` would have made of its scores.
pub(super) fn zipped(scores: Tensor, keys: &Arc<Keys>) -> ort::Result<Value> {
    let (shape, data) = scores.into_parts();
    let shape = match shape.as_slice() {
        // ZipMap takes one record's scores without a batch axis too.
        [classes] => vec![1, *classes],
        _ => shape,
    };
    if shape.len() != 2 || shape[1] != keys.len() {
        return Err(ort::Error::new(format!(
            "ZipMap got scores of shape {shape:?} for {} class labels",
            keys.len()
        )));
    }
    let values = Tensor::new(shape, data).map_err(|error| ort::Error::new(error.to_string()))?;
    Ok(Value::Maps {
        keys: Arc::clone(keys),
        values,
    })
}

fn map(value: ort::value::Value<DynMapValueType>) -> ort::Result<Value> {
    fn pairs<V: PrimitiveTensorElementType + Clone>(
        value: &ort::value::Value<DynMapValueType>,
        string_keys: bool,
        wrap: fn(Buffer<V>) -> Data,
    ) -> ort::Result<(Keys, Data)> {
        if string_keys {
            let (keys, values): (Vec<String>, Vec<V>) = value
                .try_extract_key_values::<String, V>()?
                .into_iter()
                .unzip();
            Ok((Keys::String(keys), wrap(values.into())))
        } else {
            let (keys, values): (Vec<i64>, Vec<V>) = value
                .try_extract_key_values::<i64, V>()?
                .into_iter()
                .unzip();
            Ok((Keys::Int64(keys), wrap(values.into())))
        }
    }
    let (string_keys, kind) = match value.dtype() {
        ValueType::Map { key, value } => (*key == TensorElementType::String, *value),
        _ => (false, TensorElementType::Float32),
    };
    let (keys, data) = match kind {
        TensorElementType::Int64 => pairs(&value, string_keys, Data::Int64),
        TensorElementType::Float64 => pairs(&value, string_keys, Data::Float64),
        _ => pairs(&value, string_keys, Data::Float32),
    }?;
    let values =
        Tensor::new(vec![keys.len()], data).map_err(|error| ort::Error::new(error.to_string()))?;
    Ok(Value::Map { keys, values })
}
