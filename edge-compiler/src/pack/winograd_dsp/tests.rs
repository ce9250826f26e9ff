use super::*;
use edge_runtime::kernels::packing::winograd_dsp as packing;

fn weights() -> Vec<i8> {
    (0..8 * 9 * 16)
        .map(|at: i32| (at.wrapping_mul(2_654_435_761_u32 as i32) >> 20) as i8)
        .collect()
}

fn layer<'a>(weights: &'a [i8], rounding: Rounding, shifts: &'a [i8; 8]) -> Convolution<'a> {
    Convolution {
        weights,
        bias: &[1000, -2000, 0, 17, -1, 5, 70_000, -70_000],
        multipliers: &[1 << 30; 8],
        shifts,
        rounding,
        zero_point: -128,
        min: -128,
    }
}

#[test]
fn what_was_packed_can_be_read_back() {
    let mut weights = weights();
    weights[..3].copy_from_slice(&[-128, 127, -128]);
    for (rounding, shifts) in [
        (Rounding::Double, [-3, -9, -5, -7, -8, -8, -1, 0]),
        (Rounding::Single, [0, -4, -15, -7, 2, 1, -8, -8]),
        (Rounding::High32, [0, 1, 2, 2, 1, 0, 0, 0]),
    ] {
        let layer = layer(&weights, rounding, &shifts);
        for transform in [Transform::F2, Transform::F4] {
            let packed = pack(&layer, transform).unwrap();
            assert_eq!(packed.len(), 16 + 2 * transform.block_len(16));
            for output in 0..8 {
                for input in 0..16 {
                    let expected: [[i8; 3]; 3] = std::array::from_fn(|row| {
                        std::array::from_fn(|x| weights[(output * 9 + row * 3 + x) * 16 + input])
                    });
                    let read = packing::weights(transform, &packed, 16, [output, input]);
                    assert_eq!(read, Some(expected));
                }
                let expected = (layer.bias[output], 1 << 30, shifts[output]);
                assert_eq!(
                    packing::channel(transform, &packed, 16, output),
                    Some(expected)
                );
            }
            assert_eq!(packing::weights(transform, &packed, 16, [8, 0]), None);
        }
    }
}

#[test]
fn without_a_limit_at_the_zero_point_ties_need_their_own_form() {
    let weights = weights();
    let mut layer = layer(&weights, Rounding::Double, &[-8; 8]);
    assert_eq!(
        packing::Form::of(&pack(&layer, Transform::F2).unwrap()),
        Some(Form::Merged)
    );
    layer.zero_point = 3;
    assert_eq!(
        packing::Form::of(&pack(&layer, Transform::F2).unwrap()),
        Some(Form::Ties)
    );
    layer.shifts = &[-8, -8, -8, -8, -8, -8, -8, 0];
    assert_eq!(pack(&layer, Transform::F2), None);
}

#[test]
fn four_times_an_accumulator_must_fit() {
    let weights = weights();
    let mut layer = layer(&weights, Rounding::Double, &[-8; 8]);
    layer.bias = &[0, 0, 0, 0, 0, 0, 0, 1 << 29];
    assert_eq!(pack(&layer, Transform::F2), None);
}
