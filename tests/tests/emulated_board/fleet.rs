//! The board as a member of a fleet: the loop with `--board`, on a recipe made small.

use field::live::{self, Options};
use host_trainer::recipe::{DataRecipe, Recipe};

use crate::{BOARD, board};

#[test]
fn it_lives_the_loop_like_any_other_device() {
    let Some(_) = board() else { return };
    let mut recipe = Recipe::vibration();
    if let DataRecipe::Vibration(spec) = &mut recipe.data {
        (spec.machines, spec.windows_per_class) = (12, 4);
    }
    recipe.training.epochs = 2;
    recipe.retraining.steps = 20;
    // Every returned sample is labelled, so that every round but the last ends with an update.
    recipe.fleet.label_budget = 0;
    recipe.fleet.sample_permille = 100;
    recipe.fleet.devices = 3;
    (recipe.fleet.quiet_rounds, recipe.fleet.changed_rounds) = (2, 2);
    recipe.fleet.windows_per_round = 20;
    let options = Options {
        board: Some(BOARD.into()),
        ..Options::default()
    };
    let report = live::run(&recipe, &options, &mut |_| {}).expect("the loop runs to its end");

    assert_eq!(report.faults(), Vec::<String>::new());
    assert_eq!(report.fleet.produced, 3 * 4 * 20);
    assert_eq!(report.device.samples_compared, 12 * 16 + 4 * 20);
    assert!(
        report
            .device
            .instructions_model
            .is_some_and(|count| count > u64::from(report.model.macs))
    );
    assert!(report.device.stack_bytes.is_some() && report.device.firmware_bytes.is_some());
    for (index, round) in report.rounds.iter().enumerate() {
        // Two of twenty windows of each device, the board's included.
        assert_eq!(round.samples_returned, 6, "{}", round.name);
        let updated = if index < 3 { 3 } else { 0 };
        assert_eq!(round.devices_updated, updated, "{}", round.name);
    }
}
