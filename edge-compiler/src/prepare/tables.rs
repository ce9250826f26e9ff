//! Functions of one int8 value as tables for the LOOKUP kernel: `table[q + 128]` is the output for
//! input `q`.

use edge_runtime::kernels::reference::requantise::{Rounding, rounding_divide_by_power};

use super::{Quantisation, multiplier};

/// A table for the LOOKUP kernel.
pub type Table = [i8; 256];

fn tabulate(function: impl Fn(i32) -> i32) -> Table {
    std::array::from_fn(|index| function(index as i32 - 128).clamp(-128, 127) as i8)
}

/// `function` in f32 between a dequantisation and a quantisation, both in f32: TFLite's
/// LUTPopulate. The function itself is taken in f64 and rounded, which is what a good libm gives.
fn populate(input: Quantisation, output: Quantisation, function: impl Fn(f32) -> f32) -> Table {
    let inverse = 1.0 / output.scale;
    tabulate(|q| {
        let real = input.scale * (q - input.zero_point) as f32;
        let rescaled = (function(real) * inverse).round();
        (rescaled + output.zero_point as f32) as i32
    })
}

/// LOGISTIC. TFLite demands an output scale of 1/256.
pub fn logistic(input: Quantisation, output: Quantisation) -> Table {
    populate(input, output, |x| 1.0 / (1.0 + f64::from(-x).exp() as f32))
}

/// TANH.
pub fn tanh(input: Quantisation, output: Quantisation) -> Table {
    populate(input, output, |x| f64::from(x).tanh() as f32)
}

/// QUANTIZE from int8 to int8: another scale and zero point.
pub fn quantize(input: Quantisation, output: Quantisation) -> Option<Table> {
    // In f64.
    rescale(
        f64::from(input.scale) / f64::from(output.scale),
        input,
        output,
    )
}

fn rescale(real: f64, input: Quantisation, output: Quantisation) -> Option<Table> {
    let m = multiplier(real)?;
    Some(tabulate(|q| {
        Rounding::Double.scale(q - input.zero_point, m.value, m.shift) + output.zero_point
    }))
}

/// RELU (0, infinite), RELU6 (0, 6), RELU_N1_TO_1 (-1, 1) and RELU_0_TO_1, with a change of scale:
/// outputs limited to the real range `low..=high`.
pub fn relu(input: Quantisation, output: Quantisation, low: f32, high: f32) -> Option<Table> {
    let table = rescale(f64::from(input.scale / output.scale), input, output)?;
    // A cast of a large f32 saturates, also that of infinity.
    let bound =
        |real: f32| ((real / output.scale).round() as i32).saturating_add(output.zero_point);
    let (low, high) = (bound(low), bound(high));
    Some(table.map(|y| i32::from(y).max(low).min(high).clamp(-128, 127) as i8))
}

/// LEAKY_RELU; `alpha` may be negative.
pub fn leaky_relu(input: Quantisation, output: Quantisation, alpha: f32) -> Option<Table> {
    // All in f32.
    let identity = multiplier(f64::from(input.scale / output.scale))?;
    let slope = f64::from(input.scale * alpha / output.scale);
    // The sign of alpha is put back after the rounding.
    let negative = multiplier(slope.abs())?;
    Some(tabulate(|q| {
        let x = q - input.zero_point;
        let scaled = if x >= 0 {
            Rounding::Double.scale(x, identity.value, identity.shift)
        } else {
            let scaled = Rounding::Double.scale(x, negative.value, negative.shift);
            if slope < 0.0 { -scaled } else { scaled }
        };
        scaled.saturating_add(output.zero_point)
    }))
}

/// HARD_SWISH, in TFLite's 16-bit arithmetic. `None` also where it refuses the scales: an output
/// scale of less than about 1/128 of the input's.
pub fn hard_swish(input: Quantisation, output: Quantisation) -> Option<Table> {
    // All in f32.
    let high_resolution = (1.0 / 128.0) * input.scale;
    let output_multiplier = multiplier(f64::from(high_resolution / output.scale))?;
    let relu_multiplier = multiplier(f64::from(high_resolution / (3.0 / 32768.0)))?;
    if output_multiplier.shift > 0 {
        return None;
    }
    let to_output = narrow(output_multiplier.value);
    let to_relu = narrow(relu_multiplier.value);
    let relu_shift = i32::from(relu_multiplier.shift);
    let output_shift = (-i32::from(output_multiplier.shift)).unsigned_abs();
    Some(tabulate(|q| {
        let x = wrap((q - input.zero_point) << 7);
        let on_output_scale = doubling_high_multiply(x, to_output);
        // Left shifts saturate; the last one only after the multiplication.
        let mut gate = x;
        if relu_shift > 0 {
            gate = saturate(i64::from(gate) << (relu_shift - 1));
        }
        gate = doubling_high_multiply(gate, to_relu);
        if relu_shift > 0 {
            gate = saturate(i64::from(gate) << 1);
        }
        if relu_shift < 0 {
            gate = rounding_divide_by_power(gate, relu_shift.unsigned_abs());
        }
        // From -1..1 to 0..1.
        let gate = (gate + (1 << 15)) >> 1;
        // Truncated, which outweighs the bias of the rounding before.
        let product = gate * on_output_scale / (1 << 15);
        wrap(rounding_divide_by_power(product, output_shift) + output.zero_point)
    }))
}

/// The 16 highest bits of a multiplier, rounded.
fn narrow(multiplier: i32) -> i32 {
    if multiplier >= i32::MAX - (1 << 15) {
        return i32::from(i16::MAX);
    }
    (multiplier + (1 << 15)) >> 16
}

fn wrap(x: i32) -> i32 {
    i32::from(x as i16)
}

fn saturate(x: i64) -> i32 {
    x.clamp(i16::MIN.into(), i16::MAX.into()) as i32
}

/// gemmlowp's SaturatingRoundingDoublingHighMul of 16-bit values.
fn doubling_high_multiply(a: i32, b: i32) -> i32 {
    let product = a * b;
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    ((product + nudge) / (1 << 15)).min(i16::MAX.into())
}
