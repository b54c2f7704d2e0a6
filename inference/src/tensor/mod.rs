//! The parcel that every room passes on: plain data, row-major, little-endian in memory.
//!
//! A [`Tensor`] knows its shape and its elements and nothing else: no header, no engine. Elements
//! are owned, or held in place: in the request's body where layout and alignment allow it
//! ([`Buffer::from_body`]), or in the engine's own output buffer ([`Buffer::held`]), so that large
//! tensors are neither copied on the way in nor on the way out.

mod element;
mod rows;

use std::fmt;
use std::ops::Deref;

use bytemuck::Pod;
use bytes::Bytes;
use half::{bf16, f16};
use ndarray::{ArrayViewD, IxDyn};

pub use element::ElementType;

/// Elements that live in somebody else's memory and are only looked at.
pub trait Elements<T>: Send + Sync {
    /// The elements, row-major.
    fn elements(&self) -> &[T];
}

/// A run of elements: owned, or held where they already are.
pub enum Buffer<T> {
    /// Elements in a vector of their own.
    Owned(Vec<T>),
    /// Elements that stay in the request's body or in the engine's output.
    Held(Box<dyn Elements<T>>),
}

/// A request body that is itself the array. Built only by [`Buffer::from_body`], which checks that
/// length and alignment fit `T`.
struct Body<T> {
    bytes: Bytes,
    element: std::marker::PhantomData<fn() -> T>,
}

impl<T: Pod + Send + Sync> Elements<T> for Body<T> {
    fn elements(&self) -> &[T] {
        // Checked once in `from_body`; a mismatch now would be a bug, and an empty slice is caught
        // by the length check of whoever uses it.
        bytemuck::try_cast_slice(&self.bytes).unwrap_or(&[])
    }
}

impl<T> Buffer<T> {
    /// Elements that stay in somebody else's memory.
    pub fn held(elements: impl Elements<T> + 'static) -> Self {
        Self::Held(Box::new(elements))
    }
}

impl<T: Pod + Send + Sync> Buffer<T> {
    /// Little-endian bytes as elements: in place where they are aligned for `T`, copied otherwise.
    /// Whole elements only: a length that is no multiple of the element's size is refused with `None`.
    #[must_use]
    pub fn from_body(bytes: Bytes) -> Option<Self> {
        if size_of::<T>() == 0 || !bytes.len().is_multiple_of(size_of::<T>()) {
            return None;
        }
        if cfg!(target_endian = "little") && bytemuck::try_cast_slice::<u8, T>(&bytes).is_ok() {
            return Some(Self::Held(Box::new(Body {
                bytes,
                element: std::marker::PhantomData,
            })));
        }
        let mut elements = vec![T::zeroed(); bytes.len() / size_of::<T>()];
        bytemuck::cast_slice_mut::<T, u8>(&mut elements).copy_from_slice(&bytes);
        Some(Self::Owned(elements))
    }
}

/// A request body that is itself an array of bools. Built only by [`Buffer::flags_from_body`].
struct Flags(Bytes);

impl Elements<bool> for Flags {
    fn elements(&self) -> &[bool] {
        // Checked once in `flags_from_body`.
        bytemuck::checked::try_cast_slice(&self.0).unwrap_or(&[])
    }
}

impl Buffer<bool> {
    /// Bytes of 0 and 1 as bools, in place.
    ///
    /// # Errors
    /// The place of the first byte that is neither.
    pub fn flags_from_body(bytes: Bytes) -> Result<Self, usize> {
        match bytes.iter().position(|byte| *byte > 1) {
            Some(at) => Err(at),
            None => Ok(Self::Held(Box::new(Flags(bytes)))),
        }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match self {
            Self::Owned(elements) => elements,
            Self::Held(held) => held.elements(),
        }
    }
}

impl<T> From<Vec<T>> for Buffer<T> {
    fn from(elements: Vec<T>) -> Self {
        Self::Owned(elements)
    }
}

impl<T: fmt::Debug> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().take(16)).finish()
    }
}

impl<T: PartialEq> PartialEq for Buffer<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// The elements of a tensor, one variant per ONNX element type.
#[derive(Debug, PartialEq)]
#[allow(missing_docs, reason = "each variant is the element type of its name")]
pub enum Data {
    Bool(Buffer<bool>),
    Int8(Buffer<i8>),
    Int16(Buffer<i16>),
    Int32(Buffer<i32>),
    Int64(Buffer<i64>),
    Uint8(Buffer<u8>),
    Uint16(Buffer<u16>),
    Uint32(Buffer<u32>),
    Uint64(Buffer<u64>),
    Float16(Buffer<f16>),
    BFloat16(Buffer<bf16>),
    Float32(Buffer<f32>),
    Float64(Buffer<f64>),
    String(Buffer<String>),
}

/// Runs `$body` with `$buffer` bound to the typed buffer inside a [`Data`], whatever its type.
#[macro_export]
macro_rules! each_type {
    ($data:expr, $buffer:ident => $body:expr) => {
        match $data {
            $crate::tensor::Data::Bool($buffer) => $body,
            $crate::tensor::Data::Int8($buffer) => $body,
            $crate::tensor::Data::Int16($buffer) => $body,
            $crate::tensor::Data::Int32($buffer) => $body,
            $crate::tensor::Data::Int64($buffer) => $body,
            $crate::tensor::Data::Uint8($buffer) => $body,
            $crate::tensor::Data::Uint16($buffer) => $body,
            $crate::tensor::Data::Uint32($buffer) => $body,
            $crate::tensor::Data::Uint64($buffer) => $body,
            $crate::tensor::Data::Float16($buffer) => $body,
            $crate::tensor::Data::BFloat16($buffer) => $body,
            $crate::tensor::Data::Float32($buffer) => $body,
            $crate::tensor::Data::Float64($buffer) => $body,
            $crate::tensor::Data::String($buffer) => $body,
        }
    };
}

impl Data {
    /// The element type of this data.
    #[must_use]
    pub fn element_type(&self) -> ElementType {
        match self {
            Self::Bool(_) => ElementType::Bool,
            Self::Int8(_) => ElementType::Int8,
            Self::Int16(_) => ElementType::Int16,
            Self::Int32(_) => ElementType::Int32,
            Self::Int64(_) => ElementType::Int64,
            Self::Uint8(_) => ElementType::Uint8,
            Self::Uint16(_) => ElementType::Uint16,
            Self::Uint32(_) => ElementType::Uint32,
            Self::Uint64(_) => ElementType::Uint64,
            Self::Float16(_) => ElementType::Float16,
            Self::BFloat16(_) => ElementType::BFloat16,
            Self::Float32(_) => ElementType::Float32,
            Self::Float64(_) => ElementType::Float64,
            Self::String(_) => ElementType::String,
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        each_type!(self, buffer => buffer.len())
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Floats of any width; `None` of any other type, where only what is equal is alike.
    #[must_use]
    pub fn floats(&self) -> Option<Vec<f64>> {
        match self {
            Self::Float16(elements) => Some(elements.iter().map(|x| x.to_f64()).collect()),
            Self::BFloat16(elements) => Some(elements.iter().map(|x| x.to_f64()).collect()),
            Self::Float32(elements) => Some(elements.iter().map(|x| f64::from(*x)).collect()),
            Self::Float64(elements) => Some(elements.to_vec()),
            _ => None,
        }
    }
}

/// Elements and their shape, row-major. The product of the shape always equals the element count;
/// an empty shape is a scalar.
#[derive(Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

/// Shape and element count that do not agree.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("shape {shape:?} asks for {expected} elements, {found} were given")]
pub struct ShapeMismatch {
    /// The shape, outermost axis first.
    pub shape: Vec<usize>,
    /// Its product, `usize::MAX` where that overflows.
    pub expected: usize,
    /// The number of elements there were.
    pub found: usize,
}

/// The product of a shape, or `None` where it overflows.
#[must_use]
pub fn element_count(shape: &[usize]) -> Option<usize> {
    // A zero anywhere makes the tensor empty, however large the other axes are.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

impl Tensor {
    /// Joins a shape and its elements.
    ///
    /// # Errors
    /// [`ShapeMismatch`] if the product of `shape` is not the number of elements.
    pub fn new(shape: Vec<usize>, data: Data) -> Result<Self, ShapeMismatch> {
        let expected = element_count(&shape).unwrap_or(usize::MAX);
        if expected != data.len() {
            return Err(ShapeMismatch {
                expected,
                found: data.len(),
                shape,
            });
        }
        Ok(Self { shape, data })
    }

    /// The shape, outermost axis first; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// About how many bytes the elements take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::String(strings) => strings.iter().map(|string| 16 + string.len()).sum(),
            data => data.len() * data.element_type().size().unwrap_or(1),
        }
    }

    /// The element type.
    #[must_use]
    pub fn element_type(&self) -> ElementType {
        self.data.element_type()
    }

    /// Splits the parcel into shape and elements.
    #[must_use]
    pub fn into_parts(self) -> (Vec<usize>, Data) {
        (self.shape, self.data)
    }

    /// Records along axis 0; 1 for a scalar.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }
}

/// Elements of one tensor as an [`ndarray`] view of its shape.
///
/// # Errors
/// [`ShapeMismatch`] where shape and slice do not agree.
pub fn view<'a, T>(shape: &[usize], elements: &'a [T]) -> Result<ArrayViewD<'a, T>, ShapeMismatch> {
    ArrayViewD::from_shape(IxDyn(shape), elements).map_err(|_| ShapeMismatch {
        shape: shape.to_vec(),
        expected: element_count(shape).unwrap_or(usize::MAX),
        found: elements.len(),
    })
}

/// Keys of a map output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// `map(int64, …)`
    Int64(Vec<i64>),
    /// `map(string, …)`
    String(Vec<String>),
}

impl Keys {
    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Int64(keys) => keys.len(),
            Self::String(keys) => keys.len(),
        }
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a model gives for one output.
#[derive(Debug, PartialEq)]
pub enum Value {
    /// A dense tensor.
    Tensor(Tensor),
    /// `seq(…)`: members in order.
    Sequence(Vec<Value>),
    /// `map(key, scalar)`: `values` is a one-dimensional tensor as long as `keys`.
    Map {
        /// The keys, in the engine's order.
        keys: Keys,
        /// One value per key.
        values: Tensor,
    },
    /// `seq(map(key, scalar))` whose maps all have the same keys, as `ZipMap` makes them: row `i`
    /// of `values`, shape `[rows, keys]`, is the `i`-th map. Means the same as a
    /// [`Value::Sequence`] of [`Value::Map`]s, and costs one tensor.
    Maps {
        /// The keys that every map has.
        keys: std::sync::Arc<Keys>,
        /// Shape `[rows, keys]`.
        values: Tensor,
    },
    /// An `optional(…)` without a value.
    Absent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_zero_or_one() {
        let good = Buffer::flags_from_body(Bytes::from_static(&[0, 1, 1])).unwrap();
        assert_eq!(*good, [false, true, true]);
        let bad = Buffer::flags_from_body(Bytes::from_static(&[0, 1, 7]));
        assert_eq!(bad.err(), Some(2));
    }
}
