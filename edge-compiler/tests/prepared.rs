//! Preparation and reference kernels together against LiteRT's reference kernels, on what
//! `golden/prepared.py` recorded.
//!
//! `golden/prepared.bin` is a run of cases, little-endian: kind (u8), numbers of integers (u16),
//! floats (u16) and tensors (u8), the integers (i32), the floats (f32), then each tensor as its
//! length in bytes (u32) and its bytes. What they mean by kind stands at the functions below; the
//! last tensor is the output.

use core::cell::Cell;
use edge_compiler::prepare::resize::Alignment;
use edge_compiler::prepare::{self, Quantisation, tables};
use edge_runtime::kernels::reference::Window;
use edge_runtime::kernels::reference::add::{add, add_fitted};
use edge_runtime::kernels::reference::average_pool_2d::{AveragePool2d, average_pool_2d};
use edge_runtime::kernels::reference::broadcast::{Broadcast, Operand};
use edge_runtime::kernels::reference::depthwise_conv_2d::{DepthwiseConv2d, depthwise_conv_2d};
use edge_runtime::kernels::reference::lookup::lookup;
use edge_runtime::kernels::reference::mean::{Mean, mean};
use edge_runtime::kernels::reference::mul::mul;
use edge_runtime::kernels::reference::prelu::prelu;
use edge_runtime::kernels::reference::requantise::{Requantise, Rounding};
use edge_runtime::kernels::reference::resize_bilinear::{ResizeBilinear, resize_bilinear};
use edge_runtime::kernels::reference::resize_nearest::{ResizeNearest, resize_nearest};
use edge_runtime::kernels::reference::state::State16;
use edge_runtime::kernels::reference::svdf::{Svdf, svdf};
use edge_runtime::kernels::reference::transpose_conv::{TransposeConv, transpose_conv};
use edge_runtime::kernels::reference::unidirectional_sequence_lstm::{
    Gate, Lstm, unidirectional_sequence_lstm,
};
use edge_runtime::kernels::reference::weights::{Canonical, CanonicalDepthwise};

struct Case {
    kind: u8,
    integers: Vec<i32>,
    floats: Vec<f32>,
    tensors: Vec<Vec<i8>>,
}

fn read(mut bytes: &[u8]) -> Vec<Case> {
    let mut cases = Vec::new();
    while !bytes.is_empty() {
        let mut take = |count: usize| {
            let (taken, rest) = bytes.split_at(count);
            bytes = rest;
            taken
        };
        let kind = take(1)[0];
        let integers = u16::from_le_bytes(take(2).try_into().unwrap());
        let floats = u16::from_le_bytes(take(2).try_into().unwrap());
        let tensors = take(1)[0];
        let word = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).unwrap();
        cases.push(Case {
            kind,
            integers: (0..integers)
                .map(|_| i32::from_le_bytes(word(take(4))))
                .collect(),
            floats: (0..floats)
                .map(|_| f32::from_le_bytes(word(take(4))))
                .collect(),
            tensors: (0..tensors)
                .map(|_| {
                    let len = u32::from_le_bytes(word(take(4))) as usize;
                    take(len).iter().map(|&byte| byte as i8).collect()
                })
                .collect(),
        });
    }
    cases
}

fn cells(values: &mut [i8]) -> &[Cell<i8>] {
    Cell::from_mut(values).as_slice_of_cells()
}

fn quantisation(scale: f32, zero_point: i32) -> Quantisation {
    Quantisation { scale, zero_point }
}

impl Case {
    fn n<const N: usize>(&self, start: usize) -> [usize; N] {
        std::array::from_fn(|i| self.integers[start + i] as usize)
    }

    fn output(&self) -> &[i8] {
        self.tensors.last().unwrap()
    }

    /// Runs a kernel of one input, the last tensor but one.
    fn check(&self, kernel: impl Fn(&[Cell<i8>], &[Cell<i8>])) {
        let mut input = self.tensors[self.tensors.len() - 2].clone();
        let mut output = vec![0; self.output().len()];
        kernel(cells(&mut input), cells(&mut output));
        self.equal(&output);
    }

    fn equal(&self, output: &[i8]) {
        let Self {
            kind,
            integers,
            floats,
            ..
        } = self;
        assert_eq!(output, self.output(), "kind {kind} {integers:?} {floats:?}");
    }

    /// Shape and strides from integer 3 on.
    fn broadcast(&self) -> Broadcast {
        Broadcast {
            shape: self.n(3),
            strides: [self.n(6), self.n(9)],
        }
    }

    /// Three scales and zero points.
    fn quantisations(&self) -> [Quantisation; 3] {
        std::array::from_fn(|i| quantisation(self.floats[i], self.integers[i]))
    }

    /// Runs a kernel of two inputs: the second from the arena and as a constant, the first in place
    /// where it is as long as the output.
    fn check_binary(&self, kernel: impl Fn([Operand<'_>; 2], &[Cell<i8>])) {
        let [x1, x2, _] = &self.tensors[..] else {
            panic!("two inputs, one output");
        };
        let (mut x1, mut x2_copy) = (x1.clone(), x2.clone());
        let mut output = vec![0; self.output().len()];
        let first = cells(&mut x1);
        let second = Operand::Activation(cells(&mut x2_copy));
        kernel([Operand::Activation(first), second], cells(&mut output));
        self.equal(&output);
        if first.len() == output.len() {
            kernel([Operand::Activation(first), Operand::Constant(x2)], first);
            self.equal(&x1);
        }
    }

    /// Zero points and shape as said there, lowest and highest output from integer 12 on; scales.
    /// Returns whether a fitted form was found.
    fn add(&self, subtract: bool) -> bool {
        let [first, second, output] = self.quantisations();
        let [min, max] = [12, 13].map(|i| self.integers[i] as i8);
        let broadcast = self.broadcast();
        let settings =
            prepare::add::add(broadcast, [first, second], output, subtract, min, max).unwrap();
        self.check_binary(|inputs, y| add(&settings, inputs, y));
        let fitted = prepare::add::fitted(&settings);
        if let Some(fitted) = &fitted {
            self.check_binary(|inputs, y| add_fitted(fitted, &broadcast, inputs, y));
        }
        fitted.is_some()
    }

    fn mul(&self) {
        let [first, second, output] = self.quantisations();
        let [min, max] = [12, 13].map(|i| self.integers[i] as i8);
        let settings =
            prepare::mul::mul(self.broadcast(), [first, second], output, min, max).unwrap();
        self.check_binary(|inputs, y| mul(&settings, inputs, y));
    }

    fn prelu(&self) {
        let [input, alpha, output] = self.quantisations();
        let settings = prepare::prelu::prelu(self.broadcast(), input, alpha, output).unwrap();
        self.check_binary(|[x, alpha], y| {
            let Operand::Activation(x) = x else {
                panic!("the input is no constant");
            };
            prelu(&settings, x, alpha, y);
        });
    }

    /// Function, zero points; scales and the slope of LEAKY_RELU. The output for -128..=127.
    fn table(&self) {
        let input = quantisation(self.floats[0], self.integers[1]);
        let output = quantisation(self.floats[1], self.integers[2]);
        let table = match self.integers[0] {
            0 => tables::logistic(input, output),
            1 => tables::tanh(input, output),
            2 => tables::quantize(input, output).unwrap(),
            3 => tables::relu(input, output, 0.0, f32::INFINITY).unwrap(),
            4 => tables::relu(input, output, 0.0, 6.0).unwrap(),
            5 => tables::relu(input, output, -1.0, 1.0).unwrap(),
            6 => tables::leaky_relu(input, output, self.floats[2]).unwrap(),
            7 => tables::hard_swish(input, output).unwrap(),
            other => panic!("no function {other}"),
        };
        self.equal(&table);
        let mut values: Vec<i8> = (-128..=127).collect();
        let values_cells = cells(&mut values);
        lookup(&table, values_cells, values_cells);
        self.equal(&values);
    }

    /// Outer, reduced and inner elements, zero points; scales.
    fn mean(&self) {
        let [outer, reduce, inner] = self.n(0);
        let zero_points = [self.integers[3], self.integers[4]];
        let input = quantisation(self.floats[0], zero_points[0]);
        let output = quantisation(self.floats[1], zero_points[1]);
        let m = prepare::mean::mean(input, output, reduce).unwrap();
        let settings = Mean {
            outer,
            reduce,
            inner,
            multiplier: m.value,
            shift: m.shift,
            zero_points,
        };
        self.check(|x, y| mean(&settings, x, y));
    }

    /// Height, width, channels, height, width of the output, align_corners, half_pixel_centers.
    fn resize(&self) {
        let [height, width, channels, out_height, out_width, align, half] = self.n(0);
        let alignment = Alignment {
            align_corners: align == 1,
            half_pixel_centers: half == 1,
        };
        let input = [height, width, channels];
        if self.kind == 6 {
            let settings = ResizeNearest {
                input,
                rows: &prepare::resize::nearest(height, out_height, alignment).unwrap(),
                columns: &prepare::resize::nearest(width, out_width, alignment).unwrap(),
            };
            self.check(|x, y| resize_nearest(&settings, x, y));
        } else {
            let settings = ResizeBilinear {
                input,
                output: [out_height, out_width],
                vertical: prepare::resize::bilinear(height, out_height, alignment).unwrap(),
                horizontal: prepare::resize::bilinear(width, out_width, alignment).unwrap(),
            };
            self.check(|x, y| resize_bilinear(&settings, x, y));
        }
    }

    fn window(&self) -> Window {
        Window {
            input: self.n(0),
            output: self.n(3),
            kernel: self.n(6),
            stride: self.n(8),
            padding: self.n(10),
            dilation: self.n(12),
        }
    }

    /// The window, zero points, biases; scales of input, output and weights. Weights come first.
    fn convolution(&self) {
        let window = self.window();
        let [zero_in, zero_out] = [self.integers[14], self.integers[15]];
        let (multipliers, shifts): (Vec<_>, Vec<_>) = self.floats[2..]
            .iter()
            .map(|&scale| {
                let real = f64::from(self.floats[0]) * f64::from(scale);
                let m = prepare::multiplier(real / f64::from(self.floats[1])).unwrap();
                (m.value, m.shift)
            })
            .unzip();
        let weights = &self.tensors[0];
        let channels = window.output[2];
        let taps = weights.len() / channels;
        let depthwise = self.kind == 9;
        let weight = |channel: usize, tap: usize| {
            i32::from(if depthwise {
                weights[tap * channels + channel]
            } else {
                weights[channel * taps + tap]
            })
        };
        let bias: Vec<i32> = (0..channels)
            .map(|o| {
                let sum: i32 = (0..taps).map(|tap| weight(o, tap)).sum();
                self.integers[16 + o] - zero_in * sum
            })
            .collect();
        let requantise = Requantise {
            rounding: Rounding::Double,
            zero_point: zero_out,
            min: -128,
            max: 127,
        };
        let pad = zero_in as i8;
        if depthwise {
            let weights = CanonicalDepthwise {
                weights,
                channels,
                bias: &bias,
                multipliers: &multipliers,
                shifts: &shifts,
            };
            let settings = DepthwiseConv2d {
                window,
                pad,
                weights,
                requantise,
            };
            self.check(|x, y| depthwise_conv_2d(&settings, x, y));
        } else {
            let weights = Canonical {
                weights,
                taps,
                bias: &bias,
                multipliers: &multipliers,
                shifts: &shifts,
            };
            let settings = TransposeConv {
                window,
                pad,
                weights,
                requantise,
            };
            self.check(|x, y| transpose_conv(&settings, x, y));
        }
    }

    /// The window, lowest and highest output.
    fn average_pool(&self) {
        let settings = AveragePool2d {
            window: self.window(),
            min: self.integers[14] as i8,
            max: self.integers[15] as i8,
        };
        self.check(|x, y| average_pool_2d(&settings, x, y));
    }

    /// Steps, inputs, cells, whether the input gate is one minus the forget gate, zero points of
    /// input and hidden state, biases of input, forget, cell and output gate; scales of input, hidden
    /// state and cell state, clip, then for each gate the scales of its weights. Weights of each
    /// gate, the inputs of two invocations, the outputs of both.
    fn lstm(&self) {
        let [_, inputs, cells_count, coupled] = self.n(0);
        let [zero_in, zero_hidden] = [self.integers[4], self.integers[5]];
        let [input_scale, hidden_scale, cell_scale, clip] = self.floats[..4] else {
            panic!("four scales");
        };
        let biases: Vec<[Vec<i32>; 2]> = (0..4)
            .map(|gate| {
                let bias = &self.integers[6 + gate * cells_count..][..cells_count];
                let (from_input, from_hidden) =
                    (&self.tensors[2 * gate], &self.tensors[2 * gate + 1]);
                let fold = prepare::lstm::folded_bias;
                [
                    fold(from_input, inputs, bias, zero_in),
                    fold(from_hidden, cells_count, &[], zero_hidden),
                ]
            })
            .collect();
        let gate = |gate: usize| {
            let scales = prepare::lstm::GateScales {
                input_weights: self.floats[4 + 2 * gate],
                recurrent_weights: self.floats[5 + 2 * gate],
            };
            let [input, recurrent] =
                prepare::lstm::gate(scales, input_scale, hidden_scale).unwrap();
            Gate {
                input_weights: &self.tensors[2 * gate],
                input_bias: &biases[gate][0],
                recurrent_weights: &self.tensors[2 * gate + 1],
                recurrent_bias: &biases[gate][1],
                input_multiplier: input.value,
                input_shift: input.shift,
                recurrent_multiplier: recurrent.value,
                recurrent_shift: recurrent.shift,
            }
        };
        let hidden = prepare::lstm::hidden(hidden_scale).unwrap();
        let settings = Lstm {
            inputs,
            cells: cells_count,
            input_gate: (coupled == 0).then(|| gate(0)),
            forget_gate: gate(1),
            cell_gate: gate(2),
            output_gate: gate(3),
            cell_power: prepare::lstm::cell_power(cell_scale).unwrap(),
            cell_clip: prepare::lstm::cell_clip(clip, cell_scale),
            hidden_multiplier: hidden.value,
            hidden_shift: hidden.shift,
            hidden_zero_point: zero_hidden,
        };
        let mut hidden = vec![zero_hidden as i8; cells_count];
        let mut cell = vec![0; 2 * cells_count];
        let (hidden, cell) = (cells(&mut hidden), State16(cells(&mut cell)));
        for run in [0, 1] {
            let mut input = self.tensors[8 + run].clone();
            let expected = &self.tensors[10 + run];
            let mut output = vec![0; expected.len()];
            let (x, y) = (cells(&mut input), cells(&mut output));
            unidirectional_sequence_lstm(&settings, x, hidden, cell, y);
            assert_eq!(&output, expected, "run {run} {:?}", &self.integers[..6]);
        }
    }

    /// Inputs, units, rank, memory, zero points of input and output, biases; scales of input, feature
    /// weights, state, time weights, output. Feature weights, time weights (i16), the inputs of
    /// several invocations, the outputs of all.
    fn svdf(&self) {
        let [inputs, units, rank, memory] = self.n(0);
        let [input, feature, state, time, output] = self.floats[..] else {
            panic!("five scales");
        };
        let [to_state, to_output] =
            prepare::svdf::svdf(input, feature, state, time, output).unwrap();
        let time_weights: Vec<i16> = self.tensors[1]
            .chunks(2)
            .map(|pair| i16::from_le_bytes([pair[0] as u8, pair[1] as u8]))
            .collect();
        let weights = &self.tensors[0];
        let settings = Svdf {
            inputs,
            rank,
            memory,
            feature_weights: weights,
            feature_bias: &prepare::lstm::folded_bias(weights, inputs, &[], self.integers[4]),
            time_weights: &time_weights,
            bias: &self.integers[6..],
            state_multiplier: to_state.value,
            state_shift: to_state.shift,
            output_multiplier: to_output.value,
            output_shift: to_output.shift,
            zero_point: self.integers[5],
        };
        let mut bytes = vec![0; 2 * units * rank * memory];
        let state = State16(cells(&mut bytes));
        let mut actual = Vec::new();
        for x in self.tensors[2].chunks(inputs) {
            let mut y = vec![0; units];
            svdf(&settings, cells(&mut x.to_vec()), state, cells(&mut y));
            actual.extend(y);
        }
        self.equal(&actual);
    }
}

#[test]
fn every_recorded_case_gives_the_same_bytes() {
    let mut seen = [0; 13];
    let mut fitted = 0;
    for case in read(include_bytes!("golden/prepared.bin")) {
        seen[usize::from(case.kind)] += 1;
        match case.kind {
            0 | 1 => fitted += i32::from(case.add(case.kind == 1)),
            2 => case.mul(),
            3 => case.prelu(),
            4 => case.table(),
            5 => case.mean(),
            6 | 7 => case.resize(),
            8 | 9 => case.convolution(),
            10 => case.average_pool(),
            11 => case.lstm(),
            12 => case.svdf(),
            other => panic!("no case of kind {other}"),
        }
    }
    println!("fitted {fitted} of {}", seen[0] + seen[1]);
    assert_eq!(seen, [24, 24, 24, 24, 80, 30, 30, 30, 30, 30, 30, 16, 16]);
}
