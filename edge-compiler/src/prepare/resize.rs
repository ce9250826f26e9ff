//! RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR, each axis alone.

use edge_runtime::kernels::reference::resize_bilinear::BilinearAxis;

/// How the grids of input and output lie on each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alignment {
    /// The first and last elements of both fall together.
    pub align_corners: bool,
    /// Elements are areas, not points.
    pub half_pixel_centers: bool,
}

/// For each of `output` elements the one of `input` that it repeats. `None` for an empty axis or
/// one of more than 65,535 elements.
pub fn nearest(input: usize, output: usize, alignment: Alignment) -> Option<Vec<u16>> {
    let last = u16::try_from(input).ok()?.checked_sub(1)?;
    let scale = if alignment.align_corners && output > 1 {
        (input - 1) as f32 / (output - 1) as f32
    } else {
        input as f32 / output as f32
    };
    let offset = if alignment.half_pixel_centers {
        0.5
    } else {
        0.0
    };
    let source = |index: usize| {
        let place = (index as f32 + offset) * scale;
        let place = if alignment.align_corners {
            place.round()
        } else {
            place.floor()
        };
        (place as u16).min(last)
    };
    u16::try_from(output).ok()?;
    Some((0..output).map(source).collect())
}

/// Scale and offset of one axis. `None` for an empty axis or one of 2^20 elements or more.
pub fn bilinear(input: usize, output: usize, alignment: Alignment) -> Option<BilinearAxis> {
    let size = |n: usize| i32::try_from(n).ok().filter(|n| (1..1 << 20).contains(n));
    let (input, output) = (size(input)?, size(output)?);
    let scale = if alignment.align_corners && output > 1 {
        ((1 << 10) * (input - 1) + (output - 1) / 2) / (output - 1)
    } else {
        ((1 << 10) * input + output / 2) / output
    };
    let offset = if alignment.half_pixel_centers {
        scale / 2 - (1 << 9)
    } else {
        0
    };
    Some(BilinearAxis { scale, offset })
}
