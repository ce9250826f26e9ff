//! What holds for every image: the same bytes from the same package, one graph hash for all
//! targets, everything of the package readable in it, and no package that makes the compiler panic.

mod common;

use common::{cases, graphs, noise, package, run};
use edge_compiler::report::{Summary, describe};
use edge_compiler::{
    Activation, CompileError, Compiled, Convolution, Graph, OperatorKind, Optimize, Options,
    Package, Padding, RoundingMode, Target, Weights, compile, compile_with,
};
use edge_runtime::format::opcode;
use edge_runtime::{Model, Session};
use proptest::prelude::*;

fn example() -> Package {
    package(graphs::network(5, RoundingMode::High32))
}

#[test]
fn the_same_package_gives_the_same_bytes() {
    let target = Target::host();
    let image = compile(&example(), &target).unwrap().image;
    for _ in 0..3 {
        assert_eq!(compile(&example(), &target).unwrap().image, image);
    }
    let mut other = example();
    other.metadata.push('!');
    assert_ne!(compile(&other, &target).unwrap().image, image);
}

#[test]
fn host_and_board_share_the_graph_and_the_outputs() {
    let host = compile(&example(), &Target::host()).unwrap();
    let board = compile(&example(), &Target::board("mps2-an386").unwrap()).unwrap();
    let (a, b) = (
        Model::load(&host.image).unwrap(),
        Model::load(&board.image).unwrap(),
    );
    assert_eq!(a.graph_hash(), b.graph_hash());
    assert_eq!(*a.graph_hash(), example().graph.hash());
    let input = noise(1, 32);
    assert_eq!(run(&host, &input), run(&board, &input));

    let other = compile(
        &package(graphs::network(6, RoundingMode::High32)),
        &Target::host(),
    );
    assert_ne!(
        Model::load(&other.unwrap().image).unwrap().graph_hash(),
        a.graph_hash()
    );
}

#[test]
fn an_image_holds_the_whole_package() {
    let package = example();
    let compiled = compile(&package, &Target::host()).unwrap();
    let model = Model::load(&compiled.image).unwrap();
    assert_eq!(model.image_len(), compiled.image.len());
    assert_eq!(u64::from(model.macs()), package.graph.macs());
    assert_eq!(model.macs(), compiled.macs);
    assert_eq!(model.arena_bytes(), compiled.plan.arena_bytes);
    assert!(model.labels().eq(package.labels.iter().map(String::as_str)));
    assert_eq!(model.metadata(), package.metadata);
    let features = model.features();
    assert_eq!(features.kind, package.features.kind);
    assert_eq!(
        (features.offset, features.gain),
        (&[0.5; 32][..], &[2.0; 32][..])
    );
    assert_eq!((features.scale, features.zero_point), (0.05, 3));
    let (drift, spec) = (model.drift_reference(), &package.drift);
    assert_eq!((drift.features(), drift.windows()), (32, spec.windows));
    for feature in 0..32 {
        assert_eq!(drift.edges(feature)[..15], spec.edges[feature]);
        assert_eq!(drift.counts(feature), &spec.counts[feature]);
    }
    assert_eq!(drift.confidence(), &spec.confidence);
    assert_eq!(drift.classes(), &spec.classes[..]);
}

/// Releases keep packages: what is read back must compile to the same image.
#[test]
fn a_package_survives_serialisation() {
    let package = example();
    let text = toml::to_string(&package).unwrap();
    assert!(text.contains("kind = \"standardise\""), "{text}");
    assert_eq!(toml::from_str::<Package>(&text).unwrap(), package);
}

#[test]
fn the_pipeline_of_a_spec_is_that_of_the_image() {
    let package = example();
    let compiled = compile(&package, &Target::host()).unwrap();
    let model = Model::load(&compiled.image).unwrap();
    let samples: Vec<f32> = (0..32).map(|i| i as f32 * 0.03).collect();
    let spec = package.features.pipeline(0.05, 3);
    let mut scratch = vec![0.0; spec.scratch_len()];
    let (mut a, mut b) = ([0i8; 32], [0i8; 32]);
    spec.run(&samples, &mut scratch, &mut a).unwrap();
    model
        .features()
        .run(&samples, &mut scratch, &mut b)
        .unwrap();
    assert_eq!(a, b);
    assert_ne!(a, [0; 32]);
}

#[test]
fn the_self_test_passes_and_notices_a_changed_weight() {
    // One convolution whose outputs rarely saturate: behind a softmax few weights would show.
    let mut graph = graphs::network(5, RoundingMode::High32);
    graph.tensors[1].scale = 4.0;
    graph.tensors.truncate(2);
    graph.operators.truncate(1);
    graph.output = 1;
    let compiled = compile(&package(graph), &Target::host()).unwrap();
    let passes = |image: &[u8]| {
        let model = Model::load(image).unwrap();
        let mut arena = edge_compiler::AlignedBytes::zeroed(model.arena_bytes());
        Session::new(&model, arena.as_i8_mut()).unwrap().self_test()
    };
    assert!(passes(&compiled.image));
    let model = Model::load(&compiled.image).unwrap();
    let weights = (model.header().constants.offset + model.operators()[0].weights) as usize;
    // A weight behind a saturated channel or a zero input need not show: most others do.
    let noticed = (weights..weights + 32).filter(|at| {
        let mut image = compiled.image.clone();
        image[*at] ^= 0x40;
        let hash = edge_runtime::image_hash(&image).unwrap();
        image[16..48].copy_from_slice(&hash);
        !passes(&image)
    });
    assert!(noticed.count() >= 16);
}

#[test]
fn a_board_that_is_too_small_is_refused_by_name() {
    let small = Target {
        model_slot_bytes: 1024,
        ..Target::board("mps2-an386").unwrap()
    };
    let error = compile(&example(), &small).unwrap_err().to_string();
    assert!(
        error.contains("mps2-an386 lacks") && error.contains("flash"),
        "{error}"
    );
    assert!(error.contains("operator 4 (FULLY_CONNECTED)"), "{error}");
    let small = Target {
        ram_bytes: 1024,
        firmware_ram_bytes: 0,
        ..Target::host()
    };
    let error = compile(&example(), &small).unwrap_err().to_string();
    assert!(
        error.contains("RAM") && error.contains("operator 1 (CONV_2D)"),
        "{error}"
    );
}

#[test]
fn the_report_names_every_part() {
    let compiled = compile(&example(), &Target::host()).unwrap();
    let model = Model::load(&compiled.image).unwrap();
    let text = describe(&model);
    for expected in [
        "CONV_2D",
        "MAX_POOL_2D",
        "RESHAPE",
        "FULLY_CONNECTED",
        "SOFTMAX",
        "1x16x8",
        "high32",
        "reference/canonical",
        "drift reference",
        "class 3",
        "Arena",
        "made by a test",
    ] {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
    let summary = Summary::of(&model);
    let operators: u64 = summary.operators.iter().map(|o| o.macs).sum();
    assert_eq!(operators, u64::from(model.macs()));
    let flash: u32 = summary
        .flash
        .iter()
        .map(|part| part.bytes.next_multiple_of(16))
        .sum();
    // Constants of vector kernels start on a line of 64 bytes.
    let between = model.image_len().checked_sub(flash as usize);
    assert!(between.is_some_and(|bytes| bytes < 64));
    // What the report reads from the image is what the plan said.
    for (tensor, lifetime) in summary.tensors.iter().zip(&compiled.plan.lifetimes) {
        assert_eq!(tensor.live.as_ref(), Some(lifetime));
    }
}

/// A picture small enough to check by eye.
#[test]
fn the_arena_is_drawn() {
    let relu = || OperatorKind::Activation(Activation::Relu);
    let pool = OperatorKind::MaxPool2d {
        activation: Activation::None,
        kernel: [1, 2],
        stride: [1, 2],
        padding: edge_compiler::Padding::Valid,
    };
    let wide = graphs::tensor([1, 1, 4, 8], 0.1, 0);
    let narrow = graphs::tensor([1, 1, 2, 8], 0.1, 0);
    let tensors = vec![wide.clone(), wide, narrow.clone(), narrow];
    let graph = graphs::chain(tensors, vec![relu(), pool, relu()]);
    let compiled = compile(&package(graph), &Target::host()).unwrap();
    let text = describe(&Model::load(&compiled.image).unwrap());
    // The last clamp is part of the pool by then.
    let picture = "\
    offset     0    1
         0    t1   t1
        16    t1   t1
        32     .   t2
";
    assert!(text.contains(picture), "{text}");
}

#[test]
fn packages_that_do_not_fit_their_graph_are_refused() {
    let changes: [fn(&mut Package); 13] = [
        |p| p.labels.truncate(3),
        |p| p.labels[1].clear(),
        |p| p.labels[1].push('\n'),
        |p| p.features.window = 31,
        |p| p.features.bands = 1,
        |p| p.features.offset.truncate(31),
        |p| p.features.gain[3] = 0.0,
        |p| p.features.offset[3] = f32::NAN,
        |p| p.features.sample_rate_hz = -1.0,
        |p| p.drift.edges.truncate(31),
        |p| p.drift.counts.truncate(31),
        |p| p.drift.classes.push(1),
        |p| p.drift.edges[7][3] = 127,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut package = example();
        change(&mut package);
        let error = compile(&package, &Target::host()).unwrap_err();
        assert!(
            matches!(error, CompileError::Package(_)),
            "{index}: {error}"
        );
    }
}

/// A number that may be anything, with the awkward ones often.
fn awkward() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..20usize,
        Just(65_535),
        Just(65_536),
        Just(usize::MAX),
        Just(usize::MAX / 2),
        any::<usize>(),
    ]
}

fn awkward_scale() -> impl Strategy<Value = f32> {
    prop_oneof![
        Just(f32::NAN),
        Just(f32::MAX),
        Just(f32::MIN_POSITIVE),
        Just(0.0),
        -1.0..1.0f32,
        any::<f32>(),
    ]
}

/// One field of a sound graph set to anything.
fn damage(graph: &mut Graph, which: u8, place: usize, number: usize, scale: f32) {
    let (tensor, operator) = (place % graph.tensors.len(), place % graph.operators.len());
    match which {
        0 => graph.tensors[tensor].shape[place % 4] = number,
        1 => graph.tensors[tensor].scale = scale,
        2 => graph.tensors[tensor].zero_point = number as i32,
        3 => graph.input = number,
        4 => graph.output = number,
        5 => graph.operators[operator].inputs = vec![number],
        6 => graph.operators[operator].output = number,
        7 => graph.operators[operator].inputs.clear(),
        8 => drop(graph.operators.remove(operator)),
        9 => graph.operators.swap(operator, 0),
        _ => match &mut graph.operators[operator].kind {
            OperatorKind::Conv2d(Convolution { weights, .. })
            | OperatorKind::FullyConnected { weights, .. }
                if which < 15 =>
            {
                match which {
                    10 => weights.values.truncate(number % 50),
                    11 => weights.bias.truncate(number % 5),
                    12 => weights.scales.fill(scale),
                    13 => weights.bias.fill(i32::MAX - (number % 100_000) as i32),
                    _ => weights.values.fill(i8::MIN),
                }
            }
            OperatorKind::Conv2d(Convolution {
                kernel,
                stride,
                dilation,
                ..
            }) => {
                [kernel, stride, dilation][place % 3][number % 2] = number;
            }
            OperatorKind::MaxPool2d {
                activation: Activation::None,
                kernel,
                stride,
                ..
            } => {
                [kernel, stride][place % 2][number % 2] = number;
            }
            kind => *kind = OperatorKind::Reshape,
        },
    }
}

proptest! {
    #![proptest_config(cases(3000))]

    /// Whatever is wrong with a graph, the answer is a typed error or an image that runs. That the
    /// runtime refuses what was compiled would be a fault of the compiler.
    #[test]
    fn hostile_graphs_never_panic(
        seed in 0..50u32,
        mode in graphs::rounding(),
        damages in prop::collection::vec(
            (0..18u8, any::<usize>(), awkward(), awkward_scale()), 1..4
        ),
    ) {
        let mut package = package(graphs::network(seed, mode));
        for (which, place, number, scale) in damages {
            if !package.graph.operators.is_empty() {
                damage(&mut package.graph, which, place, number, scale);
            }
        }
        match compile(&package, &Target::host()) {
            Ok(compiled) => {
                let outputs = run(&compiled, &noise(seed, 32));
                prop_assert_eq!(outputs.len(), compiled.graph.operators.len());
            }
            Err(CompileError::Refused(fault)) => prop_assert!(false, "{}", fault),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn few_dense_multiplications_take_the_kernel_of_the_convolutions() {
    let weights = |seed, outputs, taps| Weights {
        // Without -128, which blocks of 8-bit weights cannot hold everywhere.
        values: noise(seed, outputs * taps)
            .iter()
            .map(|&w| w.max(-127))
            .collect(),
        scales: vec![0.01; outputs],
        bias: vec![50; outputs],
    };
    let graph = |outputs| {
        let convolution = OperatorKind::Conv2d(Convolution {
            weights: weights(1, 16, 72),
            kernel: [3, 3],
            stride: [1, 1],
            padding: Padding::Same,
            dilation: [1, 1],
            activation: Activation::Relu,
            rounding: RoundingMode::Double,
        });
        let pool = OperatorKind::AveragePool2d {
            kernel: [12, 12],
            stride: [12, 12],
            padding: Padding::Valid,
            activation: Activation::None,
        };
        let dense = OperatorKind::FullyConnected {
            weights: weights(2, outputs, 16),
            activation: Activation::None,
            rounding: RoundingMode::Single,
        };
        let tensors = vec![
            graphs::tensor([1, 12, 12, 8], 0.1, 0),
            graphs::tensor([1, 12, 12, 16], 0.2, -128),
            graphs::tensor([1, 1, 1, 16], 0.2, -128),
            graphs::tensor([1, 1, 1, outputs], 0.1, 0),
        ];
        graphs::chain(tensors, vec![convolution, pool, dense])
    };
    let compiled = |outputs, target: &Target, optimize| {
        let options = Options {
            optimize,
            ..Options::default()
        };
        compile_with(&Package::bare(graph(outputs)), target, options).unwrap()
    };
    let board = Target::board("mps2-an386").unwrap();
    let last = |compiled: &Compiled| {
        let model = Model::load(&compiled.image).unwrap();
        model.operators().last().unwrap().opcode
    };
    let input = noise(3, 12 * 12 * 8);
    for (outputs, optimize, expected) in [
        (4, Optimize::Size, opcode::CONV_2D),
        // They fill no block of four.
        (5, Optimize::Size, opcode::FULLY_CONNECTED),
        (4, Optimize::Speed, opcode::FULLY_CONNECTED),
    ] {
        let small = compiled(outputs, &board, optimize);
        assert_eq!(last(&small), expected, "{outputs} {optimize:?}");
        let host = compiled(outputs, &Target::host(), optimize);
        assert_eq!(run(&small, &input), run(&host, &input));
    }
}
