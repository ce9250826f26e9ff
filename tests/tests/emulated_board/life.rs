//! A board's life: boots, refusals, power cuts between windows, and the way home of its records.

use std::time::Duration;

use emulator::EmulatorError;

use crate::{board, model, provisioned, server::Server};

#[test]
fn killed_and_started_again_it_keeps_its_flash() {
    let Some(board) = board() else { return };
    let image = model::image(0);
    let (mut emulator, _folder) = provisioned(board, &image);
    let first = emulator.start().unwrap();
    let rows = 5;
    for index in 0..rows {
        emulator.step(&model::row(index)).unwrap();
    }
    emulator.kill();
    assert!(matches!(
        emulator.step(&model::row(0)),
        Err(EmulatorError::NotRunning)
    ));
    let second = emulator.start().unwrap();
    assert_eq!(
        second.epoch,
        first.epoch + 1,
        "each boot has its own epoch, kept in flash"
    );
    assert_eq!(second.model_hash, first.model_hash);

    // What was logged before the cut comes home after it.
    let mut server = Server::new(None);
    server.run_until(&mut emulator, |server| {
        server.windows_of(first.epoch) == rows as usize
    });
}

#[test]
fn records_travel_over_the_link_and_are_acknowledged() {
    let Some(board) = board() else { return };
    let (mut emulator, _folder) = provisioned(board, &model::image(0));
    let ready = emulator.start().unwrap();
    for index in 0..20 {
        emulator.step(&model::row(index)).unwrap();
    }
    emulator.end_round().unwrap();
    let mut server = Server::new(None);
    server.run_until(&mut emulator, |server| {
        server.windows_of(ready.epoch) == 20 && server.statistics_windows == 20
    });
    let hello = server.session.hello().expect("a device introduces itself");
    assert_eq!(hello.device_id, crate::DEVICE_ID);
    assert_eq!(hello.hardware_id, 0x0386);
    server.settle(&mut emulator, Duration::from_secs(2));

    // A server that knows nothing is sent what was not acknowledged, and that is one new window.
    let mut next = Server::new(None);
    emulator.step(&model::row(20)).unwrap();
    next.run_until(&mut emulator, |server| server.windows_of(ready.epoch) > 0);
    next.settle(&mut emulator, Duration::from_secs(2));
    assert_eq!(
        next.windows_of(ready.epoch),
        1,
        "an acknowledged record came again"
    );
}

#[test]
fn a_row_of_another_length_is_refused_with_the_length_needed() {
    let Some(board) = board() else { return };
    let (mut emulator, _folder) = provisioned(board, &model::image(0));
    emulator.start().unwrap();
    for len in [0, model::WINDOW - 1, model::WINDOW + 1, 4000] {
        let error = emulator.step(&vec![0.5; len]).unwrap_err().to_string();
        assert!(error.contains("takes 512 values"), "{len} samples: {error}");
    }
    emulator.step(&model::row(0)).unwrap();
}

#[test]
fn a_window_that_is_not_finite_is_refused_and_the_board_goes_on() {
    let Some(board) = board() else { return };
    let (mut emulator, _folder) = provisioned(board, &model::image(0));
    emulator.start().unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        let mut row = model::row(0);
        row[100] = bad;
        let error = emulator.step(&row).unwrap_err();
        assert!(matches!(error, EmulatorError::Refused { .. }), "{error}");
    }
    emulator.step(&model::row(0)).unwrap();
}

#[test]
fn a_board_that_was_never_provisioned_says_so() {
    let Some(board) = board() else { return };
    let folder = tempfile::tempdir().unwrap();
    let flash = folder.path().join("flash");
    std::fs::write(&flash, vec![0xFF; 16 << 20]).unwrap();
    let mut emulator = emulator::Emulator::existing(board, &flash);
    let error = emulator.start().unwrap_err();
    assert!(matches!(error, EmulatorError::Panicked(_)), "{error}");
    assert!(error.to_string().contains("never provisioned"), "{error}");
}
