//! What an inference is expected to take, before anything is run.
//!
//! An operator takes `per_step · steps + per_output · outputs + per_gathered · gathered + fixed`
//! instructions. Steps are its multiply-accumulate operations; of a pool, MEAN or COPY the elements that
//! it looks at. Gathered are the elements that a convolution lays out before it multiplies: those of a
//! window, for each output pixel. The figures are a least-squares fit (of relative errors, none of
//! them below zero) to the layers of MLPerf Tiny's four models and of some hundred small ones of one to
//! ten layers, the former with twenty times the weight, compiled for speed and for size and counted
//! under QEMU on one board of each instruction set. The Cortex-M4, M7 and M33 run the same kernels and
//! differ by less than 0.1 %. Borders and remainders of channels are not in it: a single layer may be
//! off by a quarter, a whole model by [`ERROR`], a model of a few thousand instructions by half. What
//! few models use has figures of fewer layers, see `rates::OTHERS`.

mod rates;

use edge_runtime::Model;
use edge_runtime::format::opcode;
use serde::Serialize;

use super::Operator;
use crate::select::InstructionSet;

/// The greatest relative error of the prediction of one of MLPerf Tiny's models; most are within 0.02.
pub const ERROR: f64 = 0.1;

/// What an inference is expected to take on a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prediction {
    /// The board.
    pub board: String,
    /// Of all operators that there are figures for.
    pub instructions: u64,
    /// Of each operator; `None` where there is no figure for its kernel.
    pub layers: Vec<Option<u64>>,
    /// Operators that there is no figure for.
    pub unknown: Vec<usize>,
}

/// The emulated boards and the kernels that they have.
const BOARDS: [(&str, InstructionSet); 5] = [
    ("mps2-an385", InstructionSet::Portable),
    ("mps2-an386", InstructionSet::Dsp),
    ("mps2-an500", InstructionSet::Dsp),
    ("mps2-an505", InstructionSet::Dsp),
    ("mps3-an547", InstructionSet::Mve),
];

/// What a kernel takes.
struct Rate {
    operator: &'static str,
    kernel: &'static str,
    per_step: f64,
    per_output: f64,
    per_gathered: f64,
    fixed: f64,
}

/// What a rate is multiplied with.
struct Work {
    steps: u64,
    outputs: u64,
    gathered: u64,
}

/// Predictions for all boards that have the kernels of an image.
pub fn predict(model: &Model<'_>, operators: &[Operator], set: InstructionSet) -> Vec<Prediction> {
    let rates = match set {
        InstructionSet::Portable => rates::PORTABLE,
        InstructionSet::Dsp => rates::DSP,
        InstructionSet::Mve => rates::MVE,
        _ => return Vec::new(),
    };
    let records = model.operators().iter().zip(operators);
    let layers: Vec<Option<u64>> = records
        .map(|(record, operator)| {
            let tensor = |index: u16| model.tensors().nth(index.into()).unwrap_or_default();
            let output = tensor(operator.output);
            let outputs = output.len as u64;
            let window: u64 = operator.window.iter().map(|&n| u64::from(n)).product();
            let steps = match record.opcode {
                opcode::AVERAGE_POOL_2D | opcode::MAX_POOL_2D => outputs * window,
                opcode::MEAN => tensor(operator.input).len as u64,
                opcode::COPY => outputs.min(tensor(operator.input).len as u64),
                _ => operator.macs,
            };
            let gathered = match record.opcode {
                opcode::CONV_2D => operator.macs / u64::from(output.shape[3]).max(1),
                _ => 0,
            };
            let work = Work {
                steps,
                outputs,
                gathered,
            };
            instructions(rates, operator, &work)
        })
        .collect();
    let unknown = (0..layers.len()).filter(|&index| layers[index].is_none());
    let unknown: Vec<usize> = unknown.collect();
    let instructions = layers.iter().flatten().sum();
    let boards = BOARDS.iter().filter(|(_, of_board)| *of_board == set);
    boards
        .map(|(board, _)| Prediction {
            board: (*board).into(),
            instructions,
            layers: layers.clone(),
            unknown: unknown.clone(),
        })
        .collect()
}

/// `None` where there is no figure for the kernel.
fn instructions(rates: &[Rate], operator: &Operator, work: &Work) -> Option<u64> {
    let found = |rate: &&Rate| rate.operator == operator.operator && rate.kernel == operator.kernel;
    let rate = rates.iter().chain(rates::OTHERS).find(found)?;
    let sum = rate.per_step * work.steps as f64
        + rate.per_output * work.outputs as f64
        + rate.per_gathered * work.gathered as f64
        + rate.fixed;
    Some(sum.round() as u64)
}
