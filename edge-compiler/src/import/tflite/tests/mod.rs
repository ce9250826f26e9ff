mod build;
mod hostile;
mod models;
mod operators;
mod refusals;

use build::{Fields, Value, file, text};

use super::{ElementType, FusedActivation, Options, read};

/// Field numbers of the root.
const CODES: u16 = 1;
const SUBGRAPHS: u16 = 2;
const BUFFERS: u16 = 4;

/// A subgraph of a fully-connected operator from `[1, 2]` to `[1, 3]`, and everything around it.
struct Parts {
    codes: Vec<Fields>,
    tensors: Vec<Fields>,
    operators: Vec<Fields>,
    buffers: Vec<Fields>,
}

impl Parts {
    fn new() -> Self {
        let data = |bytes: &[u8]| vec![(0, Value::Bytes(bytes.to_vec()))];
        Self {
            codes: vec![code(9)],
            tensors: vec![
                tensor("in", &[1, 2], 9, 0, &[0.5], &[3]),
                tensor("weights", &[3, 2], 9, 1, &[0.1, 0.2, 0.3], &[0, 0, 0]),
                tensor("bias", &[3], 2, 2, &[0.05, 0.1, 0.15], &[0, 0, 0]),
                tensor("out", &[1, 3], 9, 3, &[0.25], &[-128]),
            ],
            operators: vec![vec![
                (0, Value::U32(0)),
                (1, Value::Ints(vec![0, 1, 2])),
                (2, Value::Ints(vec![3])),
                (3, Value::U8(8)),
                (4, Value::Table(vec![(0, Value::I8(1))])),
            ]],
            buffers: vec![vec![], data(&[1, 2, 3, 4, 5, 6]), data(&[7; 12]), vec![]],
        }
    }

    fn root(&self) -> Fields {
        let main = vec![
            (0, Value::Tables(self.tensors.clone())),
            (1, Value::Ints(vec![0])),
            (2, Value::Ints(vec![3])),
            (3, Value::Tables(self.operators.clone())),
            (4, text("main")),
        ];
        vec![
            (0, Value::U32(3)),
            (CODES, Value::Tables(self.codes.clone())),
            (SUBGRAPHS, Value::Tables(vec![main])),
            (3, text("by hand")),
            (BUFFERS, Value::Tables(self.buffers.clone())),
        ]
    }

    fn file(&self) -> Vec<u8> {
        file(&self.root())
    }
}

/// An `OperatorCode` of version 2, as current converters write it.
fn code(builtin: i32) -> Fields {
    let old = i8::try_from(builtin).unwrap_or(127);
    vec![
        (0, Value::I8(old)),
        (2, Value::I32(2)),
        (3, Value::I32(builtin)),
    ]
}

fn tensor(
    name: &str,
    shape: &[i32],
    element: i8,
    buffer: u32,
    scales: &[f32],
    zero_points: &[i64],
) -> Fields {
    vec![
        (0, Value::Ints(shape.to_vec())),
        (1, Value::I8(element)),
        (2, Value::U32(buffer)),
        (3, text(name)),
        (
            4,
            Value::Table(vec![
                (2, Value::Floats(scales.to_vec())),
                (3, Value::Longs(zero_points.to_vec())),
                // As person_detect has it: a dimension that a bias lacks.
                (6, Value::I32(3)),
            ]),
        ),
        (8, Value::Bool(true)),
    ]
}

#[test]
fn a_file_built_by_hand_reads_back() {
    let bytes = Parts::new().file();
    let model = read(&bytes).unwrap();
    assert_eq!(model.description, "by hand");
    assert_eq!((&*model.inputs, &*model.outputs), (&[0][..], &[3][..]));

    let names: Vec<_> = model.tensors.iter().map(|tensor| &*tensor.name).collect();
    assert_eq!(names, ["in", "weights", "bias", "out"]);
    let weights = &model.tensors[1];
    assert_eq!(weights.shape, [3, 2]);
    assert_eq!(weights.element, ElementType::Int8);
    assert_eq!(weights.scales, [0.1, 0.2, 0.3]);
    assert_eq!(weights.zero_points, [0, 0, 0]);
    assert_eq!(weights.quantized_dimension, 3);
    assert_eq!(weights.data, Some(&[1, 2, 3, 4, 5, 6][..]));
    assert!(!weights.is_variable);
    assert_eq!(model.tensors[2].element, ElementType::Int32);
    assert_eq!(model.tensors[0].zero_points, [3]);
    // Buffer 0 and an empty buffer both mean: not constant.
    assert_eq!((model.tensors[0].data, model.tensors[3].data), (None, None));

    let [operator] = &*model.operators else {
        panic!("{:?}", model.operators);
    };
    assert_eq!(operator.name(), "FULLY_CONNECTED");
    assert_eq!((operator.index, operator.version), (0, 2));
    assert_eq!(operator.inputs, [Some(0), Some(1), Some(2)]);
    assert_eq!(
        (&*operator.outputs, operator.intermediates.len()),
        (&[3][..], 0)
    );
    let Options::FullyConnected(options) = &operator.options else {
        panic!("{:?}", operator.options);
    };
    assert_eq!(options.activation, FusedActivation::Relu);
    assert_eq!(model.unsupported().count(), 0);
}

#[test]
fn a_constant_without_elements_is_a_constant() {
    let mut parts = Parts::new();
    parts.codes = vec![code(22)];
    parts.tensors[1] = tensor("shape", &[0], 2, 3, &[], &[]);
    parts.operators[0] = vec![(1, Value::Ints(vec![0, 1])), (2, Value::Ints(vec![3]))];
    let bytes = parts.file();
    let model = read(&bytes).unwrap();
    assert_eq!(model.tensors[1].data, Some(&[][..]));
    assert_eq!(
        model.operators[0].options,
        Options::Reshape { new_shape: None }
    );
}

#[test]
fn an_open_batch_has_the_size_that_the_file_gives() {
    let mut parts = Parts::new();
    for tensor in [0, 3] {
        parts.tensors[tensor].push((7, Value::Ints(vec![-1, 2])));
    }
    // Behind an operator, other dimensions may be open too.
    parts.tensors[3] = build::with(&parts.tensors[3], 7, Value::Ints(vec![-1, -1]));
    let bytes = parts.file();
    let model = read(&bytes).unwrap();
    assert_eq!(model.tensors[0].shape, [1, 2]);
    assert_eq!(model.tensors[0].shape_signature, [-1, 2]);
}
