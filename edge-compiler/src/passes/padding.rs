//! Padding that a convolution can do itself.

use crate::graph::{Convolution, Graph, Operator, OperatorKind, Padding, TensorId};
use crate::strided;

/// Takes a PAD with the zero point into the VALID convolution that reads its result, if nothing else
/// does: what lies outside a convolution's input reads as its zero point anyway.
///
/// A PAD is a FILL and a copy into one tensor; both are dead afterwards.
pub fn fold_padding(mut graph: Graph) -> Graph {
    for index in 0..graph.operators.len() {
        let Some((unpadded, folded)) = foldable(&graph, index) else {
            continue;
        };
        let operator = &mut graph.operators[index];
        operator.inputs = vec![unpadded];
        match &mut operator.kind {
            OperatorKind::Conv2d(Convolution { padding, .. })
            | OperatorKind::DepthwiseConv2d(Convolution { padding, .. }) => {
                *padding = folded;
            }
            _ => {}
        }
    }
    graph
}

/// The tensor before the PAD that operator `index` can do itself, and its padding.
fn foldable(graph: &Graph, index: usize) -> Option<(TensorId, Padding)> {
    let convolution = graph.operators.get(index)?;
    let (OperatorKind::Conv2d(Convolution {
        padding: Padding::Valid,
        ..
    })
    | OperatorKind::DepthwiseConv2d(Convolution {
        padding: Padding::Valid,
        ..
    })) = convolution.kind
    else {
        return None;
    };
    let padded = *convolution.inputs.first()?;
    let readers = graph.operators.iter().flat_map(|o| &o.inputs);
    if readers.filter(|&&input| input == padded).count() != 1
        || graph.outputs().any(|output| output == padded)
    {
        return None;
    }
    let writers: Vec<&Operator> = graph
        .operators
        .iter()
        .filter(|o| o.output == padded)
        .collect();
    let [
        Operator {
            kind: OperatorKind::Fill { value },
            ..
        },
        Operator {
            kind: OperatorKind::Copy { copy, .. },
            inputs,
            ..
        },
    ] = writers[..]
    else {
        return None;
    };
    let input = *inputs.first()?;
    let (from, to) = (graph.tensors.get(input)?, graph.tensors.get(padded)?);
    if !from.role.is_activation() || i32::from(*value) != to.zero_point {
        return None;
    }
    let ([_, height, width, depth], [_, rows, columns, channels]) = (from.shape, to.shape);
    let pixel = copy.output_start.checked_div(channels)?;
    let (above, left) = (pixel.checked_div(columns)?, pixel.checked_rem(columns)?);
    // The very copy that places the whole input there.
    let place = [above, left, 0];
    let whole = strided::place(&[height, width, depth], &[rows, columns, channels], &place);
    if whole.as_ref() != Some(copy) || depth != channels {
        return None;
    }
    let before = [above, left];
    let after = [rows - height - above, columns - width - left];
    let window = convolution.kind.window()?;
    // An image holds no padding as wide as the window.
    let narrow = (0..2).all(|i| {
        let extent = (window.kernel[i] - 1).saturating_mul(window.dilation[i]) + 1;
        before[i] < extent && after[i] < extent
    });
    narrow.then_some((input, Padding::Explicit { before, after }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{tensor, weights};
    use crate::{Activation, RoundingMode};

    fn padded(value: i8) -> Graph {
        let copy = strided::place(&[4, 5, 2], &[6, 8, 2], &[1, 2, 0]).unwrap();
        let convolution = OperatorKind::Conv2d(Convolution {
            weights: weights(3, 3 * 3 * 2),
            kernel: [3, 3],
            stride: [1, 1],
            padding: Padding::Valid,
            dilation: [1, 1],
            activation: Activation::None,
            rounding: RoundingMode::Double,
        });
        let fill = Operator {
            inputs: Vec::new(),
            ..Operator::new(OperatorKind::Fill { value }, 0, 1)
        };
        let purpose = "PAD".into();
        let copy = Operator::new(OperatorKind::Copy { copy, purpose }, 0, 1);
        Graph {
            tensors: vec![
                tensor([1, 4, 5, 2], 0.5, 3),
                tensor([1, 6, 8, 2], 0.5, 3),
                tensor([1, 4, 6, 3], 0.5, 0),
            ],
            operators: vec![fill, copy, Operator::new(convolution, 1, 2)],
            input: 0,
            output: 2,
            further_inputs: Vec::new(),
            further_outputs: Vec::new(),
        }
    }

    #[test]
    fn a_pad_with_the_zero_point_vanishes() {
        let folded = crate::passes::all(padded(3), 4);
        assert_eq!(folded.check(), Ok(()));
        let [only] = &folded.operators[..] else {
            panic!("{:?}", folded.operators);
        };
        let expected = Padding::Explicit {
            before: [1, 2],
            after: [1, 1],
        };
        assert_eq!(only.kind.window().unwrap().padding, expected);
    }

    #[test]
    fn other_values_and_other_readers_stay() {
        assert_eq!(fold_padding(padded(4)), padded(4));
        let mut graph = padded(3);
        graph.further_outputs.push(1);
        assert_eq!(fold_padding(graph.clone()), graph);
    }
}
