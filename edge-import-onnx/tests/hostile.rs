//! Damaged files give errors, not panics.

#[path = "../../fuzz/src/onnx.rs"]
mod fuzz;
mod goldens;

use std::{fs, path::Path};

use edge_import_onnx::{Calibration, OnnxError, OnnxOptions, import, samples_from};

use goldens::goldens;

/// The file of a golden model.
fn model(name: &str) -> Vec<u8> {
    goldens()
        .into_iter()
        .find(|golden| golden.name == name)
        .unwrap()
        .model
}

#[test]
fn files_that_were_once_at_fault() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/regressions/onnx");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        fuzz::onnx(&fs::read(path).unwrap());
    }
}

#[test]
fn damaged_files_are_errors() {
    let options = OnnxOptions::default();
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for golden in goldens().into_iter().filter(|golden| !golden.real) {
        let model = golden.model;
        for _ in 0..30 {
            let mut damaged = model.clone();
            for _ in 0..=random(3) {
                let at = random(damaged.len());
                damaged[at] = random(256) as u8;
            }
            let _ = import(&damaged, &options);
            damaged.truncate(random(model.len()));
            let _ = import(&damaged, &options);
        }
    }
    assert!(matches!(import(b"", &options), Err(OnnxError::Read(_))));
    assert!(matches!(
        import(b"nonsense", &options),
        Err(OnnxError::Read(_))
    ));
}

#[test]
fn a_float_model_without_samples_names_every_tensor() {
    let model = model("conv_relu");
    let error = import(&model, &OnnxOptions::default()).unwrap_err();
    assert!(error.lacks_samples());
    let OnnxError::Unsupported(all) = error else {
        panic!("{error}");
    };
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.iter().all(|one| one.reason.contains("calibrate")));
    let calibration = Calibration {
        samples: vec![vec![0.0; 5]],
        ..Calibration::default()
    };
    let options = OnnxOptions {
        calibration: Some(calibration),
        ..OnnxOptions::default()
    };
    assert!(matches!(
        import(&model, &options),
        Err(OnnxError::Calibration(_))
    ));
}

#[test]
fn every_unknown_operator_is_named() {
    // The operator's name stands in the file as it is.
    let mut model = model("residual");
    for at in 0..model.len() - 4 {
        if &model[at..at + 4] == b"Relu" && model[at - 1] == 4 {
            model[at..at + 4].copy_from_slice(b"Nope");
        }
    }
    let Err(OnnxError::Unsupported(all)) = import(&model, &OnnxOptions::default()) else {
        panic!("it was imported");
    };
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(
        all.iter()
            .all(|one| one.name == "Nope" && one.operator.is_some())
    );
}

#[test]
fn samples_are_rows_of_one_file_or_of_several() {
    let folder = std::env::temp_dir().join(format!("onnx-samples-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let row = |x: f32| [x, x + 1.0].map(f32::to_le_bytes).concat();
    std::fs::write(folder.join("a"), [row(1.0), row(3.0)].concat()).unwrap();
    std::fs::write(folder.join("b"), row(5.0)).unwrap();
    let all = samples_from(&folder, 2).unwrap();
    assert_eq!(all, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    assert_eq!(
        samples_from(&folder.join("a"), 4).unwrap(),
        [[1.0, 2.0, 3.0, 4.0]]
    );
    assert!(samples_from(&folder, 3).is_err());
    assert!(samples_from(&folder.join("none"), 2).is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}
