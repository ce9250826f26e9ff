//! A model image, checked once and read in place.

use crate::features::FeaturePipeline;
use crate::format::{self, BINS, Header, OperatorRecord, SelfTestRecord, TensorRecord};
use crate::kernels::{self, Kernel};
use crate::validate;
use core::fmt;
use sha2::{Digest, Sha256};

pub use crate::validate::{DriftFault, FeatureFault, LoadError, OperatorFault, Part, TensorFault};

/// A checked model image, borrowed from wherever it lies (flash, a file in memory).
///
/// Every accessor is total: what it reads was checked by [`Model::load`].
#[derive(Clone, Copy)]
pub struct Model<'a> {
    pub(crate) header: &'a Header,
    pub(crate) tensors: &'a [TensorRecord],
    pub(crate) operators: &'a [OperatorRecord],
    pub(crate) constants: &'a [u8],
    pub(crate) kernels: &'static [Kernel],
    pub(crate) further_inputs: &'a [u16],
    pub(crate) further_outputs: &'a [u16],
    pub(crate) features: FeaturePipeline<'a>,
    pub(crate) labels: &'a str,
    pub(crate) drift: DriftReference<'a>,
    pub(crate) self_test: SelfTestRecord,
    pub(crate) metadata: &'a str,
    pub(crate) input: TensorInfo,
    pub(crate) output: TensorInfo,
}

/// Its size and shapes; not the weights.
impl fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("image_len", &self.header.image_len)
            .field("operators", &self.operators.len())
            .field("input", &self.input)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

/// One tensor of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TensorInfo {
    /// Batch (always 1), height, width, channels.
    pub shape: [u16; 4],
    /// Elements, the product of `shape`; of one byte each, but see [`TensorInfo::is_wide`].
    pub len: usize,
    /// `real = scale * (q - zero_point)`; finite and above zero.
    pub scale: f32,
    /// -128..=127.
    pub zero_point: i32,
    /// First byte in the arena (of a constant: in the constants), a multiple of
    /// [`format::ALIGNMENT`].
    pub arena_offset: usize,
    /// Whether its elements have 16 bits: the cell of an LSTM, the past of an SVDF.
    pub is_wide: bool,
    /// One of [`format::storage`].
    pub storage: u32,
}

impl TensorInfo {
    pub(crate) fn of(record: &TensorRecord) -> Self {
        Self {
            shape: record.shape,
            len: record.len as usize,
            scale: record.scale,
            zero_point: record.zero_point,
            arena_offset: record.arena_offset as usize,
            is_wide: record.element == format::element::I16,
            storage: record.storage,
        }
    }

    /// Height, width, channels.
    pub(crate) fn hwc(&self) -> [usize; 3] {
        let [_, height, width, channels] = self.shape;
        [height.into(), width.into(), channels.into()]
    }
}

impl<'a> Model<'a> {
    /// Checks an image and borrows it.
    ///
    /// `bytes` starts on a 16-byte boundary and may be longer than the image, as a flash slot is.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the first part that is; nothing of a refused image is used.
    pub fn load(bytes: &'a [u8]) -> Result<Self, LoadError> {
        validate::load(bytes, kernels::native())
    }

    /// As [`Model::load`], but the model may need only the kernels given, and runs on them.
    ///
    /// # Errors
    ///
    /// As [`Model::load`]; [`LoadError::Kernels`] says which are missing.
    pub fn load_with(bytes: &'a [u8], kernels: &'static [Kernel]) -> Result<Self, LoadError> {
        validate::load(bytes, kernels)
    }

    /// Length of the image in bytes; what follows it in the slice given to [`Model::load`] is not
    /// part of it.
    pub fn image_len(&self) -> usize {
        self.header.image_len as usize
    }

    /// SHA-256 of the image, which names it.
    pub fn hash(&self) -> &'a [u8; 32] {
        &self.header.hash
    }

    /// SHA-256 of the graph, the same for every target that it was compiled for.
    pub fn graph_hash(&self) -> &'a [u8; 32] {
        &self.header.graph_hash
    }

    /// The kernels it needs: bits of [`format::kernel_set`].
    pub fn kernel_set(&self) -> u32 {
        self.header.kernel_set
    }

    /// Bytes of arena that a session needs.
    pub fn arena_bytes(&self) -> usize {
        self.header.arena_bytes as usize
    }

    /// The compiler's bound of the stack that [`crate::Session::run`] uses, in bytes.
    pub fn stack_bytes(&self) -> usize {
        self.header.stack_bytes as usize
    }

    /// Multiply-accumulate operations of one inference, padding included.
    pub fn macs(&self) -> u32 {
        self.header.macs
    }

    /// The first input tensor.
    pub fn input(&self) -> TensorInfo {
        self.input
    }

    /// The first output tensor; one element for each label, if there are labels.
    pub fn output(&self) -> TensorInfo {
        self.output
    }

    /// All input tensors; most models have one.
    pub fn inputs(&self) -> impl Iterator<Item = TensorInfo> + use<'a> {
        core::iter::once(self.input).chain(self.infos(self.further_inputs))
    }

    /// All output tensors; most models have one.
    pub fn outputs(&self) -> impl Iterator<Item = TensorInfo> + use<'a> {
        core::iter::once(self.output).chain(self.infos(self.further_outputs))
    }

    /// The indices of all input tensors.
    pub fn input_indices(&self) -> impl Iterator<Item = u16> + use<'a> {
        core::iter::once(self.header.input).chain(self.further_inputs.iter().copied())
    }

    /// The indices of all output tensors.
    pub fn output_indices(&self) -> impl Iterator<Item = u16> + use<'a> {
        core::iter::once(self.header.output).chain(self.further_outputs.iter().copied())
    }

    fn infos(&self, indices: &'a [u16]) -> impl Iterator<Item = TensorInfo> + use<'a> {
        let tensors = self.tensors;
        indices.iter().map(move |index| {
            let record = tensors.get(usize::from(*index));
            record.map(TensorInfo::of).unwrap_or_default()
        })
    }

    /// The kernels that it runs on.
    pub fn kernels(&self) -> &'static [Kernel] {
        self.kernels
    }

    /// All tensors, by index.
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo> + use<'a> {
        self.tensors.iter().map(TensorInfo::of)
    }

    /// The operators in the order of execution.
    pub fn operators(&self) -> &'a [OperatorRecord] {
        self.operators
    }

    /// The feature pipeline, ready to fill the input tensor.
    pub fn features(&self) -> FeaturePipeline<'a> {
        self.features
    }

    /// The labels, one for each element of the output, in its order.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        lines(self.labels)
    }

    /// The label of one element of the output; `None` where there is no such element.
    pub fn label(&self, class: usize) -> Option<&'a str> {
        self.labels().nth(class)
    }

    /// What the training data looked like.
    pub fn drift_reference(&self) -> DriftReference<'a> {
        self.drift
    }

    /// The self-test; [`crate::Session::self_test`] runs it.
    pub fn self_test(&self) -> SelfTestRecord {
        self.self_test
    }

    /// Text for people, never read by the device.
    pub fn metadata(&self) -> &'a str {
        self.metadata
    }

    /// The header as it lies in the image, for tools that show where the bytes go.
    pub fn header(&self) -> &'a Header {
        self.header
    }

    pub(crate) fn tensor(&self, index: u16) -> TensorInfo {
        self.tensors
            .get(usize::from(index))
            .map(TensorInfo::of)
            .unwrap_or_default()
    }
}

/// Bin edges and reference counts of the training windows.
#[derive(Clone, Copy, Debug, Default)]
pub struct DriftReference<'a> {
    pub(crate) windows: u32,
    /// Per feature 15 ascending edges and a zero.
    pub(crate) edges: &'a [[i8; BINS]],
    pub(crate) counts: &'a [[u32; BINS]],
    pub(crate) confidence: Option<&'a [u32; BINS]>,
    pub(crate) classes: &'a [u32],
}

static NO_EDGES: [i8; BINS] = [0; BINS];
static NO_COUNTS: [u32; BINS] = [0; BINS];

impl<'a> DriftReference<'a> {
    /// Monitored features: none, or as many as the input has elements.
    pub fn features(&self) -> usize {
        self.edges.len()
    }

    /// Windows that were counted.
    pub fn windows(&self) -> u32 {
        self.windows
    }

    /// The 15 ascending edges of one feature and a zero byte; all zero where it is not monitored.
    pub fn edges(&self, feature: usize) -> &'a [i8; BINS] {
        self.edges.get(feature).unwrap_or(&NO_EDGES)
    }

    /// Windows per bin of one feature; all zero where it is not monitored.
    pub fn counts(&self, feature: usize) -> &'a [u32; BINS] {
        self.counts.get(feature).unwrap_or(&NO_COUNTS)
    }

    /// Windows per bin of the greatest output, see [`crate::monitor::confidence_bin`].
    pub fn confidence(&self) -> &'a [u32; BINS] {
        self.confidence.unwrap_or(&NO_COUNTS)
    }

    /// Windows per predicted class, one count for each element of the output.
    pub fn classes(&self) -> &'a [u32] {
        self.classes
    }
}

/// The lines of a text whose last one is ended too. Not by `str::split`, whose search brings the
/// machinery of a panic along.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    bytes
        .strip_suffix(b"\n")
        .unwrap_or(bytes)
        .split(|byte| *byte == b'\n')
        .take(if bytes.is_empty() { 0 } else { usize::MAX })
        .map(|line| core::str::from_utf8(line).unwrap_or_default())
}

/// The hash that belongs in [`Header::hash`]: SHA-256 over the 16 bytes before that field and all
/// bytes after it. `None` where `image` is shorter than that field ends.
pub fn image_hash(image: &[u8]) -> Option<[u8; 32]> {
    let before = image.get(..format::HASH_OFFSET)?;
    let after = image.get(format::HASH_OFFSET.checked_add(32)?..)?;
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(after);
    Some(hash.finalize().into())
}
