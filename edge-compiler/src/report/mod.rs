//! What an image holds, in words and for scripts. Everything is read from the image itself, so
//! that it can be asked of any image, whoever wrote it.

pub mod arena;
pub mod cost;
pub mod kernel;
mod macs;
mod svg;
mod text;

use edge_runtime::Model;
use edge_runtime::format::{Header, NO_TENSOR, OperatorRecord, rounding};
use edge_runtime::kernels::operator_name;
use serde::Serialize;

use crate::plan::Lifetime;
use crate::select::InstructionSet;
use crate::source::Source;
use arena::Region;
use cost::Prediction;

pub use svg::svg;

/// What `dunlin inspect` prints.
pub fn describe(model: &Model<'_>) -> String {
    Summary::of(model).to_string()
}

/// An image at a glance; [`std::fmt::Display`] gives the text for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Bytes of the image.
    pub image_bytes: usize,
    /// SHA-256 of the image, in hexadecimal.
    pub hash: String,
    /// SHA-256 of the graph, the same for every target.
    pub graph_hash: String,
    /// Bytes of arena that a session needs.
    pub arena_bytes: usize,
    /// Bound of the stack of one inference, in bytes.
    pub stack_bytes: usize,
    /// Multiply-accumulate operations of one inference.
    pub macs: u32,
    /// What each section takes, the header included.
    pub flash: Vec<Part>,
    /// Feature pipeline.
    pub features: Features,
    /// One for each element of the output.
    pub labels: Vec<String>,
    /// Features that the drift reference covers.
    pub monitored_features: usize,
    /// Indices of the input tensors, in the order of a row.
    pub inputs: Vec<usize>,
    /// Indices of the output tensors, in that order.
    pub outputs: Vec<usize>,
    /// All tensors, by index.
    pub tensors: Vec<Tensor>,
    /// All operators, in the order of execution.
    pub operators: Vec<Operator>,
    /// What lies where in the arena, and when.
    pub arena: Vec<Region>,
    /// What an inference is expected to take on each of the boards that the image is for.
    pub predicted: Vec<Prediction>,
    /// Where the model comes from, if the metadata say so.
    pub source: Option<Source>,
    /// Text that only the host reads.
    pub metadata: String,
}

/// A part of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name.
    pub part: &'static str,
    /// Its bytes, without padding.
    pub bytes: u32,
}

/// The feature pipeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Features {
    /// Its kind.
    pub kind: String,
    /// Samples of one window.
    pub window: usize,
    /// Bands, 0 where the kind has none.
    pub bands: usize,
    /// Samples per second, 0 where it has no meaning.
    pub sample_rate_hz: f32,
}

/// A tensor and its place in the arena.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tensor {
    /// Batch, height, width, channels.
    pub shape: [u16; 4],
    /// Its bytes.
    pub bytes: usize,
    /// First byte in the arena.
    pub offset: usize,
    /// When it is live; `None` for a tensor that no operator names.
    pub live: Option<Lifetime>,
    /// `real = scale * (q - zero_point)`.
    pub scale: f32,
    /// -128..=127.
    pub zero_point: i32,
}

/// An operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operator {
    /// Its name.
    pub operator: String,
    /// The imported model's operator that it stems from: index and name.
    pub source: Option<(usize, String)>,
    /// Index of the tensor it reads; 65535 where it reads none.
    pub input: u16,
    /// Index of the second tensor it reads, if there is one.
    pub second_input: Option<u16>,
    /// Index of the tensor it writes.
    pub output: u16,
    /// Kernel or pool, height and width; `[1, 1]` where there is none.
    pub window: [u16; 2],
    /// Vertical, horizontal.
    pub stride: [u16; 2],
    /// Lowest and highest output.
    pub clamp: [i8; 2],
    /// Rounding mode, `-` where nothing is requantised.
    pub rounding: &'static str,
    /// The kernel that runs it, instruction set and packing: `reference/canonical`.
    pub kernel: String,
    /// Bytes of scratch in the arena.
    pub scratch_bytes: u32,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Weights, tables, biases, multipliers and shifts in flash.
    pub constant_bytes: u64,
}

impl Summary {
    /// Reads it from a loaded image.
    pub fn of(model: &Model<'_>) -> Self {
        let header = model.header();
        let pipeline = model.features();
        let set = kernel::instruction_set(model);
        let source = Source::of(model);
        let lifetimes = arena::lifetimes(model);
        let tensors = model.tensors().zip(lifetimes).map(|(tensor, live)| Tensor {
            shape: tensor.shape,
            bytes: tensor.len * if tensor.is_wide { 2 } else { 1 },
            offset: tensor.arena_offset,
            live,
            scale: tensor.scale,
            zero_point: tensor.zero_point,
        });
        let tensors: Vec<Tensor> = tensors.collect();
        let operator = |(index, record): (usize, &OperatorRecord)| Operator {
            source: source
                .as_ref()
                .and_then(|source| source.operator(index))
                .map(|(index, name)| (index, name.to_owned())),
            ..operator(model, record, set)
        };
        let operators: Vec<Operator> = model.operators().iter().enumerate().map(operator).collect();
        Self {
            image_bytes: model.image_len(),
            hash: hex(model.hash()),
            graph_hash: hex(model.graph_hash()),
            arena_bytes: model.arena_bytes(),
            stack_bytes: model.stack_bytes(),
            macs: model.macs(),
            flash: parts(header),
            features: Features {
                kind: format!("{:?}", pipeline.kind).to_lowercase(),
                window: pipeline.window,
                bands: pipeline.bands,
                sample_rate_hz: pipeline.sample_rate_hz,
            },
            labels: model.labels().map(String::from).collect(),
            monitored_features: model.drift_reference().features(),
            inputs: model.input_indices().map(usize::from).collect(),
            outputs: model.output_indices().map(usize::from).collect(),
            tensors,
            predicted: cost::predict(model, &operators, set),
            operators,
            arena: arena::regions(model),
            source,
            metadata: model.metadata().into(),
        }
    }
}

fn parts(header: &Header) -> Vec<Part> {
    [
        ("header", size_of::<Header>() as u32),
        ("tensors", header.tensors.len),
        ("operators", header.operators.len),
        ("constants", header.constants.len),
        ("features", header.features.len),
        ("labels", header.labels.len),
        ("drift reference", header.drift.len),
        ("self-test", header.self_test.len),
        ("metadata", header.metadata.len),
    ]
    .map(|(part, bytes)| Part { part, bytes })
    .into()
}

fn operator(model: &Model<'_>, record: &OperatorRecord, set: InstructionSet) -> Operator {
    let [first, second] = record.inputs;
    // Bias, multiplier and shift of a channel, where they are not part of the weights.
    let channels = match record.multipliers {
        0 => 0,
        _ => model
            .tensors()
            .nth(record.output.into())
            .unwrap_or_default()
            .shape[3]
            .into(),
    };
    Operator {
        operator: operator_name(record.opcode).unwrap_or("unknown").into(),
        source: None,
        input: first,
        second_input: (second != NO_TENSOR).then_some(second),
        output: record.output,
        window: record.kernel,
        stride: record.stride,
        clamp: [record.clamp_min, record.clamp_max],
        rounding: match record.rounding {
            rounding::DOUBLE => "double",
            rounding::SINGLE => "single",
            rounding::HIGH_32 => "high32",
            _ => "-",
        },
        kernel: kernel::name(record, set),
        scratch_bytes: record.scratch_len,
        macs: macs::of(model, record),
        // Bias and multiplier have 4 bytes, the shift has one.
        constant_bytes: u64::from(record.weights_len) + 9 * channels,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
