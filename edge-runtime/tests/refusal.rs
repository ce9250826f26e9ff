//! One wrong field at a time, sealed with a correct hash: each is refused for its own reason.

mod common;

use common::{Aligned, SAMPLE_KERNELS, sample};
use edge_runtime::format::*;
use edge_runtime::model::{DriftFault, FeatureFault, OperatorFault, Part, TensorFault};
use edge_runtime::{LoadError, Model};
use zerocopy::FromBytes;

/// The error after `change` and sealing.
fn error(change: impl FnOnce(&mut Aligned)) -> LoadError {
    let mut image = sample();
    change(&mut image);
    image.seal();
    Model::load(image.bytes()).unwrap_err()
}

fn header(change: impl FnOnce(&mut Header)) -> LoadError {
    error(|image| change(image.header()))
}

fn tensor(index: usize, change: impl FnOnce(&mut TensorRecord)) -> TensorFault {
    let error = error(|image| change(&mut image.tensors()[index]));
    match error {
        LoadError::Tensor { index: at, fault } if at == index => fault,
        other => panic!("{other:?}"),
    }
}

/// The operators of the sample: 0 conv, 1 pool, 2 reshape, 3 and 4 fully connected, 5 clamp,
/// 6 softmax.
fn operator(index: usize, change: impl FnOnce(&mut OperatorRecord)) -> OperatorFault {
    let error = error(|image| change(&mut image.operators()[index]));
    match error {
        LoadError::Operator { index: at, fault } if at == index => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn slices() {
    let image = sample();
    let bytes = image.bytes();
    let shifted = Aligned::new(&[&[0; 1], bytes].concat());
    assert_eq!(
        Model::load(&shifted.bytes()[1..]).unwrap_err(),
        LoadError::Misaligned
    );
    for len in 0..bytes.len() {
        let needed = if len < 176 { 176 } else { bytes.len() };
        assert_eq!(
            Model::load(&bytes[..len]).unwrap_err(),
            LoadError::Truncated { needed }
        );
    }
}

#[test]
fn headers() {
    let version = |major, minor| LoadError::Version { major, minor };
    assert_eq!(header(|h| h.magic[3] = 2), LoadError::Magic);
    assert_eq!(header(|h| h.format_major = 2), version(2, 0));
    assert_eq!(header(|h| h.format_minor = 2), version(1, 2));
    assert_eq!(header(|h| h.image_len = 160), LoadError::Length);
    assert_eq!(header(|h| h.image_len -= 1), LoadError::Length);
    assert_eq!(header(|h| h.reserved = 1), LoadError::Reserved);
    assert_eq!(header(|h| h.reserved_tail = 1), LoadError::Reserved);
    assert_eq!(
        header(|h| h.kernel_set |= 1 << 22),
        LoadError::Kernels { missing: 1 << 22 }
    );
    let needed = SAMPLE_KERNELS;
    assert_eq!(
        header(|h| h.kernel_set &= !2),
        LoadError::KernelSet { needed }
    );
    assert_eq!(header(|h| h.macs += 1), LoadError::Macs { expected: 5168 });
    assert_eq!(header(|h| h.input = 8), LoadError::Section(Part::Tensors));
    assert_eq!(header(|h| h.output = 8), LoadError::Section(Part::Tensors));
    let arena = TensorFault::Arena;
    assert_eq!(
        header(|h| h.arena_bytes -= 1),
        LoadError::Tensor {
            index: 1,
            fault: arena
        }
    );
    let mut damaged = sample();
    *damaged.bytes_mut().last_mut().unwrap() ^= 1;
    assert_eq!(Model::load(damaged.bytes()).unwrap_err(), LoadError::Hash);
}

#[test]
fn sections() {
    type Pick = fn(&mut Header) -> &mut Section;
    let all: [(Part, Pick); 8] = [
        (Part::Tensors, |h| &mut h.tensors),
        (Part::Operators, |h| &mut h.operators),
        (Part::Constants, |h| &mut h.constants),
        (Part::Features, |h| &mut h.features),
        (Part::Labels, |h| &mut h.labels),
        (Part::Drift, |h| &mut h.drift),
        (Part::SelfTest, |h| &mut h.self_test),
        (Part::Metadata, |h| &mut h.metadata),
    ];
    for (part, pick) in all {
        let refused = LoadError::Section(part);
        assert_eq!(header(|h| pick(h).offset += 1), refused);
        assert_eq!(header(|h| pick(h).offset = 160), refused);
        assert_eq!(header(|h| pick(h).offset = 0xFFFF_FFF0), refused);
        assert_eq!(header(|h| pick(h).len = u32::MAX), refused);
    }
    for (part, pick) in [all[0], all[1], all[3], all[5], all[6]] {
        assert_eq!(header(|h| pick(h).len -= 1), LoadError::Section(part));
    }
    let text = |pick: fn(&Header) -> Section| error(|image| image.section(pick)[0] = 0xFF);
    assert_eq!(text(|h| h.labels), LoadError::Text(Part::Labels));
    assert_eq!(text(|h| h.metadata), LoadError::Text(Part::Metadata));
}

#[test]
fn tensors() {
    assert_eq!(tensor(0, |t| t.shape[0] = 2), TensorFault::Shape);
    assert_eq!(tensor(0, |t| t.shape[1] = 7), TensorFault::Shape);
    assert_eq!(tensor(0, |t| t.len = 127), TensorFault::Shape);
    assert_eq!(
        tensor(3, |t| (t.shape[3], t.len) = (0, 0)),
        TensorFault::Shape
    );
    assert_eq!(
        tensor(0, |t| t.shape = [1, 65535, 65535, 65535]),
        TensorFault::Shape
    );
    assert_eq!(tensor(0, |t| t.element = 1), TensorFault::Element);
    assert_eq!(tensor(0, |t| t.storage = 3), TensorFault::Element);
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(tensor(0, |t| t.scale = scale), TensorFault::Scale);
    }
    assert_eq!(tensor(0, |t| t.zero_point = 128), TensorFault::ZeroPoint);
    assert_eq!(tensor(0, |t| t.zero_point = -129), TensorFault::ZeroPoint);
    assert_eq!(tensor(0, |t| t.arena_offset = 8), TensorFault::Arena);
    assert_eq!(tensor(0, |t| t.arena_offset = 272), TensorFault::Arena);
    assert_eq!(
        tensor(0, |t| t.arena_offset = 0xFFFF_FFF0),
        TensorFault::Arena
    );
}

#[test]
fn operator_fields() {
    use OperatorFault as F;
    for (index, unknown) in [(0, 0), (1, 24), (2, 32), (6, 255)] {
        assert_eq!(operator(index, |o| o.opcode = unknown), F::Opcode);
    }
    for index in 0..7 {
        assert_eq!(operator(index, |o| o.packing = 32), F::Packing);
        assert_eq!(operator(index, |o| o.reserved[1] = 1), F::Unused);
        assert_eq!(operator(index, |o| o.state = 1), F::Unused);
        assert_eq!(operator(index, |o| o.inputs[0] = 8), F::Tensors);
        assert_eq!(operator(index, |o| o.inputs[1] = 0), F::Tensors);
        assert_eq!(operator(index, |o| o.output = NO_TENSOR), F::Tensors);
        assert_eq!(
            operator(index, |o| (o.clamp_min, o.clamp_max) = (1, 0)),
            F::Clamp
        );
        assert_eq!(operator(index, |o| o.scratch = 8), F::Scratch);
        assert_eq!(operator(index, |o| o.scratch_len = 385), F::Scratch);
        assert_eq!(operator(index, |o| o.scratch_len = 384), F::Overlap);
        let overflow = operator(index, |o| (o.scratch, o.scratch_len) = (16, u32::MAX));
        assert_eq!(overflow, F::Scratch);
    }
    for index in [2, 3, 4, 5, 6] {
        assert_eq!(operator(index, |o| o.kernel[0] = 2), F::Unused);
        assert_eq!(operator(index, |o| o.stride[1] = 2), F::Unused);
        assert_eq!(operator(index, |o| o.padding[0] = 1), F::Unused);
        assert_eq!(operator(index, |o| o.dilation[1] = 2), F::Unused);
    }
    for index in [1, 2, 5, 6] {
        assert_eq!(
            operator(index, |o| o.rounding = rounding::DOUBLE),
            F::Rounding
        );
        assert_eq!(operator(index, |o| o.weights = 16), F::Unused);
        assert_eq!(operator(index, |o| o.shifts = 4), F::Unused);
    }
    for index in [2, 6] {
        assert_eq!(operator(index, |o| o.clamp_max = 100), F::Unused);
    }
    for index in [0, 1, 2, 3, 4, 5, 6] {
        assert_eq!(operator(index, |o| o.parameters[3] = 1), F::Unused);
    }
}

#[test]
fn constants() {
    use OperatorFault as F;
    for index in [0, 3, 4] {
        assert_eq!(operator(index, |o| o.rounding = 0), F::Rounding);
        assert_eq!(operator(index, |o| o.rounding = 4), F::Rounding);
        assert_eq!(operator(index, |o| o.weights_len -= 1), F::Weights);
        assert_eq!(operator(index, |o| o.weights_len += 1), F::Weights);
        assert_eq!(operator(index, |o| o.weights += 4), F::Weights);
        assert_eq!(operator(index, |o| o.weights = 0xFFFF_FFF0), F::Weights);
        assert_eq!(operator(index, |o| o.bias += 2), F::Channels);
        assert_eq!(operator(index, |o| o.bias = 0xFFFF_FFFC), F::Channels);
        assert_eq!(operator(index, |o| o.multipliers = 1 << 20), F::Channels);
        assert_eq!(operator(index, |o| o.shifts = 1 << 20), F::Channels);
        assert_eq!(operator(index, |o| o.shifts += 1), F::Channels);
        // One value of channel 1.
        let constant = |pick: fn(&OperatorRecord) -> u32, at: usize, value: u8| {
            let refused = error(|image| {
                let offset = pick(&image.operators()[index]) as usize;
                image.section(|header| header.constants)[offset + at] = value;
            });
            assert!(matches!(refused, LoadError::Operator { index: at, .. } if at == index));
            let LoadError::Operator { fault, .. } = refused else {
                unreachable!()
            };
            fault
        };
        assert_eq!(constant(|o| o.multipliers, 7, 0x80), F::Multiplier);
        assert_eq!(constant(|o| o.shifts, 1, 31), F::Shift);
        assert_eq!(constant(|o| o.shifts, 1, (-32_i8) as u8), F::Shift);
    }
    assert_eq!(operator(0, |o| o.rounding = rounding::HIGH_32), F::Shift);
}

#[test]
fn geometry() {
    use OperatorFault as F;
    for index in [0, 1] {
        for axis in 0..2 {
            assert_eq!(operator(index, |o| o.stride[axis] = 0), F::Geometry);
            assert_eq!(operator(index, |o| o.stride[axis] = 9), F::Geometry);
            assert_eq!(operator(index, |o| o.kernel[axis] = 0), F::Geometry);
            assert_eq!(operator(index, |o| o.padding[axis] = 3), F::Geometry);
            assert_eq!(operator(index, |o| o.dilation[axis] = 0), F::Geometry);
        }
    }
    assert_eq!(operator(1, |o| o.dilation = [2, 2]), F::Geometry);
    // The last pool would begin behind the input.
    assert_eq!(operator(1, |o| o.stride = [3, 3]), F::Geometry);
    let wider = |t: &mut TensorRecord| t.shape = [1, 8, 16, 2];
    let refused = error(|image| {
        wider(&mut image.tensors()[1]);
    });
    assert_eq!(
        refused,
        LoadError::Operator {
            index: 0,
            fault: F::Geometry
        }
    );
    let flat = error(|image| image.tensors()[7].shape = [1, 2, 2, 2]);
    assert_eq!(
        flat,
        LoadError::Operator {
            index: 3,
            fault: F::Geometry
        }
    );
    let depth = error(|image| {
        let pooled = &mut image.tensors()[2];
        (pooled.shape, pooled.len) = ([1, 4, 4, 3], 48);
    });
    assert_eq!(
        depth,
        LoadError::Operator {
            index: 1,
            fault: F::Geometry
        }
    );
}

#[test]
fn quantisation_and_softmax() {
    use OperatorFault as F;
    let scaled = |tensor: usize, scale: f32| error(|image| image.tensors()[tensor].scale = scale);
    let fault = |index, fault| LoadError::Operator { index, fault };
    assert_eq!(scaled(2, 0.2), fault(1, F::Quantisation));
    assert_eq!(scaled(3, 0.2), fault(2, F::Quantisation));
    assert_eq!(scaled(5, 0.1), fault(5, F::Quantisation));
    assert_eq!(scaled(6, 0.1), fault(6, F::Quantisation));
    let zero_point = error(|image| image.tensors()[6].zero_point = 0);
    assert_eq!(zero_point, fault(6, F::Quantisation));
    assert_eq!(operator(6, |o| o.parameters[0] = -1), F::Softmax);
    assert_eq!(operator(6, |o| o.parameters[1] = 32), F::Softmax);
    assert_eq!(operator(6, |o| o.parameters[1] = -1), F::Softmax);
    assert_eq!(operator(6, |o| o.parameters[2] = 1), F::Softmax);
    assert_eq!(operator(6, |o| o.parameters[2] = -125), F::Softmax);
}

#[test]
fn plans() {
    use OperatorFault as F;
    let moved = |tensor: usize, to: u32| error(|image| image.tensors()[tensor].arena_offset = to);
    let fault = |index, fault| LoadError::Operator { index, fault };
    assert_eq!(moved(1, 112), fault(0, F::Overlap));
    assert_eq!(moved(4, 96), fault(4, F::Overlap));
    // In place is in place exactly or not at all.
    assert_eq!(moved(3, 16), fault(2, F::Overlap));
    // The pool's bytes are gone when the reshape's output reads from elsewhere.
    assert_eq!(operator(3, |o| o.inputs[0] = 1), F::Weights);
    assert_eq!(operator(6, |o| o.inputs[0] = 4), F::Clobbered);
    assert_eq!(operator(1, |o| o.output = 3), F::Geometry);
    let swapped = error(|image| image.operators().swap(4, 3));
    assert_eq!(swapped, fault(3, F::Clobbered));
    let twice = error(|image| {
        image.operators()[5].inputs[0] = 5;
    });
    assert_eq!(twice, fault(5, F::Clobbered));
    let unwritten = error(|image| {
        image.operators()[6].inputs[0] = 4;
        image.operators()[5] = image.operators()[6];
    });
    assert_eq!(
        unwritten,
        LoadError::KernelSet {
            needed: SAMPLE_KERNELS & !(1 << 6)
        }
    );
    let twice = error(|image| {
        let record = image.operators()[6];
        image.operators()[5] = OperatorRecord {
            inputs: [4, NO_TENSOR],
            ..record
        };
        image.operators()[6].inputs[0] = 4;
        image.header().kernel_set &= !(1 << opcode::CLAMP);
    });
    assert_eq!(twice, fault(6, F::WrittenTwice));
    let lost = error(|image| {
        image.header().output = 4;
        // Classes, labels still fit: six values, but the clamp has changed them.
    });
    assert_eq!(lost, fault(6, F::OutputLost));
}

#[test]
fn absurd_work() {
    // 20000 x 20000 pixels under a kernel of 3 x 3: few bytes of image, too many steps.
    let refused = error(|image| {
        image.header().arena_bytes = u32::MAX;
        let [input, output, ..] = image.tensors() else {
            panic!("the sample has tensors")
        };
        (input.shape, input.len) = ([1, 20000, 20000, 2], 800_000_000);
        (output.shape, output.len) = ([1, 20000, 20000, 4], 1_600_000_000);
        (output.scale, output.zero_point) = (input.scale, input.zero_point);
        output.arena_offset = 800_000_000;
    });
    assert_eq!(
        refused,
        LoadError::Operator {
            index: 0,
            fault: OperatorFault::Work
        }
    );
}

#[test]
fn features() {
    let feature = |change: fn(&mut FeatureHeader)| match error(|image| {
        let bytes = image.section(|header| header.features);
        change(FeatureHeader::mut_from_prefix(bytes).unwrap().0);
    }) {
        LoadError::Features { fault } => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(feature(|f| f.kind = 0), FeatureFault::Kind);
    assert_eq!(feature(|f| f.kind = 4), FeatureFault::Kind);
    assert_eq!(
        feature(|f| f.kind = feature_kind::COMPRESS),
        FeatureFault::Settings
    );
    assert_eq!(feature(|f| f.window = 255), FeatureFault::Settings);
    assert_eq!(feature(|f| f.window = 2048), FeatureFault::Settings);
    assert_eq!(feature(|f| f.bands = 48), FeatureFault::Settings);
    assert_eq!(feature(|f| f.bands = 0), FeatureFault::Settings);
    assert_eq!(feature(|f| f.len = 64), FeatureFault::Settings);
    assert_eq!(feature(|f| f.reserved[0] = 1), FeatureFault::Settings);
    assert_eq!(
        feature(|f| f.sample_rate_hz = f32::NAN),
        FeatureFault::Settings
    );
    assert_eq!(
        feature(|f| (f.bands, f.len) = (32, 64)),
        FeatureFault::Length
    );
    for (at, value) in [
        (0, f32::NAN),
        (127, f32::INFINITY),
        (128, 0.0),
        (255, f32::NAN),
    ] {
        let refused = error(|image| {
            let bytes = &mut image.section(|header| header.features)[32 + 4 * at..][..4];
            bytes.copy_from_slice(&value.to_le_bytes());
        });
        assert_eq!(
            refused,
            LoadError::Features {
                fault: FeatureFault::Values
            }
        );
    }
}

#[test]
fn labels_drift_and_self_test() {
    let labels = |text: &'static [u8]| {
        error(|image| image.section(|header| header.labels).copy_from_slice(text))
    };
    assert_eq!(
        labels(b"a\nb\nc\nd\ne\nff"),
        LoadError::Labels { expected: 6 }
    );
    assert_eq!(
        labels(b"a\nb\nc\nd\neef\n"),
        LoadError::Labels { expected: 6 }
    );
    assert_eq!(
        labels(b"a\nb\nc\nd\n\nff\n"),
        LoadError::Labels { expected: 6 }
    );
    let drift = |change: fn(&mut DriftHeader)| {
        error(|image| {
            let bytes = image.section(|header| header.drift);
            change(DriftHeader::mut_from_prefix(bytes).unwrap().0);
        })
    };
    let fault = |fault| LoadError::Drift { fault };
    assert_eq!(drift(|d| d.features = 127), fault(DriftFault::Features));
    assert_eq!(drift(|d| d.reserved = 1), fault(DriftFault::Features));
    assert_eq!(drift(|d| d.classes = 5), fault(DriftFault::Classes));
    assert_eq!(drift(|d| d.features = 0), LoadError::Section(Part::Drift));
    let edge =
        |at: usize, value: u8| error(|image| image.section(|header| header.drift)[16 + at] = value);
    assert_eq!(edge(3, 100), fault(DriftFault::Edges));
    assert_eq!(edge(15, 1), fault(DriftFault::Edges));
    let self_test = |change: fn(&mut SelfTestRecord)| {
        error(|image| {
            let bytes = image.section(|header| header.self_test);
            change(SelfTestRecord::mut_from_bytes(bytes).unwrap());
        })
    };
    assert_eq!(self_test(|s| s.seed = 0), LoadError::SelfTest);
    assert_eq!(self_test(|s| s.rounds = 0), LoadError::SelfTest);
    assert_eq!(self_test(|s| s.rounds = 9), LoadError::SelfTest);
    assert_eq!(self_test(|s| s.reserved[1] = 1), LoadError::SelfTest);
}
