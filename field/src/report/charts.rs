//! The report's pictures, as SVG text.

use plotters::prelude::*;

use super::Report;

const WITH: RGBColor = RGBColor(0, 114, 178);
const WITHOUT: RGBColor = RGBColor(213, 94, 0);
const ALARM: RGBColor = RGBColor(204, 51, 51);
const INK: RGBColor = RGBColor(60, 60, 60);

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Accuracy over the rounds, with and without the loop; alarms and updates are marked.
pub fn accuracy(report: &Report) -> String {
    draw((920, 340), |area| {
        let last = report.rounds.len().max(2) as f64;
        let names: Vec<&str> = report.rounds.iter().map(|r| r.name.as_str()).collect();
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(52)
            .build_cartesian_2d(0.5..last + 0.5, 0.0..1.02)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .x_labels(report.rounds.len().clamp(2, 24))
            .x_label_formatter(&|x| label_at(&names, *x))
            .y_desc("accuracy")
            .y_label_formatter(&|y| format!("{y:.1}"))
            .label_style(("sans-serif", 13, &INK))
            .draw()?;
        // A pale band behind the rounds in which the field had changed.
        for (i, round) in report.rounds.iter().enumerate() {
            if round.changed {
                let x = i as f64 + 1.0;
                chart.draw_series([Rectangle::new(
                    [(x - 0.5, 0.0), (x + 0.5, 1.02)],
                    RGBColor(245, 236, 220).mix(0.7).filled(),
                )])?;
            }
        }
        let points = |value: fn(&super::RoundFigures) -> f64| -> Vec<(f64, f64)> {
            report
                .rounds
                .iter()
                .enumerate()
                .map(|(i, round)| (i as f64 + 1.0, value(round)))
                .collect()
        };
        let without = points(|round| round.accuracy_without_loop);
        let with = points(|round| round.accuracy_with_loop);
        for (series, colour, name) in [
            (without, WITHOUT, "first model, never replaced"),
            (with, WITH, "with the loop"),
        ] {
            chart
                .draw_series(LineSeries::new(series.clone(), colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
                });
            chart.draw_series(
                series
                    .into_iter()
                    .map(|point| Circle::new(point, 3, colour.filled())),
            )?;
        }
        let alarms = report
            .rounds
            .iter()
            .enumerate()
            .filter(|(_, r)| r.drift_alarm);
        chart
            .draw_series(
                alarms.map(|(i, _)| TriangleMarker::new((i as f64 + 1.0, 0.04), 6, ALARM.filled())),
            )?
            .label("drift raised")
            .legend(|(x, y)| TriangleMarker::new((x + 9, y), 6, ALARM.filled()));
        let updates = report
            .rounds
            .iter()
            .enumerate()
            .filter(|(_, r)| r.update_bytes > 0);
        chart
            .draw_series(updates.map(|(i, _)| {
                PathElement::new(
                    [(i as f64 + 1.5, 0.0), (i as f64 + 1.5, 1.02)],
                    INK.mix(0.5).stroke_width(1),
                )
            }))?
            .label("update shipped")
            .legend(|(x, y)| {
                PathElement::new(
                    [(x + 9, y - 7), (x + 9, y + 7)],
                    INK.mix(0.5).stroke_width(1),
                )
            });
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .margin(8)
            .legend_area_size(24)
            .background_style(WHITE.mix(0.85))
            .border_style(INK.mix(0.3))
            .label_font(("sans-serif", 13, &INK))
            .draw()
    })
}

/// Population stability index per feature (rows) and round (columns), as a heat map.
pub fn drift(report: &Report) -> String {
    let features = report
        .rounds
        .iter()
        .map(|r| r.psi.len())
        .max()
        .unwrap_or(0)
        .max(1);
    draw((920, 380), |area| {
        let rounds = report.rounds.len().max(1);
        let names: Vec<&str> = report.rounds.iter().map(|r| r.name.as_str()).collect();
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(52)
            .build_cartesian_2d(0.5..rounds as f64 + 0.5, 0.0..features as f64)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(rounds.clamp(2, 24))
            .x_label_formatter(&|x| label_at(&names, *x))
            .y_desc("feature")
            .y_label_formatter(&|y| format!("{y:.0}"))
            .label_style(("sans-serif", 13, &INK))
            .draw()?;
        chart.draw_series(report.rounds.iter().enumerate().flat_map(|(i, round)| {
            round.psi.iter().enumerate().map(move |(feature, psi)| {
                let x = i as f64 + 1.0;
                Rectangle::new(
                    [(x - 0.48, feature as f64), (x + 0.48, feature as f64 + 1.0)],
                    heat(*psi).filled(),
                )
            })
        }))?;
        Ok(())
    })
}

/// White at 0, deep blue at 2 and above: an index of 0.25 is visible at once.
fn heat(psi: f64) -> RGBColor {
    let t = (psi / 2.0).clamp(0.0, 1.0).sqrt();
    let blend = |from: f64, to: f64| (from + (to - from) * t) as u8;
    RGBColor(blend(255.0, 8.0), blend(255.0, 48.0), blend(255.0, 107.0))
}

/// The short name of the round at position `x`: its last word, only at whole positions.
fn label_at(names: &[&str], x: f64) -> String {
    let whole = x.round();
    if (x - whole).abs() > 0.01 || whole < 1.0 {
        return String::new();
    }
    names
        .get(whole as usize - 1)
        .and_then(|name| name.split_whitespace().last())
        .unwrap_or_default()
        .to_string()
}

/// Draws into a string. Drawing to memory cannot fail for a reason outside this module, so a
/// failure becomes a line of text in the place of the picture.
fn draw(
    size: (u32, u32),
    paint: impl FnOnce(&DrawingArea<SVGBackend, plotters::coord::Shift>) -> Drawn,
) -> String {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        paint(&area).and_then(|()| area.present())
    };
    match drawn {
        Ok(()) => svg,
        Err(error) => format!("<p>This picture could not be drawn: {error}</p>"),
    }
}
