//! Constants of layers: weights symmetric in int8, biases in units of the accumulator.

use edge_compiler::prepare::Quantisation;

use super::builder::{Builder, Lowered};
use crate::calibrate::between;
use crate::constant::{Constant, Data, round_half_even};

/// The least scale of real weights, for channels that are 0 throughout.
const LEAST_SCALE: f32 = 1e-9;
/// Greatest bias of a channel of real weights, in its own units: its scale grows until it fits.
const MOST_BIAS: f32 = 1e9;

/// Weights of a layer, in the order of its operator in TFLite.
pub(super) struct Weights {
    values: Vec<i8>,
    scales: Vec<f32>,
    bias: Vec<i32>,
}

/// Weights and biases of a layer with `channels` outputs, which dimension `along` of the weights
/// counts. Real weights get a scale for each channel.
pub(super) fn weights(
    constant: &Constant,
    along: usize,
    bias: Option<&Constant>,
    input: Quantisation,
) -> Lowered<Weights> {
    let channels = constant.shape.get(along).copied().unwrap_or(0);
    let inner: usize = constant.shape.iter().skip(along + 1).product();
    let channel_of = |index: usize| (index / inner.max(1)) % channels.max(1);
    let real_bias = match bias {
        None => vec![0.0; channels],
        Some(bias) if bias.len() == channels => bias.floats(),
        Some(bias) if bias.len() == 1 => vec![bias.floats()[0]; channels],
        Some(bias) => {
            let found = &bias.shape;
            return Err(format!(
                "a bias of shape {found:?} for {channels} output channels"
            ));
        }
    };
    let (values, scales) = match &constant.data {
        Data::Quantised {
            values,
            scales,
            axis,
        } => {
            if scales.len() != 1 && (*axis != along || scales.len() != channels) {
                return Err(format!(
                    "its weights have {} scales along dimension {axis}: only output channels can \
                     have scales of their own",
                    scales.len()
                ));
            }
            let narrow: Result<Vec<i8>, _> = values.iter().map(|&v| i8::try_from(v)).collect();
            let narrow = narrow.map_err(
                |_| "its weights are not symmetric int8: quantise them as int8 with zero point 0",
            )?;
            (narrow, scales.clone())
        }
        Data::Float(reals) => {
            let mut greatest = vec![0.0_f32; channels];
            for (index, real) in reals.iter().enumerate() {
                if !real.is_finite() {
                    return Err("its weights are not finite".into());
                }
                let most = &mut greatest[channel_of(index)];
                *most = most.max(real.abs());
            }
            let scales: Vec<f32> = greatest
                .iter()
                .zip(&real_bias)
                .map(|(most, bias)| {
                    let holding = (bias.abs() / input.scale) / MOST_BIAS;
                    (most / 127.0).max(holding).max(LEAST_SCALE)
                })
                .collect();
            let quantise = |(index, real): (usize, &f32)| {
                round_half_even(real / scales[channel_of(index)]).clamp(-127.0, 127.0) as i8
            };
            (reals.iter().enumerate().map(quantise).collect(), scales)
        }
        Data::Integer(_) => return Err("its weights are plain integers".into()),
    };
    let bias: Lowered<Vec<i32>> = (0..channels)
        .map(|channel| {
            let scale = if scales.len() == 1 {
                scales[0]
            } else {
                scales[channel]
            };
            match bias.map(|bias| &bias.data) {
                None => Ok(0),
                // Quantised in these very units: no rounding may get in between.
                Some(Data::Quantised {
                    values,
                    scales: own,
                    ..
                }) if values.len() == channels => {
                    let own = if own.len() == 1 { own[0] } else { own[channel] };
                    let unit = f64::from(input.scale) * f64::from(scale);
                    let ratio = f64::from(own) / unit;
                    if (ratio - 1.0).abs() < 1e-5 {
                        return Ok(values[channel]);
                    }
                    in_units(f64::from(values[channel]) * f64::from(own), unit)
                }
                Some(_) => in_units(
                    real_bias[channel].into(),
                    f64::from(input.scale) * f64::from(scale),
                ),
            }
        })
        .collect();
    Ok(Weights {
        values,
        scales,
        bias: bias?,
    })
}

fn in_units(real: f64, unit: f64) -> Lowered<i32> {
    let rounded = (real / unit).round_ties_even();
    if rounded.abs() > f64::from(i32::MAX) || rounded.is_nan() {
        return Err("a bias is too large for its weights' scale".into());
    }
    Ok(rounded as i32)
}

impl Builder<'_> {
    /// Tensors of weights in `shape`, whose output channels lie along `along`, and of biases.
    pub fn layer(&mut self, shape: &[usize], weights: Weights, along: usize) -> [usize; 2] {
        let Weights {
            values,
            scales,
            bias,
        } = weights;
        [
            self.constants(shape, &values, scales, 0, along),
            self.integers(&[bias.len()], &bias),
        ]
    }
}

/// A constant operand of an operator on activations: int8 values with one scale and zero point.
pub(super) fn operand(constant: &Constant) -> Lowered<(Vec<i8>, Quantisation)> {
    if let Data::Quantised { values, scales, .. } = &constant.data {
        let &[scale] = &scales[..] else {
            return Err("a constant input with several scales".into());
        };
        // The zero point is already subtracted: 0, or any other that leads into int8, will do.
        let least = values.iter().copied().min().unwrap_or(0);
        let fits = values.iter().all(|&value| i8::try_from(value).is_ok());
        let zero_point = if fits {
            0
        } else {
            (-128_i32).saturating_sub(least)
        };
        let shifted = values
            .iter()
            .map(|&v| i8::try_from(v.saturating_add(zero_point)).ok());
        let shifted: Option<Vec<i8>> = shifted.collect();
        let shifted = shifted.filter(|_| (-128..=127).contains(&zero_point));
        let shifted = shifted.ok_or("a constant input that is not int8 or uint8")?;
        return Ok((shifted, Quantisation { scale, zero_point }));
    }
    let reals = constant.floats();
    if reals.iter().any(|real| !real.is_finite()) {
        return Err("a constant input that is not finite".into());
    }
    let least = reals.iter().copied().fold(0.0, f32::min);
    let most = reals.iter().copied().fold(0.0, f32::max);
    let q = between(least, most);
    let quantise = |real: &f32| {
        let value = round_half_even(real / q.scale) as i32;
        value.saturating_add(q.zero_point).clamp(-128, 127) as i8
    };
    Ok((reals.iter().map(quantise).collect(), q))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_come_into_int8() {
        let of = |values: Vec<i32>| {
            operand(&Constant {
                shape: vec![values.len()],
                data: Data::Quantised {
                    values,
                    scales: vec![0.5],
                    axis: 0,
                },
            })
        };
        let zero = |z| Quantisation {
            scale: 0.5,
            zero_point: z,
        };
        assert_eq!(of(vec![-128, 127]), Ok((vec![-128, 127], zero(0))));
        assert_eq!(of(vec![0, 255]), Ok((vec![-128, 127], zero(-128))));
        assert_eq!(of(vec![-255, 0]), Ok((vec![-128, 127], zero(127))));
        assert!(of(vec![-255, 255]).is_err());
    }

    #[test]
    fn biases_keep_their_units() {
        let constant = Constant {
            shape: vec![2, 1],
            data: Data::Float(vec![127.0, -63.5]),
        };
        let bias = Constant {
            shape: vec![2],
            data: Data::Float(vec![1.0, 2.0]),
        };
        let input = Quantisation {
            scale: 0.5,
            zero_point: 3,
        };
        let found = weights(&constant, 0, Some(&bias), input).unwrap();
        assert_eq!(found.values, [127, -127]);
        assert_eq!(found.scales, [1.0, 0.5]);
        assert_eq!(found.bias, [2, 8]);
    }
}
