//! The end of an activation whose range is not that of `i8` itself.

use core::cell::Cell;

/// Limits each value to `min..=max`.
pub(super) fn limit(min: i8, max: i8, values: &[Cell<i8>]) {
    if min > i8::MIN || max < i8::MAX {
        for value in values {
            value.set(value.get().min(max).max(min));
        }
    }
}
