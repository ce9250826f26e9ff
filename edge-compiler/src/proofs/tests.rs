use super::*;
use crate::testing::*;

fn layer(values: Vec<i8>, bias: i32) -> Weights {
    Weights {
        values,
        scales: vec![1.0],
        bias: vec![bias],
    }
}

/// Every input of three elements from the corners and the middle: the bounds hold and are met.
#[test]
fn bounds_hold_and_are_met() {
    for zero_point in [-128, -7, 0, 127] {
        let weights = layer(vec![3, -128, 127], -1000);
        let bound = accumulator_bounds(&weights, zero_point)[0];
        let folded = scales::folded_bias(&weights, zero_point)[0];
        let corners = [-128i64, 0, 127];
        let (mut least, mut greatest) = (i64::MAX, i64::MIN);
        for x in corners {
            for y in corners {
                for z in corners {
                    let products = [3 * x, -128 * y, 127 * z];
                    let sum = folded + products.iter().sum::<i64>();
                    (least, greatest) = (least.min(sum), greatest.max(sum));
                    let mut partial = folded;
                    for product in products {
                        partial += product;
                        assert!(partial.abs() <= bound.partial);
                    }
                }
            }
        }
        assert_eq!((bound.least, bound.greatest), (least, greatest));
    }
}

fn prove(weights: &Weights, shift: i8) -> Result<(), ProofError> {
    let multipliers = vec![
        Multiplier {
            value: 1 << 30,
            shift
        };
        weights.bias.len()
    ];
    accumulators(&network(), 4, weights, 0, &multipliers)
}

#[test]
fn a_sum_that_may_overflow_is_refused() {
    let most = i32::MAX - MARGIN as i32 - 128 * 100;
    prove(&layer(vec![100], most), 0).unwrap();
    let error = prove(&layer(vec![100], most + 1), 0).unwrap_err();
    let ProofError::Accumulator {
        operator,
        channel: 0,
        bound,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(operator, "operator 4 (FULLY_CONNECTED)");
    assert_eq!(*bound, i64::from(i32::MAX) - MARGIN + 1);
    prove(&layer(vec![-100], i32::MIN), 0).unwrap_err();
}

#[test]
fn a_shift_that_may_overflow_is_refused() {
    // At most 2^20 + 127.
    let weights = layer(vec![1], 1 << 20);
    prove(&weights, 10).unwrap();
    let error = prove(&weights, 11).unwrap_err();
    assert!(
        matches!(
            error,
            ProofError::Shift {
                channel: 0,
                shift: 11,
                ..
            }
        ),
        "{error}"
    );
    // A right shift needs nothing.
    prove(&weights, -31).unwrap();
}

fn target(ram: u64, slot: u64) -> Target {
    Target {
        name: "tiny".into(),
        ram_bytes: ram,
        firmware_ram_bytes: 1000,
        model_slot_bytes: slot,
        ..Target::host()
    }
}

#[test]
fn too_little_ram_says_how_much_and_where() {
    let graph = network();
    let plan = crate::plan::plan(&graph, &vec![0; graph.operators.len()]);
    let needed = 48 + u64::from(STACK_BYTES) + 1000;
    ram(&graph, &plan, &target(needed, 0)).unwrap();
    let error = ram(&graph, &plan, &target(needed - 5, 0)).unwrap_err();
    let ProofError::Ram {
        missing: 5,
        arena: 48,
        live: 48,
        ..
    } = error
    else {
        panic!("{error}");
    };
    let text = error.to_string();
    assert!(text.contains("tiny lacks 5 bytes of RAM"), "{text}");
    assert!(text.contains("operator 0 (CONV_2D)"), "{text}");
}

#[test]
fn too_little_flash_says_how_much_and_where() {
    let graph = network();
    flash(&graph, 4096, &target(0, 4096)).unwrap();
    let text = flash(&graph, 4112, &target(0, 4096))
        .unwrap_err()
        .to_string();
    assert!(text.contains("tiny lacks 16 bytes of flash"), "{text}");
    // 3 x 16 weights and 27 bytes per-channel constants are more than the convolution's 24 + 36.
    assert!(
        text.contains("operator 4 (FULLY_CONNECTED) needs the most: 75"),
        "{text}"
    );
}
