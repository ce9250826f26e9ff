//! ADD in the fitted form, for what is left behind the last full vector.

use crate::kernels::reference::add::AddFitted;

/// Some elements, one by one.
///
/// # Safety
/// They are readable in `a` and `b` and writable in `output`.
pub(crate) unsafe fn elements(
    settings: &AddFitted,
    a: *const i8,
    b: *const i8,
    output: *mut i8,
    range: core::ops::Range<usize>,
) {
    let [first, second] = [settings.a, settings.b];
    for at in range {
        // SAFETY: the element is in all three.
        unsafe {
            let sum = i32::from(*a.add(at))
                .wrapping_mul(first)
                .wrapping_add(i32::from(*b.add(at)).wrapping_mul(second))
                .wrapping_add(settings.c)
                .wrapping_shr(settings.shift);
            let value = sum.max(settings.min.into()).min(settings.max.into());
            output.add(at).write(value as i8);
        }
    }
}
