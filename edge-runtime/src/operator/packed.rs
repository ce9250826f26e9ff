//! How each packing keeps the constants of a layer, for the check of a record.

use super::layers::{CANONICAL_DEPTHWISE, Packed};
use crate::kernels::footprint::{dsp_blocks as dsp, dsp_depthwise, dsp_winograd, mve};
use crate::kernels::packing::dsp_blocks::{CHANNELS, HEADER, Taps, Width, block_len};
use crate::kernels::packing::dsp_forms::Form;
use crate::kernels::packing::winograd_dsp::Transform;
use crate::kernels::packing::{
    depthwise_16x4, depthwise_dsp, dot_16x4, mve_dense, mve_depthwise, mve_depthwise_any,
    mve_direct, mve_panel, pair_blocks, rows_128, winograd_16x2, winograd_dsp,
};
use crate::kernels::portable::{conv_2d, depthwise_conv_2d};
use crate::kernels::reference::Window;

/// [`crate::kernels::packing::dsp_blocks`] of 16 bits.
pub(crate) const DSP_I16: Packed = Packed {
    holds: |window, weights| dsp_holds(window, weights, Width::I16),
    scratch_len: dsp::scratch_len,
    channels_apart: false,
};

/// [`crate::kernels::packing::dsp_blocks`] of 8 bits.
pub(crate) const DSP_I8: Packed = Packed {
    holds: |window, weights| dsp_holds(window, weights, Width::I8),
    scratch_len: dsp::scratch_len,
    channels_apart: false,
};

/// [`DSP_I16`] of a fully connected layer.
#[cfg(all(target_arch = "arm", feature = "dsp"))]
pub(crate) const DSP_I16_DENSE: Packed = Packed {
    holds: |window, weights| dsp_dense_holds(window, weights, Width::I16),
    scratch_len: dsp::fully_connected_scratch_len,
    channels_apart: false,
};

/// [`DSP_I8`] of a fully connected layer.
#[cfg(all(target_arch = "arm", feature = "dsp"))]
pub(crate) const DSP_I8_DENSE: Packed = Packed {
    holds: |window, weights| dsp_dense_holds(window, weights, Width::I8),
    scratch_len: dsp::fully_connected_scratch_len,
    channels_apart: false,
};

#[cfg(all(target_arch = "arm", feature = "dsp"))]
fn dsp_dense_holds(window: &Window, weights: &[u8], width: Width) -> bool {
    let [_, _, inputs] = window.input;
    (1..1 << 15).contains(&inputs) && dsp_len(window, weights, width) == Some(weights.len())
}

fn dsp_holds(window: &Window, weights: &[u8], width: Width) -> bool {
    dsp::fits(window) && dsp_len(window, weights, width) == Some(weights.len())
}

/// Bytes of weights whose first byte says in which form they are.
fn dsp_len(window: &Window, weights: &[u8], width: Width) -> Option<usize> {
    let form = Form::from_code(*weights.first()?).filter(|form| form.suits(width))?;
    let [_, _, channels] = window.output;
    let block = block_len(width, form, Taps::of(window))?;
    channels
        .div_ceil(CHANNELS)
        .checked_mul(block)?
        .checked_add(HEADER)
}

/// [`winograd_dsp`] of F(2x2, 3x3).
pub(crate) const DSP_WINOGRAD_2X2: Packed = Packed {
    holds: |window, weights| winograd_holds(window, weights, Transform::F2),
    scratch_len: dsp_winograd::scratch_len,
    channels_apart: false,
};

/// [`winograd_dsp`] of F(4x4, 3x3).
pub(crate) const DSP_WINOGRAD_4X4: Packed = Packed {
    holds: |window, weights| winograd_holds(window, weights, Transform::F4),
    scratch_len: dsp_winograd::scratch_len_4x4,
    channels_apart: false,
};

fn winograd_holds(window: &Window, weights: &[u8], transform: Transform) -> bool {
    let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
    let blocks = transform.block_len(depth).checked_mul(channels / 4);
    let len = blocks.and_then(|blocks| blocks.checked_add(winograd_dsp::HEADER));
    dsp_winograd::fits(window)
        && len == Some(weights.len())
        && winograd_dsp::Form::of(weights).is_some()
}

/// [`depthwise_dsp`].
pub(crate) const DSP_DEPTHWISE: Packed = Packed {
    holds: |window, weights| {
        let [_, _, channels] = window.output;
        let records = channels.checked_mul(depthwise_dsp::RECORD);
        let len = records.and_then(|records| records.checked_add(depthwise_dsp::HEADER));
        dsp_depthwise::fits(window)
            && len == Some(weights.len())
            && depthwise_dsp::Form::of(weights).is_some()
    },
    scratch_len: dsp_depthwise::scratch_len,
    channels_apart: false,
};

/// Canonical weights of a layer that [`DSP_DEPTHWISE`] could hold.
pub(crate) const DSP_DEPTHWISE_SMALL: Packed = Packed {
    holds: |window, weights| {
        let [_, _, channels] = window.output;
        dsp_depthwise::fits(window) && channels.checked_mul(9) == Some(weights.len())
    },
    scratch_len: dsp_depthwise::scratch_len_canonical,
    channels_apart: true,
};

/// [`mve_panel`].
pub(crate) const MVE_PANEL: Packed = Packed {
    holds: |window, weights| {
        let [_, _, channels] = window.output;
        weights.len() == mve_panel::packed_len(taps(window), channels)
            && crate::kernels::packing::mve::Mode::of(weights).is_some()
    },
    scratch_len: mve::scratch_len,
    channels_apart: false,
};

/// [`mve_dense`].
pub(crate) const MVE_DENSE: Packed = Packed {
    holds: |window, weights| {
        let [_, _, channels] = window.output;
        weights.len() == mve_dense::packed_len(taps(window), channels)
            && crate::kernels::packing::mve::Mode::of(weights).is_some()
    },
    scratch_len: mve::fully_connected_scratch_len,
    channels_apart: false,
};

/// [`mve_direct`].
pub(crate) const MVE_DIRECT: Packed = Packed {
    holds: |window, weights| {
        let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
        mve::supports_3x3(window)
            && weights.len() == mve_direct::packed_len(depth, channels)
            && crate::kernels::packing::mve::Mode::of(weights).is_some()
    },
    scratch_len: mve::scratch_len_3x3,
    channels_apart: false,
};

/// [`mve_depthwise`].
pub(crate) const MVE_DEPTHWISE: Packed = Packed {
    holds: |window, weights| {
        let [_, _, channels] = window.output;
        mve::supports_depthwise(window)
            && weights.len() == mve_depthwise::packed_len(channels)
            && crate::kernels::packing::mve::Mode::of(weights).is_some()
    },
    scratch_len: mve::scratch_len_depthwise,
    channels_apart: false,
};

/// [`mve_depthwise_any`].
pub(crate) const MVE_DEPTHWISE_ANY: Packed = Packed {
    holds: |window, weights| {
        let ([height, width], [_, _, channels]) = (window.kernel, window.output);
        let taps = height.saturating_mul(width);
        mve::supports_depthwise_any(window)
            && weights.len() == mve_depthwise_any::packed_len(taps, channels)
            && crate::kernels::packing::mve::Mode::of(weights).is_some()
    },
    scratch_len: mve::scratch_len_depthwise_any,
    channels_apart: false,
};

/// [`dot_16x4`].
pub(crate) const DOT_16X4: Packed = Packed {
    holds: |window, weights| weights.len() == dot_16x4::Shape::new(window).len(),
    scratch_len: crate::kernels::generic::conv_2d_scratch_len,
    channels_apart: true,
};

/// [`winograd_16x2`], as [`DOT_16X4`].
pub(crate) const WINOGRAD_16X2: Packed = Packed {
    holds: |window, weights| {
        winograd_16x2::fits(window) && weights.len() == winograd_16x2::len(window)
    },
    #[cfg(target_arch = "x86_64")]
    scratch_len: crate::kernels::generic::conv_2d_winograd_scratch_len,
    #[cfg(not(target_arch = "x86_64"))]
    scratch_len: |_| 0,
    channels_apart: true,
};

/// [`rows_128`], as [`DOT_16X4`].
pub(crate) const ROWS_128: Packed = Packed {
    holds: |window, weights| rows_128::fits(window) && weights.len() == rows_128::len(window),
    #[cfg(target_arch = "x86_64")]
    scratch_len: crate::kernels::generic::fully_connected_sparse_scratch_len,
    #[cfg(not(target_arch = "x86_64"))]
    scratch_len: |_| 0,
    channels_apart: true,
};

/// [`depthwise_16x4`], as [`DOT_16X4`].
pub(crate) const DEPTHWISE_16X4: Packed = Packed {
    holds: |window, weights| {
        let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
        depth == channels && weights.len() == depthwise_16x4::Shape::new(window).len()
    },
    scratch_len: crate::kernels::generic::depthwise_conv_2d_scratch_len,
    channels_apart: true,
};

/// [`pair_blocks`] of a convolution or fully connected layer.
pub(crate) const PAIRS: Packed = Packed {
    holds: |window, weights| {
        let [_, _, channels] = window.output;
        pair_blocks::holds(weights, taps(window), channels)
    },
    scratch_len: conv_2d::scratch_len,
    channels_apart: true,
};

/// Weights `[output channel][tap]` of a depthwise convolution.
pub(crate) const DEPTHWISE_CHANNELS: Packed = Packed {
    holds: CANONICAL_DEPTHWISE.holds,
    scratch_len: depthwise_conv_2d::scratch_len,
    channels_apart: true,
};

fn taps(window: &Window) -> usize {
    let ([height, width], [_, _, depth]) = (window.kernel, window.input);
    height.saturating_mul(width).saturating_mul(depth)
}
