//! What lies where in the arena, and when.

use std::ops::Range;

use edge_runtime::Model;
use edge_runtime::format::{NO_TENSOR, storage};
use serde::Serialize;

use crate::plan::Lifetime;

/// What a part of the arena is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// A tensor that the caller fills.
    Input,
    /// A tensor between two operators.
    Activation,
    /// A tensor that the caller reads.
    Output,
    /// What a recurrent operator remembers.
    State,
    /// Working memory of one operator.
    Scratch,
}

impl Use {
    /// All, as a legend lists them.
    pub const ALL: [Self; 5] = [
        Self::Input,
        Self::Activation,
        Self::Output,
        Self::State,
        Self::Scratch,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Activation => "activation",
            Self::Output => "output",
            Self::State => "state",
            Self::Scratch => "scratch",
        }
    }
}

/// Bytes of the arena that have one use for some time. Regions may share bytes at the operator where
/// one ends and another begins: an operator may write over what it has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// `t3` for tensor 3, `w5` for the scratch of operator 5.
    pub label: String,
    /// What for.
    #[serde(rename = "use")]
    pub purpose: Use,
    /// First byte.
    pub offset: usize,
    /// How many.
    pub bytes: usize,
    /// During which operators.
    pub live: Lifetime,
    /// Batch, height, width, channels; `None` for scratch.
    pub shape: Option<[u16; 4]>,
}

impl Region {
    /// Bytes of it in a range of the arena.
    pub fn inside(&self, range: &Range<usize>) -> usize {
        let end = (self.offset + self.bytes).min(range.end);
        end.saturating_sub(self.offset.max(range.start))
    }
}

/// The operators during which each tensor is live; `None` for a tensor that no operator names.
pub fn lifetimes(model: &Model<'_>) -> Vec<Option<Lifetime>> {
    let mut found: Vec<Option<Lifetime>> = vec![None; model.tensors().count()];
    let mut extend = |tensor: u16, at: usize| {
        if let Some(lifetime) = found.get_mut(usize::from(tensor)) {
            let lifetime = lifetime.get_or_insert(Lifetime {
                first: at,
                last: at,
            });
            lifetime.last = lifetime.last.max(at);
        }
    };
    model.input_indices().for_each(|input| extend(input, 0));
    for (index, operator) in model.operators().iter().enumerate() {
        let inputs = operator.inputs.iter().filter(|&&input| input != NO_TENSOR);
        inputs.for_each(|&input| extend(input, index));
        extend(operator.output, index);
    }
    let end = model.operators().len();
    model
        .output_indices()
        .for_each(|output| extend(output, end));
    // Before the first run and after the last one too, whoever reads them.
    for (lifetime, tensor) in found.iter_mut().zip(model.tensors()) {
        if tensor.storage == storage::STATE {
            *lifetime = Some(Lifetime {
                first: 0,
                last: end,
            });
        }
    }
    found
}

/// Everything that lies in the arena: tensors by index, then scratch by operator.
pub fn regions(model: &Model<'_>) -> Vec<Region> {
    let inputs: Vec<u16> = model.input_indices().collect();
    let outputs: Vec<u16> = model.output_indices().collect();
    let tensors = model.tensors().zip(lifetimes(model)).enumerate();
    let tensors = tensors.filter_map(|(index, (tensor, live))| {
        let named = |list: &[u16]| list.iter().any(|&i| usize::from(i) == index);
        let purpose = match tensor.storage {
            storage::CONSTANT => return None,
            storage::STATE => Use::State,
            _ if named(&outputs) => Use::Output,
            _ if named(&inputs) => Use::Input,
            _ => Use::Activation,
        };
        Some(Region {
            label: format!("t{index}"),
            purpose,
            offset: tensor.arena_offset,
            bytes: tensor.len * if tensor.is_wide { 2 } else { 1 },
            live: live?,
            shape: Some(tensor.shape),
        })
    });
    let operators = model.operators().iter().enumerate();
    let scratch = operators.filter(|(_, o)| o.scratch_len > 0);
    let scratch = scratch.map(|(index, operator)| Region {
        label: format!("w{index}"),
        purpose: Use::Scratch,
        offset: operator.scratch as usize,
        bytes: operator.scratch_len as usize,
        live: Lifetime {
            first: index,
            last: index,
        },
        shape: None,
    });
    tensors.chain(scratch).collect()
}

/// The region with the most bytes in a range of the arena during an operator. Of those that share a
/// place (a RESHAPE and its input) the last one.
pub fn tenant(regions: &[Region], range: &Range<usize>, operator: usize) -> Option<usize> {
    let at = Lifetime {
        first: operator,
        last: operator,
    };
    let live = regions
        .iter()
        .enumerate()
        .filter(|(_, r)| r.live.overlaps(&at));
    live.map(|(index, region)| (region.inside(range), index))
        .filter(|&(bytes, _)| bytes > 0)
        .max()
        .map(|(_, index)| index)
}
