//! AVERAGE_POOL_2D, sixteen channels at a time.

use core::arch::x86_64::*;
use core::cell::Cell;

use crate::kernels::generic::{covered, volume};
use crate::kernels::reference::Window;
use crate::kernels::x86::detect::{Level, level};

/// See [`x86::average_pool_2d`](crate::kernels::x86::average_pool_2d); does nothing on a machine
/// without these instructions.
pub fn average_pool_2d(window: &Window, limits: [i8; 2], input: &[Cell<i8>], output: &[Cell<i8>]) {
    let fits = window.input[2] == window.output[2]
        && volume(window.input).is_some_and(|len| input.len() >= len)
        && volume(window.output).is_some_and(|len| output.len() >= len);
    if fits && level() >= Level::Avx512Vnni {
        // SAFETY: the machine has the instructions; the tensors are as long as the window says.
        unsafe { average(window, limits, input.as_ptr().cast(), output) }
    }
}

/// # Safety
/// `input` is readable, and `output` as long, as the window says; the machine has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn average(window: &Window, limits: [i8; 2], input: *const i8, output: &[Cell<i8>]) {
    let [_, width, channels] = window.input;
    let [rows_out, columns_out, _] = window.output;
    let output: *mut i8 = output.as_ptr().cast::<i8>().cast_mut();
    let [min, max] = limits.map(|limit| _mm512_set1_epi32(limit.into()));
    for y in 0..rows_out {
        let rows = covered(window, 0, y);
        for x in 0..columns_out {
            let columns = covered(window, 1, x);
            let count = rows.len().wrapping_mul(columns.len()).min(1 << 16) as i32;
            let half = _mm512_set1_epi32(count / 2);
            let divisor = _mm512_cvtepi32_ps(_mm512_set1_epi32(count));
            let mut channel = 0;
            while channel < channels {
                let left = channels - channel;
                let lanes: __mmask16 = if left >= 16 { !0 } else { (1 << left) - 1 };
                let mut sum = _mm512_setzero_si512();
                for row in rows.clone() {
                    for column in columns.clone() {
                        let at = (row * width + column) * channels + channel;
                        // SAFETY: `covered` ends where the input does; masked lanes are not read.
                        let values = unsafe { _mm_maskz_loadu_epi8(lanes, input.add(at)) };
                        sum = _mm512_add_epi32(sum, _mm512_cvtepi8_epi32(values));
                    }
                }
                // Halves away from zero. In `f32`: a quotient of integers below 2^24 that is not
                // whole is farther from the next whole number than its rounding error.
                let negative = _mm512_cmplt_epi32_mask(sum, _mm512_setzero_si512());
                let up = _mm512_add_epi32(sum, half);
                let sum = _mm512_mask_sub_epi32(up, negative, sum, half);
                let mean = _mm512_div_ps(_mm512_cvtepi32_ps(sum), divisor);
                // No pixel: no mean.
                let some: __mmask16 = if count == 0 { 0 } else { !0 };
                let mean = _mm512_maskz_cvttps_epi32(some, mean);
                let mean = _mm512_min_epi32(_mm512_max_epi32(mean, min), max);
                let at = (y * columns_out + x) * channels + channel;
                // SAFETY: the pixel is in the output; masked lanes are not written.
                unsafe { _mm512_mask_cvtepi32_storeu_epi8(output.add(at).cast(), lanes, mean) };
                channel += 16;
            }
        }
    }
}
