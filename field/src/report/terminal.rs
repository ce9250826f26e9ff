//! The table at the end of a run.

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};

use super::Report;

/// The rounds as a table, then the figures of model, board and delivery, a line each.
pub fn table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header([
        "round",
        "model",
        "without loop",
        "with loop",
        "drift",
        "features",
        "samples",
        "labels",
        "updated",
    ]);
    for round in &report.rounds {
        let features = match round.drift_features.as_slice() {
            [] => String::new(),
            [only] => only.clone(),
            [first, rest @ ..] => format!("{first} +{}", rest.len()),
        };
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(if round.changed {
                format!("{} *", round.name)
            } else {
                round.name.clone()
            }),
            right(format!("v{}", round.model_version)),
            right(format!("{:.3}", round.accuracy_without_loop)),
            right(format!("{:.3}", round.accuracy_with_loop)),
            Cell::new(match round.drift_devices.len() {
                _ if !round.drift_alarm => String::new(),
                devices => format!("raised, {devices} devices"),
            }),
            Cell::new(features),
            right(round.samples_returned.to_string()),
            right(round.labels_used.to_string()),
            right(round.devices_updated.to_string()),
        ]);
    }
    let (model, fleet, device) = (&report.model, &report.fleet, &report.device);
    let mut text = format!(
        "{table}\n\
         model     int8 {:.3}, float {:.3}, macro F1 {:.3}; image {} bytes, arena {} bytes, {} MACs\n\
         delivery  {} of {} records stored, {} lost; {} duplicates dropped; links lost {} frames and doubled {}\n\
         fleet     {} of {} devices on the last release; {} of {} labels used; server restarted {} time(s)\n",
        model.accuracy_int8,
        model.accuracy_float,
        model.macro_f1_int8,
        model.image_bytes,
        model.arena_bytes,
        model.macs,
        fleet.stored,
        fleet.produced,
        fleet.lost,
        fleet.duplicates_dropped,
        fleet.frames_lost,
        fleet.frames_duplicated,
        fleet.devices_on_final_model,
        fleet.devices,
        fleet.labels_used,
        fleet.label_budget,
        fleet.server_restarts,
    );
    text.push_str(&format!(
        "board     {}: {} of {} windows differ from the host",
        device.board, device.mismatched_outputs, device.samples_compared,
    ));
    if let (Some(features), Some(model)) = (device.instructions_features, device.instructions_model)
    {
        text.push_str(&format!(
            "; instructions: features {features}, model {model}"
        ));
    }
    if let (Some(stack), Some(firmware)) = (device.stack_bytes, device.firmware_bytes) {
        text.push_str(&format!(
            "; stack peak {stack} bytes, firmware {firmware} bytes"
        ));
    }
    text.push('\n');
    if let Some((before, during, after)) = report.before_during_after() {
        text.push_str(&format!(
            "accuracy  {before:.3} before the change, {during:.3} at its worst, {after:.3} at the end\n"
        ));
    }
    if report.rounds.iter().any(|round| round.changed) {
        text.push_str("* the field had changed\n");
    }
    text
}
