//! How accumulators of [`super::dsp_blocks`] become outputs: the forms of requantisation, and which
//! one is exact for a layer.
//!
//! Every form but `Raw` and the two small ones computes `(((acc * 2^left * multiplier) >> 32) + addend [- tie]) >> shift`
//! and saturates it to `i8`; the tie counts for negative accumulators only.
//!
//! The floor of a floor merges the two steps of TFLite's double rounding:
//! `((acc * m + 2^30) >> 31 + 2^(n-1)) >> n = (acc * m + 2^30 + 2^(30+n)) >> (31+n)`, and with
//! `left >= 2` both addends are whole in units of `2^32`. TFLite rounds halves of the *second* step
//! away from zero; for negative values that is one unit of the first step less, `2^(left-1)` here
//! (`tie`). Where the activation clamps at the zero point or above, negative values never show, and
//! neither does the tie.
//!
//! The small forms, of 8-bit weights, store no addend and put two outputs into one register. With
//! `t` the rounded product and `z` the zero point, `(t + (1 << (s - 1)) + (z << s)) >> s` is
//! `((t >> (s - 1)) + 2 * z + 1) >> 1`, a halving addition (SHADD16): everything in it fits 16 bits,
//! which [`Channel::small`] and [`Channel::small_linear`] prove. The saturation is to `u8` (USAT16), so
//! `z` is 128 too high until the end.

use super::dsp_blocks::Width;
use crate::kernels::reference::requantise::Rounding;

/// `shift` of [`Form::Fixed`], an immediate of its SSAT.
pub const FIXED_SHIFT: u32 = 12;
/// `left` of [`Form::Plain`] and [`Form::General`].
pub const LEFT: u32 = 8;
/// Bound of accumulators in [`Form::Plain`], [`Form::General`] and with 8-bit weights.
pub const ACCUMULATOR_LIMIT: u32 = 1 << 23;

/// How a stream's accumulators become outputs, by falling speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `shift` is [`FIXED_SHIFT`], there is no tie and no clamp. 16-bit weights only. Constants:
    /// multiplier and addend of each channel, then a word of four bytes with each channel's `left`.
    Fixed,
    /// `left` is [`LEFT`], there is no tie and no clamp. 16-bit weights only. Constants: multiplier,
    /// addend, shift.
    Plain,
    /// TFLite's double rounding with ties, no clamp. `left` is 1, the product's high word is
    /// rounded (SMMLAR), the tie is 1. 16-bit weights only. Constants: multiplier, addend, shift.
    Linear,
    /// `left` is [`LEFT`]; clamps. Constants: multiplier, addend, shift, tie.
    General,
    /// `left` is 0; the reference's arithmetic on the accumulators. Constants: multiplier and the
    /// canonical shift.
    Raw,
    /// [`Self::Plain`] in five bytes a channel. 8-bit weights only. Constants: the multipliers of
    /// channels 0 and 1, a word of four bytes with each channel's `shift - 1`, the other two
    /// multipliers. The rounding of the first step is byte 1 of the header: it is the same for all.
    Small,
    /// [`Self::Linear`] in five bytes a channel, as [`Self::Small`]; `left` is 1 and the product's high
    /// word is rounded (SMMULR). 8-bit weights only.
    SmallLinear,
}

impl Form {
    /// The form with this code; `None` where there is none.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Fixed),
            1 => Some(Self::Plain),
            2 => Some(Self::General),
            3 => Some(Self::Raw),
            4 => Some(Self::Linear),
            5 => Some(Self::Small),
            6 => Some(Self::SmallLinear),
            _ => None,
        }
    }

    /// Its code in the header.
    pub const fn code(self) -> u8 {
        match self {
            Self::Fixed => 0,
            Self::Plain => 1,
            Self::General => 2,
            Self::Raw => 3,
            Self::Linear => 4,
            Self::Small => 5,
            Self::SmallLinear => 6,
        }
    }

    /// Bytes of constants in a block.
    pub const fn constants_len(self) -> usize {
        match self {
            Self::Fixed => 4 * 8 + 4,
            Self::Plain | Self::Linear => 4 * 12,
            Self::General => 4 * 16,
            Self::Raw => 4 * 8,
            Self::Small | Self::SmallLinear => 4 * 5,
        }
    }

    /// Whether there are streams with weights of this width in this form.
    pub const fn suits(self, width: Width) -> bool {
        match self {
            Self::Fixed | Self::Plain | Self::Linear => matches!(width, Width::I16),
            Self::Small | Self::SmallLinear => matches!(width, Width::I8),
            Self::General | Self::Raw => true,
        }
    }
}

/// What decides the form of a layer, the same for all its channels.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Of the layer.
    pub rounding: Rounding,
    /// Of the output, -128..=127.
    pub zero_point: i32,
    /// Lowest output after the fused activation.
    pub min: i8,
    /// Highest output after the fused activation.
    pub max: i8,
}

impl Output {
    /// Whether no output can show how a tie of a negative value was rounded.
    pub fn hides_ties(&self) -> bool {
        self.rounding != Rounding::Double || i32::from(self.min) >= self.zero_point
    }

    /// Whether saturation to `i8` is all the clamping there is.
    pub fn is_unclamped(&self) -> bool {
        self.min == i8::MIN && self.max == i8::MAX
    }
}

/// An output channel as the packing sees it.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    /// No accumulator is greater in magnitude. Partial sums may be: they wrap, and back.
    pub bound: u32,
    /// Not negative.
    pub multiplier: i32,
    /// As [`Rounding::scale`] takes it.
    pub shift: i8,
}

/// The constants of a channel in [`Form::Fixed`], [`Form::Plain`] or [`Form::General`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constants {
    /// Log2 of the factor on accumulators.
    pub left: u32,
    /// Of the product's high word.
    pub multiplier: i32,
    /// Both roundings and the zero point, in units of the high word.
    pub addend: i32,
    /// To the right, 1..=22.
    pub shift: u32,
    /// What a negative accumulator takes off.
    pub tie: i32,
}

impl Channel {
    /// `left` for [`Form::Fixed`]: 2..=8; `None` where the shift or the bound does not allow it.
    pub fn left(&self, rounding: Rounding) -> Option<u32> {
        if rounding == Rounding::High32 {
            return None;
        }
        let left = u32::try_from(FIXED_SHIFT.cast_signed() + 1 + i32::from(self.shift)).ok()?;
        if !(2..=LEFT).contains(&left) || self.multiplier < 0 {
            return None;
        }
        (u64::from(self.bound) << left < 1 << 31).then_some(left)
    }

    /// Its constants in [`Form::Fixed`]; `None` where the layer or the channel does not allow it.
    pub fn fixed(&self, output: &Output) -> Option<Constants> {
        if !output.hides_ties() || !output.is_unclamped() {
            return None;
        }
        let zero_point = i32::from(i8::try_from(output.zero_point).ok()?);
        let left = self.left(output.rounding)?;
        let first = match output.rounding {
            Rounding::Double => 1 << (left - 2),
            _ => 0,
        };
        Some(Constants {
            left,
            multiplier: self.multiplier,
            addend: first + (1 << (FIXED_SHIFT - 1)) + (zero_point << FIXED_SHIFT),
            shift: FIXED_SHIFT,
            tie: 0,
        })
    }

    /// Its constants in [`Form::Small`]; `None` where the layer or the channel does not allow it.
    /// All channels of a layer need the same `addend`.
    pub fn small(&self, output: &Output) -> Option<Constants> {
        if !output.hides_ties() || !output.is_unclamped() {
            return None;
        }
        let general = self.general(output)?;
        let second = output.rounding == Rounding::Double && self.shift < 0;
        self.halves(Constants {
            addend: if second { 1 << (LEFT - 2) } else { 0 },
            ..general
        })
    }

    /// Its constants in [`Form::SmallLinear`]; `None` where the layer or the channel does not allow it.
    pub fn small_linear(&self, output: &Output) -> Option<Constants> {
        if self.bound >= ACCUMULATOR_LIMIT {
            return None;
        }
        let linear = self.linear(output)?;
        self.halves(Constants {
            addend: 0,
            ..linear
        })
    }

    /// The constants, if the rounded product fits 16 bits after all but the last of the shift.
    fn halves(&self, constants: Constants) -> Option<Constants> {
        let scaled = u64::from(self.bound) << constants.left;
        let product = (scaled * u64::from(self.multiplier.unsigned_abs())) >> 32;
        // Two roundings and a tie.
        let most = (product + 2 + (1 << LEFT)) >> (constants.shift - 1);
        (most < 1 << 15).then_some(constants)
    }

    /// Its constants in [`Form::Linear`]; `None` where the layer or the channel does not allow it.
    pub fn linear(&self, output: &Output) -> Option<Constants> {
        let right = -i32::from(self.shift);
        let double = output.rounding == Rounding::Double && (1..=15).contains(&right);
        if !double || !output.is_unclamped() || self.multiplier < 0 {
            return None;
        }
        let zero_point = i32::from(i8::try_from(output.zero_point).ok()?);
        (self.bound < 1 << 30).then_some(Constants {
            left: 1,
            multiplier: self.multiplier,
            addend: (1 << (right - 1)) + (zero_point << right),
            shift: right.unsigned_abs(),
            tie: 1,
        })
    }

    /// Its constants in [`Form::General`], which are those of [`Form::Plain`] where the layer has
    /// no clamp and hides ties; `None` where the channel does not allow it.
    pub fn general(&self, output: &Output) -> Option<Constants> {
        if self.bound >= ACCUMULATOR_LIMIT || self.multiplier < 0 {
            return None;
        }
        let zero_point = i32::from(i8::try_from(output.zero_point).ok()?);
        let right = -i32::from(self.shift);
        let (shift, rounding, tie) = match output.rounding {
            // Without a second step there is no second rounding and no tie.
            Rounding::Double if (-6..=0).contains(&right) => (7 + right, 1 << (6 + right), 0),
            Rounding::Double if (1..=15).contains(&right) => {
                (7 + right, (1 << 6) + (1 << (6 + right)), 1 << (LEFT - 1))
            }
            Rounding::Single if (-6..=15).contains(&right) => (7 + right, 1 << (6 + right), 0),
            Rounding::High32 if (-7..=0).contains(&right) => (8 + right, 1 << (7 + right), 0),
            _ => return None,
        };
        Some(Constants {
            left: LEFT,
            multiplier: self.multiplier,
            addend: rounding + (zero_point << shift),
            shift: shift.unsigned_abs(),
            tie: if output.hides_ties() { 0 } else { tie },
        })
    }
}

/// The fastest form that is exact for all channels, `None` where not even [`Form::Raw`] is
/// (8-bit weights: an accumulator beyond [`ACCUMULATOR_LIMIT`]).
pub fn form<I>(width: Width, output: &Output, channels: I) -> Option<Form>
where
    I: Iterator<Item = Channel> + Clone,
{
    let general = channels.clone().all(|c| c.general(output).is_some());
    match width {
        Width::I16 => {
            if channels.clone().all(|c| c.fixed(output).is_some()) {
                return Some(Form::Fixed);
            }
            if general && output.hides_ties() && output.is_unclamped() {
                return Some(Form::Plain);
            }
            if channels.clone().all(|c| c.linear(output).is_some()) {
                return Some(Form::Linear);
            }
        }
        Width::I8 => {
            let small = channels.clone().map(|c| c.small(output));
            let mut addends = small.map(|c| c.map(|c| c.addend));
            let first = addends.next().flatten();
            if first.is_some() && addends.all(|addend| addend == first) {
                return Some(Form::Small);
            }
            if channels.clone().all(|c| c.small_linear(output).is_some()) {
                return Some(Form::SmallLinear);
            }
        }
    }
    if general {
        return Some(Form::General);
    }
    let fits = |channel: Channel| width == Width::I16 || channel.bound < ACCUMULATOR_LIMIT;
    channels.clone().all(fits).then_some(Form::Raw)
}
