//! The ways in which accumulators become outputs, and how a layer is prepared for them.

use core::arch::x86_64::*;

use super::requantise::Parameters;
use crate::kernels::generic::{Constants, Form, PREPARED};

/// What has to be done to sums: nothing,
pub(super) const DONE: u8 = 0;
/// [`Parameters::relu`],
pub(super) const RELU: u8 = 1;
/// [`Parameters::signed`],
pub(super) const SIGNED: u8 = 2;
/// [`Lines::outputs`](super::requantise::Lines::outputs),
pub(super) const AFFINE: u8 = 3;
/// [`Lines::odd_outputs`](super::requantise::Lines::odd_outputs),
pub(super) const ODD: u8 = 4;
/// or [`Parameters::centred_outputs`].
pub(super) const CENTRED: u8 = 5;

impl Parameters {
    /// The outputs of accumulators in one of the ways above.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn ends<const HOW: u8>(&self, acc: __m512i) -> __m512i {
        match HOW {
            RELU => self.relu(acc),
            SIGNED => self.signed(acc),
            AFFINE => self.affine.outputs(acc),
            ODD => self.affine.odd_outputs(acc),
            CENTRED => self.centred_outputs(acc),
            _ => acc,
        }
    }
}

/// The forms that tiles end with themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    Odd,
    /// Of sums that are not scaled by lines; and of all, where negative ones count as 0.
    Relu,
    /// Also of those that need no centre.
    Centred,
    Affine,
}

impl How {
    /// That of as many blocks from `block` on as a tile takes: `left`, at most two. `None` where they
    /// have none in common, or not all of their channels exist.
    ///
    /// # Safety
    /// As [`finish`](super::finish::finish). The constants are prepared.
    #[inline]
    pub(super) unsafe fn of(constants: &Constants, block: usize, left: usize) -> Option<Self> {
        let prepared = |block: usize| {
            let parameters = constants.prepared.wrapping_add(block * PREPARED);
            let how = parameters.cast::<Parameters>().wrapping_add(1);
            // SAFETY: the block exists, and this was prepared with it.
            unsafe { how.cast::<Option<Self>>().read_unaligned() }
        };
        let first = prepared(block)?;
        if left < 2 {
            return Some(first);
        }
        let last = prepared(block + 1)?;
        let odd = (first == Self::Odd) != (last == Self::Odd);
        (!odd).then_some(first.min(last))
    }

    /// That of a block alone.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn of_parameters(
        constants: &Constants,
        parameters: &Parameters,
        block: usize,
    ) -> Option<Self> {
        let relu = constants.form == Form::Relu && parameters.covers(constants.rounding);
        if constants.channels < (block + 1) * 16 {
            None
        } else if !parameters.affine.exist() {
            relu.then_some(Self::Relu)
        } else if parameters.affine.odd() {
            Some(Self::Odd)
        } else if parameters.centred() {
            Some(Self::Centred)
        } else {
            Some(Self::Affine)
        }
    }
}

/// Computes the constants of all blocks once for a layer.
///
/// # Safety
/// `constants` hold what their fields say; `to` is writable for [`PREPARED`] bytes a block.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn prepare(constants: &Constants, to: *mut u8) {
    for block in 0..constants.channels.div_ceil(16) {
        // SAFETY: the block has a channel and its place in the table.
        unsafe {
            let to = to.add(block * PREPARED).cast::<Parameters>();
            let parameters = Parameters::load(constants, block);
            to.write_unaligned(parameters);
            // Behind them: how tiles end, which is asked for each row.
            let how = How::of_parameters(constants, &parameters, block);
            to.add(1).cast::<Option<How>>().write_unaligned(how);
        }
    }
}

const _: () = assert!(size_of::<Parameters>() + size_of::<Option<How>>() <= PREPARED);

/// The prepared constants of a block.
///
/// # Safety
/// The layer has the block, and its constants are prepared.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn parameters(constants: &Constants, block: usize) -> Parameters {
    let prepared = constants.prepared.wrapping_add(block * PREPARED);
    // SAFETY: prepared as such.
    unsafe { prepared.cast::<Parameters>().read_unaligned() }
}

/// The last step of one vector: zero point, limits, 8 bits.
#[derive(Clone, Copy)]
pub(super) struct Bytes {
    zero_point: __m512i,
    min: __m512i,
    max: __m512i,
    /// Whether the limits are not those of 8 bits.
    is_limited: bool,
}

impl Bytes {
    /// For outputs that came in a way, one of those from [`DONE`] on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn new<const HOW: u8>(constants: &Constants) -> Self {
        let zero_point = constants.zero_point;
        let before = if Self::are_large::<HOW>() {
            zero_point
        } else {
            0
        };
        Self {
            zero_point: _mm512_set1_epi32(zero_point),
            min: _mm512_set1_epi32(i32::from(constants.min) - before),
            max: _mm512_set1_epi32(i32::from(constants.max) - before),
            is_limited: constants.min > i8::MIN || constants.max < i8::MAX,
        }
    }

    /// Whether outputs may be so large that a zero point would wrap: limits come first. (Those of lines
    /// have it, or are proven to leave it room.)
    const fn are_large<const HOW: u8>() -> bool {
        matches!(HOW, DONE | RELU | SIGNED)
    }

    /// Of outputs that have their zero point.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn limits(min: i8, max: i8) -> Self {
        Self {
            zero_point: _mm512_setzero_si512(),
            min: _mm512_set1_epi32(min.into()),
            max: _mm512_set1_epi32(max.into()),
            is_limited: min > i8::MIN || max < i8::MAX,
        }
    }

    /// Sixteen outputs that came this way.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn narrow<const HOW: u8>(&self, outputs: __m512i) -> __m128i {
        let mut outputs = outputs;
        if HOW == ODD {
            outputs = _mm512_add_epi32(outputs, self.zero_point);
        }
        if Self::are_large::<HOW>() || self.is_limited {
            outputs = _mm512_min_epi32(_mm512_max_epi32(outputs, self.min), self.max);
        }
        if Self::are_large::<HOW>() {
            outputs = _mm512_add_epi32(outputs, self.zero_point);
        }
        _mm512_cvtsepi32_epi8(outputs)
    }

    /// Writes them.
    ///
    /// # Safety
    /// `to` is writable for them.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) unsafe fn write<const HOW: u8>(&self, outputs: __m512i, to: *mut i8) {
        // SAFETY: passed on.
        unsafe { _mm_storeu_si128(to.cast(), self.narrow::<HOW>(outputs)) }
    }
}
