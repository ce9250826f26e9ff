//! Log spectrum and log envelope spectrum of one window of a vibration.

use microfft::Complex32;

/// Added to each power before the logarithm: the square of 10 µg where samples are in g.
const FLOOR: f32 = 1e-10;

/// Writes `[spectrum 0, envelope 0, spectrum 1, envelope 1, ...]`; `scratch` is as long as
/// `samples`, and `out` twice as long as there are bands.
pub(super) fn extract(samples: &[f32], scratch: &mut [f32], out: &mut [f32]) {
    let window = samples.len();
    let bands = out.len() / 2;
    let Some(bins_per_band) = (window / 2).checked_div(bands) else {
        return;
    };

    let mean = mean(samples, window);
    for (x, sample) in scratch.iter_mut().zip(samples) {
        *x = *sample - mean;
    }
    let Some(bins) = transform(scratch) else {
        return;
    };
    let normalise = 4.0 / (window as f32 * window as f32);
    for (band, out) in out.iter_mut().step_by(2).enumerate() {
        let mut power = 0.0;
        for offset in 1..=bins_per_band {
            power += hann_power(
                bins,
                band.saturating_mul(bins_per_band).saturating_add(offset),
            );
        }
        *out = libm::log2f(power * normalise / bins_per_band as f32 + FLOOR);
    }

    envelope(samples, scratch);
    let Some(bins) = transform(scratch) else {
        return;
    };
    for (band, out) in out.iter_mut().skip(1).step_by(2).enumerate() {
        let power = hann_power(bins, band.saturating_add(1));
        *out = libm::log2f(power * normalise + FLOOR);
    }
}

/// The envelope of what is fast in the signal: the magnitude of its second difference, less its
/// mean. The first two values, which have no second difference, are zero.
fn envelope(samples: &[f32], scratch: &mut [f32]) {
    let differences = scratch.iter_mut().skip(2);
    for ((x, newest), (middle, oldest)) in differences
        .zip(samples.iter().skip(2))
        .zip(samples.iter().skip(1).zip(samples))
    {
        let difference = *newest - 2.0 * *middle + *oldest;
        *x = if difference < 0.0 {
            -difference
        } else {
            difference
        };
    }
    for x in scratch.iter_mut().take(2) {
        *x = 0.0;
    }
    let mean = mean(scratch, scratch.len().saturating_sub(2));
    for x in scratch.iter_mut().skip(2) {
        *x -= mean;
    }
}

fn mean(values: &[f32], count: usize) -> f32 {
    let mut sum = 0.0;
    for value in values {
        sum += *value;
    }
    sum / count as f32
}

/// The transform of real values in place: bins `0..window / 2`; the imaginary part of bin 0 holds
/// the (real) bin `window / 2`. `None` where there is no transform of this length.
fn transform(values: &mut [f32]) -> Option<&[Complex32]> {
    use microfft::real;
    match values.len() {
        128 => Some(real::rfft_128(values.try_into().ok()?).as_slice()),
        256 => Some(real::rfft_256(values.try_into().ok()?).as_slice()),
        512 => Some(real::rfft_512(values.try_into().ok()?).as_slice()),
        1024 => Some(real::rfft_1024(values.try_into().ok()?).as_slice()),
        _ => None,
    }
}

/// The squared magnitude of a bin from 1 to `window / 2` under a (periodic) Hann window. The
/// window is applied here, where it is a weighted sum of three neighbours, so that no device needs
/// a table or a cosine.
fn hann_power(bins: &[Complex32], bin: usize) -> f32 {
    let before = at(bins, bin.saturating_sub(1));
    let here = at(bins, bin);
    let after = at(bins, bin.saturating_add(1));
    let re = 0.5 * here.re - 0.25 * (before.re + after.re);
    let im = 0.5 * here.im - 0.25 * (before.im + after.im);
    re * re + im * im
}

/// A bin from 0 to `window / 2 + 1` of the whole, conjugate-symmetric spectrum.
fn at(bins: &[Complex32], bin: usize) -> Complex32 {
    let half = bins.len();
    let first = bins.first().copied().unwrap_or_default();
    if bin == 0 {
        Complex32::new(first.re, 0.0)
    } else if bin < half {
        bins.get(bin).copied().unwrap_or_default()
    } else if bin == half {
        Complex32::new(first.im, 0.0)
    } else {
        let mirrored = half.saturating_mul(2).saturating_sub(bin);
        let value = bins.get(mirrored).copied().unwrap_or_default();
        Complex32::new(value.re, -value.im)
    }
}
