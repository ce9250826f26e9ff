//! Each refusal, with what its message names.

use super::super::TfliteError;
use super::build::{self, Value, text, with, without};
use super::*;

fn refused(parts: &Parts) -> TfliteError {
    read(&parts.file()).unwrap_err()
}

/// The parts with one field of one tensor replaced.
fn with_tensor_field(tensor: usize, id: u16, value: Value) -> Parts {
    let mut parts = Parts::new();
    parts.tensors[tensor] = with(&parts.tensors[tensor], id, value);
    parts
}

fn with_operator_field(id: u16, value: Value) -> Parts {
    let mut parts = Parts::new();
    parts.operators[0] = with(&parts.operators[0], id, value);
    parts
}

#[test]
fn other_files() {
    for bytes in [
        &b""[..],
        b"TFL3",
        b"\x08\0\0\0TFL",
        b"\x08\0\0\0ONNX\0\0\0\0",
        b"GGUF",
    ] {
        assert_eq!(read(bytes), Err(TfliteError::NotTflite));
    }
    let root = with(&Parts::new().root(), 0, Value::U32(4));
    let error = read(&file(&root)).unwrap_err();
    assert_eq!(error, TfliteError::Version { found: 4 });
    let root = without(&Parts::new().root(), SUBGRAPHS);
    let error = read(&file(&root)).unwrap_err();
    assert_eq!(error, TfliteError::Missing { what: "subgraph" });
}

#[test]
fn indices_that_lead_nowhere() {
    let parts = with_operator_field(0, Value::U32(7));
    assert_eq!(
        refused(&parts).to_string(),
        "operator 0 refers to operator code 7, but the file has 1: the file is damaged, copy or \
         convert it again"
    );
    for (id, index) in [(1, 4), (1, -2), (2, 4), (2, -1), (8, 99), (1, i32::MIN)] {
        let parts = with_operator_field(id, Value::Ints(vec![index]));
        let expected = TfliteError::Index {
            place: "operator 0 (FULLY_CONNECTED)".to_owned(),
            what: "tensor",
            index: index.into(),
            count: 4,
        };
        assert_eq!(refused(&parts), expected);
    }
    for index in [4, u32::MAX] {
        let error = refused(&with_tensor_field(1, 2, Value::U32(index)));
        let TfliteError::Index {
            place, what, count, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(
            (&*place, what, count),
            ("tensor 1 (`weights`)", "buffer", 4)
        );
    }
    let mut parts = Parts::new();
    parts.tensors.pop();
    parts.operators.clear();
    assert!(matches!(
        refused(&parts),
        TfliteError::Index { place, index: 3, count: 3, .. } if place == "the model's outputs"
    ));
}

#[test]
fn other_subgraphs_must_not_be_needed() {
    let mut parts = Parts::new();
    let two = |parts: &Parts| {
        let root = parts.root();
        let Some((_, Value::Tables(subgraphs))) = root.iter().find(|(id, _)| *id == SUBGRAPHS)
        else {
            panic!("no subgraphs");
        };
        let doubled = [subgraphs.clone(), subgraphs.clone()].concat();
        with(&root, SUBGRAPHS, Value::Tables(doubled))
    };
    // Nothing executes the second one.
    assert!(read(&file(&two(&parts))).is_ok());

    let signature = vec![(2, text("train")), (4, Value::U32(1))];
    let root = with(&two(&parts), 7, Value::Tables(vec![signature]));
    let expected = TfliteError::SecondEntryPoint {
        signature: "train".to_owned(),
        subgraph: 1,
    };
    assert_eq!(read(&file(&root)), Err(expected));

    parts.codes = vec![code(119)];
    let expected = TfliteError::CallsSubgraph {
        operator: 0,
        name: "WHILE".to_owned(),
        subgraphs: 2,
    };
    assert_eq!(read(&file(&two(&parts))), Err(expected));
}

#[test]
fn data_elsewhere() {
    let mut parts = Parts::new();
    parts.buffers[1] = vec![(1, Value::U64(4096)), (2, Value::U64(6))];
    let expected = TfliteError::ExternalBuffer {
        tensor: 1,
        name: "weights".to_owned(),
    };
    assert_eq!(refused(&parts), expected);
    // 1 is not an offset: some writers put it there.
    parts.buffers[1] = vec![(0, Value::Bytes(vec![0; 6])), (1, Value::U64(1))];
    assert!(read(&parts.file()).is_ok());

    assert_eq!(refused(&with_tensor_field(1, 10, Value::U32(1))), expected);
}

#[test]
fn storage_that_scales_and_bytes_do_not_tell() {
    let name = "weights".to_owned();
    let sparse = with_tensor_field(1, 6, Value::Table(vec![]));
    let expected = TfliteError::Sparse {
        tensor: 1,
        name: name.clone(),
    };
    assert_eq!(refused(&sparse), expected);
    let message = expected.to_string();
    assert!(message.contains("tensor 1 (`weights`)"), "{message}");

    let details = Value::Table(vec![(4, Value::U8(2)), (5, Value::Table(vec![]))]);
    let expected = TfliteError::QuantizationDetails {
        tensor: 1,
        name: name.clone(),
        details: 2,
    };
    assert_eq!(refused(&with_tensor_field(1, 4, details)), expected);

    let uneven = Value::Table(vec![
        (2, Value::Floats(vec![1.0, 2.0])),
        (3, Value::Longs(vec![0])),
    ]);
    let expected = TfliteError::QuantizationLengths {
        tensor: 1,
        name: name.clone(),
        scales: 2,
        zero_points: 1,
    };
    assert_eq!(refused(&with_tensor_field(1, 4, uneven)), expected);

    let short = with_tensor_field(1, 0, Value::Ints(vec![3, 3]));
    let expected = TfliteError::DataLength {
        tensor: 1,
        name,
        found: 6,
        needed: 9,
    };
    assert_eq!(refused(&short), expected);
    // Two elements of int4 to a byte.
    let packed = with_tensor_field(1, 1, Value::I8(17));
    assert!(matches!(
        refused(&packed),
        TfliteError::DataLength {
            found: 6,
            needed: 3,
            ..
        }
    ));
    // A type that nobody knows is for the caller to refuse.
    let unknown = with_tensor_field(1, 1, Value::I8(99));
    assert_eq!(
        read(&unknown.file()).unwrap().tensors[1].element,
        ElementType::Unknown(99)
    );
}

#[test]
fn sizes_that_are_unknown_or_impossible() {
    let signature = vec![1, -1];
    let open = with_tensor_field(0, 7, Value::Ints(signature.clone()));
    let expected = TfliteError::DynamicShape {
        tensor: 0,
        name: "in".to_owned(),
        shape: signature,
    };
    assert_eq!(refused(&open), expected);

    let negative = with_tensor_field(3, 0, Value::Ints(vec![1, -3]));
    assert!(matches!(
        refused(&negative),
        TfliteError::DynamicShape { tensor: 3, .. }
    ));
    let huge = with_tensor_field(3, 0, Value::Ints(vec![i32::MAX; 3]));
    assert!(matches!(
        refused(&huge),
        TfliteError::TooLarge { tensor: 3, .. }
    ));
}

#[test]
fn what_nothing_uses_is_not_judged() {
    let mut parts = Parts::new();
    let mut unused = tensor("unused", &[-1, 5], 9, 1, &[1.0], &[]);
    unused.push((6, Value::Table(vec![])));
    parts.tensors.push(unused);
    let bytes = parts.file();
    assert_eq!(read(&bytes).unwrap().tensors[4].shape, [0, 5]);
}

#[test]
fn options() {
    for replaced in [(3, Value::U8(0)), (3, Value::U8(1))] {
        let error = refused(&with_operator_field(replaced.0, replaced.1));
        let TfliteError::OptionsType { name, expected, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((&*name, expected), ("FULLY_CONNECTED", 8));
    }
    let activation = Value::Table(vec![(0, Value::I8(6))]);
    let expected = TfliteError::OptionValue {
        operator: 0,
        name: "FULLY_CONNECTED".to_owned(),
        option: "fused_activation_function",
        value: 6,
    };
    assert_eq!(refused(&with_operator_field(4, activation)), expected);

    // Strides have no default: zero would divide.
    let mut parts = with_operator_field(3, Value::U8(1));
    parts.codes = vec![code(3)];
    assert!(matches!(
        refused(&parts),
        TfliteError::OptionValue {
            option: "stride_w",
            value: 0,
            ..
        }
    ));
}

#[test]
fn long_names_of_custom_operators() {
    let mut parts = Parts::new();
    parts.codes[0] = vec![(0, Value::I8(32)), (1, text(&"x".repeat(257)))];
    assert!(matches!(
        refused(&parts),
        TfliteError::Damaged { place, .. } if place == "operator code 0"
    ));
}

#[test]
fn damage_names_its_place() {
    let mut bytes = Parts::new().file();
    let weights = bytes.windows(7).position(|window| window == b"weights");
    // The length in front of the name.
    let length = weights.unwrap() - 4;
    bytes[length..length + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let message = read(&bytes).unwrap_err().to_string();
    let place = "the file is damaged at tensor 1 (Range [";
    assert!(message.starts_with(place), "{message}");
    assert!(!message.contains('\n'), "{message}");
    // Written with a fresh builder, so that the test would notice a changed layout.
    assert!(read(&build::file(&Parts::new().root())).is_ok());
}
