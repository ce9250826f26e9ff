//! Which kernel runs an operator on a target.

mod blocks;
mod dsp;
mod mve;
mod portable;

use edge_runtime::format::packing;
use edge_runtime::kernels::reference::add::{Add, AddFitted};
use edge_runtime::kernels::reference::broadcast::Broadcast;

use crate::graph::{Graph, Operator, OperatorKind, Tensor};
use crate::layer::LayerSource;
use crate::pack;
use crate::prepare::{self, Quantisation};
use crate::target::Target;

/// What kernels are chosen for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Optimize {
    /// The fewest instructions.
    #[default]
    Speed,
    /// The smallest image.
    Size,
}

/// The kernel of one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// One of [`packing`].
    pub packing: u8,
    /// Bytes of scratch that it needs.
    pub scratch: usize,
    /// The weights in this packing; empty for operators without weights.
    pub packed: Vec<u8>,
    /// Whether bias, multipliers and shifts are arrays of their own.
    pub channels_apart: bool,
    /// Whether the record of a fully connected layer is that of a 1x1 convolution.
    pub as_convolution: bool,
    /// The linear form of an ADD in packing [`packing::FITTED`].
    pub fitted: Option<AddFitted>,
    /// What it is expected to take on the target, in instructions: only good for comparison.
    pub cost: u64,
}

impl Choice {
    /// The reference kernel of an operator without weights.
    const REFERENCE: Self = Self {
        packing: packing::CANONICAL,
        scratch: 0,
        packed: Vec::new(),
        channels_apart: true,
        as_convolution: false,
        fitted: None,
        cost: u64::MAX,
    };

    /// Bytes of constants that it puts into the image.
    fn bytes(&self, layer: &LayerSource<'_>) -> usize {
        let apart = if self.channels_apart { 9 } else { 0 };
        self.packed.len() + apart * layer.bias.len()
    }

    /// Canonical weights: what every device has.
    fn canonical(layer: &LayerSource<'_>) -> Self {
        Self {
            packed: pack::canonical(layer),
            ..Self::REFERENCE
        }
    }
}

/// Instruction sets that there are kernels for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// Any: no kernels but the portable ones.
    Portable,
    /// Cortex-M with the DSP extension.
    Dsp,
    /// Cortex-M with Helium.
    Mve,
    /// x86-64; the kernels find out at run time whether AVX2 is there.
    X86,
    /// 64-bit ARM.
    Neon,
    /// WebAssembly with SIMD.
    Wasm,
}

impl InstructionSet {
    /// What its kernels like numbers of channels to be a multiple of.
    pub const fn granule(self) -> usize {
        match self {
            Self::Portable | Self::Dsp => 4,
            Self::Mve | Self::X86 | Self::Neon | Self::Wasm => 16,
        }
    }

    /// That of a target.
    pub fn of(target: &Target) -> Self {
        let has = |feature: &str| target.features.iter().any(|f| f == feature);
        match target.core.as_str() {
            "host" if cfg!(target_arch = "x86_64") => Self::X86,
            "host" if cfg!(target_arch = "aarch64") => Self::Neon,
            "host" if cfg!(target_arch = "wasm32") => Self::Wasm,
            "x86-64" => Self::X86,
            "aarch64" => Self::Neon,
            "wasm32" => Self::Wasm,
            _ if has("mve") => Self::Mve,
            _ if has("dsp") => Self::Dsp,
            _ => Self::Portable,
        }
    }
}

/// A kernel for each operator of a graph that passes [`Graph::check`].
///
/// For speed the cheapest, as long as the constants of all layers take no more than `most_growth` times
/// their tensors, and no more than a model slot; beyond that the layers that lose the least give way. For
/// size the one with the fewest bytes, unless few more save many instructions (`WORTH_A_BYTE`).
pub fn select(
    graph: &Graph,
    layers: &[Option<LayerSource<'_>>],
    target: &Target,
    optimize: Optimize,
) -> Vec<Choice> {
    let set = InstructionSet::of(target);
    let mut candidates: Vec<Vec<Choice>> = graph
        .operators
        .iter()
        .zip(layers)
        .map(|(operator, layer)| match layer {
            Some(layer) => {
                let found = candidates(layer, set);
                if found.is_empty() {
                    vec![Choice::canonical(layer)]
                } else {
                    found
                }
            }
            None => vec![select_other(graph, operator, set)],
        })
        .collect();
    let bytes = |choice: &Choice, layer: &Option<LayerSource<'_>>| {
        layer.as_ref().map_or(0, |layer| choice.bytes(layer))
    };
    // The best comes first.
    for (choices, layer) in candidates.iter_mut().zip(layers) {
        choices.sort_by_key(|choice| match optimize {
            Optimize::Speed => (choice.cost, bytes(choice, layer)),
            Optimize::Size => {
                let bytes = bytes(choice, layer);
                let price = (bytes as u64).saturating_mul(WORTH_A_BYTE);
                (price.saturating_add(choice.cost), bytes)
            }
        });
    }
    let mut chosen = vec![0; candidates.len()];
    if optimize == Optimize::Speed {
        let tensors = layers.iter().flatten();
        let tensors: usize = tensors.map(|l| l.weights.len() + 4 * l.bias.len()).sum();
        let slot = usize::try_from(target.model_slot_bytes).unwrap_or(usize::MAX);
        let slot = slot.saturating_sub(OTHER_PARTS);
        give_way(
            &candidates,
            &mut chosen,
            (most_growth(set) * tensors).min(slot),
            |index, choice| bytes(choice, &layers[index]),
        );
    }
    if set == InstructionSet::Dsp {
        dsp::spare_kernels(&candidates, &mut chosen, layers, optimize);
    }
    let picked = candidates.into_iter().zip(chosen);
    let mut picked: Vec<Choice> = picked
        .map(|(mut choices, index)| choices.swap_remove(index))
        .collect();
    if set == InstructionSet::Dsp && optimize == Optimize::Size {
        dsp::dense_as_convolutions(graph, layers, &mut picked);
    }
    picked
}

/// Bytes of an image that are not constants of layers, about.
const OTHER_PARTS: usize = 8 << 10;

/// Instructions of a run that are worth a byte of an image for size: layers of few weights on many
/// pixels take the faster packing.
const WORTH_A_BYTE: u64 = 400;

/// How many times the bytes of the tensors the constants of an image for speed may take: on machines
/// with megabytes of cache, what 3x3 weights transformed for Winograd's F(4x4) in 16 bits take.
const fn most_growth(set: InstructionSet) -> usize {
    match set {
        InstructionSet::X86 => 8,
        _ => 4,
    }
}

/// Moves choices to smaller ones, each time where a byte saved costs the fewest instructions, until
/// all together keep to the limit or none is left.
fn give_way(
    candidates: &[Vec<Choice>],
    chosen: &mut [usize],
    limit: usize,
    bytes: impl Fn(usize, &Choice) -> usize,
) {
    loop {
        let now = |index: usize| &candidates[index][chosen[index]];
        let total: usize = (0..candidates.len()).map(|i| bytes(i, now(i))).sum();
        if total <= limit {
            return;
        }
        let mut best: Option<(f64, usize, usize)> = None;
        for (index, choices) in candidates.iter().enumerate() {
            for (other, choice) in choices.iter().enumerate() {
                let saved = bytes(index, now(index)).saturating_sub(bytes(index, choice));
                if saved == 0 {
                    continue;
                }
                let price = choice.cost.saturating_sub(now(index).cost) as f64 / saved as f64;
                if best.is_none_or(|(least, ..)| price < least) {
                    best = Some((price, index, other));
                }
            }
        }
        match best {
            Some((_, index, other)) => chosen[index] = other,
            None => return,
        }
    }
}

/// Every kernel of an instruction set that is exact for the layer.
fn candidates(layer: &LayerSource<'_>, set: InstructionSet) -> Vec<Choice> {
    match set {
        InstructionSet::Dsp => dsp::candidates(layer),
        InstructionSet::Mve => mve::candidates(layer),
        InstructionSet::X86 | InstructionSet::Neon | InstructionSet::Wasm => {
            blocks::candidates(layer, set)
        }
        InstructionSet::Portable => portable::candidates(layer),
    }
}

fn select_other(graph: &Graph, operator: &Operator, set: InstructionSet) -> Choice {
    // The kernel of the DSP extension takes two activations of the output's shape, so that one device
    // does not need the loops for all others besides.
    let output = &graph.tensors[operator.output];
    let mut inputs = operator.inputs.iter().map(|input| &graph.tensors[*input]);
    let flat = inputs.all(|input| input.shape == output.shape && input.role.is_activation());
    let fitted = add(graph, operator)
        .filter(|_| flat || set != InstructionSet::Dsp)
        .and_then(|add| prepare::add::fitted(&add));
    fitted.map_or(Choice::REFERENCE, |fitted| Choice {
        packing: packing::FITTED,
        fitted: Some(fitted),
        ..Choice::REFERENCE
    })
}

/// The settings of an ADD; `None` for scales that LiteRT refuses, or another operator.
pub(crate) fn add(graph: &Graph, operator: &Operator) -> Option<Add> {
    let OperatorKind::Add {
        subtract,
        activation,
    } = operator.kind
    else {
        return None;
    };
    let quantisation = |tensor: &Tensor| Quantisation {
        scale: tensor.scale,
        zero_point: tensor.zero_point,
    };
    let [first, second] = operator.inputs[..] else {
        return None;
    };
    let inputs = [first, second].map(|input| quantisation(&graph.tensors[input]));
    let output = &graph.tensors[operator.output];
    let (min, max) = activation.range(output.scale, output.zero_point);
    let none = Broadcast::none(0);
    prepare::add::add(none, inputs, quantisation(output), subtract, min, max)
}
