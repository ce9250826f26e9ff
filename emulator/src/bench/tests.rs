use super::{
    Counts,
    files::{self, Report},
    plugin::{self, Counted, Window},
};
use crate::EmulatorError;
use std::path::Path;

fn record(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = [tag, content.len() as u32].map(u32::to_le_bytes).concat();
    bytes.extend(content);
    bytes
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn whole() -> Vec<Vec<u8>> {
    vec![
        record(1, &words(&[384, 1024, 2, 3, 2])),
        record(3, &[0, 0, 0, 0, 7, 8, 9]),
        record(3, &[1, 0, 0, 0, 0xff]),
        record(4, &[5, 0x80]),
        record(5, &words(&[376])),
    ]
}

#[test]
fn a_report_is_read_as_it_was_written() {
    let report = files::parse(&whole().concat(), &[&[1, 2, 3]]).unwrap();
    assert_eq!(
        report,
        Report {
            arena_bytes: 384,
            stack_bound: 1024,
            operators: 2,
            outputs: vec![vec![5, -128]],
            traces: vec![vec![vec![7, 8, 9], vec![-1]]],
            stack_peak: 376,
        }
    );
}

#[test]
fn every_truncation_of_a_report_is_refused() {
    let bytes = whole().concat();
    for len in 0..bytes.len() {
        let error = files::parse(&bytes[..len], &[&[1, 2, 3]]).unwrap_err();
        assert!(
            matches!(error, EmulatorError::Inconsistent(_)),
            "{len}: {error}"
        );
    }
}

#[test]
fn a_row_of_another_length_is_named() {
    let error = files::parse(&whole().concat(), &[&[1, 2, 3], &[1]]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row 1 has 1 elements, the model's input has 3"
    );
}

#[test]
fn a_refusal_carries_its_reason() {
    let error = files::parse(&record(2, b"the image is cut short"), &[]).unwrap_err();
    assert!(
        error.to_string().ends_with("the image is cut short"),
        "{error}"
    );
}

const COUNTS: &str =
    "run 30\nrun 31\npart 0 41 1\nat 10 20\nat 1e 20\npart 1 20 0\nat 10 20\nend\n";

#[test]
fn counts_are_read_by_part() {
    let part = |at: &[(u32, u64)], elsewhere| Counts {
        at: at.to_vec(),
        elsewhere,
    };
    let counted = plugin::parse(COUNTS).unwrap();
    assert_eq!(
        counted,
        Counted {
            runs: vec![30, 31],
            parts: vec![part(&[(0x10, 20), (0x1e, 20)], 1), part(&[(0x10, 20)], 0)],
        }
    );
    assert_eq!(counted.parts[0].total(), 41);
    assert_eq!(counted.parts[0].of(0x1e), 20);
    assert_eq!(counted.parts[0].of(0x20), 0);
}

#[test]
fn counts_that_lost_a_line_are_refused() {
    let lines: Vec<&str> = COUNTS.lines().collect();
    for lost in 0..lines.len() {
        let rest: Vec<&str> = (0..lines.len())
            .filter(|line| *line != lost)
            .map(|line| lines[line])
            .collect();
        assert!(
            plugin::parse(&rest.join("\n")).is_err(),
            "without `{}`",
            lines[lost]
        );
    }
}

#[test]
fn the_plugin_is_told_the_markers_in_hexadecimal() {
    let window = Window {
        start: 0x64,
        split: 0x60,
        stop: 0x68,
        code: 0x1000_0000,
        bytes: 0x5000,
    };
    // A comma in the path would end it.
    let argument = plugin::argument(Path::new("a,b.so"), &window);
    assert_eq!(
        argument,
        "a,,b.so,start=64,split=60,stop=68,code=10000000,bytes=5000,out=counts"
    );
}

#[test]
fn a_missing_compiler_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("counts.so");
    let error = plugin::compile("no-such-compiler", "", &to).unwrap_err();
    assert!(error.is_missing_tool());
    assert!(error.to_string().contains("apt-get install gcc"), "{error}");
    // With one, what it says is passed on.
    if let Err(error) = plugin::compile("gcc", "no C", &to)
        && !error.is_missing_tool()
    {
        assert!(
            matches!(&error, EmulatorError::PluginBroken { output } if output.contains("error")),
            "{error}"
        );
    }
}
