//! The types of a session's inputs and outputs, in the server's words.

use ort::value::{TensorElementType, ValueType};

use crate::model::{Dim, PortType};
use crate::tensor::ElementType;

/// Whether a reply can show an output of this type.
pub(super) fn carried(kind: &PortType) -> bool {
    match kind {
        PortType::Tensor { .. } | PortType::Map { .. } => true,
        PortType::Sequence(inner) | PortType::Optional(inner) => carried(inner),
        PortType::Other(_) => false,
    }
}

pub(super) fn port_type(kind: &ValueType, rankless: bool) -> PortType {
    match kind {
        ValueType::Tensor {
            ty,
            shape,
            dimension_symbols,
        } => match element_type(*ty) {
            None => PortType::Other(format!("tensor({ty})")),
            Some(element) => PortType::Tensor {
                element,
                dims: (!rankless).then(|| {
                    shape
                        .iter()
                        .zip(dimension_symbols.iter())
                        .map(|(&size, symbol)| match usize::try_from(size) {
                            Ok(size) => Dim::Fixed(size),
                            Err(_) if symbol.is_empty() => Dim::Free,
                            Err(_) => Dim::Symbol(symbol.clone()),
                        })
                        .collect()
                }),
            },
        },
        ValueType::Sequence(inner) => PortType::Sequence(Box::new(port_type(inner, true))),
        ValueType::Map { key, value } => match (element_type(*key), element_type(*value)) {
            (Some(key), Some(value)) => PortType::Map { key, value },
            _ => PortType::Other(format!("map({key},{value})")),
        },
        ValueType::Optional(inner) => PortType::Optional(Box::new(port_type(inner, rankless))),
    }
}

pub(super) fn element_type(kind: TensorElementType) -> Option<ElementType> {
    Some(match kind {
        TensorElementType::Bool => ElementType::Bool,
        TensorElementType::Int8 => ElementType::Int8,
        TensorElementType::Int16 => ElementType::Int16,
        TensorElementType::Int32 => ElementType::Int32,
        TensorElementType::Int64 => ElementType::Int64,
        TensorElementType::Uint8 => ElementType::Uint8,
        TensorElementType::Uint16 => ElementType::Uint16,
        TensorElementType::Uint32 => ElementType::Uint32,
        TensorElementType::Uint64 => ElementType::Uint64,
        TensorElementType::Float16 => ElementType::Float16,
        TensorElementType::Bfloat16 => ElementType::BFloat16,
        TensorElementType::Float32 => ElementType::Float32,
        TensorElementType::Float64 => ElementType::Float64,
        TensorElementType::String => ElementType::String,
        _ => return None,
    })
}
