//! What is known before anything runs: no accumulator overflows, and the target has room.

use crate::graph::{Graph, Operator, Weights};
use crate::scales::{self, Multiplier};
use crate::target::Target;

/// Bound of the stack of one inference, in bytes, for every image so far: the reference kernels
/// keep a few dozen words each and nothing that grows with the model. A generous constant until
/// the boards' measurements replace it.
pub const STACK_BYTES: u32 = 1024;

/// Room that every bound leaves for adding the output's zero point and for rounding.
const MARGIN: i64 = 256;

/// Why a model cannot be compiled although its graph is well formed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// A sum of products may leave int32.
    #[error(
        "{operator}: channel {channel} may sum up to {bound}, int32 holds {}: use a smaller bias \
         or fewer inputs",
        i32::MAX
    )]
    Accumulator {
        /// The operator.
        operator: String,
        /// Output channel.
        channel: usize,
        /// Greatest magnitude of a partial sum.
        bound: i64,
    },
    /// The shift before the multiplication may leave int32.
    #[error(
        "{operator}: channel {channel} may sum up to {bound}, which shifted left by {shift} \
         leaves int32: give the output a larger scale or the weights a smaller one"
    )]
    Shift {
        /// The operator.
        operator: String,
        /// Output channel.
        channel: usize,
        /// Greatest magnitude of the accumulator.
        bound: i64,
        /// The shift.
        shift: i8,
    },
    /// Arena, stack and firmware need more RAM than the target has.
    #[error(
        "{target} lacks {missing} bytes of RAM: arena {arena} + stack {stack} + firmware \
         {firmware} of {available}. {operator} needs the most of the arena: {live} bytes live"
    )]
    Ram {
        /// Name of the target.
        target: String,
        /// Bytes too many.
        missing: u64,
        /// Bytes of the arena.
        arena: u64,
        /// Bytes of the stack of one inference.
        stack: u64,
        /// Bytes that the firmware takes.
        firmware: u64,
        /// Bytes of RAM.
        available: u64,
        /// The operator with the most live bytes.
        operator: String,
        /// How many are live then.
        live: u64,
    },
    /// The image is larger than a model slot.
    #[error(
        "{target} lacks {missing} bytes of flash: the image has {image}, a model slot {available}. \
         {operator} needs the most: {constants} bytes of weights and biases"
    )]
    Flash {
        /// Name of the target.
        target: String,
        /// Bytes too many.
        missing: u64,
        /// Bytes of the image.
        image: u64,
        /// Bytes of a model slot.
        available: u64,
        /// The operator with the most constants.
        operator: String,
        /// How many bytes they are.
        constants: u64,
    },
}

/// Bounds of one output channel over every input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccumulatorBound {
    /// No partial sum exceeds this magnitude, in any order of summation:
    /// `|folded bias| + 128 * sum(|weights|)`.
    pub partial: i64,
    /// The least whole sum.
    pub least: i64,
    /// The greatest whole sum.
    pub greatest: i64,
}

impl AccumulatorBound {
    /// Greatest magnitude of a whole sum.
    pub fn magnitude(&self) -> i64 {
        self.least.abs().max(self.greatest.abs())
    }
}

/// The bounds of each output channel. The inputs are -128..=127; a padded place holds the zero
/// point, which lies within.
pub fn accumulator_bounds(weights: &Weights, zero_point: i32) -> Vec<AccumulatorBound> {
    let (low, high) = (-128 - i64::from(zero_point), 127 - i64::from(zero_point));
    let folded = scales::folded_bias(weights, zero_point);
    scales::rows(weights)
        .zip(folded)
        .map(|((bias, row), folded)| {
            let mut bound = AccumulatorBound {
                partial: folded.abs(),
                least: i64::from(bias),
                greatest: i64::from(bias),
            };
            for weight in row.iter().map(|&w| i64::from(w)) {
                bound.partial += 128 * weight.abs();
                bound.least += (weight * low).min(weight * high);
                bound.greatest += (weight * low).max(weight * high);
            }
            bound
        })
        .collect()
}

/// Proves for operator `index` that its sums, and its sums shifted left as its rounding mode
/// wants it, fit int32.
///
/// # Errors
/// [`ProofError::Accumulator`] or [`ProofError::Shift`] with the first channel at fault.
pub fn accumulators(
    graph: &Graph,
    index: usize,
    weights: &Weights,
    zero_point: i32,
    multipliers: &[Multiplier],
) -> Result<(), ProofError> {
    let most = i64::from(i32::MAX) - MARGIN;
    let bounds = accumulator_bounds(weights, zero_point);
    for (channel, (bound, multiplier)) in bounds.iter().zip(multipliers).enumerate() {
        let operator = || graph.describe(index);
        if bound.partial > most {
            let bound = bound.partial;
            return Err(ProofError::Accumulator {
                operator: operator(),
                channel,
                bound,
            });
        }
        let (bound, shift) = (bound.magnitude(), multiplier.shift);
        // In i64: the bound is below 2^31 and the shift at most 30.
        if bound << shift.max(0) > most {
            return Err(ProofError::Shift {
                operator: operator(),
                channel,
                bound,
                shift,
            });
        }
    }
    Ok(())
}

/// Proves that the arena and the stack of an inference fit beside the firmware.
///
/// # Errors
/// [`ProofError::Ram`].
pub fn ram(graph: &Graph, plan: &crate::MemoryPlan, target: &Target) -> Result<(), ProofError> {
    let (arena, stack) = (plan.arena_bytes as u64, u64::from(STACK_BYTES));
    let firmware = target.firmware_ram_bytes;
    let needed = arena.saturating_add(stack).saturating_add(firmware);
    if needed <= target.ram_bytes {
        return Ok(());
    }
    Err(ProofError::Ram {
        target: target.name.clone(),
        missing: needed - target.ram_bytes,
        arena,
        stack,
        firmware,
        available: target.ram_bytes,
        operator: graph.describe(plan.peak_operator),
        live: plan.live_bytes as u64,
    })
}

/// Proves that an image of `image` bytes fits a model slot.
///
/// # Errors
/// [`ProofError::Flash`].
pub fn flash(graph: &Graph, image: usize, target: &Target) -> Result<(), ProofError> {
    let image = image as u64;
    if image <= target.model_slot_bytes {
        return Ok(());
    }
    let constants = graph.operators.iter().map(constant_bytes);
    let (operator, constants) = constants
        .enumerate()
        // The first of several equal ones.
        .max_by_key(|&(index, bytes)| (bytes, std::cmp::Reverse(index)))
        .unwrap_or_default();
    Err(ProofError::Flash {
        target: target.name.clone(),
        missing: image - target.model_slot_bytes,
        image,
        available: target.model_slot_bytes,
        operator: graph.describe(operator),
        constants,
    })
}

/// Weights, and per output channel bias, multiplier (4 bytes each) and shift.
fn constant_bytes(operator: &Operator) -> u64 {
    operator
        .kind
        .weights()
        .map_or(0, |w| (w.values.len() + 9 * w.bias.len()) as u64)
}

#[cfg(test)]
mod tests;
