//! The commands as a user types them, wrong input included: no panic, exit code 1 for work that
//! failed and 2 for wrong use, and a message that says what to do.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn dunlin(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dunlin"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("DUNLIN_DATA")
        .output()
        .expect("the program starts")
}

/// Runs a command that has to fail with exit code 1, and returns what it says.
fn failure(folder: &Path, arguments: &[&str]) -> String {
    let output = dunlin(folder, arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
    assert!(
        message.starts_with("error: ") && !message.contains("panicked"),
        "{message}"
    );
    message
}

/// Runs a command that has to fail with exit code 2, and returns what it says.
fn wrong_use(folder: &Path, arguments: &[&str]) -> String {
    let output = dunlin(folder, arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    message
}

fn success(folder: &Path, arguments: &[&str]) -> String {
    let output = dunlin(folder, arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {message}");
    String::from_utf8(output.stdout).expect("text")
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("written");
    path
}

/// The gas recipe trains within a second on rows made up here.
fn small_run(folder: &Path) {
    let rows: String = (0..120)
        .map(|row| {
            let class = row % 6 + 1;
            let values: String = (1..=128)
                .map(|i| {
                    let bump = if i % 6 + 1 == class { 900.0 } else { 10.0 };
                    format!(" {i}:{}", bump + f64::from((row * 31 + i * 17) % 13))
                })
                .collect();
            format!("{class};50.0{values}\n")
        })
        .collect();
    for batch in 1..=6 {
        write(folder, &format!("batch{batch}.dat"), &rows);
    }
    let recipe = host_trainer::recipe::GAS_DRIFT.replace("epochs = 140", "epochs = 20");
    write(folder, "small.toml", recipe);
    success(folder, &["train", "small.toml", "--data", ".", "-o", "run"]);
}

#[test]
fn wrong_use_is_exit_code_2() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [
        &["no-such-command"][..],
        &["loop", "--sede", "1"],
        &["compile"],
    ] {
        wrong_use(folder.path(), arguments);
    }
    for arguments in [
        &["compile", "run", "--target", "mps3", "-o", "x.dnl"][..],
        &[
            "infer", "m.dnl", "--board", "mps3", "--input", "i", "--output", "o",
        ],
        &["bench", "m.dnl", "--board", "mps3"],
        &["loop", "--board", "mps3"],
    ] {
        let message = wrong_use(folder.path(), arguments);
        assert!(message.contains("mps2-an386"), "{arguments:?}: {message}");
    }
}

#[test]
fn a_recipe_with_a_wrong_key_names_line_and_nearest_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = host_trainer::recipe::VIBRATION.replacen("learning_rate", "learning_rat", 1);
    let line = text
        .lines()
        .position(|line| line.starts_with("learning_rat"))
        .expect("there")
        + 1;
    write(folder.path(), "r.toml", text);
    let message = failure(folder.path(), &["loop", "r.toml"]);
    assert!(
        message.contains("learning_rate") && message.contains(&line.to_string()),
        "{message}"
    );

    let text = host_trainer::recipe::VIBRATION.replacen("batch = ", "batch = \"many\" # ", 1);
    let line = text
        .lines()
        .position(|line| line.starts_with("batch = "))
        .expect("there")
        + 1;
    write(folder.path(), "r.toml", text);
    let message = failure(folder.path(), &["train", "r.toml"]);
    assert!(message.contains(&line.to_string()), "{message}");
}

#[test]
fn missing_data_names_the_file_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "gas.toml", host_trainer::recipe::GAS_DRIFT);
    let message = failure(folder.path(), &["loop", "gas.toml"]);
    assert!(message.contains("--data"), "{message}");
    let message = failure(folder.path(), &["loop", "gas.toml", "--data", "nowhere"]);
    assert!(message.contains("nowhere/batch1.dat"), "{message}");
    let message = failure(folder.path(), &["train", "no-such.toml"]);
    assert!(message.contains("no-such.toml"), "{message}");
}

#[test]
fn bad_rows_are_counted_and_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    small_run(folder.path());
    let path = folder.path().join("batch1.dat");
    let mut rows = std::fs::read_to_string(&path).expect("rows");
    rows.push_str("1;50 1:nan\n9;50 1:1\n1;50\n");
    write(folder.path(), "batch1.dat", rows);
    let output = dunlin(
        folder.path(),
        &["train", "small.toml", "--data", ".", "-o", "run"],
    );
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && message.contains("batch1.dat line 121"),
        "{message}"
    );
}

#[test]
fn a_run_becomes_an_image_that_can_be_inspected_and_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    small_run(folder);
    success(
        folder,
        &["compile", "run", "--target", "mps2-an386", "-o", "m.dnl"],
    );
    let text = success(folder, &["inspect", "m.dnl"]);
    assert!(
        text.contains("FULLY_CONNECTED") && text.contains("Arena"),
        "{text}"
    );
    let json = success(folder, &["inspect", "m.dnl", "--json"]);
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    write(folder, "in.raw", [3_u8; 136 * 2]);
    let trace = ["--trace", "trace"];
    let infer = ["infer", "m.dnl", "--input", "in.raw", "--output", "out.raw"];
    success(folder, &[&infer[..], &trace].concat());
    let output = std::fs::read(folder.join("out.raw")).expect("written");
    assert_eq!((output.len(), &output[..6]), (12, &output[6..]));
    let last = std::fs::read(folder.join("trace/02_SOFTMAX.i8")).expect("written");
    assert_eq!(last, output[..6]);

    // The same image with one byte gone, one byte changed, and something else altogether.
    let image = std::fs::read(folder.join("m.dnl")).expect("written");
    let mut changed = image.clone();
    changed[1000] ^= 1;
    for bytes in [&image[..image.len() - 1], &changed, b"GIF89a", b""] {
        write(folder, "bad.dnl", bytes);
        for command in [
            &["inspect", "bad.dnl"][..],
            &[
                "infer", "bad.dnl", "--input", "in.raw", "--output", "none.raw",
            ],
        ] {
            let message = failure(folder, command);
            assert!(message.contains("bad.dnl"), "{message}");
        }
    }
    assert!(!folder.join("none.raw").exists());

    // What is read is never written over, and where the traces cannot go nothing is left.
    let over = ["infer", "m.dnl", "--input", "in.raw", "--output", "in.raw"];
    assert!(failure(folder, &over).contains("another file"));
    assert_eq!(
        std::fs::read(folder.join("in.raw")).expect("kept"),
        [3; 136 * 2]
    );
    let nowhere = [
        "infer", "m.dnl", "--input", "in.raw", "--output", "none.raw",
    ];
    failure(folder, &[&nowhere[..], &["--trace", "m.dnl"]].concat());
    assert!(!folder.join("none.raw").exists());

    write(folder, "in.raw", [3_u8; 135]);
    assert!(failure(folder, &infer).contains("rows of 136 bytes"));
    let message = failure(folder, &["compile", "nowhere", "-o", "x.dnl"]);
    assert!(message.contains("nowhere"), "{message}");
    write(folder, "run/run.bin", b"DRUN");
    assert!(failure(folder, &["compile", "run", "-o", "x.dnl"]).contains("damaged"));
}

#[test]
fn data_that_nobody_reads_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let message = failure(folder.path(), &["loop", "--data", "nowhere"]);
    assert!(message.contains("makes its own data"), "{message}");
}

#[test]
fn boards_are_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(success(folder.path(), &["boards"]).contains("mps2-an386"));
    let json = success(folder.path(), &["boards", "--json"]);
    assert!(serde_json::from_str::<Vec<serde_json::Value>>(&json).is_ok_and(|b| b.len() >= 2));
}
