use super::*;

fn error(change: impl Fn(String) -> String) -> RecipeError {
    let text = change(VIBRATION.to_owned());
    assert_ne!(text, VIBRATION, "the change must change something");
    Recipe::parse(&text, "r.toml").unwrap_err()
}

fn line_of(text: &str) -> usize {
    VIBRATION
        .lines()
        .position(|line| line.contains(text))
        .unwrap()
        + 1
}

#[test]
fn built_in_recipes_are_read_and_written() {
    for recipe in [Recipe::vibration(), Recipe::gas_drift()] {
        let text = recipe.to_toml();
        assert_eq!(Recipe::parse(&text, "written").unwrap(), recipe, "{text}");
    }
}

#[test]
fn unknown_keys_name_line_and_nearest_key() {
    let cases = [
        (
            "learning_rate = 0.003",
            "lerning_rate = 0.003",
            "learning_rate",
        ),
        (
            "kernel = 5 } },\n    { pool",
            "kernl = 5 } },\n    { pool",
            "kernel",
        ),
        ("mount_quality", "mount_qualty", "mount_quality"),
        ("[fleet]", "[flet]", "fleet"),
        ("\"diverse\"", "\"divers\"", "diverse"),
    ];
    for (from, to, wanted) in cases {
        let found = error(|text| text.replacen(from, to, 1));
        let RecipeError::UnknownKey {
            file,
            line,
            nearest,
            ..
        } = &found
        else {
            panic!("{from}: {found}");
        };
        assert_eq!(
            (file.as_str(), nearest.as_deref()),
            ("r.toml", Some(wanted))
        );
        let expected = line_of(from.lines().next().unwrap());
        assert_eq!(*line, expected, "{found}");
        assert!(found.to_string().contains(wanted), "{found}");
    }
}

#[test]
fn a_misspelt_data_table_is_an_unknown_key() {
    let text = GAS_DRIFT.replace("[data.gas]", "[data.gaz]");
    let found = Recipe::parse(&text, "g.toml").unwrap_err();
    let line = text.lines().position(|line| line == "[data.gaz]").unwrap() + 1;
    assert!(
        found.to_string().contains(&format!(
            "line {line}: unknown key `gaz`, did you mean `gas`?"
        )),
        "{found}"
    );

    let both = VIBRATION.to_owned()
        + "[data.gas]\ntrain_batch = 1\nfield_batches = []\nheld_out = 0.1\nvalidation = 0.1\n";
    let found = Recipe::parse(&both, "v.toml").unwrap_err();
    assert!(found.to_string().contains("one of the tables"), "{found}");
}

#[test]
fn a_key_unlike_any_other_gets_no_guess() {
    let found = error(|text| text.replace("bands = 64", "bands = 64\nqqqqqqqq = 1"));
    assert!(!found.to_string().contains("did you mean"), "{found}");
    assert!(found.to_string().contains("`bands`"), "{found}");
}

#[test]
fn wrong_types_name_line_and_key() {
    for (from, to) in [
        ("batch = 64", "batch = \"many\""),
        ("batch = 64", "batch = -1"),
    ] {
        let found = error(|text| text.replace(from, to));
        let RecipeError::Invalid { line, key, .. } = &found else {
            panic!("{found}");
        };
        assert_eq!(
            (*line, key.as_deref()),
            (line_of(from), Some("batch")),
            "{found}"
        );
    }
    let missing = error(|text| text.replace("batch = 64", ""));
    assert!(missing.to_string().contains("batch"), "{missing}");
}

#[test]
fn values_out_of_range_name_line_and_key() {
    let cases = [
        ("epochs = 40", "epochs = 0", "training.epochs"),
        (
            "learning_rate = 0.003",
            "learning_rate = nan",
            "training.learning_rate",
        ),
        (
            "learning_rate = 0.005",
            "learning_rate = inf",
            "retraining.learning_rate",
        ),
        ("window = 512 ", "window = 500 ", "data.vibration.window"),
        (
            "speed_factor = 1.15",
            "speed_factor = 9.0",
            "data.vibration.change.speed_factor",
        ),
        ("bands = 64", "bands = 60", "features.bands"),
        ("devices = 50", "devices = 0", "fleet.devices"),
        ("devices = 50", "devices = 10001", "fleet.devices"),
        (
            "quiet_rounds = 10",
            "quiet_rounds = 1001",
            "fleet.quiet_rounds",
        ),
        (
            "quiet_rounds = 10\nchanged_rounds = 6",
            "quiet_rounds = 0\nchanged_rounds = 0",
            "fleet.quiet_rounds",
        ),
        (
            "changed_rounds = 6",
            "changed_rounds = 4294967295",
            "fleet.changed_rounds",
        ),
        (
            "windows_per_round = 40 ",
            "windows_per_round = 0 ",
            "fleet.windows_per_round",
        ),
        (
            "windows_per_round = 40 ",
            "windows_per_round = 10001 ",
            "fleet.windows_per_round",
        ),
        (
            "windows_per_class = 16 ",
            "windows_per_class = 10000 ",
            "data.vibration.windows_per_class",
        ),
    ];
    for (from, to, wanted) in cases {
        let found = error(|text| text.replacen(from, to, 1));
        let RecipeError::OutOfRange { line, key, .. } = &found else {
            panic!("{from}: {found}");
        };
        assert_eq!(
            (*line, key.as_str()),
            (Some(line_of(from.lines().next().unwrap())), wanted),
            "{found}"
        );
    }
}

#[test]
fn products_of_values_have_a_range_too() {
    let found = error(|text| {
        text.replace("devices = 50", "devices = 1001")
            .replace("windows_per_round = 40 ", "windows_per_round = 1000 ")
    });
    assert!(found.to_string().contains("1001000 windows"), "{found}");

    // One machine to train on: too few windows for the drift test, until it has more.
    let machines = |windows: u32| {
        VIBRATION
            .replace("machines = 80 ", "machines = 3 ")
            .replace(
                "windows_per_class = 16 ",
                &format!("windows_per_class = {windows} "),
            )
    };
    let found = Recipe::parse(&machines(4), "r.toml").unwrap_err();
    assert!(found.to_string().contains("must be at least 20"), "{found}");
    Recipe::parse(&machines(5), "r.toml").unwrap();
}

#[test]
fn the_batches_of_the_field_are_others_than_that_of_training() {
    for (batches, wanted) in [
        ("[]", "is empty"),
        ("[2, 3, 2]", "names batch 2 twice"),
        ("[2, 1]", "holds the training batch 1"),
    ] {
        let text = GAS_DRIFT.replace("[2, 3, 4, 5, 6]", batches);
        let found = Recipe::parse(&text, "g.toml").unwrap_err().to_string();
        assert!(
            found.contains("line 6: `data.gas.field_batches`") && found.contains(wanted),
            "{found}"
        );
    }
}

#[test]
fn errors_in_layers_name_the_key_in_its_braces() {
    let dense = "dense = { units = 32 }";
    for (to, wanted) in [
        ("dense = { units = \"many\" }", "`units`: invalid type"),
        ("dense = 32", "`dense`: "),
        ("dense = { }", "`dense`: missing field `units`"),
        (
            "dense = { units = 3 }, pool = { size = 2 }",
            "each layer is one of `conv`, `pool` and `dense`",
        ),
    ] {
        let found = error(|text| text.replace(dense, to));
        let place = format!("line {}: ", line_of(dense));
        assert!(found.to_string().contains(&place), "{found}");
        assert!(found.to_string().contains(wanted), "{found}");
    }
}

#[test]
fn a_missing_table_is_named() {
    let from = VIBRATION.find("[fleet]").unwrap();
    let found = Recipe::parse(&VIBRATION[..from], "r.toml").unwrap_err();
    assert_eq!(found.to_string(), "r.toml lacks the table `[fleet]`");
}

#[test]
fn a_missing_file_is_named() {
    let found = Recipe::load(std::path::Path::new("/nowhere/r.toml")).unwrap_err();
    // Whoever prints the error prints its source too.
    assert_eq!(
        found.to_string(),
        "cannot read the recipe /nowhere/r.toml",
        "{found}"
    );
    assert!(std::error::Error::source(&found).is_some());
}

proptest::proptest! {
    #[test]
    fn damaged_recipes_never_panic(at in 0..VIBRATION.len(), with in "[\\[\\]{}=\"#a-z0-9.\n-]{0,3}") {
        let mut text = VIBRATION.to_owned();
        if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
            text.replace_range(at..=at, &with);
        }
        // Refused or not, it must say so without a panic.
        if let Err(error) = Recipe::parse(&text, "r.toml") {
            assert!(error.to_string().contains("r.toml"));
        }
    }
}
