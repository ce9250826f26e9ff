//! Operators that treat each element by itself.

use super::builder::{Lowered, Lowering, canonical, fused};
use crate::graph::{Activation, OperatorKind, TensorId};
use crate::import::tflite::{FusedActivation, Operator};
use crate::prepare::Quantisation;
use crate::prepare::tables::{self, Table};

impl Lowering<'_, '_> {
    pub fn add(
        &mut self,
        operator: &Operator,
        activation: FusedActivation,
        subtract: bool,
    ) -> Lowered {
        let activation = fused(activation)?;
        self.binary(
            operator,
            OperatorKind::Add {
                subtract,
                activation,
            },
        )
    }

    pub fn mul(&mut self, operator: &Operator, activation: FusedActivation) -> Lowered {
        let activation = fused(activation)?;
        self.binary(operator, OperatorKind::Mul { activation })
    }

    pub fn prelu(&mut self, operator: &Operator) -> Lowered {
        self.binary(operator, OperatorKind::Prelu)
    }

    fn binary(&mut self, operator: &Operator, kind: OperatorKind) -> Lowered {
        let (first, second) = (self.argument(operator, 0)?, self.argument(operator, 1)?);
        let output = self.result(operator)?;
        let (a, b) = (self.value(first)?, self.value(second)?);
        if ![a, b].iter().any(|&x| self.tensors[x].role.is_activation()) {
            return Err("both inputs are constant: fold it away before converting".into());
        }
        let (a, b, shape) = if self.shape(first) == self.shape(second) {
            // Any shape will do, and one that is there already takes no RESHAPE.
            let like = if self.tensors[a].role.is_activation() {
                a
            } else {
                b
            };
            let shape = self.tensors[like].shape;
            (self.view(a, shape)?, self.view(b, shape)?, shape)
        } else {
            let shapes = [first, second, output].map(|tensor| self.shape(tensor));
            let [a_shape, b_shape, shape] = broadcast(shapes).ok_or_else(|| {
                let [a, b, y] = shapes;
                format!("it broadcasts {a:?} and {b:?} to {y:?}")
            })?;
            (self.view(a, a_shape)?, self.view(b, b_shape)?, shape)
        };
        let y = self.output_as(output, shape)?;
        self.push(kind, vec![a, b], y);
        Ok(())
    }

    /// RELU and its kin by themselves.
    pub fn relu(&mut self, operator: &Operator, activation: Activation) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        if self.quantisation(input)? == self.quantisation(output)? {
            let x = self.activation(input)?;
            let y = self.output_as(output, self.tensors[x].shape)?;
            self.push(OperatorKind::Activation(activation), vec![x], y);
            return Ok(());
        }
        let (low, high) = match activation {
            Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
            Activation::ReluN1To1 => (-1.0, 1.0),
        };
        self.table(operator, |x, y| tables::relu(x, y, low, high))
    }

    /// A function of one element.
    pub fn table(
        &mut self,
        operator: &Operator,
        table: impl FnOnce(Quantisation, Quantisation) -> Option<Table>,
    ) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let x = self.activation(input)?;
        let (from, to) = (self.quantisation(input)?, self.quantisation(output)?);
        let table = table(from, to).ok_or_else(|| {
            let (from, to) = (from.scale, to.scale);
            format!("LiteRT has no arithmetic for scales {from:e} to {to:e}")
        })?;
        let y = self.output_as(output, self.tensors[x].shape)?;
        self.look_up(table, operator.name(), x, y);
        Ok(())
    }

    pub fn look_up(&mut self, table: Table, function: String, x: TensorId, y: TensorId) {
        let kind = OperatorKind::Lookup {
            table: table.to_vec(),
            function,
        };
        self.push(kind, vec![x], y);
    }
}

/// Shapes of four dimensions for two operands and their result, which have the given ones. Leading
/// dimensions merge where all of them go the same way.
fn broadcast(shapes: [&[usize]; 3]) -> Option<[[usize; 4]; 3]> {
    let rank = shapes.iter().map(|shape| shape.len()).max()?;
    let padded = shapes.map(|shape| {
        let missing = rank - shape.len();
        [&vec![1; missing][..], shape].concat()
    });
    let [a, b, y] = &padded;
    let agrees = (0..rank)
        .all(|i| y[i] == a[i].max(b[i]) && [a[i], b[i]].iter().all(|&x| x == 1 || x == y[i]));
    if !agrees {
        return None;
    }
    if rank <= 3 || y[..rank - 3].iter().all(|&size| size == 1) {
        return Some([canonical(a)?, canonical(b)?, canonical(y)?]);
    }
    let mut merged: Vec<[usize; 3]> = Vec::new();
    for i in 0..rank {
        let sizes = [a[i], b[i], y[i]];
        if sizes == [1; 3] {
            continue;
        }
        let way = |[a, b, y]: [usize; 3]| [a == y, b == y];
        match merged.last_mut() {
            Some(outer) if way(*outer) == way(sizes) => {
                for (outer, size) in outer.iter_mut().zip(sizes) {
                    *outer = outer.checked_mul(size)?;
                }
            }
            _ => merged.push(sizes),
        }
    }
    let missing = 4_usize.checked_sub(merged.len())?;
    let mut found = [[1; 4]; 3];
    for (place, sizes) in merged.iter().enumerate() {
        for (shape, size) in found.iter_mut().zip(sizes) {
            shape[missing + place] = *size;
        }
    }
    // Four dimensions are one too many: the first must be 1.
    (found[2][0] == 1).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::broadcast;

    #[test]
    fn dimensions_merge_where_both_operands_go_the_same_way() {
        let found = broadcast([&[2, 3, 4, 5], &[5], &[2, 3, 4, 5]]);
        assert_eq!(found, Some([[1, 1, 24, 5], [1, 1, 1, 5], [1, 1, 24, 5]]));
        let found = broadcast([&[1, 3, 4, 5], &[1, 1, 1, 5], &[1, 3, 4, 5]]);
        assert_eq!(found, Some([[1, 3, 4, 5], [1, 1, 1, 5], [1, 3, 4, 5]]));
        let found = broadcast([&[2, 1, 4, 1], &[1, 3, 1, 5], &[2, 3, 4, 5]]);
        assert_eq!(found, None);
        assert_eq!(broadcast([&[2, 3], &[2, 4], &[2, 4]]), None);
    }
}
