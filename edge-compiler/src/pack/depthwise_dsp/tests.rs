use super::*;
use edge_runtime::kernels::packing::depthwise_dsp::{Channel, channel};

const WEIGHTS: [i8; 36] = {
    let mut weights = [0; 36];
    let mut at = 0;
    while at < 36 {
        weights[at] = (at as i32 * 37 % 255 - 127) as i8;
        at += 1;
    }
    weights
};

fn layer(rounding: Rounding, shifts: &[i8; 4], min: i8) -> Depthwise<'_> {
    Depthwise {
        weights: &WEIGHTS,
        bias: &[1000, -2000, 0, 17],
        multipliers: &[1 << 30, i32::MAX, 1_234_567_890, 1_999_999_999],
        shifts,
        rounding,
        zero_point: -128,
        min,
    }
}

#[test]
fn what_was_packed_can_be_read_back() {
    for (rounding, shifts, min, form) in [
        (Rounding::Double, [-3, -9, -5, -7], -128, Form::Fixed),
        (Rounding::Double, [-3, -9, -20, -7], -128, Form::Merged),
        (Rounding::Double, [0, 2, -20, -7], -128, Form::Merged),
        (Rounding::Single, [0, -4, -20, -7], -128, Form::Merged),
        (Rounding::High32, [0, 1, 2, 7], -128, Form::Merged),
    ] {
        let layer = layer(rounding, &shifts, min);
        let packed = pack(&layer).unwrap();
        assert_eq!(Form::of(&packed), Some(form), "{rounding:?} {shifts:?}");
        for index in 0..4 {
            let expected = Channel {
                weights: std::array::from_fn(|row| {
                    std::array::from_fn(|column| WEIGHTS[(row * 3 + column) * 4 + index])
                }),
                bias: layer.bias[index],
                multiplier: layer.multipliers[index],
                shift: shifts[index],
            };
            assert_eq!(channel(&packed, index), Some(expected));
        }
        assert_eq!(channel(&packed, 4), None);
    }
}

#[test]
fn without_a_limit_at_the_zero_point_ties_need_their_own_form() {
    let shifts = [-3, -9, -5, -7];
    let mut layer = layer(Rounding::Double, &shifts, -128);
    layer.zero_point = 3;
    assert_eq!(Form::of(&pack(&layer).unwrap()), Some(Form::Ties));
    layer.shifts = &[-3, -9, 0, -7];
    assert_eq!(pack(&layer), None);
}

#[test]
fn an_accumulator_that_may_not_fit_is_refused() {
    let shifts = [-3, -9, -5, -7];
    let mut layer = layer(Rounding::Double, &shifts, -128);
    layer.bias = &[0, 0, 0, i32::MAX - 1000];
    assert_eq!(pack(&layer), None);
}

#[test]
fn canonical_weights_fit_where_a_form_without_a_common_shift_does() {
    let mut layer = layer(Rounding::Double, &[-3, -9, -5, -7], -128);
    assert!(fits_canonical(&layer));
    layer.zero_point = 3;
    layer.shifts = &[-3, -9, 0, -7];
    assert!(!fits_canonical(&layer));
}
