//! One image, one answer: the same bytes on x86-64 and on aarch64 under qemu-user.

use std::path::{Path, PathBuf};
use std::process::Command;

use host_trainer::recipe::Recipe;
use host_trainer::{evaluate::run_image, source, train};

/// `cargo xtask test` builds the runtime's example for aarch64 and names it in this variable.
const RUNNER: &str = "DUNLIN_AARCH64_RUN_IMAGE";

fn runner() -> Option<PathBuf> {
    let Some(runner) = std::env::var_os(RUNNER).map(PathBuf::from) else {
        eprintln!("skipped: {RUNNER} is not set; `cargo xtask test` sets it");
        return None;
    };
    if Command::new("qemu-aarch64")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("skipped: qemu-aarch64 is missing; `apt-get install qemu-user`");
        return None;
    }
    Some(runner)
}

/// Runs the example on the rows; its output holds the feature bytes and the outputs of each row.
fn on_aarch64(runner: &Path, image: &[u8], rows: &[&[f32]]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let [model, input, output] = ["m.dnl", "in.f32", "out.i8"].map(|name| folder.path().join(name));
    let samples: Vec<u8> = rows
        .iter()
        .copied()
        .flatten()
        .flat_map(|s| s.to_le_bytes())
        .collect();
    std::fs::write(&model, image).expect("written");
    std::fs::write(&input, samples).expect("written");
    let status = Command::new("qemu-aarch64")
        .arg(runner)
        .args([&model, &input, &output])
        .status()
        .expect("qemu-aarch64 starts");
    assert!(status.success());
    std::fs::read(output).expect("the runner's output")
}

fn check(recipe: &Recipe, data: Option<&Path>) {
    let Some(runner) = runner() else { return };
    let split = source::load(recipe, data, 0).expect("the data is there");
    let run = train::train(recipe, &split, None, 0, &mut |_| {}).expect("it trains");
    let image = run
        .compile(&edge_compiler::Target::host())
        .expect("it compiles")
        .image;
    let parts = [&split.test, &split.train];
    let rows: Vec<&[f32]> = parts
        .iter()
        .flat_map(|part| &part.rows)
        .map(|row| row.samples.as_slice())
        .take(400)
        .collect();
    let here: Vec<u8> = run_image(&image, rows.iter().copied())
        .expect("it runs")
        .into_iter()
        .flat_map(|answer| [answer.features, answer.output].concat())
        .map(i8::cast_unsigned)
        .collect();
    assert!(
        here == on_aarch64(&runner, &image, &rows),
        "the bytes differ on aarch64"
    );
}

#[test]
fn vibration_gives_the_same_bytes_on_aarch64() {
    let mut recipe = Recipe::vibration();
    recipe.training.epochs = 2;
    check(&recipe, None);
}

#[test]
fn gas_gives_the_same_bytes_on_aarch64() {
    let Some(data) = dunlin_tests::gas_data() else {
        return;
    };
    let mut recipe = Recipe::gas_drift();
    recipe.training.epochs = 5;
    check(&recipe, Some(&data));
}
