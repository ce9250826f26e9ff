//! What a `.tflite` file says, as plain values.

use super::builtin::Builtin;
use super::options::Options;

/// A model of one subgraph. Every index in it is valid: operators, inputs and outputs name tensors
/// of `tensors`. Constants are slices of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Model<'f> {
    /// What the converter wrote about itself or the model.
    pub description: String,
    /// All tensors, used or not, in the file's order.
    pub tensors: Vec<Tensor<'f>>,
    /// All operators in the order of execution.
    pub operators: Vec<Operator>,
    /// The tensors that the caller fills.
    pub inputs: Vec<usize>,
    /// The tensors that the caller reads.
    pub outputs: Vec<usize>,
}

impl Model<'_> {
    /// The operators that this reader has no options for, each with its index and name.
    pub fn unsupported(&self) -> impl Iterator<Item = (usize, &str)> {
        self.operators
            .iter()
            .filter_map(|operator| match &operator.options {
                Options::Unsupported { name } => Some((operator.index, name.as_str())),
                _ => None,
            })
    }
}

/// One tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<'f> {
    /// Its name; several tensors may have the same, and it may be empty.
    pub name: String,
    /// Its dimensions as the file fixes them, outermost first; empty for a scalar. Where
    /// `shape_signature` has a -1, the file's size for it, which is 1 for the batch. A dimension
    /// that the file leaves open is 0, in tensors that nothing uses.
    pub shape: Vec<usize>,
    /// The shape with -1 for each dimension that may change at run time; empty where the file says
    /// nothing of them. An input has none behind its first; of other tensors nothing is checked.
    pub shape_signature: Vec<i32>,
    /// The type of its elements.
    pub element: ElementType,
    /// `real = scale * (quantised - zero_point)`; one for the whole tensor, one for each index
    /// along `quantized_dimension`, or none for a tensor that is not quantised. Not checked to be
    /// above zero or finite, nor to be as many as that dimension.
    pub scales: Vec<f32>,
    /// As many as `scales`.
    pub zero_points: Vec<i64>,
    /// The dimension that several scales belong to. Converters have written dimensions that the
    /// tensor lacks, such as 3 for a bias: meaningful for weights only.
    pub quantized_dimension: i32,
    /// Its little-endian elements where it is constant. For a type of known size exactly as many
    /// as `shape` says.
    pub data: Option<&'f [u8]>,
    /// Whether it keeps its content from one inference to the next.
    pub is_variable: bool,
}

impl Tensor<'_> {
    /// How many elements `shape` holds, 1 for a scalar; `None` if that is beyond `usize`.
    pub fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |product, &dimension| {
            product.checked_mul(dimension)
        })
    }
}

/// One operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// Its place in the order of execution, from 0.
    pub index: usize,
    /// Its number in the schema.
    pub builtin: Builtin,
    /// The name of an operator that is not built in.
    pub custom_name: Option<String>,
    /// The version of its definition, from 1; converters raise it for each feature that they use.
    pub version: i32,
    /// Tensors it reads, in the schema's order; `None` for an optional one that is left out.
    pub inputs: Vec<Option<usize>>,
    /// Tensors it writes.
    pub outputs: Vec<usize>,
    /// Tensors that hold nothing but the quantisation of values inside the operator (LSTM).
    pub intermediates: Vec<Option<usize>>,
    /// Its parameters.
    pub options: Options,
}

impl Operator {
    /// The built-in operator's or the custom operator's name.
    pub fn name(&self) -> String {
        name(self.builtin, self.custom_name.as_deref())
    }
}

/// As [`Operator::name`].
pub(super) fn name(builtin: Builtin, custom_name: Option<&str>) -> String {
    match custom_name {
        Some(custom) if builtin == Builtin::CUSTOM => custom.to_owned(),
        _ => builtin.to_string(),
    }
}

/// The schema's enum `TensorType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // each is named after its type
pub enum ElementType {
    Float32,
    Float16,
    Int32,
    UInt8,
    Int64,
    String,
    Bool,
    Int16,
    Complex64,
    Int8,
    Float64,
    Complex128,
    UInt64,
    Resource,
    Variant,
    UInt32,
    UInt16,
    /// Two to a byte, the first in the low half.
    Int4,
    BFloat16,
    /// Four to a byte, the first in the lowest bits.
    Int2,
    /// Two to a byte, the first in the low half.
    UInt4,
    Float8E4M3Fn,
    Float8E5M2,
    /// A number that the schema of LiteRT 2.3.0 does not have.
    Unknown(i8),
}

impl ElementType {
    /// By the schema's number.
    pub(super) fn from_number(number: i8) -> Self {
        match number {
            0 => Self::Float32,
            1 => Self::Float16,
            2 => Self::Int32,
            3 => Self::UInt8,
            4 => Self::Int64,
            5 => Self::String,
            6 => Self::Bool,
            7 => Self::Int16,
            8 => Self::Complex64,
            9 => Self::Int8,
            10 => Self::Float64,
            11 => Self::Complex128,
            12 => Self::UInt64,
            13 => Self::Resource,
            14 => Self::Variant,
            15 => Self::UInt32,
            16 => Self::UInt16,
            17 => Self::Int4,
            18 => Self::BFloat16,
            19 => Self::Int2,
            20 => Self::UInt4,
            21 => Self::Float8E4M3Fn,
            22 => Self::Float8E5M2,
            other => Self::Unknown(other),
        }
    }

    /// Bits of one element; `None` where elements differ in size or the type is unknown.
    pub fn bits(self) -> Option<usize> {
        match self {
            Self::Int2 => Some(2),
            Self::Int4 | Self::UInt4 => Some(4),
            Self::UInt8 | Self::Int8 | Self::Bool | Self::Float8E4M3Fn | Self::Float8E5M2 => {
                Some(8)
            }
            Self::Float16 | Self::BFloat16 | Self::Int16 | Self::UInt16 => Some(16),
            Self::Float32 | Self::Int32 | Self::UInt32 => Some(32),
            Self::Int64 | Self::UInt64 | Self::Float64 | Self::Complex64 => Some(64),
            Self::Complex128 => Some(128),
            Self::String | Self::Resource | Self::Variant | Self::Unknown(_) => None,
        }
    }
}
