//! SVDF with int8 activations and weights and a 16-bit state: LiteRT's integer kernel.

use crate::kernels::reference::runs;
use core::cell::Cell;

use super::requantise::{Rounding, limit};
use super::state::State16;

/// Settings of [`svdf`]. `rank` filters make one unit.
#[derive(Clone, Copy, Debug)]
pub struct Svdf<'a> {
    /// Elements of the input.
    pub inputs: usize,
    /// Filters of a unit.
    pub rank: usize,
    /// Steps that a filter remembers, this one included.
    pub memory: usize,
    /// `[filter][input]`.
    pub feature_weights: &'a [i8],
    /// One for each filter: minus the input's zero point times the sum of its weights.
    pub feature_bias: &'a [i32],
    /// `[filter][memory]`, the oldest step first.
    pub time_weights: &'a [i16],
    /// One for each unit.
    pub bias: &'a [i32],
    /// Scales a sum over the input to the state: see [`Rounding::Double`].
    pub state_multiplier: i32,
    /// As `state_multiplier`.
    pub state_shift: i8,
    /// Scales a sum over the state to the output: see [`Rounding::Double`].
    pub output_multiplier: i32,
    /// As `output_multiplier`.
    pub output_shift: i8,
    /// Of the output, -128..=127.
    pub zero_point: i32,
}

/// One step: every filter remembers one more `feature_weights · input` and forgets the oldest, every
/// unit is the sum of `time_weights · state` over its filters. LiteRT ignores a fused activation
/// here.
///
/// `state` is `[filter][memory]`, the oldest first, filled with zero where a sequence begins; `output`
/// has one element for each unit. The whole input is read before any output is written.
pub fn svdf(settings: &Svdf<'_>, input: &[Cell<i8>], state: State16<'_>, output: &[Cell<i8>]) {
    let Svdf {
        inputs,
        rank,
        memory,
        ..
    } = *settings;
    if inputs == 0 || memory == 0 || input.len() < inputs {
        return;
    }
    let last = memory.saturating_sub(1);
    let filters = runs(settings.feature_weights, inputs);
    for (filter, (weights, bias)) in filters.zip(settings.feature_bias).enumerate() {
        let start = filter.saturating_mul(memory);
        for at in start..start.saturating_add(last) {
            state.set(at, state.get(at.saturating_add(1)));
        }
        let acc = input.iter().zip(weights).fold(*bias, |acc, (x, w)| {
            acc.wrapping_add(i32::from(x.get()) * i32::from(*w))
        });
        let (multiplier, shift) = (settings.state_multiplier, settings.state_shift);
        let feature = Rounding::Double.scale(acc, multiplier, shift);
        let feature = feature.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        state.set(start.saturating_add(last), feature);
    }
    for ((unit, y), bias) in output.iter().enumerate().zip(settings.bias) {
        let span = rank.saturating_mul(memory);
        let start = unit.saturating_mul(span);
        let weights = settings.time_weights.get(start..).unwrap_or_default();
        let acc = (start..)
            .zip(weights.iter().take(span))
            .fold(*bias, |acc, (at, w)| {
                acc.wrapping_add(i32::from(state.get(at)) * i32::from(*w))
            });
        let (multiplier, shift) = (settings.output_multiplier, settings.output_shift);
        let value = Rounding::Double.scale(acc, multiplier, shift);
        y.set(limit(
            value.saturating_add(settings.zero_point),
            i8::MIN,
            i8::MAX,
        ));
    }
}
