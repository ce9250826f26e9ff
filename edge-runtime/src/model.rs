//! A model image, checked once and read in place.

use crate::features::FeaturePipeline;
use crate::format::{self, BINS, Header, OperatorRecord, SelfTestRecord, TensorRecord};
use crate::kernels::{self, Kernel, cases};
use crate::validate;
use core::fmt;
use sha2::block_api::compress256;

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
    /// All of it: what a run does not need is found again when it is asked for, so that a session
    /// holds little.
    pub(crate) image: &'a [u8],
}

/// Its size and shapes; not the weights.
impl fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("image_len", &self.header.image_len)
            .field("operators", &self.operators.len())
            .field("input", &self.input())
            .field("output", &self.output())
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
        validate::load::<{ cases::ALL }>(bytes, kernels::native())
    }

    /// As [`Model::load`], but the model may need only the kernels given, and runs on them.
    ///
    /// # Errors
    ///
    /// As [`Model::load`]; [`LoadError::Kernels`] says which are missing.
    pub fn load_with(bytes: &'a [u8], kernels: &'static [Kernel]) -> Result<Self, LoadError> {
        validate::load::<{ cases::ALL }>(bytes, kernels)
    }

    /// As [`Model::load_with`], in the [`cases`] given, those of an image: without the checks, and so
    /// without the code for them, of sections that it does not have.
    ///
    /// # Errors
    ///
    /// As [`Model::load_with`]; [`LoadError::Unsupported`] for any byte of such a section.
    pub fn load_in<const CASES: u64>(
        bytes: &'a [u8],
        kernels: &'static [Kernel],
    ) -> Result<Self, LoadError> {
        validate::load::<CASES>(bytes, kernels)
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
        self.tensor(self.header.input)
    }

    /// The first output tensor; one element for each label, if there are labels.
    pub fn output(&self) -> TensorInfo {
        self.tensor(self.header.output)
    }

    /// All input tensors; most models have one.
    pub fn inputs(&self) -> impl Iterator<Item = TensorInfo> + use<'a> {
        self.infos(self.input_indices())
    }

    /// All output tensors; most models have one.
    pub fn outputs(&self) -> impl Iterator<Item = TensorInfo> + use<'a> {
        self.infos(self.output_indices())
    }

    /// The indices of all input tensors.
    pub fn input_indices(&self) -> impl Iterator<Item = u16> + use<'a> {
        let (inputs, _) = self.further();
        core::iter::once(self.header.input).chain(inputs.iter().copied())
    }

    /// The indices of all output tensors.
    pub fn output_indices(&self) -> impl Iterator<Item = u16> + use<'a> {
        let (_, outputs) = self.further();
        core::iter::once(self.header.output).chain(outputs.iter().copied())
    }

    /// Tensor indices of the inputs and of the outputs after the first.
    fn further(&self) -> (&'a [u16], &'a [u16]) {
        validate::further(self.header, self.tensors, self.constants).unwrap_or_default()
    }

    fn infos<I: Iterator<Item = u16>>(
        &self,
        indices: I,
    ) -> impl Iterator<Item = TensorInfo> + use<'a, I> {
        let tensors = self.tensors;
        indices.map(move |index| {
            let record = tensors.get(usize::from(index));
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
        let input = self.input();
        let none = FeaturePipeline::none(input.scale, input.zero_point);
        validate::features(self.image, self.header, &input).unwrap_or(none)
    }

    /// The labels, one for each element of the output, in its order.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        lines(validate::text(self.image, self.header.labels, Part::Labels).unwrap_or_default())
    }

    /// The label of one element of the output; `None` where there is no such element.
    pub fn label(&self, class: usize) -> Option<&'a str> {
        self.labels().nth(class)
    }

    /// What the training data looked like.
    pub fn drift_reference(&self) -> DriftReference<'a> {
        validate::drift(self.image, self.header, &self.input(), &self.output()).unwrap_or_default()
    }

    /// The self-test; [`crate::Session::self_test`] runs it.
    pub fn self_test(&self) -> SelfTestRecord {
        let record = validate::self_test(self.image, self.header);
        record.copied().unwrap_or(SelfTestRecord {
            seed: 0,
            rounds: 0,
            reserved: [0; 2],
            expected: [0; 32],
        })
    }

    /// Text for people, never read by the device.
    pub fn metadata(&self) -> &'a str {
        validate::text(self.image, self.header.metadata, Part::Metadata).unwrap_or_default()
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
    let words = image_hash_words(image)?;
    Some(zerocopy::transmute!(words.map(u32::to_be_bytes)))
}

/// [`image_hash`] as big-endian words.
///
/// Written over blocks, without the buffer of a hash that is fed piece by piece: on a device that takes
/// more flash than the rounds.
#[cfg_attr(target_os = "none", inline(never))]
pub(crate) fn image_hash_words(image: &[u8]) -> Option<[u32; 8]> {
    const BLOCK: usize = 64;
    // FIPS 180-4, 5.3.3.
    let mut state = [
        0x6A09_E667,
        0xBB67_AE85,
        0x3C6E_F372,
        0xA54F_F53A,
        0x510E_527F,
        0x9B05_688C,
        0x1F83_D9AB,
        0x5BE0_CD19,
    ];
    let len = image.len().checked_sub(size_of::<[u8; 32]>())?;
    let message = |at: usize| {
        let place = if at < format::HASH_OFFSET {
            0
        } else {
            size_of::<[u8; 32]>()
        };
        image.get(at.wrapping_add(place)).copied()
    };
    if len < format::HASH_OFFSET {
        return None;
    }
    // 5.1.1: after the message a bit, zeros, and its length in bits.
    let bits = (len as u64).wrapping_mul(8).to_be_bytes();
    let (mut start, mut is_last) = (0_usize, false);
    while !is_last {
        let end = start.wrapping_add(BLOCK);
        let length = end.wrapping_sub(bits.len());
        is_last = len < length;
        // Behind the hash whole blocks lie in the image as they are.
        let whole = image.get(start.wrapping_add(size_of::<[u8; 32]>())..);
        let whole = whole
            .and_then(<[u8]>::first_chunk::<BLOCK>)
            .filter(|_| start > 0);
        if let Some(block) = whole {
            compress256(&mut state, core::slice::from_ref(block));
        } else {
            let block: [u8; BLOCK] = core::array::from_fn(|index| {
                let at = start.wrapping_add(index);
                match message(at) {
                    Some(byte) => byte,
                    None if at == len => 0x80,
                    None if is_last => at
                        .checked_sub(length)
                        .and_then(|i| bits.get(i))
                        .copied()
                        .unwrap_or(0),
                    None => 0,
                }
            });
            compress256(&mut state, core::slice::from_ref(&block));
        }
        start = end;
    }
    Some(state)
}

#[cfg(test)]
mod tests {
    use super::image_hash;
    use sha2::{Digest, Sha256};
    use std::vec::Vec;

    #[test]
    fn the_hash_is_that_of_the_bytes_around_it() {
        let bytes: Vec<u8> = (0..400_u32).map(|i| (i * 7 + 3) as u8).collect();
        for len in 0..bytes.len() {
            let image = &bytes[..len];
            let expected = (len >= 48).then(|| {
                let mut hash = Sha256::new();
                hash.update(&image[..16]);
                hash.update(&image[48..]);
                <[u8; 32]>::from(hash.finalize())
            });
            assert_eq!(image_hash(image), expected, "{len}");
        }
    }
}
