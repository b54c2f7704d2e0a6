//! The element types of ONNX that a request or a reply can carry, and their names.

use std::fmt;

/// ONNX tensor element types that a request or a reply can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// `tensor(bool)`
    Bool,
    /// `tensor(int8)`
    Int8,
    /// `tensor(int16)`
    Int16,
    /// `tensor(int32)`
    Int32,
    /// `tensor(int64)`
    Int64,
    /// `tensor(uint8)`
    Uint8,
    /// `tensor(uint16)`
    Uint16,
    /// `tensor(uint32)`
    Uint32,
    /// `tensor(uint64)`
    Uint64,
    /// `tensor(float16)`
    Float16,
    /// `tensor(bfloat16)`
    BFloat16,
    /// `tensor(float)`
    Float32,
    /// `tensor(double)`
    Float64,
    /// `tensor(string)`
    String,
}

impl ElementType {
    /// Every element type, in the order of the enum.
    pub const ALL: [Self; 14] = [
        Self::Bool,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Float16,
        Self::BFloat16,
        Self::Float32,
        Self::Float64,
        Self::String,
    ];

    /// The name used in messages: ONNX's, with the usual width suffix (`float32`, `int64`, `string`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Float16 => "float16",
            Self::BFloat16 => "bfloat16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::String => "string",
        }
    }

    /// The KServe v2 `datatype` (`FP32`, `INT64`, `BYTES`, …).
    #[must_use]
    pub fn v2_name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Float16 => "FP16",
            Self::BFloat16 => "BF16",
            Self::Float32 => "FP32",
            Self::Float64 => "FP64",
            Self::String => "BYTES",
        }
    }

    /// Bytes of one element in memory; `None` for strings.
    #[must_use]
    pub fn size(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Int8 | Self::Uint8 => Some(1),
            Self::Int16 | Self::Uint16 | Self::Float16 | Self::BFloat16 => Some(2),
            Self::Int32 | Self::Uint32 | Self::Float32 => Some(4),
            Self::Int64 | Self::Uint64 | Self::Float64 => Some(8),
            Self::String => None,
        }
    }

    /// Whether the type is an integer, which may be an index or a flag.
    #[must_use]
    pub fn is_integer(self) -> bool {
        !self.is_float() && !matches!(self, Self::Bool | Self::String)
    }

    /// Whether the type has NaN and infinities.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(
            self,
            Self::Float16 | Self::BFloat16 | Self::Float32 | Self::Float64
        )
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
