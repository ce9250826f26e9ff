//! What an operator record means: its checks at load time, and the settings that its kernel gets
//! at run time. Each kernel's entry ([`crate::kernels::Kernel`]) names one function of each kind.

pub(crate) mod elementwise;
pub(crate) mod layers;
pub mod overlap;
pub(crate) mod packed;
pub(crate) mod pools;
pub(crate) mod recurrent;
pub(crate) mod rows;
pub(crate) mod shape;

use core::cell::Cell;

use zerocopy::FromBytes;

use crate::format::{
    ALIGNMENT, NO_TENSOR, OperatorRecord, TensorRecord, element, packing, storage,
};
use crate::kernels::cases;
use crate::kernels::reference::Window;
use crate::kernels::reference::broadcast::Operand;
pub(crate) use crate::validate::OperatorFault as Fault;

/// One operator and all that it refers to. While a model is loaded, `arena` is empty.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub record: &'a OperatorRecord,
    pub tensors: &'a [TensorRecord],
    /// The constants of the whole image.
    pub constants: &'a [u8],
    pub arena_bytes: u32,
    pub arena: &'a [Cell<i8>],
}

/// What one execution takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Multiply-accumulate operations.
    pub macs: u32,
    /// These, comparisons and elements.
    pub work: u32,
}

impl Cost {
    /// Of an operator that multiplies: each multiplication is a step.
    pub fn of_macs(macs: u32) -> Self {
        Self { macs, work: macs }
    }

    /// Of an operator that only moves or compares.
    pub fn of_work(work: u32) -> Self {
        Self { macs: 0, work }
    }
}

/// What an operator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inputs {
    /// Nothing.
    None,
    /// A tensor of the arena.
    One,
    /// A tensor of the arena or a constant.
    OneOrConstant,
    /// Two of these.
    Two,
    /// A tensor of the arena and a state, of any type.
    OneAndState,
}

/// How output and input may share bytes of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Not at all.
    Never,
    /// All of them: each element is read before the element at the same place is written.
    InPlace,
    /// As [`overlap::raster_gap`] allows.
    Raster,
}

/// Instead of a tensor that there is not; a model that was loaded has all that it names.
static NONE: TensorRecord = TensorRecord {
    shape: [0; 4],
    arena_offset: 0,
    len: 0,
    scale: 0.0,
    zero_point: 0,
    element: element::I8,
    storage: storage::ARENA,
};

impl TensorRecord {
    /// Height, width, channels.
    pub(crate) fn hwc(&self) -> [usize; 3] {
        let [_, height, width, channels] = self.shape;
        [height.into(), width.into(), channels.into()]
    }

    /// How many there are.
    pub(crate) fn elements(&self) -> usize {
        self.len as usize
    }
}

impl<'a> Call<'a> {
    /// The record of a tensor; while running, every index was checked.
    pub fn tensor(&self, index: u16) -> Option<&'a TensorRecord> {
        self.tensors.get(usize::from(index))
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub fn info(&self, index: u16) -> &'a TensorRecord {
        self.tensor(index).unwrap_or(&NONE)
    }

    /// The first input.
    pub fn x(&self) -> &'a TensorRecord {
        let [first, _] = self.record.inputs;
        self.info(first)
    }

    /// The second input.
    pub fn second(&self) -> &'a TensorRecord {
        let [_, second] = self.record.inputs;
        self.info(second)
    }

    /// The output.
    pub fn y(&self) -> &'a TensorRecord {
        self.info(self.record.output)
    }

    /// The elements of a tensor in the arena.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn cells(&self, tensor: &TensorRecord) -> &'a [Cell<i8>] {
        self.arena
            .get(tensor.arena_offset as usize..)
            .and_then(|rest| rest.get(..tensor.elements()))
            .unwrap_or_default()
    }

    /// The elements of an input, which may be a constant.
    pub fn operand(&self, tensor: &TensorRecord) -> Operand<'a> {
        if tensor.storage == storage::CONSTANT {
            Operand::Constant(self.i8s(tensor.arena_offset, tensor.elements()))
        } else {
            Operand::Activation(self.cells(tensor))
        }
    }

    /// The scratch of this operator.
    pub fn scratch(&self) -> &'a [Cell<i8>] {
        self.arena
            .get(self.record.scratch as usize..)
            .and_then(|rest| rest.get(..self.record.scratch_len as usize))
            .unwrap_or_default()
    }

    /// `len` bytes of constants from `offset`.
    // As above: called so often that a call is less code than what it does.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn bytes(&self, offset: u32, len: usize) -> &'a [u8] {
        self.constants
            .get(offset as usize..)
            .and_then(|rest| rest.get(..len))
            .unwrap_or_default()
    }

    pub fn i8s(&self, offset: u32, count: usize) -> &'a [i8] {
        <[i8]>::ref_from_bytes(self.bytes(offset, count)).unwrap_or_default()
    }

    pub fn i32s(&self, offset: u32, count: usize) -> &'a [i32] {
        <[i32]>::ref_from_bytes(self.bytes(offset, count.saturating_mul(4))).unwrap_or_default()
    }

    pub fn u16s(&self, offset: u32, count: usize) -> &'a [u16] {
        <[u16]>::ref_from_bytes(self.bytes(offset, count.saturating_mul(2))).unwrap_or_default()
    }

    /// The packed weights.
    pub fn weights(&self) -> &'a [u8] {
        self.bytes(self.record.weights, self.record.weights_len as usize)
    }

    /// The geometry as the record and its tensors say.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn window(&self) -> Window {
        cases::window(self.record, self.x(), self.y())
    }

    /// What every operator is checked for, wherever it keeps its constants: tensors that exist,
    /// reserved fields, and places in the arena.
    pub fn check_record(&self, inputs: Inputs, sharing: Sharing) -> Result<(), Fault> {
        let record = self.record;
        let [first, second] = record.inputs;
        let (count, constants) = match inputs {
            Inputs::None => (0, false),
            Inputs::One => (1, false),
            Inputs::OneOrConstant => (1, true),
            Inputs::Two => (2, true),
            Inputs::OneAndState => (2, false),
        };
        self.check_tensor(first, count > 0, constants, false)?;
        self.check_tensor(second, count > 1, constants, inputs == Inputs::OneAndState)?;
        self.check_tensor(record.output, true, false, false)?;
        let [a, b, c] = record.reserved;
        if a | b | c != 0 {
            return Err(Fault::Unused);
        }
        if record.clamp_min > record.clamp_max {
            return Err(Fault::Clamp);
        }
        self.check_places(&[first, second], sharing)
    }

    /// A tensor that is there if it is wanted, of the right type and storage.
    #[inline(never)]
    fn check_tensor(
        &self,
        index: u16,
        is_wanted: bool,
        may_be_constant: bool,
        is_state: bool,
    ) -> Result<(), Fault> {
        if is_wanted != (index != NO_TENSOR) {
            return Err(Fault::Tensors);
        }
        if !is_wanted {
            return Ok(());
        }
        let tensor = self.tensor(index).ok_or(Fault::Tensors)?;
        let fits = if is_state {
            tensor.storage == storage::STATE
        } else {
            let constant = may_be_constant && tensor.storage == storage::CONSTANT;
            tensor.element == element::I8 && (tensor.storage == storage::ARENA || constant)
        };
        fits.then_some(()).ok_or(Fault::Tensors)
    }

    /// Scratch inside the arena, and no more shared bytes than `sharing` allows.
    fn check_places(&self, inputs: &[u16], sharing: Sharing) -> Result<(), Fault> {
        let record = self.record;
        let scratch = (record.scratch, record.scratch_len);
        let end = record.scratch.checked_add(record.scratch_len);
        if !(record.scratch as usize).is_multiple_of(ALIGNMENT)
            || end.is_none_or(|end| end > self.arena_bytes)
        {
            return Err(Fault::Scratch);
        }
        let output = self.tensor(record.output).ok_or(Fault::Tensors)?;
        let written = (output.arena_offset, output.len);
        if shares(written, scratch) {
            return Err(Fault::Overlap);
        }
        for index in inputs.iter().filter(|index| **index != NO_TENSOR) {
            let input = self.tensor(*index).ok_or(Fault::Tensors)?;
            // The plan keeps states apart from everything else in the arena.
            if input.storage != storage::ARENA {
                continue;
            }
            let read = (input.arena_offset, input.len);
            let allowed = match sharing {
                Sharing::Never => false,
                Sharing::InPlace => read == written,
                Sharing::Raster => {
                    let distance = i64::from(input.arena_offset) - i64::from(output.arena_offset);
                    overlap::raster_gap(&self.window()).is_some_and(|gap| distance >= gap)
                }
            };
            if shares(read, written) && !allowed || shares(read, scratch) {
                return Err(Fault::Overlap);
            }
        }
        Ok(())
    }

    #[inline(never)]
    pub fn no_window(&self) -> Result<(), Fault> {
        let record = self.record;
        let ones = [record.kernel, record.stride, record.dilation];
        let neutral = ones.as_flattened().iter().all(|extent| *extent == 1)
            && record.padding.iter().all(|extent| *extent == 0);
        neutral.then_some(()).ok_or(Fault::Unused)
    }

    /// Neither weights nor anything that belongs to them.
    #[inline(never)]
    pub fn no_constants(&self) -> Result<(), Fault> {
        self.no_channels()?;
        let neutral = self.record.weights | self.record.weights_len;
        (neutral == 0).then_some(()).ok_or(Fault::Unused)
    }

    /// No biases, multipliers, shifts or rounding; canonical packing.
    #[inline(never)]
    pub fn no_channels(&self) -> Result<(), Fault> {
        let record = self.record;
        if record.rounding != 0 {
            return Err(Fault::Rounding);
        }
        if record.packing != packing::CANONICAL {
            return Err(Fault::Packing);
        }
        let neutral = record.bias | record.multipliers | record.shifts;
        (neutral == 0).then_some(()).ok_or(Fault::Unused)
    }

    #[inline(never)]
    pub fn no_parameters(&self) -> Result<(), Fault> {
        let mut parameters = self.record.parameters.iter();
        parameters
            .all(|parameter| *parameter == 0)
            .then_some(())
            .ok_or(Fault::Unused)
    }

    pub fn no_state(&self) -> Result<(), Fault> {
        (self.record.state == 0).then_some(()).ok_or(Fault::Unused)
    }

    pub fn no_clamp(&self) -> Result<(), Fault> {
        (self.record.clamp_min == i8::MIN && self.record.clamp_max == i8::MAX)
            .then_some(())
            .ok_or(Fault::Unused)
    }

    /// `len` bytes of constants at an offset, if they are there and it is a multiple of
    /// `alignment`.
    pub fn checked_bytes(&self, offset: u32, len: usize, alignment: usize) -> Option<&'a [u8]> {
        let offset = offset as usize;
        if !offset.is_multiple_of(alignment) {
            return None;
        }
        self.constants.get(offset..)?.get(..len)
    }

    /// Weights of exactly `expected` bytes on a 16-byte boundary.
    pub fn check_weights(&self, expected: usize) -> Result<(), Fault> {
        let len = self.record.weights_len as usize;
        if len != expected
            || self
                .checked_bytes(self.record.weights, len, ALIGNMENT)
                .is_none()
        {
            return Err(Fault::Weights);
        }
        Ok(())
    }
}

/// Whether two tensors have one scale and zero point.
pub(crate) fn same_quantisation(a: &TensorRecord, b: &TensorRecord) -> Result<(), Fault> {
    (a.scale == b.scale && a.zero_point == b.zero_point)
        .then_some(())
        .ok_or(Fault::Quantisation)
}

/// The product, if it is at most 2^32 - 1.
#[cfg_attr(target_os = "none", inline(never))] // On a device its size counts.
pub(crate) fn product(factors: &[usize]) -> Result<u32, Fault> {
    let mut product = 1_u32;
    for factor in factors {
        product = u32::try_from(*factor)
            .ok()
            .and_then(|factor| product.checked_mul(factor))
            .ok_or(Fault::Work)?;
    }
    Ok(product)
}

/// Whether two `(start, length)` ranges share a byte.
#[cfg_attr(target_os = "none", inline(never))] // On a device its size counts.
pub(crate) fn shares((a, a_len): (u32, u32), (b, b_len): (u32, u32)) -> bool {
    a < b.saturating_add(b_len) && b < a.saturating_add(a_len) && a_len != 0 && b_len != 0
}
