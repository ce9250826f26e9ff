//! Operators that others take in: batch normalisation, biases, clamps; and scales that move.

use crate::constant::{Constant, Data};
use crate::proto::Attributes;
use crate::source::{Node, Source, ValueId};

/// Merges operators until nothing merges any more. Values that lie between merged operators are
/// quantised nowhere, so nothing merges over a value that has a quantisation.
pub fn simplify(source: &mut Source) {
    let mut index = 0;
    while index < source.nodes.len() {
        // What a node takes in, it takes in before what follows does: nodes stand in sequence.
        if !takes_next(source, index) {
            index += 1;
        }
    }
}

/// Merges a node with its only reader, if the two can be one.
fn takes_next(source: &mut Source, index: usize) -> bool {
    let node = &source.nodes[index];
    let &[output] = &node.outputs[..] else {
        return false;
    };
    if source.values[output].quantisation.is_some() || node.clamp.is_some() {
        return false;
    }
    let Some(reader) = source.only_reader(output).filter(|&reader| reader > index) else {
        return false;
    };
    let merged = match source.nodes[reader].operator.as_str() {
        "BatchNormalization" => normalisation(source, index, reader),
        "Add" => bias(source, index, reader, output),
        "Relu" | "Clip" => clamp(source, index, reader),
        _ => false,
    };
    if merged {
        let reader = source.nodes.remove(reader);
        source.nodes[index].outputs = reader.outputs;
    }
    merged
}

/// Operators that pick or move elements, or clamp them: it makes no difference whether their input
/// is quantised or their output.
const COMMUTING: [&str; 13] = [
    "Clip",
    "Flatten",
    "Gather",
    "GlobalMaxPool",
    "MaxPool",
    "Pad",
    "Relu",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Gives values without a scale that of what is picked from them, where all that read them agree:
/// quantisers leave out MaxPool and the like when nothing before them is quantised.
pub fn pull_scales(source: &mut Source) {
    for value in (0..source.values.len()).rev() {
        let known = &source.values[value];
        let leaves = source.outputs.iter().any(|output| output.value == value);
        if known.constant.is_some() || known.quantisation.is_some() || leaves {
            continue;
        }
        let scales = source.readers(value).map(|reader| {
            let node = &source.nodes[reader];
            let first = node.input(0) == Some(value);
            let commutes = first && COMMUTING.contains(&node.operator.as_str());
            let outputs = node
                .outputs
                .iter()
                .map(|&output| source.values[output].quantisation);
            let mut outputs = outputs.filter(|_| commutes);
            outputs
                .next()
                .flatten()
                .filter(|one| outputs.all(|other| other == Some(*one)))
        });
        let scales: Vec<_> = scales.collect();
        if let Some(&Some(first)) = scales.first()
            && scales.iter().all(|scale| *scale == Some(first))
        {
            source.values[value].quantisation = Some(first);
        }
    }
}

/// Factor and summand of each channel.
pub fn normalisation_terms(source: &Source, node: &Node) -> Option<(Vec<f32>, Vec<f32>)> {
    if node.attributes.as_slice().int("training_mode", 0) != 0 || node.outputs.len() != 1 {
        return None;
    }
    let epsilon = node.attributes.as_slice().float("epsilon", 1e-5);
    let term = |index: usize| source.constant(node, index).map(Constant::floats);
    let (scale, shift, mean, variance) = (term(1)?, term(2)?, term(3)?, term(4)?);
    let channels = scale.len();
    if [&shift, &mean, &variance]
        .iter()
        .any(|t| t.len() != channels)
    {
        return None;
    }
    let factors: Vec<f32> = scale
        .iter()
        .zip(&variance)
        .map(|(s, v)| (f64::from(*s) / (f64::from(*v) + f64::from(epsilon)).sqrt()) as f32)
        .collect();
    let summands = (0..channels).map(|c| shift[c] - mean[c] * factors[c]);
    let summands: Vec<f32> = summands.collect();
    Some((factors, summands))
}

/// BatchNormalization behind a convolution or a fully connected layer of real weights.
fn normalisation(source: &mut Source, layer: usize, norm: usize) -> bool {
    let Some((factors, summands)) = normalisation_terms(source, &source.nodes[norm]) else {
        return false;
    };
    let node = &source.nodes[layer];
    let channels_at = match node.operator.as_str() {
        "Conv" => 0,
        "Gemm" if plain_gemm(node) => match node.attributes.as_slice().int("transB", 0) {
            0 => 1,
            _ => 0,
        },
        "MatMul" => 1,
        _ => return false,
    };
    let Some(weights) = source.constant(node, 1) else {
        return false;
    };
    let Data::Float(values) = &weights.data else {
        return false;
    };
    let channels = factors.len();
    if weights.shape.get(channels_at) != Some(&channels) {
        return false;
    }
    let bias = match node.input(2) {
        None => vec![0.0; channels],
        Some(_) => match source.constant(node, 2) {
            Some(bias) if matches!(bias.data, Data::Float(_)) && bias.len() == channels => {
                bias.floats()
            }
            _ => return false,
        },
    };
    let inner: usize = weights.shape.iter().skip(channels_at + 1).product();
    let scaled = values.iter().enumerate();
    let scaled = scaled.map(|(i, w)| w * factors[(i / inner.max(1)) % channels]);
    let weights = Constant {
        shape: weights.shape.clone(),
        data: Data::Float(scaled.collect()),
    };
    let bias = (0..channels).map(|c| bias[c] * factors[c] + summands[c]);
    let bias = Constant {
        shape: vec![channels],
        data: Data::Float(bias.collect()),
    };
    set_constant(source, layer, 1, weights);
    set_constant(source, layer, 2, bias);
    true
}

/// Whether a Gemm is nothing but `A B + C`.
fn plain_gemm(node: &Node) -> bool {
    let attributes = node.attributes.as_slice();
    attributes.float("alpha", 1.0) == 1.0 && attributes.float("beta", 1.0) == 1.0
}

fn set_constant(source: &mut Source, node: usize, input: usize, constant: Constant) {
    let name = format!(
        "{} merged",
        source.values[source.nodes[node].outputs[0]].name
    );
    let value = source.add_constant(name, constant);
    let inputs = &mut source.nodes[node].inputs;
    if inputs.len() <= input {
        inputs.resize(input + 1, None);
    }
    inputs[input] = Some(value);
}

/// Add of a constant behind a layer without a bias.
fn bias(source: &mut Source, layer: usize, add: usize, product: ValueId) -> bool {
    let node = &source.nodes[layer];
    let rank = source.values[product].shape.len();
    if !matches!(node.operator.as_str(), "MatMul" | "Conv" | "Gemm")
        || node.input(2).is_some()
        || source.constant(node, 1).is_none()
        || source.values[source.nodes[add].outputs[0]].shape != source.values[product].shape
    {
        return false;
    }
    let place = usize::from(source.nodes[add].input(0) == Some(product));
    let Some(constant) = source.constant(&source.nodes[add], place) else {
        return false;
    };
    // One value for each channel, which is the last dimension or the second.
    let channel = if node.operator == "Conv" {
        1
    } else {
        rank.wrapping_sub(1)
    };
    let Some(&channels) = source.values[product].shape.get(channel) else {
        return false;
    };
    let missing = rank.wrapping_sub(constant.shape.len());
    let along = constant.shape.iter().enumerate();
    let spread = along
        .map(|(i, &size)| (i.wrapping_add(missing), size))
        .all(|(i, size)| size == 1 || i == channel);
    if !spread || constant.len() != channels || constant.shape.len() > rank {
        return false;
    }
    let mut constant = constant.clone();
    constant.shape = vec![channels];
    if let Data::Quantised { axis, .. } = &mut constant.data {
        *axis = 0;
    }
    set_constant(source, layer, 2, constant);
    true
}

/// Bounds of a Relu or Clip, if they are constant.
pub fn bounds(source: &Source, node: &Node) -> Option<(f32, f32)> {
    if node.operator == "Relu" {
        return Some((0.0, f32::INFINITY));
    }
    let attributes = node.attributes.as_slice();
    let bound = |index: usize, name: &str, default: f32| match node.input(index) {
        Some(_) => source.constant(node, index)?.single(),
        None => Some(attributes.float(name, default)),
    };
    let low = bound(1, "min", f32::NEG_INFINITY)?;
    let high = bound(2, "max", f32::INFINITY)?;
    (low <= high).then_some((low, high))
}

/// Relu or Clip behind an operator that can clamp.
fn clamp(source: &mut Source, operator: usize, clamp: usize) -> bool {
    let clamps = matches!(
        source.nodes[operator].operator.as_str(),
        "Conv" | "ConvTranspose" | "Gemm" | "MatMul" | "Add" | "Sub" | "Mul" | "BatchNormalization"
    );
    let bounds = bounds(source, &source.nodes[clamp]);
    if !clamps || bounds.is_none() {
        return false;
    }
    source.nodes[operator].clamp = bounds;
    true
}
