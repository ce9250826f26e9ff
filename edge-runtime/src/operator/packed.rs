//! How each packing keeps the constants of a layer, for the check of a record.

use super::layers::Packed;
use crate::kernels::footprint::{dsp_blocks as dsp, dsp_depthwise, dsp_winograd, mve};
use crate::kernels::packing::dsp_blocks::{CHANNELS, HEADER, Taps, Width, block_len};
use crate::kernels::packing::dsp_forms::Form;
use crate::kernels::packing::winograd_dsp::Transform;
use crate::kernels::packing::{
    depthwise_16x4, depthwise_dsp, dot_16x4, mve_dense, mve_depthwise, mve_depthwise_any,
    mve_direct, mve_panel, winograd_16x2, winograd_dsp,
};
use crate::kernels::reference::Window;

/// [`crate::kernels::packing::dsp_blocks`] of 16 bits.
pub(crate) const DSP_I16: Packed = Packed {
    holds: |window, weights| dsp_holds(window, weights, Width::I16),
    scratch_len: dsp_scratch,
    channels_apart: false,
};

/// [`crate::kernels::packing::dsp_blocks`] of 8 bits.
pub(crate) const DSP_I8: Packed = Packed {
    holds: |window, weights| dsp_holds(window, weights, Width::I8),
    scratch_len: dsp_scratch,
    channels_apart: false,
};

fn dsp_holds(window: &Window, weights: &[u8], width: Width) -> bool {
    let form = weights.first().and_then(|code| Form::from_code(*code));
    let [_, _, channels] = window.output;
    let block = form.and_then(|form| block_len(width, form, Taps::of(window)));
    let len = block
        .and_then(|block| channels.div_ceil(CHANNELS).checked_mul(block))
        .and_then(|blocks| blocks.checked_add(HEADER));
    dsp::fits(window) && len == Some(weights.len())
}

/// Both a convolution's and a fully connected layer's, whose one pixel needs less.
fn dsp_scratch(window: &Window) -> usize {
    if window.input == [1, 1, taps(window)] {
        dsp::fully_connected_scratch_len(window)
    } else {
        dsp::scratch_len(window)
    }
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

/// [`dot_16x4`]. The kernels are those of x86-64; elsewhere nothing needs the scratch.
pub(crate) const X86_DOT: Packed = Packed {
    holds: |window, weights| weights.len() == dot_16x4::Shape::new(window).len(),
    #[cfg(target_arch = "x86_64")]
    scratch_len: crate::kernels::x86::conv_2d_scratch_len,
    #[cfg(not(target_arch = "x86_64"))]
    scratch_len: |_| 0,
    channels_apart: true,
};

/// [`winograd_16x2`], as [`X86_DOT`].
pub(crate) const X86_WINOGRAD: Packed = Packed {
    holds: |window, weights| {
        winograd_16x2::fits(window) && weights.len() == winograd_16x2::len(window)
    },
    #[cfg(target_arch = "x86_64")]
    scratch_len: crate::kernels::x86::conv_2d_winograd_scratch_len,
    #[cfg(not(target_arch = "x86_64"))]
    scratch_len: |_| 0,
    channels_apart: true,
};

/// [`depthwise_16x4`], as [`X86_DOT`].
pub(crate) const X86_DEPTHWISE: Packed = Packed {
    holds: |window, weights| {
        let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
        depth == channels && weights.len() == depthwise_16x4::Shape::new(window).len()
    },
    #[cfg(target_arch = "x86_64")]
    scratch_len: crate::kernels::x86::depthwise_conv_2d_scratch_len,
    #[cfg(not(target_arch = "x86_64"))]
    scratch_len: |_| 0,
    channels_apart: true,
};

fn taps(window: &Window) -> usize {
    let ([height, width], [_, _, depth]) = (window.kernel, window.input);
    height.saturating_mul(width).saturating_mul(depth)
}
