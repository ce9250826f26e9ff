//! Operators that remember: UNIDIRECTIONAL_SEQUENCE_LSTM and SVDF. Each sequence of a batch gets an
//! operator and states of its own.

use super::ReferenceRounding;
use super::builder::{Lowered, Lowering, check_batch};
use crate::graph::{Lstm, LstmGate, OperatorKind, Role, Svdf, Tensor, TensorId, Weights};
use crate::import::tflite::{
    self, ElementType, FusedActivation, Operator, UnidirectionalSequenceLstm,
};
use crate::prepare::Quantisation;
use crate::strided::{self, Dimension};

// Inputs of UNIDIRECTIONAL_SEQUENCE_LSTM; gates in the order input, forget, cell, output.
const INPUT_WEIGHTS: usize = 1;
const RECURRENT_WEIGHTS: usize = 5;
const PEEPHOLES: std::ops::Range<usize> = 9..12;
const BIASES: usize = 12;
const PROJECTION: std::ops::Range<usize> = 16..18;
const OUTPUT_STATE: usize = 18;
const CELL_STATE: usize = 19;
const NORMALISATION: std::ops::Range<usize> = 20..24;
/// Of the intermediate tensors the one before the output.
const HIDDEN: usize = 4;

impl Lowering<'_, '_> {
    pub fn lstm(&mut self, operator: &Operator, options: &UnidirectionalSequenceLstm) -> Lowered {
        if self.rounding == ReferenceRounding::Tflm {
            return Err(
                "TensorFlow Lite Micro's arithmetic differs from LiteRT's here, and only \
                        LiteRT's is known: import with LiteRT's rounding"
                    .into(),
            );
        }
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        for (what, mut inputs) in [
            ("peepholes", PEEPHOLES),
            ("a projection", PROJECTION),
            ("layer normalisation", NORMALISATION),
        ] {
            if inputs.any(|index| self.optional(operator, index).is_some()) {
                return Err(what.into());
            }
        }
        if self.optional(operator, INPUT_WEIGHTS).is_none() {
            return Err("an input gate coupled to the forget gate".into());
        }
        if options.activation != FusedActivation::Tanh || options.diagonal_recurrent_tensors {
            return Err(format!(
                "activation {:?} or diagonal weights",
                options.activation
            ));
        }
        let &[first, second, depth] = self.shape(input) else {
            return Err(format!(
                "an input of shape {:?}: three are needed",
                self.shape(input)
            ));
        };
        let (steps, batch) = if options.time_major {
            (first, second)
        } else {
            (second, first)
        };
        check_batch(batch)?;
        let lstm = self.lstm_constants(operator, options)?;
        let cells = lstm.cells();
        if self.shape(output) != [first, second, cells] {
            return Err(format!("an output of shape {:?}", self.shape(output)));
        }
        let hidden_like = self.quantisation(self.argument(operator, OUTPUT_STATE)?)?;
        let cell = self.argument(operator, CELL_STATE)?;
        let cell_like = self.wide_quantisation(cell)?;
        let name = self.source(output).name.clone();
        let run = |lowering: &mut Self, x: TensorId, y: TensorId| {
            let hidden = lowering.state(&name, [1, 1, 1, cells], hidden_like, false);
            let cell = lowering.state(&name, [1, 1, 1, cells], cell_like, true);
            let kind = OperatorKind::Lstm(Box::new(lstm.clone()));
            lowering.push(kind, vec![x, hidden, cell], y);
        };
        if batch == 1 {
            let x = self.shaped(input, [1, 1, steps, depth])?;
            let y = self.output_as(output, [1, 1, steps, cells])?;
            run(self, x, y);
            return Ok(());
        }
        let (x, y) = (self.activation(input)?, self.output(output)?);
        for sequence in 0..batch {
            let own = self.temporary(&name, [1, 1, steps, depth], self.quantisation_of(x));
            let result = self.temporary(&name, [1, 1, steps, cells], self.quantisation_of(y));
            // Elements from one step to the next, and from one sequence to the next.
            let strides = |len: usize| match options.time_major {
                true => (batch * len, len),
                false => (len, steps * len),
            };
            let part = |len: usize, reads: bool| {
                let (step, next) = strides(len);
                let of = |outside: usize| if reads { outside } else { len } as isize;
                let to = |outside: usize| if reads { len } else { outside } as isize;
                let rows = Dimension {
                    size: steps,
                    input: of(step),
                    output: to(step),
                };
                let row = Dimension {
                    size: len,
                    input: 1,
                    output: 1,
                };
                let start = sequence * next;
                let (from, into) = if reads { (start, 0) } else { (0, start) };
                strided::copy(&[rows, row], from, into)
            };
            self.copy("SPLIT", part(depth, true), x, own)?;
            run(self, own, result);
            self.copy("CONCATENATION", part(cells, false), result, y)?;
        }
        Ok(())
    }

    fn lstm_constants(
        &self,
        operator: &Operator,
        options: &UnidirectionalSequenceLstm,
    ) -> Lowered<Lstm> {
        let hidden = operator.intermediates.get(HIDDEN).copied().flatten();
        let hidden =
            hidden.ok_or("it has no intermediate tensor 4, which says the hidden scale")?;
        let Quantisation { scale, zero_point } = self.quantisation(hidden)?;
        Ok(Lstm {
            input_gate: self.gate(operator, 0)?,
            forget_gate: self.gate(operator, 1)?,
            cell_gate: self.gate(operator, 2)?,
            output_gate: self.gate(operator, 3)?,
            hidden_scale: scale,
            hidden_zero_point: zero_point,
            cell_clip: options.cell_clip,
        })
    }

    fn gate(&self, operator: &Operator, gate: usize) -> Lowered<LstmGate> {
        let matrix = |index: usize, bias: Option<usize>| {
            let weights = self.argument(operator, index + gate)?;
            let rows = self.shape(weights).first().copied().unwrap_or(0);
            self.whole_scale(weights, bias, rows)
        };
        let from_input = matrix(INPUT_WEIGHTS, self.optional(operator, BIASES + gate))?;
        let from_hidden = matrix(RECURRENT_WEIGHTS, None)?;
        Ok(LstmGate {
            input_scale: from_input.scale(0),
            input_weights: from_input.values,
            recurrent_scale: from_hidden.scale(0),
            recurrent_weights: from_hidden.values,
            bias: from_input.bias,
        })
    }

    /// Weights with one scale for all rows.
    fn whole_scale(&self, weights: usize, bias: Option<usize>, rows: usize) -> Lowered<Weights> {
        let found = self.weights(weights, bias, rows, 0, self.bytes(weights)?)?;
        match found.scales.len() {
            1 => Ok(found),
            scales => Err(format!("{} has {scales} scales", self.name(weights))),
        }
    }

    /// The quantisation of a 16-bit tensor, which is symmetric.
    fn wide_quantisation(&self, tensor: usize) -> Lowered<Quantisation> {
        let source: &tflite::Tensor<'_> = self.source(tensor);
        match (source.element, &source.scales[..], &source.zero_points[..]) {
            (ElementType::Int16, &[scale], [0]) if scale.is_normal() && scale > 0.0 => {
                Ok(Quantisation {
                    scale,
                    zero_point: 0,
                })
            }
            _ => {
                let (name, element) = (self.name(tensor), source.element);
                Err(format!(
                    "{name} has elements of type {element:?}: symmetric Int16 is needed"
                ))
            }
        }
    }

    fn state(&mut self, name: &str, shape: [usize; 4], like: Quantisation, wide: bool) -> TensorId {
        let Quantisation { scale, zero_point } = like;
        self.tensors.push(Tensor {
            name: format!("{name}/state"),
            shape,
            scale,
            zero_point,
            role: Role::State { wide },
        });
        self.tensors.len() - 1
    }

    pub fn svdf(&mut self, operator: &Operator, options: &tflite::Svdf) -> Lowered {
        let (input, output) = (self.argument(operator, 0)?, self.result(operator)?);
        let (feature, time) = (self.argument(operator, 1)?, self.argument(operator, 2)?);
        let state = self.argument(operator, 4)?;
        if !matches!(
            options.activation,
            FusedActivation::None | FusedActivation::Relu
        ) {
            return Err(format!("the fused activation {:?}", options.activation));
        }
        let (&[filters, depth], &[time_filters, memory]) = (self.shape(feature), self.shape(time))
        else {
            return Err("weights of other than two dimensions".into());
        };
        let &[batch, input_depth] = self.shape(input) else {
            return Err(format!(
                "an input of shape {:?}: two are needed",
                self.shape(input)
            ));
        };
        let units = filters.checked_div(options.rank).unwrap_or(0);
        if input_depth != depth
            || time_filters != filters
            || units * options.rank != filters
            || self.shape(output) != [batch, units]
        {
            return Err("shapes that do not go together".into());
        }
        check_batch(batch)?;
        let weights = self.whole_scale(feature, None, filters)?;
        let bias = match self.optional(operator, 3) {
            None => vec![0; units],
            Some(bias) if self.source(bias).element == ElementType::Int32 => {
                let wide = self.integers(bias)?;
                wide.into_iter().map(|b| b as i32).collect()
            }
            Some(bias) => return Err(format!("{} is not Int32", self.name(bias))),
        };
        let time_scale = self.wide_quantisation(time)?.scale;
        let words = self.source(time).data.unwrap_or_default();
        let time_weights = words
            .as_chunks()
            .0
            .iter()
            .map(|&word| i16::from_le_bytes(word));
        let svdf = Svdf {
            rank: options.rank,
            feature_scale: weights.scale(0),
            feature_weights: weights.values,
            time_scale,
            time_weights: time_weights.collect(),
            bias,
        };
        let state_like = self.wide_quantisation(state)?;
        let name = self.source(output).name.clone();
        let (x, y) = (self.activation(input)?, self.output(output)?);
        for sequence in 0..batch {
            let (own, result) = if batch == 1 {
                (x, y)
            } else {
                let own = self.temporary(&name, [1, 1, 1, depth], self.quantisation_of(x));
                let result = self.temporary(&name, [1, 1, 1, units], self.quantisation_of(y));
                self.cut_run(x, sequence * depth, own)?;
                (own, result)
            };
            let state = self.state(&name, [1, 1, filters, memory], state_like, true);
            let kind = OperatorKind::Svdf(Box::new(svdf.clone()));
            self.push(kind, vec![own, state], result);
            if batch > 1 {
                self.place_run(result, y, sequence * units)?;
            }
        }
        Ok(())
    }
}
