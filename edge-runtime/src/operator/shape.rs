//! Operators that move elements without changing them.

use super::{Call, Cost, Fault, Inputs, Sharing, product, same_quantisation};
use crate::format::COPY_RANK;
use crate::kernels::reference::copy::Copy;
use crate::kernels::reference::resize_bilinear::{BilinearAxis, ResizeBilinear};
use crate::kernels::reference::resize_nearest::ResizeNearest;

pub(crate) fn check_reshape(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::One, Sharing::InPlace)?;
    call.no_window()?;
    call.no_constants()?;
    call.no_parameters()?;
    call.no_clamp()?;
    call.no_state()?;
    let (x, y) = (call.x(), call.y());
    if x.elements() != y.elements() {
        return Err(Fault::Geometry);
    }
    same_quantisation(x, y)?;
    Ok(Cost::of_work(y.len))
}

/// Words that describe a copy: sizes, strides of the input, strides of the output, both starts.
const COPY_WORDS: usize = 3 * COPY_RANK + 2;

pub(crate) fn check_copy(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::OneOrConstant, Sharing::Never)?;
    call.no_window()?;
    call.no_channels()?;
    call.no_parameters()?;
    call.no_clamp()?;
    call.no_state()?;
    call.check_weights(COPY_WORDS * 4)?;
    same_quantisation(call.x(), call.y())?;
    let copy = copy(call).ok_or(Fault::Parameters)?;
    // Elements outside a tensor are skipped, so that only the work needs a bound.
    let work = product(&copy.sizes)?;
    if work > call.y().len {
        return Err(Fault::Parameters);
    }
    Ok(Cost::of_work(work))
}

pub(crate) fn copy(call: &Call<'_>) -> Option<Copy> {
    let words = call.i32s(call.record.weights, COPY_WORDS);
    let (sizes, rest) = words.split_at_checked(COPY_RANK)?;
    let (input_strides, rest) = rest.split_at_checked(COPY_RANK)?;
    let (output_strides, rest) = rest.split_at_checked(COPY_RANK)?;
    let [input_start, output_start] = rest else {
        return None;
    };
    let strides = |words: &[i32]| {
        let words: [i32; COPY_RANK] = words.try_into().ok()?;
        Some(words.map(|stride| stride as isize))
    };
    let sizes: [i32; COPY_RANK] = sizes.try_into().ok()?;
    if sizes.iter().any(|size| *size < 1) {
        return None;
    }
    Some(Copy {
        sizes: sizes.map(|size| size as usize),
        input_strides: strides(input_strides)?,
        output_strides: strides(output_strides)?,
        input_start: usize::try_from(*input_start).ok()?,
        output_start: usize::try_from(*output_start).ok()?,
    })
}

pub(crate) fn check_fill(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::None, Sharing::Never)?;
    call.no_window()?;
    call.no_constants()?;
    call.no_parameters()?;
    call.no_state()?;
    if call.record.clamp_min != call.record.clamp_max {
        return Err(Fault::Clamp);
    }
    Ok(Cost::of_work(call.y().len))
}

pub(crate) fn check_resize_nearest(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::One, Sharing::Never)?;
    call.no_window()?;
    call.no_channels()?;
    call.no_parameters()?;
    call.no_clamp()?;
    call.no_state()?;
    let (x, y) = (call.x(), call.y());
    same_quantisation(x, y)?;
    let ([in_height, in_width, depth], [height, width, channels]) = (x.hwc(), y.hwc());
    if depth != channels {
        return Err(Fault::Geometry);
    }
    call.check_weights(height.saturating_add(width).saturating_mul(2))?;
    let resize = resize_nearest(call);
    let inside = |table: &[u16], len| table.iter().all(|index| usize::from(*index) < len);
    if !inside(resize.rows, in_height) || !inside(resize.columns, in_width) {
        return Err(Fault::Parameters);
    }
    Ok(Cost::of_work(y.len))
}

pub(crate) fn resize_nearest<'a>(call: &Call<'a>) -> ResizeNearest<'a> {
    let [height, width, _] = call.y().hwc();
    let tables = call.u16s(call.record.weights, height.saturating_add(width));
    let (rows, columns) = tables.split_at_checked(height).unwrap_or_default();
    ResizeNearest {
        input: call.x().hwc(),
        rows,
        columns,
    }
}

pub(crate) fn check_resize_bilinear(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::One, Sharing::Never)?;
    call.no_window()?;
    call.no_constants()?;
    call.no_clamp()?;
    call.no_state()?;
    let (x, y) = (call.x(), call.y());
    same_quantisation(x, y)?;
    let ([_, _, depth], [_, _, channels]) = (x.hwc(), y.hwc());
    if depth != channels {
        return Err(Fault::Geometry);
    }
    let [_, _, _, _, last] = call.record.parameters;
    if last != 0 {
        return Err(Fault::Unused);
    }
    Ok(Cost::of_work(product(&[y.elements(), 4])?))
}

pub(crate) fn resize_bilinear(call: &Call<'_>) -> ResizeBilinear {
    let [vertical, vertical_offset, horizontal, horizontal_offset, _] = call.record.parameters;
    let [height, width, _] = call.y().hwc();
    let axis = |scale, offset| BilinearAxis { scale, offset };
    ResizeBilinear {
        input: call.x().hwc(),
        output: [height, width],
        vertical: axis(vertical, vertical_offset),
        horizontal: axis(horizontal, horizontal_offset),
    }
}
