//! `report.html`: one file, no script, nothing fetched.

use std::fmt::Write;

use host_trainer::metrics::Metrics;

use super::{Report, RoundFigures, charts};

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 960px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; }
td.alarm { color: #c33; font-weight: 600; } td.hit { background: #dcebf7; } tr.changed td:first-child::after { content: ' *'; }
.figures { display: flex; flex-wrap: wrap; gap: 1em; } .figures div { border: 1px solid #ddd; border-radius: 6px; padding: .5em 1em; }
.figures b { display: block; font-size: 1.3em; } .note { color: #666; } svg { max-width: 100%; height: auto; } .wide { overflow-x: auto; }
";

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Dunlin: {name}</title><style>{STYLE}</style></head><body>\
         <h1>The loop on {name}, seed {seed}</h1>{figures}\
         <h2>Accuracy over time</h2>{accuracy}\
         <p class=\"note\">Each point is measured before any label of its round was seen. \
         A shaded round lies after the change of the field; a vertical line is an update shipped.</p>\
         <h2>Drift per feature over time</h2>{drift}\
         <p class=\"note\">Population stability index of each feature against the model that ran \
         then: white 0, blue 2 and above.</p>\
         <h2>Rounds</h2><div class=\"wide\">{rounds}</div>\
         <h2>First model on its test set, int8</h2>{int8}\
         <h2>First model on its test set, float</h2>{float}\
         <h2>Recall per class</h2><div class=\"wide\">{recall}</div>\
         <h2>Board</h2>{device}{rejected}</body></html>",
        name = escape(&report.recipe),
        seed = report.seed,
        figures = figures(report),
        accuracy = charts::accuracy(report),
        drift = charts::drift(report),
        rounds = rounds(report),
        int8 = confusion(&report.labels, &report.int8),
        float = confusion(&report.labels, &report.float),
        recall = recall(report),
        device = device(report),
        rejected = rejected(report),
    );
    page
}

fn figures(report: &Report) -> String {
    let model = &report.model;
    let fleet = &report.fleet;
    let figure = |value: String, name: &str| format!("<div><b>{value}</b>{name}</div>");
    format!(
        "<div class=\"figures\">{}{}{}{}{}{}{}</div>",
        figure(format!("{:.3}", model.accuracy_int8), "accuracy, int8"),
        figure(format!("{:.3}", model.accuracy_float), "accuracy, float"),
        figure(
            format!("{:.1} KB", model.image_bytes as f64 / 1024.0),
            "model image"
        ),
        figure(
            format!("{:.1} KB", model.arena_bytes as f64 / 1024.0),
            "arena"
        ),
        figure(
            format!("{} of {}", fleet.stored, fleet.produced),
            "records stored of produced"
        ),
        figure(
            format!("{} of {}", fleet.labels_used, fleet.label_budget),
            "labels used of the budget"
        ),
        figure(
            format!("{} of {}", fleet.devices_on_final_model, fleet.devices),
            "devices on the last release"
        ),
    )
}

fn rounds(report: &Report) -> String {
    let mut table = String::from(
        "<table><tr><th>round</th><th>windows</th><th>model</th><th>without loop</th><th>with loop</th>\
         <th>drift</th><th>strongest features</th><th>devices</th><th>samples home</th><th>labels</th>\
         <th>update bytes</th><th>devices updated</th></tr>",
    );
    for round in &report.rounds {
        let strongest: Vec<_> = round
            .drift_features
            .iter()
            .take(3)
            .map(|f| escape(f))
            .collect();
        let alarm = match &round.drift_since {
            _ if !round.drift_alarm => "<td></td>".to_owned(),
            Some(since) if *since != round.name => {
                format!("<td class=\"alarm\">raised since {}</td>", escape(since))
            }
            _ => "<td class=\"alarm\">raised</td>".to_owned(),
        };
        let _ = write!(
            table,
            "<tr{}><td>{}</td><td>{}</td><td>v{}</td><td>{:.3}</td><td>{:.3}</td>{alarm}<td>{}</td><td>{}</td>\
             <td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            if round.changed {
                " class=\"changed\""
            } else {
                ""
            },
            escape(&round.name),
            round.windows,
            round.model_version,
            round.accuracy_without_loop,
            round.accuracy_with_loop,
            strongest.join(", "),
            devices(round),
            round.samples_returned,
            round.labels_used,
            round.update_bytes,
            round.devices_updated,
        );
    }
    table.push_str("</table>");
    table
}

/// Which devices drift: by name where they are few.
fn devices(round: &RoundFigures) -> String {
    match round.drift_devices.as_slice() {
        few if few.len() <= 3 => escape(&few.join(", ")),
        many => format!("{} devices", many.len()),
    }
}

/// Confusion matrix with recall, precision and F1 of each class.
fn confusion(labels: &[String], metrics: &Metrics) -> String {
    let mut table = String::from("<table><tr><th>truth \\ answer</th>");
    for label in labels {
        let _ = write!(table, "<th>{}</th>", escape(label));
    }
    table.push_str("<th>recall</th><th>precision</th><th>F1</th></tr>");
    for (class, row) in metrics.confusion.iter().enumerate() {
        let label = labels.get(class).map_or("?", String::as_str);
        let _ = write!(table, "<tr><td>{}</td>", escape(label));
        for (answer, count) in row.iter().enumerate() {
            let hit = if answer == class {
                " class=\"hit\""
            } else {
                ""
            };
            let _ = write!(table, "<td{hit}>{count}</td>");
        }
        for values in [&metrics.recall, &metrics.precision, &metrics.f1] {
            let value = values
                .get(class)
                .map_or(String::new(), |v| format!("{v:.3}"));
            let _ = write!(table, "<td>{value}</td>");
        }
        table.push_str("</tr>");
    }
    let _ = write!(
        table,
        "</table><p class=\"note\">Accuracy {:.4}, macro F1 {:.4}.</p>",
        metrics.accuracy, metrics.macro_f1
    );
    table
}

fn recall(report: &Report) -> String {
    let mut table = String::from("<table><tr><th>round</th>");
    for label in &report.labels {
        let _ = write!(table, "<th>{}</th>", escape(label));
    }
    table.push_str("</tr>");
    for round in &report.rounds {
        let _ = write!(table, "<tr><td>{}</td>", escape(&round.name));
        for (without, with) in round
            .recall_without_loop
            .iter()
            .zip(&round.recall_with_loop)
        {
            let show = |value: &Option<f64>| value.map_or("–".to_string(), |v| format!("{v:.2}"));
            let _ = write!(table, "<td>{} → {}</td>", show(without), show(with));
        }
        table.push_str("</tr>");
    }
    table.push_str("</table><p class=\"note\">Without the loop → with the loop.</p>");
    table
}

fn device(report: &Report) -> String {
    let device = &report.device;
    let mut table = format!(
        "<table><tr><td>board</td><td>{}</td></tr>",
        escape(&device.board)
    );
    let mut row = |name: &str, value: Option<u64>| {
        let value = value.map_or("not measured on a virtual board".to_string(), |v| {
            v.to_string()
        });
        let _ = write!(table, "<tr><td>{name}</td><td>{value}</td></tr>");
    };
    row(
        "instructions, features of one window",
        device.instructions_features,
    );
    row("instructions, one inference", device.instructions_model);
    row("stack peak, bytes", device.stack_bytes);
    row("firmware, bytes", device.firmware_bytes);
    row(
        "windows compared with the host",
        Some(device.samples_compared),
    );
    row("of them different", Some(device.mismatched_outputs));
    table.push_str("</table>");
    table
}

/// Rows that could not be used; nothing where all could.
fn rejected(report: &Report) -> String {
    if report.rejected_rows.is_empty() {
        return String::new();
    }
    let mut table = String::from("<h2>Rows left out</h2><table>");
    for (reason, count) in &report.rejected_rows {
        let _ = write!(
            table,
            "<tr><td>{}</td><td>{count}</td></tr>",
            escape(reason)
        );
    }
    table.push_str("</table>");
    table
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
