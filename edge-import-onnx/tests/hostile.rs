//! Damaged files give errors, not panics.

use std::io::Read;

use edge_import_onnx::{Calibration, OnnxError, OnnxOptions, import, samples_from};

const ARCHIVE: &[u8] = include_bytes!("goldens/onnx.bin.gz");

/// Name, whether of real numbers, and file of every model in the archive.
fn models() -> Vec<(String, bool, Vec<u8>)> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(ARCHIVE)
        .read_to_end(&mut bytes)
        .unwrap();
    let mut rest = &bytes[8..];
    let mut take = |len: usize| {
        let (taken, behind) = rest.split_at(len);
        rest = behind;
        taken.to_vec()
    };
    let word = |bytes: Vec<u8>| u32::from_le_bytes(bytes.try_into().unwrap()) as usize;
    let count = word(take(4));
    let mut models = Vec::new();
    for _ in 0..count {
        let len = u16::from_le_bytes(take(2).try_into().unwrap());
        let name = String::from_utf8(take(len.into())).unwrap();
        let real = take(1) == [1];
        let len = word(take(4));
        let model = take(len);
        let sizes: Vec<usize> = (0..4).map(|_| word(take(4))).collect();
        take(4 * (sizes[0] * sizes[2] + sizes[1] * (sizes[2] + sizes[3])));
        models.push((name, real, model));
    }
    models
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
    for (_, _, model) in models().into_iter().filter(|(_, real, _)| !real) {
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
    let (_, _, model) = models()
        .into_iter()
        .find(|(name, ..)| name == "conv_relu")
        .unwrap();
    let Err(OnnxError::Unsupported(all)) = import(&model, &OnnxOptions::default()) else {
        panic!("it was imported");
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
    let (_, _, mut model) = models()
        .into_iter()
        .find(|(name, ..)| name == "residual")
        .unwrap();
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
