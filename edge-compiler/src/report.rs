//! What an image holds, in words and for scripts. Everything is read from the image itself, so
//! that it can be asked of any image, whoever wrote it.

use std::fmt::{self, Display, Write};

use edge_runtime::Model;
use edge_runtime::format::{Header, NO_TENSOR, OperatorRecord, opcode, packing, rounding};
use edge_runtime::kernels::{find, native, operator_name};
use serde::Serialize;

use crate::plan::Lifetime;

/// What `dunlin inspect` prints.
pub fn describe(model: &Model<'_>) -> String {
    Summary::of(model).to_string()
}

/// An image at a glance; [`Display`] gives the text for people.
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
    /// Index of the input tensor.
    pub input: usize,
    /// Index of the output tensor.
    pub output: usize,
    /// All tensors, by index.
    pub tensors: Vec<Tensor>,
    /// All operators, in the order of execution.
    pub operators: Vec<Operator>,
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
    /// Index of the tensor it reads.
    pub input: u16,
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
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Weights, biases, multipliers and shifts in flash.
    pub constant_bytes: u64,
}

impl Summary {
    /// Reads it from a loaded image.
    pub fn of(model: &Model<'_>) -> Self {
        let header = model.header();
        let pipeline = model.features();
        let lifetimes = lifetimes(model);
        let tensors = model.tensors().zip(lifetimes).map(|(tensor, live)| Tensor {
            shape: tensor.shape,
            bytes: tensor.len,
            offset: tensor.arena_offset,
            live,
            scale: tensor.scale,
            zero_point: tensor.zero_point,
        });
        let tensors: Vec<Tensor> = tensors.collect();
        let operators = model
            .operators()
            .iter()
            .map(|o| operator(o, &tensors))
            .collect();
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
            input: header.input.into(),
            output: header.output.into(),
            tensors,
            operators,
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

fn lifetimes(model: &Model<'_>) -> Vec<Option<Lifetime>> {
    let mut found: Vec<Option<Lifetime>> = vec![None; model.tensors().count()];
    let mut extend = |tensor: u16, at: usize| {
        if let Some(lifetime) = found.get_mut(usize::from(tensor)) {
            let lifetime = lifetime.get_or_insert(Lifetime {
                first: at,
                last: at,
            });
            lifetime.last = lifetime.last.max(at);
        }
    };
    model.input_indices().for_each(|input| extend(input, 0));
    for (index, operator) in model.operators().iter().enumerate() {
        let inputs = operator.inputs.iter().filter(|&&input| input != NO_TENSOR);
        inputs.for_each(|&input| extend(input, index));
        extend(operator.output, index);
    }
    let end = model.operators().len();
    model
        .output_indices()
        .for_each(|output| extend(output, end));
    found
}

fn operator(record: &OperatorRecord, tensors: &[Tensor]) -> Operator {
    let [_, height, width, channels] = tensors
        .get(usize::from(record.output))
        .map_or([0; 4], |t| t.shape)
        .map(u64::from);
    let weights = u64::from(record.weights_len);
    let (macs, channels) = match record.opcode {
        opcode::FULLY_CONNECTED => (weights, channels),
        opcode::CONV_2D => (weights * height * width, channels),
        _ => (0, 0),
    };
    let kernel = find(native(), record.opcode, record.packing);
    let set = kernel.map_or("none", |kernel| kernel.instruction_set);
    let packed = if record.packing == packing::CANONICAL {
        "canonical"
    } else {
        "unknown"
    };
    Operator {
        operator: operator_name(record.opcode).unwrap_or("unknown").into(),
        input: record.inputs[0],
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
        kernel: format!("{set}/{packed}"),
        macs,
        // Bias and multiplier have 4 bytes, the shift has one.
        constant_bytes: weights + 9 * channels,
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "image    {} bytes, sha256 {}",
            grouped(self.image_bytes),
            self.hash
        )?;
        writeln!(f, "graph    sha256 {}", self.graph_hash)?;
        let (arena, stack) = (grouped(self.arena_bytes), grouped(self.stack_bytes));
        writeln!(
            f,
            "needs    {arena} bytes of arena, {stack} of stack, {} MACs",
            grouped(self.macs)
        )?;
        let Features {
            kind,
            window,
            bands,
            sample_rate_hz,
        } = &self.features;
        write!(f, "features {kind}, window {window}")?;
        if *bands > 0 {
            write!(f, ", {bands} bands")?;
        }
        if *sample_rate_hz > 0.0 {
            write!(f, ", {sample_rate_hz} Hz")?;
        }
        writeln!(f, "; {} monitored for drift", self.monitored_features)?;
        writeln!(f, "labels   {}", self.labels.join(", "))?;
        if !self.metadata.is_empty() {
            writeln!(
                f,
                "metadata {}",
                self.metadata.trim_end().replace('\n', "\n         ")
            )?;
        }
        self.write_operators(f)?;
        self.write_arena(f)?;
        writeln!(f, "\nFlash")?;
        for Part { part, bytes } in &self.flash {
            writeln!(f, "  {part:<16} {:>10}", grouped(*bytes))?;
        }
        Ok(())
    }
}

impl Summary {
    fn shape(&self, tensor: u16) -> String {
        match self.tensors.get(usize::from(tensor)) {
            Some(Tensor {
                shape: [_, h, w, c],
                ..
            }) => format!("t{tensor} {h}x{w}x{c}"),
            None => format!("t{tensor}"),
        }
    }

    fn write_operators(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "operator", "input", "output", "window", "rounding", "kernel",
        ];
        let [name, input, output, window, rounding, kernel] = head;
        writeln!(
            f,
            "\n   # {name:<16} {input:<15} {output:<15} {window:<9} {rounding:<9} {kernel:<20} \
             {:>10} {:>9}",
            "MACs", "constants"
        )?;
        for (index, o) in self.operators.iter().enumerate() {
            let [rows, columns] = o.window;
            let [down, right] = o.stride;
            let window = match o.window {
                [1, 1] if o.stride == [1, 1] => "-".into(),
                _ => format!("{rows}x{columns}/{down}x{right}"),
            };
            writeln!(
                f,
                "{index:>4} {:<16} {:<15} {:<15} {window:<9} {:<9} {:<20} {:>10} {:>9}",
                o.operator,
                self.shape(o.input),
                self.shape(o.output),
                o.rounding,
                o.kernel,
                grouped(o.macs),
                grouped(o.constant_bytes)
            )?;
        }
        Ok(())
    }

    /// Offsets downwards, operators to the right, and in each cell the tensor that lives there.
    fn write_arena(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ROWS: usize = 16;
        let step = self.arena_bytes.div_ceil(ROWS).next_multiple_of(16).max(16);
        writeln!(
            f,
            "\nArena, {} bytes a row; columns are operators, cells the tensors that are live",
            grouped(step)
        )?;
        let mut line = format!("{:>10} ", "offset");
        for index in 0..self.operators.len() {
            write!(line, "{index:>5}")?;
        }
        writeln!(f, "{}", line.trim_end())?;
        for start in (0..self.arena_bytes).step_by(step) {
            let mut line = format!("{:>10} ", grouped(start));
            for operator in 0..self.operators.len() {
                match self.tenant(start..start + step, operator) {
                    Some(tensor) => write!(line, "{:>5}", format!("t{tensor}"))?,
                    None => write!(line, "{:>5}", ".")?,
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// The tensor with the most bytes in a range of the arena during an operator. Of those that
    /// share a place (a RESHAPE and its input) the last one written.
    fn tenant(&self, range: std::ops::Range<usize>, operator: usize) -> Option<usize> {
        let at = Lifetime {
            first: operator,
            last: operator,
        };
        let inside = |tensor: &Tensor| {
            let end = (tensor.offset + tensor.bytes).min(range.end);
            end.saturating_sub(tensor.offset.max(range.start))
        };
        self.tensors
            .iter()
            .enumerate()
            .filter(|(_, tensor)| tensor.live.is_some_and(|live| live.overlaps(&at)))
            .map(|(index, tensor)| (inside(tensor), index))
            .filter(|&(bytes, _)| bytes > 0)
            .max()
            .map(|(_, index)| index)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `12,345`.
fn grouped(n: impl Display) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
