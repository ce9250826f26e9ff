use super::*;
use edge_runtime::kernels::packing::depthwise_dsp::Finish;
use edge_runtime::kernels::packing::depthwise_dsp::{Channel, channel};
use edge_runtime::kernels::reference::requantise::Requantise;

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

/// What the kernel makes of an accumulator, without the activation's limits.
fn by_kernel(form: Form, finish: &Finish, acc: i32, multiplier: i32) -> i64 {
    let product = i64::from(acc << finish.scale) * i64::from(multiplier);
    let addend = i64::from(finish.addend);
    let sum = match form {
        Form::Ties => ((product + (1 << 31)) >> 32) + addend - i64::from(acc < 0),
        _ => (product >> 32) + addend,
    };
    sum >> finish.shift
}

#[test]
fn canonical_weights_are_finished_as_the_reference_does() {
    let mut random = 1_u32;
    let mut accumulator = |bits: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random.cast_signed() >> (32 - bits)
    };
    for (rounding, zero_point, min) in [
        (Rounding::Double, -128, -128),
        (Rounding::Double, 5, 5),
        (Rounding::Double, 5, -128),
        (Rounding::Single, 5, -128),
        (Rounding::High32, -3, -128),
    ] {
        let shared = Shared {
            rounding,
            zero_point,
            min,
        };
        assert_eq!(finish_canonical(&shared, 1), None);
        let end = Requantise {
            rounding,
            zero_point,
            min,
            max: 127,
        };
        for shift in -21..=0 {
            let Some(finish) = finish_canonical(&shared, shift) else {
                assert!(shared.form() == Form::Ties && shift == 0);
                continue;
            };
            // Halves come up with the multiplier 1/2.
            for multiplier in [1 << 30, i32::MAX, 1_234_567_891] {
                for bits in 8..30 {
                    for acc in (0..40).map(|_| accumulator(bits)).chain([0, 1, -1]) {
                        let found = by_kernel(shared.form(), &finish, acc, multiplier);
                        let found = found.clamp(min.into(), 127) as i8;
                        let expected = end.apply(acc, multiplier, shift);
                        assert_eq!(found, expected, "{shared:?} {shift} {multiplier} {acc}");
                    }
                }
            }
        }
    }
}
