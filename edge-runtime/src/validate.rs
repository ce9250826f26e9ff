//! Everything that [`Model::load`] checks, in the order in which it does.

mod error;
mod plan;
mod utf8;

pub use error::{DriftFault, FeatureFault, LoadError, OperatorFault, Part, TensorFault};

use crate::features::{FeatureKind, FeaturePipeline};
use crate::format::{
    ALIGNMENT, BINS, DriftHeader, FORMAT_MAJOR, FORMAT_MINOR, FeatureHeader, Header, MAGIC,
    OperatorRecord, Section, SelfTestRecord, TensorRecord, element, kernel_set, storage,
};
use crate::kernels::{self, Kernel, cases};
use crate::model::{DriftReference, Model, TensorInfo, image_hash_words};
use crate::operator::Call;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Most operators of an image: bounds the check of the plan, which is quadratic.
pub const MAX_OPERATORS: usize = 1024;

/// In these [`cases`] of sections.
pub(crate) fn load<'a, const CASES: u64>(
    bytes: &'a [u8],
    kernels: &'static [Kernel],
) -> Result<Model<'a>, LoadError> {
    let header = header(bytes)?;
    let image = bytes
        .get(..header.image_len as usize)
        .ok_or(LoadError::Truncated {
            needed: header.image_len as usize,
        })?;
    let words = image_hash_words(image).ok_or(LoadError::Hash)?;
    let (named, _) = header.hash.as_chunks();
    if !named
        .iter()
        .zip(words)
        .all(|(bytes, word)| u32::from_be_bytes(*bytes) == word)
    {
        return Err(LoadError::Hash);
    }
    if header.reserved != 0 || header.reserved_tail != 0 {
        return Err(LoadError::Reserved);
    }

    let tensors: &[TensorRecord] = records(image, header.tensors, Part::Tensors)?;
    let constants = section(image, header.constants, Part::Constants)?;
    check_tensors(tensors, header.arena_bytes, constants)?;
    let is_state = |tensor: &TensorRecord| tensor.storage == storage::STATE;
    if CASES & cases::STATES == 0 && tensors.iter().any(is_state) {
        return Err(LoadError::Unsupported(Part::Tensors));
    }
    let tensor = |index: u16, part| {
        tensors
            .get(usize::from(index))
            .map(TensorInfo::of)
            .ok_or(LoadError::Section(part))
    };
    let input = tensor(header.input, Part::Tensors)?;
    let output = tensor(header.output, Part::Tensors)?;

    let (further_inputs, further_outputs) = if CASES & cases::FURTHER == 0 {
        if header.further_inputs | header.further_outputs != 0 || header.further != 0 {
            return Err(LoadError::Unsupported(Part::Tensors));
        }
        Default::default()
    } else {
        further(header, tensors, constants)?
    };
    let operators: &[OperatorRecord] = records(image, header.operators, Part::Operators)?;
    check_operators(header, tensors, operators, constants, kernels)?;
    plan::check(&plan::Plan::<CASES> {
        header,
        tensors,
        operators,
        further_inputs,
        further_outputs,
    })?;

    if CASES & cases::FEATURES == 0 {
        check_absent(image, header.features, Part::Features)?;
    } else {
        check_features(&features(image, header, &input)?)?;
    }
    if CASES & cases::LABELS == 0 {
        check_absent(image, header.labels, Part::Labels)?;
    } else {
        check_labels(checked_text(image, header.labels, Part::Labels)?, &output)?;
    }
    if CASES & cases::DRIFT == 0 {
        check_absent(image, header.drift, Part::Drift)?;
    } else {
        check_drift(&drift(image, header, &input, &output)?)?;
    }
    self_test(image, header)?;
    if CASES & cases::METADATA == 0 {
        check_absent(image, header.metadata, Part::Metadata)?;
    } else {
        checked_text(image, header.metadata, Part::Metadata)?;
    }
    Ok(Model {
        header,
        kernels,
        tensors,
        operators,
        constants,
        image,
    })
}

fn header(bytes: &[u8]) -> Result<&Header, LoadError> {
    if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
        return Err(LoadError::Misaligned);
    }
    let needed = size_of::<Header>();
    // Something else is no image that was cut off.
    if bytes.first_chunk().is_some_and(|magic| *magic != MAGIC) {
        return Err(LoadError::Magic);
    }
    let (header, _) =
        Header::ref_from_prefix(bytes).map_err(|_| LoadError::Truncated { needed })?;
    if header.format_major != FORMAT_MAJOR || header.format_minor > FORMAT_MINOR {
        return Err(LoadError::Version {
            major: header.format_major,
            minor: header.format_minor,
        });
    }
    let len = header.image_len as usize;
    if len < needed || !len.is_multiple_of(ALIGNMENT) {
        return Err(LoadError::Length);
    }
    Ok(header)
}

/// The bytes of a section, if it lies behind the header, inside the image and is aligned.
fn section(image: &[u8], section: Section, part: Part) -> Result<&[u8], LoadError> {
    found(image, section.offset, section.len).ok_or(LoadError::Section(part))
}

/// A section without any bytes: for more this program has no checks.
fn check_absent(image: &[u8], at: Section, part: Part) -> Result<(), LoadError> {
    if section(image, at, part)?.is_empty() {
        return Ok(());
    }
    Err(LoadError::Unsupported(part))
}

#[inline(never)]
fn found(image: &[u8], start: u32, len: u32) -> Option<&[u8]> {
    let start = start as usize;
    if start < size_of::<Header>() || !start.is_multiple_of(ALIGNMENT) {
        return None;
    }
    image.get(start..)?.get(..len as usize)
}

fn records<T: FromBytes + Immutable + KnownLayout>(
    image: &[u8],
    at: Section,
    part: Part,
) -> Result<&[T], LoadError> {
    <[T]>::ref_from_bytes(section(image, at, part)?).map_err(|_| LoadError::Section(part))
}

pub(crate) fn text(image: &[u8], at: Section, part: Part) -> Result<&str, LoadError> {
    core::str::from_utf8(section(image, at, part)?).map_err(|_| LoadError::Text(part))
}

/// The bytes of a text, if they are one.
fn checked_text(image: &[u8], at: Section, part: Part) -> Result<&[u8], LoadError> {
    let bytes = section(image, at, part)?;
    utf8::is_text(bytes)
        .then_some(bytes)
        .ok_or(LoadError::Text(part))
}

/// The tensor indices of the inputs and outputs after the first.
pub(crate) fn further<'a>(
    header: &Header,
    tensors: &[TensorRecord],
    constants: &'a [u8],
) -> Result<(&'a [u16], &'a [u16]), LoadError> {
    let inputs = usize::from(header.further_inputs);
    let count = inputs.saturating_add(header.further_outputs.into());
    let malformed = LoadError::Section(Part::Tensors);
    if !header.further.is_multiple_of(4) || (count == 0 && header.further != 0) {
        return Err(malformed);
    }
    let indices = constants
        .get(header.further as usize..)
        .and_then(|rest| rest.get(..count.saturating_mul(2)))
        .and_then(|bytes| <[u16]>::ref_from_bytes(bytes).ok())
        .ok_or(malformed)?;
    let known = |index: &u16| tensors.get(usize::from(*index)).is_some();
    if !indices.iter().all(known) {
        return Err(malformed);
    }
    indices.split_at_checked(inputs).ok_or(malformed)
}

fn check_tensors(
    tensors: &[TensorRecord],
    arena_bytes: u32,
    constants: &[u8],
) -> Result<(), LoadError> {
    for (index, tensor) in tensors.iter().enumerate() {
        check_tensor(tensor, arena_bytes, constants)
            .map_err(|fault| LoadError::Tensor { index, fault })?;
    }
    Ok(())
}

fn check_tensor(
    tensor: &TensorRecord,
    arena_bytes: u32,
    constants: &[u8],
) -> Result<(), TensorFault> {
    let [batch, height, width, channels] = tensor.shape.map(u32::from);
    let len = height
        .checked_mul(width)
        .and_then(|pixels| pixels.checked_mul(channels));
    if batch != 1 || tensor.len == 0 || len != Some(tensor.len) {
        return Err(TensorFault::Shape);
    }
    let width = match (tensor.storage, tensor.element) {
        (storage::ARENA | storage::CONSTANT | storage::STATE, element::I8) => 1,
        (storage::STATE, element::I16) => 2,
        _ => return Err(TensorFault::Element),
    };
    // Finite and above zero: as bits, which takes less code.
    if !(1..f32::INFINITY.to_bits()).contains(&tensor.scale.to_bits()) {
        return Err(TensorFault::Scale);
    }
    if !(-128..=127).contains(&tensor.zero_point) {
        return Err(TensorFault::ZeroPoint);
    }
    let end = tensor
        .len
        .checked_mul(width)
        .and_then(|bytes| tensor.arena_offset.checked_add(bytes));
    let room = match tensor.storage {
        storage::CONSTANT => constants.len(),
        _ => arena_bytes as usize,
    };
    if !(tensor.arena_offset as usize).is_multiple_of(ALIGNMENT)
        || end.is_none_or(|end| end as usize > room)
    {
        return Err(TensorFault::Arena);
    }
    Ok(())
}

fn check_operators(
    header: &Header,
    tensors: &[TensorRecord],
    operators: &[OperatorRecord],
    constants: &[u8],
    kernels: &'static [Kernel],
) -> Result<(), LoadError> {
    if operators.is_empty() || operators.len() > MAX_OPERATORS {
        return Err(LoadError::Section(Part::Operators));
    }
    let supported = kernels::supported(kernels);
    let mut needed = 0;
    let mut macs = 0_u64;
    let mut work = 0_u64;
    for (index, record) in operators.iter().enumerate() {
        let fault = |fault| LoadError::Operator { index, fault };
        // Codes beyond those that a bit stands for are unknown to every runtime of this version.
        if record.opcode == 0 || record.opcode >= 24 {
            return Err(fault(OperatorFault::Opcode));
        }
        if record.packing >= 32 {
            return Err(fault(OperatorFault::Packing));
        }
        let bits = kernel_set::bits(record.opcode, record.packing);
        needed |= bits;
        let Some(kernel) = kernels::find(kernels, record.opcode, record.packing) else {
            let missing = bits & !supported;
            return Err(match missing {
                0 => fault(OperatorFault::Packing),
                _ => LoadError::Kernels { missing },
            });
        };
        let call = Call {
            record,
            tensors,
            constants,
            arena_bytes: header.arena_bytes,
            arena: &[],
        };
        let cost = (kernel.check)(&call).map_err(fault)?;
        // Each at most 2^32 for at most 1024 operators: no overflow.
        macs = macs.saturating_add(cost.macs.into());
        work = work.saturating_add(cost.work.into());
    }
    let missing = header.kernel_set & !supported;
    if missing != 0 {
        return Err(LoadError::Kernels { missing });
    }
    if header.kernel_set != needed {
        return Err(LoadError::KernelSet { needed });
    }
    if work > u64::from(u32::MAX) {
        return Err(LoadError::Work);
    }
    if macs != u64::from(header.macs) {
        return Err(LoadError::Macs {
            expected: macs as u32,
        });
    }
    Ok(())
}

/// The feature pipeline; its values are checked by [`check_features`].
pub(crate) fn features<'a>(
    image: &'a [u8],
    header: &Header,
    input: &TensorInfo,
) -> Result<FeaturePipeline<'a>, LoadError> {
    let bytes = section(image, header.features, Part::Features)?;
    if bytes.is_empty() {
        return Ok(FeaturePipeline::none(input.scale, input.zero_point));
    }
    let (record, rest) =
        FeatureHeader::ref_from_prefix(bytes).map_err(|_| LoadError::Section(Part::Features))?;
    let fault = |fault| LoadError::Features { fault };
    let kind = FeatureKind::from_code(record.kind).ok_or(fault(FeatureFault::Kind))?;
    let (window, bands) = (record.window as usize, record.bands as usize);
    if record.reserved.iter().any(|word| *word != 0)
        || !kind.supports(window, bands)
        || kind.feature_len(window, bands) != record.len as usize
        || !(record.sample_rate_hz.is_finite() && record.sample_rate_hz >= 0.0)
    {
        return Err(fault(FeatureFault::Settings));
    }
    if record.len as usize != input.len {
        return Err(fault(FeatureFault::Length));
    }
    let values = <[f32]>::ref_from_bytes(rest).map_err(|_| LoadError::Section(Part::Features))?;
    let (offset, gain) = values
        .split_at_checked(input.len)
        .filter(|(_, gain)| gain.len() == input.len)
        .ok_or(LoadError::Section(Part::Features))?;
    Ok(FeaturePipeline {
        kind,
        window,
        bands,
        sample_rate_hz: record.sample_rate_hz,
        offset,
        gain,
        scale: input.scale,
        zero_point: input.zero_point,
    })
}

fn check_features(pipeline: &FeaturePipeline<'_>) -> Result<(), LoadError> {
    let FeaturePipeline { offset, gain, .. } = pipeline;
    if !offset.iter().all(|x| x.is_finite()) || !gain.iter().all(|x| x.is_finite() && *x != 0.0) {
        let fault = FeatureFault::Values;
        return Err(LoadError::Features { fault });
    }
    Ok(())
}

/// One line for each output, each ended and none empty; or no byte.
fn check_labels(labels: &[u8], output: &TensorInfo) -> Result<(), LoadError> {
    let (mut count, mut empty, mut previous) = (0_usize, false, b'\n');
    for byte in labels {
        if *byte == b'\n' {
            count = count.saturating_add(1);
            empty |= previous == b'\n';
        }
        previous = *byte;
    }
    if !labels.is_empty() && (count != output.len || empty || previous != b'\n') {
        return Err(LoadError::Labels {
            expected: output.len,
        });
    }
    Ok(())
}

/// The drift reference; its edges are checked by [`check_drift`].
pub(crate) fn drift<'a>(
    image: &'a [u8],
    header: &Header,
    input: &TensorInfo,
    output: &TensorInfo,
) -> Result<DriftReference<'a>, LoadError> {
    let malformed = LoadError::Section(Part::Drift);
    let fault = |fault| LoadError::Drift { fault };
    let bytes = section(image, header.drift, Part::Drift)?;
    if bytes.is_empty() {
        return Ok(DriftReference::default());
    }
    let (record, rest) = DriftHeader::ref_from_prefix(bytes).map_err(|_| malformed)?;
    let features = record.features as usize;
    if record.reserved != 0 || (features != 0 && features != input.len) {
        return Err(fault(DriftFault::Features));
    }
    if record.classes as usize != output.len {
        return Err(fault(DriftFault::Classes));
    }
    let (edges, rest) =
        <[[i8; BINS]]>::ref_from_prefix_with_elems(rest, features).map_err(|_| malformed)?;
    let (counts, rest) =
        <[[u32; BINS]]>::ref_from_prefix_with_elems(rest, features).map_err(|_| malformed)?;
    let (confidence, rest) = <[u32; BINS]>::ref_from_prefix(rest).map_err(|_| malformed)?;
    let classes = <[u32]>::ref_from_bytes(rest).map_err(|_| malformed)?;
    if classes.len() != output.len {
        return Err(malformed);
    }
    Ok(DriftReference {
        windows: record.windows,
        edges,
        counts,
        confidence: Some(confidence),
        classes,
    })
}

fn check_drift(reference: &DriftReference<'_>) -> Result<(), LoadError> {
    for edges in reference.edges {
        match edges.split_last() {
            Some((0, edges)) if edges.is_sorted() => {}
            _ => {
                let fault = DriftFault::Edges;
                return Err(LoadError::Drift { fault });
            }
        }
    }
    Ok(())
}

pub(crate) fn self_test<'a>(
    image: &'a [u8],
    header: &Header,
) -> Result<&'a SelfTestRecord, LoadError> {
    let bytes = section(image, header.self_test, Part::SelfTest)?;
    let record =
        SelfTestRecord::ref_from_bytes(bytes).map_err(|_| LoadError::Section(Part::SelfTest))?;
    if record.seed == 0
        || !(1..=8).contains(&record.rounds)
        || record.reserved.iter().any(|word| *word != 0)
    {
        return Err(LoadError::SelfTest);
    }
    Ok(record)
}
