use super::*;

fn line(class: &str, values: usize) -> String {
    let values: String = (1..=values).map(|i| format!(" {i}:{i}.5")).collect();
    format!("{class};10.0{values}")
}

#[test]
fn reads_rows_and_counts_every_bad_one() {
    let good = line("6", WINDOW);
    let bad = [
        (good.replace(" 7:7.5", " 7:NaN"), Reason::Nan),
        (good.replace(" 7:7.5", " 7:-inf"), Reason::Infinite),
        (good.replace(" 7:7.5", " 7:1e99"), Reason::Infinite),
        (String::new(), Reason::Empty),
        ("3;10.0".to_owned(), Reason::Empty),
        (line("1", WINDOW - 1), Reason::Ragged),
        (line("1", WINDOW + 1), Reason::Ragged),
        (good.replace(" 7:7.5", ""), Reason::Ragged),
        (line("0", WINDOW), Reason::UnknownLabel),
        (line("7", WINDOW), Reason::UnknownLabel),
        (line("-9223372036854775808", WINDOW), Reason::UnknownLabel),
        (line("gas", WINDOW), Reason::Unparsable),
        (good.replace(" 7:7.5", " 7:x"), Reason::Unparsable),
        (good.replace(';', " "), Reason::Unparsable),
    ];
    let mut text = good.clone();
    for (line, _) in &bad {
        text = text + "\n" + line;
    }
    text = text + "\n" + &line("1", WINDOW) + "\n\n";
    let data = parse(&text, "batch9.dat", 9);
    let labels: Vec<u16> = data.rows.iter().map(|row| row.label).collect();
    assert_eq!(labels, [5, 0]);
    assert_eq!(data.rows[0].samples[127], 128.5);
    assert!(data.rows.iter().all(|row| row.group == 9));
    let found: Vec<_> = data
        .rejected
        .rows
        .iter()
        .map(|r| (r.line, r.reason))
        .collect();
    let expected: Vec<_> = bad
        .iter()
        .enumerate()
        .map(|(i, (_, r))| (i + 2, *r))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = read_batch(dir.path(), 3).unwrap_err();
    assert!(error.to_string().contains("batch3.dat"), "{error}");
    let error = read_batch(&dir.path().join("nowhere"), 1).unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn a_file_without_rows_says_why() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("batch1.dat"), [0xff, 0xfe, b'\n', b'1']).unwrap();
    let error = read_batch(dir.path(), 1).unwrap_err();
    assert!(error.to_string().contains("2 rows left out"), "{error}");
}

proptest::proptest! {
    #[test]
    fn any_text_gives_only_usable_rows(text in "[0-9;:. \nNainf+e-]{0,400}") {
        let data = parse(&text, "f", 0);
        for row in &data.rows {
            assert_eq!(row.samples.len(), WINDOW);
            assert!(row.samples.iter().all(|x| x.is_finite()));
        }
        assert_eq!(data.rows.len() + data.rejected.rows.len(), text.trim_end().lines().count());
    }
}
