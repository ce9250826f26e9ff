//! Board and host give the same bytes, and the board's counter counts instructions.

use std::{collections::BTreeSet, time::Instant};

use edge_compiler::AlignedBytes;
use edge_runtime::Model;

use crate::{board, model, provisioned};

const ROWS: u32 = 1_000;

#[test]
fn features_and_outputs_equal_the_hosts_on_a_thousand_rows() {
    let Some(board) = board() else { return };
    let image = model::image(0);
    let model = Model::load(&image).unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let (mut emulator, _folder) = provisioned(board, &image);
    let ready = emulator.start().unwrap();
    assert_eq!(usize::from(ready.window), model::WINDOW);

    let (mut classes, mut values) = (BTreeSet::new(), BTreeSet::new());
    let (mut features_most, mut model_most) = (0, 0);
    let started = Instant::now();
    for index in 0..ROWS {
        let row = model::row(index);
        let step = emulator.step(&row).unwrap();
        let (features, output) = model::answer(&model, &row, arena.as_i8_mut());
        assert_eq!(step.features, features, "features of row {index}");
        assert_eq!(step.output, output, "output of row {index}");
        assert_eq!((step.epoch, step.window), (ready.epoch, index));
        classes.insert(step.class);
        values.extend(features);
        features_most = features_most.max(step.instructions_features);
        model_most = model_most.max(step.instructions_model);
    }
    let seconds = started.elapsed().as_secs_f64();
    let info = emulator.info().unwrap();
    println!(
        "{ROWS} rows in {seconds:.1} s ({:.1} a second); at most {features_most} instructions for \
         features, {model_most} for the model of {} MACs; stack {} bytes, arena {} bytes, firmware \
         {} bytes",
        f64::from(ROWS) / seconds,
        model.macs(),
        info.stack_peak,
        info.arena,
        emulator.board().firmware_bytes(),
    );
    // The rows tell models and pipelines apart, or equality would mean little.
    assert!(classes.len() >= 2, "only the classes {classes:?} came up");
    assert!(
        values.len() >= 150,
        "the features took only {} values",
        values.len()
    );
    // A multiply-accumulate cannot take less than an instruction; an idle counter would show 0.
    assert!(model_most > model.macs() && features_most > model_most / 100);
    assert_eq!(info.arena as usize, model.arena_bytes());
    assert!((1_000..64 << 10).contains(&info.stack_peak), "{info:?}");
}

#[test]
fn a_loop_of_known_length_is_counted_exactly() {
    let Some(board) = board() else { return };
    let (mut emulator, _folder) = provisioned(board, &model::image(0));
    emulator.start().unwrap();
    for iterations in (1..60).chain([1_000, 12_345, 1_234_567, 50_000_000]) {
        let counted = emulator.count_loop(iterations).unwrap();
        assert_eq!(
            counted,
            2 * iterations,
            "{iterations} iterations of two instructions"
        );
    }
}

#[test]
fn the_same_row_takes_the_same_instructions_in_every_run() {
    let Some(board) = board() else { return };
    let (mut emulator, _folder) = provisioned(board, &model::image(0));
    let row = model::row(3);
    let mut counts = BTreeSet::new();
    for _ in 0..2 {
        emulator.start().unwrap();
        for _ in 0..5 {
            let step = emulator.step(&row).unwrap();
            counts.insert((step.instructions_features, step.instructions_model));
        }
    }
    assert_eq!(counts.len(), 1, "{counts:?}");
}

#[test]
fn the_model_alone_gives_the_hosts_output() {
    let Some(board) = board() else { return };
    let image = model::image(0);
    let model = Model::load(&image).unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let (mut emulator, _folder) = provisioned(board, &image);
    emulator.start().unwrap();
    for index in 0..20 {
        let (features, output) = model::answer(&model, &model::row(index), arena.as_i8_mut());
        assert_eq!(emulator.infer(&features).unwrap(), output, "row {index}");
    }
    let error = emulator.infer(&[0; 3]).unwrap_err().to_string();
    assert!(error.contains("takes 64 values"), "{error}");
}
