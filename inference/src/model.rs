//! What a model takes and gives: names, element types, shapes, and the batch axis.

use std::fmt;

use crate::tensor::ElementType;

/// One axis of a declared shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// Always this size.
    Fixed(usize),
    /// Any size; the same symbol on two axes means the same size. Symbols are free text.
    Symbol(String),
    /// Any size, without a name.
    Free,
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(n) => write!(f, "{n}"),
            // Exporters write formulas of several hundred characters here; they identify nothing.
            Self::Symbol(s) if s.len() <= 24 => f.write_str(s),
            Self::Symbol(_) | Self::Free => f.write_str("?"),
        }
    }
}

/// The type of one input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortType {
    /// A dense tensor.
    Tensor {
        /// Element type.
        element: ElementType,
        /// Declared axes; `None` where the model declares no rank and any rank is valid.
        dims: Option<Vec<Dim>>,
    },
    /// `seq(…)`.
    Sequence(Box<PortType>),
    /// `map(key, value)`.
    Map {
        /// Key type: an integer type or string.
        key: ElementType,
        /// Value type.
        value: ElementType,
    },
    /// `optional(…)`.
    Optional(Box<PortType>),
    /// A type that no request or reply can carry, by ONNX's name (`tensor(float8e4m3fn)`).
    Other(String),
}

impl fmt::Display for PortType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor { element, dims } => {
                write!(f, "{element}")?;
                match dims {
                    None => f.write_str(" of any shape"),
                    Some(dims) => {
                        f.write_str("[")?;
                        for (i, dim) in dims.iter().enumerate() {
                            if i > 0 {
                                f.write_str(",")?;
                            }
                            write!(f, "{dim}")?;
                        }
                        f.write_str("]")
                    }
                }
            }
            Self::Sequence(inner) => write!(f, "seq({inner})"),
            Self::Map { key, value } => write!(f, "map({key},{value})"),
            Self::Optional(inner) => write!(f, "optional({inner})"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// One input or output: a name that is free text, and a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The name in the graph.
    pub name: String,
    /// Its type.
    pub kind: PortType,
}

impl Port {
    /// Element type and declared axes, for a tensor port.
    #[must_use]
    pub fn tensor(&self) -> Option<(ElementType, Option<&[Dim]>)> {
        match &self.kind {
            PortType::Tensor { element, dims } => Some((*element, dims.as_deref())),
            _ => None,
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}

/// How many records one run of the model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// Axis 0 of every input and output is free: any number of records.
    Free,
    /// Axis 0 of every input is this constant: exactly so many records a request.
    Fixed(usize),
    /// No batch axis that all ports share: one request is one run of whatever shape it has.
    None,
}

/// A model's inputs and outputs, in the graph's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// What a request must bring.
    pub inputs: Vec<Port>,
    /// What a reply carries.
    pub outputs: Vec<Port>,
}

impl Signature {
    /// The position of an input by name.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|port| port.name == name)
    }

    /// The position of an output by name.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<usize> {
        self.outputs.iter().position(|port| port.name == name)
    }

    /// How many records one run takes, as far as the declared shapes tell.
    #[must_use]
    pub fn batch(&self) -> Batch {
        let first_axis = |port: &Port| -> Option<Dim> {
            match &port.kind {
                PortType::Tensor { dims, .. } => dims.as_ref()?.first().cloned(),
                // A ZipMap gives one map per record.
                PortType::Sequence(inner) if matches!(**inner, PortType::Map { .. }) => {
                    Some(Dim::Free)
                }
                _ => None,
            }
        };
        let inputs: Vec<_> = self.inputs.iter().map(first_axis).collect();
        if inputs.is_empty() || inputs.iter().any(Option::is_none) {
            return Batch::None;
        }
        if let Some(Dim::Fixed(n)) = inputs[0].clone() {
            let same = inputs.iter().all(|dim| *dim == Some(Dim::Fixed(n)));
            return if same { Batch::Fixed(n) } else { Batch::None };
        }
        let free = |dim: &Option<Dim>| matches!(dim, Some(Dim::Symbol(_) | Dim::Free));
        if inputs.iter().all(free) && self.outputs.iter().map(first_axis).all(|dim| free(&dim)) {
            Batch::Free
        } else {
            Batch::None
        }
    }
}
