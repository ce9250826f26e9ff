//! CLAMP: a stand-alone ReLU, ReLU6 or ReLU_N1_TO_1 on quantised values.

/// Limits each value to `min..=max`, in place.
pub fn clamp(min: i8, max: i8, values: &mut [i8]) {
    for value in values {
        *value = (*value).max(min).min(max);
    }
}
