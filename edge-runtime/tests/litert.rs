//! The reference kernels against LiteRT's reference kernels, on what `golden/litert.py` recorded.
//!
//! `golden/litert.bin` is a run of cases, little-endian. A softmax is `3u8`, channels, multiplier,
//! left shift, smallest difference, length, then input and output. The others are `1u8` (fully
//! connected), `2u8` (convolution) or `4u8` (pool), then fourteen words: input height, width,
//! depth, output height, width, channels, kernel, stride, padding, dilation; for 1 and 2 follow
//! the zero points of input and output, folded biases, multipliers, shifts and weights; then input
//! and output.

use edge_runtime::kernels::reference::Window;
use edge_runtime::kernels::reference::conv_2d::{Conv2d, conv_2d};
use edge_runtime::kernels::reference::fully_connected::{FullyConnected, fully_connected};
use edge_runtime::kernels::reference::max_pool_2d::{MaxPool2d, max_pool_2d};
use edge_runtime::kernels::reference::requantise::{Requantise, Rounding};
use edge_runtime::kernels::reference::softmax::{Softmax, softmax};
use edge_runtime::kernels::reference::weights::Canonical;
use std::cell::Cell;

fn cells(values: &mut [i8]) -> &[Cell<i8>] {
    Cell::from_mut(values).as_slice_of_cells()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    fn word(&mut self) -> i32 {
        i32::from_le_bytes(self.bytes(4).try_into().unwrap())
    }

    fn words(&mut self, count: usize) -> Vec<i32> {
        (0..count).map(|_| self.word()).collect()
    }

    fn i8s(&mut self, count: usize) -> Vec<i8> {
        self.bytes(count).iter().map(|byte| *byte as i8).collect()
    }

    fn softmax(&mut self) {
        let settings = Softmax {
            channels: self.word() as usize,
            multiplier: self.word(),
            left_shift: self.word() as u32,
            smallest_difference: self.word(),
        };
        let len = self.word() as usize;
        let (mut input, expected) = (self.i8s(len), self.i8s(len));
        let mut output = vec![0; len];
        softmax(&settings, cells(&mut input), cells(&mut output));
        assert_eq!(output, expected, "{settings:?}");
    }

    fn windowed(&mut self, kind: u8) {
        let numbers = self.words(14);
        let n: Vec<usize> = numbers.iter().map(|n| *n as usize).collect();
        let window = Window {
            input: [n[0], n[1], n[2]],
            output: [n[3], n[4], n[5]],
            kernel: [n[6], n[7]],
            stride: [n[8], n[9]],
            padding: [n[10], n[11]],
            dilation: [n[12], n[13]],
        };
        let input_len = n[0] * n[1] * n[2];
        let mut output = vec![0; n[3] * n[4] * n[5]];
        if kind == 4 {
            let mut input = self.i8s(input_len);
            let settings = MaxPool2d {
                window,
                min: -128,
                max: 127,
            };
            max_pool_2d(&settings, cells(&mut input), cells(&mut output));
        } else {
            let (zero_in, zero_out) = (self.word(), self.word());
            let (bias, multipliers) = (self.words(n[5]), self.words(n[5]));
            let shifts = self.i8s(n[5]);
            let weights = self.i8s(n[5] * n[6] * n[7] * n[2]);
            let mut input = self.i8s(input_len);
            let requantise = Requantise {
                // What LiteRT does, operator by operator.
                rounding: if kind == 1 {
                    Rounding::Single
                } else {
                    Rounding::Double
                },
                zero_point: zero_out,
                min: -128,
                max: 127,
            };
            let weights = Canonical {
                weights: &weights,
                taps: n[6] * n[7] * n[2],
                bias: &bias,
                multipliers: &multipliers,
                shifts: &shifts,
            };
            if kind == 1 {
                let settings = FullyConnected {
                    inputs: n[2],
                    outputs: n[5],
                    weights,
                    requantise,
                };
                fully_connected(&settings, cells(&mut input), cells(&mut output));
            } else {
                let settings = Conv2d {
                    window,
                    pad: zero_in as i8,
                    weights,
                    requantise,
                };
                conv_2d(&settings, cells(&mut input), cells(&mut output));
            }
        }
        assert_eq!(output, self.i8s(output.len()), "kind {kind}, {window:?}");
    }
}

#[test]
fn every_recorded_case_gives_the_same_bytes() {
    let mut reader = Reader(include_bytes!("golden/litert.bin"));
    let mut seen = [0; 5];
    while !reader.0.is_empty() {
        let kind = reader.bytes(1)[0];
        seen[usize::from(kind)] += 1;
        match kind {
            3 => reader.softmax(),
            1 | 2 | 4 => reader.windowed(kind),
            other => panic!("no case of kind {other}"),
        }
    }
    assert_eq!(seen, [0, 6, 18, 49, 12]);
}
