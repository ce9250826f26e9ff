//! What each operator must give, written from the definitions alone: zero points subtracted where
//! they stand, sums in i64, requantisation as exact fractions in i128, softmax in f64.

use edge_compiler::{
    Activation, Convolution, Graph, OperatorKind, Padding, RoundingMode, Tensor, Weights,
};

/// The output of every operator in its order, for one input. Each reads what the graph says it
/// reads; a softmax's values may be off by one.
pub fn run(graph: &Graph, input: &[i8]) -> Vec<Vec<i8>> {
    let mut values = vec![Vec::new(); graph.tensors.len()];
    values[graph.input] = input.to_vec();
    let mut outputs = Vec::new();
    for operator in &graph.operators {
        let (from, to) = (
            &graph.tensors[operator.inputs[0]],
            &graph.tensors[operator.output],
        );
        let x = &values[operator.inputs[0]];
        let y = match &operator.kind {
            OperatorKind::FullyConnected {
                weights,
                activation,
                rounding,
            } => fully_connected(x, from, to, weights, *activation, *rounding),
            OperatorKind::Conv2d(_) => conv_2d(x, from, to, &operator.kind),
            OperatorKind::MaxPool2d {
                kernel,
                stride,
                padding,
                activation: Activation::None,
            } => max_pool(x, from, to, *kernel, *stride, *padding),
            OperatorKind::Reshape => x.clone(),
            OperatorKind::Softmax { .. } => softmax(x, from),
            OperatorKind::Activation(activation) => x
                .iter()
                .map(|&q| clamp(i64::from(q), to, *activation))
                .collect(),
            other => panic!("the random graphs of these tests have no {}", other.name()),
        };
        values[operator.output] = y.clone();
        outputs.push(y);
    }
    outputs
}

fn clamp(q: i64, to: &Tensor, activation: Activation) -> i8 {
    let step = |real: f32| i64::from(to.zero_point) + (real / to.scale).round() as i64;
    let (low, high) = match activation {
        Activation::None => (-128, 127),
        Activation::Relu => (step(0.0), 127),
        Activation::Relu6 => (step(0.0), step(6.0)),
        Activation::ReluN1To1 => (step(-1.0), step(1.0)),
    };
    q.max(low).min(high).clamp(-128, 127) as i8
}

/// `floor(a / b + 1/2)`.
fn nearest(a: i128, b: i128) -> i128 {
    (2 * a + b).div_euclid(2 * b)
}

/// `a / b`, halves away from zero.
fn nearest_away(a: i128, b: i128) -> i128 {
    a.signum() * nearest(a.abs(), b)
}

/// The accumulator as a quantised output, before the clamp.
fn requantise(acc: i64, real: f64, rounding: RoundingMode, to: &Tensor) -> i64 {
    let scaled = match rounding {
        // As LiteRT's FULLY_CONNECTED: one product in double precision, halves away from zero.
        RoundingMode::Single => (acc as f64 * real).round() as i128,
        RoundingMode::Double => {
            // real = m * 2^(s-31) with m in 2^30..2^31.
            let mut s = -60i32;
            while real >= 2f64.powi(s) {
                s += 1;
            }
            let mut m = (real * 2f64.powi(31 - s)).round() as i128;
            if m == 1 << 31 {
                (m, s) = (1 << 30, s + 1);
            }
            if s < -31 {
                (m, s) = (0, 0);
            }
            let acc = i128::from(acc);
            let high = nearest((acc << s.max(0)) * m, 1 << 31);
            nearest_away(high, 1 << (-s).max(0))
        }
        RoundingMode::High32 => {
            let mut s = 0;
            while (real * 2f64.powi(32 - s)).round() >= 2f64.powi(31) {
                s += 1;
            }
            let m = (real * 2f64.powi(32 - s)).round() as i128;
            nearest((i128::from(acc) << s) * m, 1 << 32)
        }
    };
    let y = scaled as i64 + i64::from(to.zero_point);
    // However it is rounded, it is the real product to within a step, and half a unit of the
    // multiplier: 31 bits, but only 2^-32 of one in `High32`.
    let exact = acc as f64 * real + f64::from(to.zero_point);
    let slack = 1.0 + acc.abs() as f64 * (real * 1e-6 + 2f64.powi(-33));
    assert!((y as f64 - exact).abs() <= slack, "{acc} * {real} gave {y}");
    y
}

fn real(from: &Tensor, to: &Tensor, weights: &Weights, channel: usize, dense: bool) -> f64 {
    let scale = weights.scales[if weights.scales.len() == 1 {
        0
    } else {
        channel
    }];
    if dense && weights.scales.len() == 1 {
        return f64::from(from.scale * scale) / f64::from(to.scale);
    }
    f64::from(from.scale) * f64::from(scale) / f64::from(to.scale)
}

fn fully_connected(
    x: &[i8],
    from: &Tensor,
    to: &Tensor,
    weights: &Weights,
    activation: Activation,
    rounding: RoundingMode,
) -> Vec<i8> {
    let row = |o: usize| {
        let taps = &weights.values[o * x.len()..][..x.len()];
        let products = x.iter().zip(taps);
        let sum: i64 = products
            .map(|(&x, &w)| (i64::from(x) - i64::from(from.zero_point)) * i64::from(w))
            .sum();
        let acc = sum + i64::from(weights.bias[o]);
        clamp(
            requantise(acc, real(from, to, weights, o, true), rounding, to),
            to,
            activation,
        )
    };
    (0..weights.bias.len()).map(row).collect()
}

/// Rows above or columns left of the input.
fn before(padding: Padding, input: usize, output: usize, kernel: usize, stride: usize) -> i64 {
    match padding {
        Padding::Valid => 0,
        Padding::Explicit { .. } => panic!("the random graphs of these tests have none"),
        Padding::Same => {
            let total = ((output - 1) * stride + kernel) as i64 - input as i64;
            total.max(0) / 2
        }
    }
}

/// The element at a place that may lie outside.
fn at(x: &[i8], [_, h, w, c]: [usize; 4], row: i64, column: i64, channel: usize) -> Option<i8> {
    let inside = (0..h as i64).contains(&row) && (0..w as i64).contains(&column);
    inside.then(|| x[(row as usize * w + column as usize) * c + channel])
}

fn conv_2d(x: &[i8], from: &Tensor, to: &Tensor, kind: &OperatorKind) -> Vec<i8> {
    let OperatorKind::Conv2d(Convolution {
        weights,
        kernel,
        stride,
        padding,
        dilation,
        activation,
        rounding,
    }) = kind
    else {
        panic!("{kind:?} is no convolution");
    };
    let reach = [0, 1].map(|axis| (kernel[axis] - 1) * dilation[axis] + 1);
    let [_, height, width, depth] = from.shape;
    let [_, rows, columns, channels] = to.shape;
    let top = before(*padding, height, rows, reach[0], stride[0]);
    let left = before(*padding, width, columns, reach[1], stride[1]);
    let mut y = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            for o in 0..channels {
                let mut acc = i64::from(weights.bias[o]);
                for i in 0..kernel[0] {
                    for j in 0..kernel[1] {
                        for c in 0..depth {
                            let r = (row * stride[0] + i * dilation[0]) as i64 - top;
                            let s = (column * stride[1] + j * dilation[1]) as i64 - left;
                            let tap = ((o * kernel[0] + i) * kernel[1] + j) * depth + c;
                            // Outside the input is a real zero.
                            let x = at(x, from.shape, r, s, c)
                                .map_or(0, |x| i64::from(x) - i64::from(from.zero_point));
                            acc += x * i64::from(weights.values[tap]);
                        }
                    }
                }
                let q = requantise(acc, real(from, to, weights, o, false), *rounding, to);
                y.push(clamp(q, to, *activation));
            }
        }
    }
    y
}

fn max_pool(
    x: &[i8],
    from: &Tensor,
    to: &Tensor,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> Vec<i8> {
    let [_, height, width, _] = from.shape;
    let [_, rows, columns, channels] = to.shape;
    let top = before(padding, height, rows, kernel[0], stride[0]);
    let left = before(padding, width, columns, kernel[1], stride[1]);
    let mut y = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            for channel in 0..channels {
                let pool = (0..kernel[0]).flat_map(|i| (0..kernel[1]).map(move |j| (i, j)));
                let values = pool.filter_map(|(i, j)| {
                    let r = (row * stride[0] + i) as i64 - top;
                    let s = (column * stride[1] + j) as i64 - left;
                    at(x, from.shape, r, s, channel)
                });
                y.push(values.max().expect("every pool holds an element"));
            }
        }
    }
    y
}

fn softmax(x: &[i8], from: &Tensor) -> Vec<i8> {
    let row = |row: &[i8]| -> Vec<i8> {
        let real = |&q: &i8| (f64::from(from.scale) * f64::from(q)).exp();
        // Scaled down by the greatest, so that no exponential overflows.
        let most = row.iter().max().map_or(1.0, real);
        let parts: Vec<f64> = if most.is_finite() && most > 0.0 {
            row.iter().map(|q| real(q) / most).collect()
        } else {
            let most = f64::from(*row.iter().max().unwrap());
            row.iter()
                .map(|&q| (f64::from(from.scale) * (f64::from(q) - most)).exp())
                .collect()
        };
        let sum: f64 = parts.iter().sum();
        let quantise =
            |part: f64| ((part / sum * 256.0).round() - 128.0).clamp(-128.0, 127.0) as i8;
        parts.into_iter().map(quantise).collect()
    };
    x.chunks(from.shape[3]).flat_map(row).collect()
}
