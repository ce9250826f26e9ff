//! The graph while it grows, and how operators find and make tensors in it.

use std::collections::{BTreeMap, BTreeSet};

use super::ReferenceRounding;
use crate::graph::{Activation, Operator, OperatorKind, Role, StridedCopy, Tensor, TensorId};
use crate::import::tflite::{FusedActivation, Model};
use crate::prepare::Quantisation;
use crate::strided::{self, Dimension};

/// A step of the lowering; an error is the reason why an operator is unsupported.
pub(super) type Lowered<T = ()> = Result<T, String>;

const MOST_DIMENSION: usize = u16::MAX as usize;
/// Images, rows or sequences that are lowered one by one, each with its own operators and constants.
const MOST_IN_BATCH: usize = 64;

/// Takes a model apart, operator by operator.
pub(super) struct Lowering<'m, 'f> {
    pub model: &'m Model<'f>,
    pub rounding: ReferenceRounding,
    pub tensors: Vec<Tensor>,
    pub operators: Vec<Operator>,
    /// The tensor of the graph for each of the model's, as soon as something writes or reads it. It
    /// has the elements in the same order, in any shape.
    pub values: Vec<Option<TensorId>>,
    /// The same elements in another shape.
    views: BTreeMap<(TensorId, [usize; 4]), TensorId>,
    /// Integers that operators of the model compute from shapes.
    pub folded: BTreeMap<usize, Vec<i64>>,
    /// Operators of the model that others took in.
    pub absorbed: BTreeSet<usize>,
    /// The operator of the model that is being lowered.
    pub current: usize,
    pub notes: Vec<String>,
}

impl<'m, 'f> Lowering<'m, 'f> {
    pub fn new(model: &'m Model<'f>, rounding: ReferenceRounding) -> Self {
        Self {
            model,
            rounding,
            tensors: Vec::new(),
            operators: Vec::new(),
            values: vec![None; model.tensors.len()],
            views: BTreeMap::new(),
            folded: BTreeMap::new(),
            absorbed: BTreeSet::new(),
            current: 0,
            notes: Vec::new(),
        }
    }

    // Tensors of the graph.

    /// What holds the elements of one of the model's tensors, in any shape.
    pub fn value(&mut self, tensor: usize) -> Lowered<TensorId> {
        if let Some(value) = self.values[tensor] {
            return Ok(value);
        }
        let Quantisation { scale, zero_point } = self.quantisation(tensor)?;
        if self.source(tensor).data.is_none() {
            return Err(format!(
                "{} is read before anything writes it",
                self.name(tensor)
            ));
        }
        let constant = Tensor {
            role: Role::Constant(self.bytes(tensor)?),
            shape: self.canonical(tensor)?,
            name: self.source(tensor).name.clone(),
            scale,
            zero_point,
        };
        self.tensors.push(constant);
        self.values[tensor] = Some(self.tensors.len() - 1);
        Ok(self.tensors.len() - 1)
    }

    /// As [`Self::value`], for operators that cannot read constants.
    pub fn activation(&mut self, tensor: usize) -> Lowered<TensorId> {
        let value = self.value(tensor)?;
        if !self.tensors[value].role.is_activation() {
            return Err(format!(
                "{} is constant: fold it away before converting",
                self.name(tensor)
            ));
        }
        Ok(value)
    }

    /// As [`Self::activation`], in a shape.
    pub fn shaped(&mut self, tensor: usize, shape: [usize; 4]) -> Lowered<TensorId> {
        let value = self.activation(tensor)?;
        self.view(value, shape)
    }

    /// The same elements in another shape.
    pub fn view(&mut self, value: TensorId, shape: [usize; 4]) -> Lowered<TensorId> {
        let from = &self.tensors[value];
        if from.shape == shape {
            return Ok(value);
        }
        if let Some(&found) = self.views.get(&(value, shape)) {
            return Ok(found);
        }
        check_dimensions(&from.name, shape)?;
        if from.len() != count(shape)? {
            let name = &from.name;
            return Err(format!(
                "`{name}` has {} elements, {shape:?} is needed",
                from.len()
            ));
        }
        let to = Tensor {
            shape,
            ..from.clone()
        };
        let constant = !from.role.is_activation();
        self.tensors.push(to);
        let view = self.tensors.len() - 1;
        if !constant {
            self.push(OperatorKind::Reshape, vec![value], view);
        }
        self.views.insert((value, shape), view);
        Ok(view)
    }

    /// A new tensor for one of the model's, in its canonical shape.
    pub fn output(&mut self, tensor: usize) -> Lowered<TensorId> {
        let shape = self.canonical(tensor)?;
        self.output_as(tensor, shape)
    }

    /// A new tensor for one of the model's.
    pub fn output_as(&mut self, tensor: usize, shape: [usize; 4]) -> Lowered<TensorId> {
        let quantisation = self.quantisation(tensor)?;
        let name = self.name(tensor);
        let elements = self.source(tensor).elements().unwrap_or(0);
        if elements == 0 {
            return Err(format!("{name} has no elements"));
        }
        if self.values[tensor].is_some() || self.source(tensor).data.is_some() {
            return Err(format!("{name} is written twice or is constant"));
        }
        if elements != count(shape)? {
            let declared = self.shape(tensor);
            return Err(format!(
                "{name} has shape {declared:?}, but {shape:?} follows from its inputs"
            ));
        }
        check_dimensions(&name, shape)?;
        let output = self.temporary(&self.source(tensor).name, shape, quantisation);
        self.values[tensor] = Some(output);
        Ok(output)
    }

    /// A new tensor that the model does not have.
    pub fn temporary(&mut self, name: &str, shape: [usize; 4], like: Quantisation) -> TensorId {
        let Quantisation { scale, zero_point } = like;
        self.tensors
            .push(Tensor::activation(name, shape, scale, zero_point));
        self.tensors.len() - 1
    }

    pub fn quantisation_of(&self, value: TensorId) -> Quantisation {
        Quantisation {
            scale: self.tensors[value].scale,
            zero_point: self.tensors[value].zero_point,
        }
    }

    // Operators of the graph.

    pub fn push(&mut self, kind: OperatorKind, inputs: Vec<TensorId>, output: TensorId) {
        self.operators.push(Operator {
            kind,
            inputs,
            output,
            source: Some(self.current),
        });
    }

    /// The same bytes under another scale and zero point: LiteRT's operators that move values do
    /// not look at those.
    pub fn relabelled(&mut self, value: TensorId, to: Quantisation) -> TensorId {
        if self.quantisation_of(value) == to {
            return value;
        }
        let from = self.tensors[value].clone();
        if !from.role.is_activation() {
            let Quantisation { scale, zero_point } = to;
            self.tensors.push(Tensor {
                scale,
                zero_point,
                ..from
            });
            return self.tensors.len() - 1;
        }
        let output = self.temporary(&from.name, from.shape, to);
        self.relabel(value, output);
        output
    }

    /// As [`Self::relabelled`], into a tensor that is there already.
    pub fn relabel(&mut self, value: TensorId, output: TensorId) {
        let kind = if self.quantisation_of(value) == self.quantisation_of(output) {
            OperatorKind::Reshape
        } else {
            OperatorKind::Lookup {
                table: (i8::MIN..=i8::MAX).collect(),
                function: "IDENTITY".into(),
            }
        };
        self.push(kind, vec![value], output);
    }

    /// A copy, or a RESHAPE where it moves everything in order.
    pub fn copy(
        &mut self,
        purpose: &str,
        copy: Option<StridedCopy>,
        input: TensorId,
        output: TensorId,
    ) -> Lowered {
        let copy =
            copy.ok_or("it moves values along more than 6 dimensions, or beyond its tensors")?;
        let input = self.relabelled(input, self.quantisation_of(output));
        let (from, to) = (&self.tensors[input], &self.tensors[output]);
        let whole = from.len() == to.len() && strided::is_whole(&copy, to.len());
        let kind = if whole && from.role.is_activation() {
            OperatorKind::Reshape
        } else {
            OperatorKind::Copy {
                copy,
                purpose: purpose.into(),
            }
        };
        self.push(kind, vec![input], output);
        Ok(())
    }

    /// Lowers an operator on images, each image of a batch by itself.
    pub fn each_image(
        &mut self,
        input: usize,
        output: usize,
        mut lower: impl FnMut(&mut Self, TensorId, TensorId) -> Lowered,
    ) -> Lowered {
        let ([images, ..], [results, ..]) = (self.images(input)?, self.images(output)?);
        let one = |[_, h, w, c]: [usize; 4]| [1, h, w, c];
        let (from, to) = (one(self.images(input)?), one(self.images(output)?));
        if images != results {
            return Err(format!("its batch grows from {images} to {results}"));
        }
        if images == 1 {
            let x = self.shaped(input, from)?;
            let y = self.output_as(output, to)?;
            return lower(self, x, y);
        }
        check_batch(images)?;
        let whole_input = self.activation(input)?;
        let whole_output = self.output(output)?;
        let name = self.source(output).name.clone();
        for image in 0..images {
            let run = |len: usize, reads: bool| {
                let run = Dimension {
                    size: len,
                    input: 1,
                    output: 1,
                };
                let at = image.checked_mul(len)?;
                if reads {
                    strided::copy(&[run], at, 0)
                } else {
                    strided::copy(&[run], 0, at)
                }
            };
            let x = self.temporary(&name, from, self.quantisation_of(whole_input));
            let y = self.temporary(&name, to, self.quantisation_of(whole_output));
            self.copy("SPLIT", run(count(from)?, true), whole_input, x)?;
            lower(self, x, y)?;
            self.copy("CONCATENATION", run(count(to)?, false), y, whole_output)?;
        }
        Ok(())
    }
}

/// A fused activation.
pub(super) fn fused(activation: FusedActivation) -> Lowered<Activation> {
    match activation {
        FusedActivation::None => Ok(Activation::None),
        FusedActivation::Relu => Ok(Activation::Relu),
        FusedActivation::Relu6 => Ok(Activation::Relu6),
        FusedActivation::ReluN1To1 => Ok(Activation::ReluN1To1),
        other => Err(format!("the fused activation {other:?}")),
    }
}

/// An axis of `rank`, negative from the last.
pub(super) fn axis(axis: i64, rank: usize) -> Lowered<usize> {
    let signed = rank as i64;
    let from_front = if axis < 0 { axis + signed } else { axis };
    if (0..signed).contains(&from_front) {
        Ok(from_front as usize)
    } else {
        Err(format!("axis {axis} of {rank} dimensions"))
    }
}

/// Elements of a shape.
pub(super) fn count(shape: [usize; 4]) -> Lowered<usize> {
    let product = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    product.ok_or_else(|| format!("{shape:?} is too large"))
}

/// Whether a batch may be lowered one by one.
pub(super) fn check_batch(batch: usize) -> Lowered {
    if batch > MOST_IN_BATCH {
        return Err(format!(
            "a batch of {batch}: at most {MOST_IN_BATCH} are possible"
        ));
    }
    Ok(())
}

fn check_dimensions(name: &str, shape: [usize; 4]) -> Lowered {
    if shape.iter().all(|d| (1..=MOST_DIMENSION).contains(d)) {
        return Ok(());
    }
    Err(format!("{name} as {shape:?}: dimensions must be 1..=65535"))
}

pub(super) fn canonical(shape: &[usize]) -> Option<[usize; 4]> {
    let mut found = [1_usize; 4];
    for (place, &size) in shape.iter().rev().enumerate() {
        let slot = &mut found[3 - place.min(2)];
        *slot = slot.checked_mul(size)?;
    }
    if found.contains(&0) {
        return None;
    }
    if found.iter().all(|&d| d <= MOST_DIMENSION) {
        return Some(found);
    }
    // Any factors will do where the order of elements alone counts.
    let product = found.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))?;
    let channels = greatest_divisor(product);
    let width = greatest_divisor(product / channels);
    let height = product / channels / width;
    (height <= MOST_DIMENSION).then_some([1, height, width, channels])
}

/// The greatest divisor that is a dimension.
fn greatest_divisor(n: usize) -> usize {
    let mut candidates = (1..=n.min(MOST_DIMENSION)).rev();
    candidates.find(|&d| n.is_multiple_of(d)).unwrap_or(1)
}
