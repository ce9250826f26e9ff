//! Reads and judges one tensor.

use super::error::TfliteError;
use super::flatbuffer::{Read, Table};
use super::model::{ElementType, Tensor};
use super::read::Content;
use super::schema::{quantization, tensor};

/// How the graph uses a tensor.
#[derive(Clone, Copy)]
pub(super) struct Role {
    /// By an operator, or as an end of the model.
    pub(super) used: bool,
    /// The caller fills it.
    pub(super) input: bool,
}

/// A tensor as the file has it.
pub(super) struct RawTensor {
    name: String,
    shape: Vec<i32>,
    shape_signature: Vec<i32>,
    element: ElementType,
    buffer: u32,
    external_buffer: u32,
    is_variable: bool,
    is_sparse: bool,
    quantization: RawQuantization,
}

/// Quantisation as the file has it; all empty where it has none.
#[derive(Default)]
struct RawQuantization {
    scales: Vec<f32>,
    zero_points: Vec<i64>,
    details: u8,
    dimension: i32,
}

impl RawTensor {
    /// The tensor at `position`, which a vector of `subgraph` gave.
    pub(super) fn read(subgraph: &mut Table<'_, '_, '_>, position: usize) -> Read<Self> {
        let mut table = subgraph.open(position)?;
        let quantization = match table.table(tensor::QUANTIZATION)? {
            Some(position) => RawQuantization::read(&mut table, position)?,
            None => RawQuantization::default(),
        };
        Ok(Self {
            name: table.text(tensor::NAME)?.unwrap_or_default(),
            shape: table.numbers(tensor::SHAPE)?.unwrap_or_default(),
            shape_signature: table.numbers(tensor::SHAPE_SIGNATURE)?.unwrap_or_default(),
            element: ElementType::from_number(table.scalar(tensor::TYPE)?),
            buffer: table.scalar(tensor::BUFFER)?,
            external_buffer: table.scalar(tensor::EXTERNAL_BUFFER)?,
            is_variable: table.scalar(tensor::IS_VARIABLE)?,
            is_sparse: table.table(tensor::SPARSITY)?.is_some(),
            quantization,
        })
    }

    /// The tensor as [`Tensor`] promises it. `index` is for messages, `buffers` all of the file's.
    pub(super) fn check<'f>(
        self,
        index: usize,
        role: Role,
        buffers: &[Content<'f>],
    ) -> Result<Tensor<'f>, TfliteError> {
        let content = self.content(index, role, buffers)?;
        if role.used {
            self.check_storage(index)?;
            self.check_shape(index, role)?;
        }
        let dimensions = self.shape.iter().copied();
        let quantization = self.quantization;
        // TFLite: without scales a tensor is not quantised, whatever else is there.
        let quantised = !quantization.scales.is_empty();
        let mut tensor = Tensor {
            name: self.name,
            // Only tensors without a use still have negative dimensions.
            shape: dimensions
                .map(|dimension| usize::try_from(dimension).unwrap_or(0))
                .collect(),
            shape_signature: self.shape_signature,
            element: self.element,
            scales: quantization.scales,
            zero_points: if quantised {
                quantization.zero_points
            } else {
                Vec::new()
            },
            quantized_dimension: quantization.dimension,
            data: Some(content).filter(|bytes| !bytes.is_empty()),
            is_variable: self.is_variable,
        };
        if role.used {
            check_size(&tensor, index)?;
        }
        // A constant without elements, such as the shape of a scalar, has no bytes to tell it by.
        if tensor.data.is_none() && tensor.elements() == Some(0) && !role.input {
            tensor.data = Some(&[]);
        }
        Ok(tensor)
    }

    /// The bytes of its buffer; none where it is not constant.
    fn content<'f>(
        &self,
        index: usize,
        role: Role,
        buffers: &[Content<'f>],
    ) -> Result<&'f [u8], TfliteError> {
        // Buffer 0 stands for none.
        if self.buffer == 0 {
            return Ok(&[]);
        }
        let found = usize::try_from(self.buffer)
            .ok()
            .and_then(|at| buffers.get(at));
        match found {
            Some(Content::Inline(bytes)) => Ok(bytes),
            Some(Content::External) if role.used => Err(TfliteError::ExternalBuffer {
                tensor: index,
                name: self.name.clone(),
            }),
            Some(Content::External) => Ok(&[]),
            None => Err(TfliteError::Index {
                place: format!("tensor {index} (`{}`)", self.name),
                what: "buffer",
                index: self.buffer.into(),
                count: buffers.len(),
            }),
        }
    }

    /// Refuses what its scales, zero points and bytes alone do not tell.
    fn check_storage(&self, index: usize) -> Result<(), TfliteError> {
        let name = || self.name.clone();
        let quantization = &self.quantization;
        let (scales, zero_points) = (quantization.scales.len(), quantization.zero_points.len());
        if self.external_buffer != 0 {
            return Err(TfliteError::ExternalBuffer {
                tensor: index,
                name: name(),
            });
        }
        if self.is_sparse {
            return Err(TfliteError::Sparse {
                tensor: index,
                name: name(),
            });
        }
        if quantization.details != 0 {
            return Err(TfliteError::QuantizationDetails {
                tensor: index,
                name: name(),
                details: quantization.details,
            });
        }
        if scales != 0 && scales != zero_points {
            return Err(TfliteError::QuantizationLengths {
                tensor: index,
                name: name(),
                scales,
                zero_points,
            });
        }
        Ok(())
    }

    /// Refuses dimensions that only run time would tell. Between operators a -1 in the signature
    /// is harmless: sizes there follow from the inputs', and converters write -1 wherever the
    /// batch went, for example behind a transposition.
    fn check_shape(&self, index: usize, role: Role) -> Result<(), TfliteError> {
        let open = |dimension: &i32| *dimension < 0;
        let mut behind_batch = self.shape_signature.iter().skip(1);
        let shape = if role.input && behind_batch.any(open) {
            &self.shape_signature
        } else if self.shape.iter().any(open) {
            &self.shape
        } else {
            return Ok(());
        };
        Err(TfliteError::DynamicShape {
            tensor: index,
            name: self.name.clone(),
            shape: shape.clone(),
        })
    }
}

impl RawQuantization {
    fn read(tensor: &mut Table<'_, '_, '_>, position: usize) -> Read<Self> {
        let mut table = tensor.open(position)?;
        Ok(Self {
            scales: table.numbers(quantization::SCALE)?.unwrap_or_default(),
            zero_points: table.numbers(quantization::ZERO_POINT)?.unwrap_or_default(),
            details: table.scalar(quantization::DETAILS_TYPE)?,
            dimension: table.scalar(quantization::QUANTIZED_DIMENSION)?,
        })
    }
}

/// Refuses a shape beyond memory, and a constant whose bytes are not those of its elements.
fn check_size(tensor: &Tensor<'_>, index: usize) -> Result<(), TfliteError> {
    let too_large = || TfliteError::TooLarge {
        tensor: index,
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
    };
    let elements = tensor.elements().ok_or_else(too_large)?;
    let (Some(bits), Some(bytes)) = (tensor.element.bits(), tensor.data) else {
        return Ok(());
    };
    let needed = elements
        .checked_mul(bits)
        .ok_or_else(too_large)?
        .div_ceil(8);
    if bytes.len() != needed {
        return Err(TfliteError::DataLength {
            tensor: index,
            name: tensor.name.clone(),
            found: bytes.len(),
            needed,
        });
    }
    Ok(())
}
