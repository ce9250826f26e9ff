//! The plan of the arena as a picture: operators from left to right, bytes from bottom to top, a
//! rectangle for everything that lies there.

use std::fmt::Write;

use super::Summary;
use super::arena::{Region, Use};
use super::text::grouped;

const LEFT: f64 = 92.0;
const TOP: f64 = 84.0;
const RIGHT: f64 = 24.0;
/// Names of operators, written upwards.
const BOTTOM: f64 = 170.0;
const PLOT_HEIGHT: f64 = 480.0;
const LEAST_WIDTH: f64 = 780.0;
const LEAST_COLUMN: f64 = 34.0;
/// Ticks of the axis of bytes, at most.
const TICKS: usize = 8;

impl Use {
    /// Fill, and a darker tone of it for the border.
    fn colours(self) -> (&'static str, &'static str) {
        match self {
            Self::Input => ("#a7d7a5", "#3f8f46"),
            Self::Activation => ("#a9c8ec", "#3567a6"),
            Self::Output => ("#f6c98f", "#b8731d"),
            Self::State => ("#d3b7e8", "#7a4aa3"),
            Self::Scratch => ("#d8d8d8", "#777777"),
        }
    }
}

/// Where things go.
struct Frame {
    column: f64,
    columns: usize,
    bytes: usize,
}

impl Frame {
    fn width(&self) -> f64 {
        self.column * self.columns as f64
    }

    fn x(&self, operator: usize) -> f64 {
        LEFT + self.column * operator.min(self.columns) as f64
    }

    fn y(&self, byte: usize) -> f64 {
        TOP + PLOT_HEIGHT * (1.0 - byte as f64 / self.bytes as f64)
    }
}

/// Draws the arena of an image; `title` names the model.
pub fn svg(summary: &Summary, title: &str) -> String {
    let columns = summary.operators.len().max(1);
    let frame = Frame {
        column: (LEAST_WIDTH / columns as f64).max(LEAST_COLUMN),
        columns,
        bytes: summary.arena_bytes.max(1),
    };
    let (width, height) = (LEFT + frame.width() + RIGHT, TOP + PLOT_HEIGHT + BOTTOM);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    // Writing to a string cannot fail.
    let _ = heading(&mut out, summary, title);
    let _ = axes(&mut out, &frame, summary);
    // Scratch first, tensors above it, so that a tensor's border is never hidden; labels last.
    let (scratch, tensors): (Vec<&Region>, Vec<&Region>) = summary
        .arena
        .iter()
        .partition(|r| r.purpose == Use::Scratch);
    let all: Vec<&Region> = scratch.into_iter().chain(tensors).collect();
    for region in &all {
        let _ = rectangle(&mut out, &frame, region);
    }
    for (index, region) in all.iter().enumerate() {
        let _ = label(&mut out, &frame, region, &all[index + 1..]);
    }
    out.push_str("</svg>\n");
    out
}

fn heading(out: &mut String, summary: &Summary, title: &str) -> std::fmt::Result {
    let target = summary.source.as_ref().map(|source| &source.target);
    let target = target.map_or(String::new(), |target| format!(" for {target}"));
    writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"28\" font-size=\"18\" font-weight=\"bold\">{}{}: {} bytes of arena</text>",
        escaped(title),
        escaped(&target),
        grouped(summary.arena_bytes)
    )?;
    let mut x = LEFT;
    for purpose in Use::ALL {
        if !summary.arena.iter().any(|region| region.purpose == purpose) {
            continue;
        }
        let (fill, border) = purpose.colours();
        writeln!(
            out,
            "<rect x=\"{x}\" y=\"46\" width=\"14\" height=\"14\" fill=\"{fill}\" stroke=\"{border}\"/>\
             <text x=\"{}\" y=\"58\">{}</text>",
            x + 20.0,
            purpose.name()
        )?;
        x += 110.0;
    }
    Ok(())
}

fn axes(out: &mut String, frame: &Frame, summary: &Summary) -> std::fmt::Result {
    let step = tick_step(frame.bytes);
    for byte in (0..=frame.bytes).step_by(step) {
        let y = frame.y(byte);
        writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e4e4e4\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT + frame.width(),
            LEFT - 8.0,
            y + 4.0,
            grouped(byte)
        )?;
    }
    let middle = TOP + PLOT_HEIGHT / 2.0;
    writeln!(
        out,
        "<text x=\"18\" y=\"{middle}\" text-anchor=\"middle\" \
         transform=\"rotate(-90 18 {middle})\">byte of the arena</text>"
    )?;
    let base = TOP + PLOT_HEIGHT;
    for (index, operator) in summary.operators.iter().enumerate() {
        let x = frame.x(index) + frame.column / 2.0;
        let (name_x, name_y) = (x + 4.0, base + 12.0);
        writeln!(
            out,
            "<text x=\"{name_x:.1}\" y=\"{name_y:.1}\" text-anchor=\"end\" font-size=\"11\" \
             transform=\"rotate(-55 {name_x:.1} {name_y:.1})\">{index} {}</text>",
            escaped(&operator.operator)
        )?;
    }
    writeln!(
        out,
        "<rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{PLOT_HEIGHT}\" fill=\"none\" stroke=\"#888888\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">operators in the order of execution</text>",
        frame.width(),
        LEFT + frame.width() / 2.0,
        base + BOTTOM - 14.0
    )
}

/// A rectangle, and everything about it for whoever points at it.
fn rectangle(out: &mut String, frame: &Frame, region: &Region) -> std::fmt::Result {
    let (left, right) = (frame.x(region.live.first), frame.x(region.live.last + 1));
    let (top, bottom) = (
        frame.y(region.offset + region.bytes),
        frame.y(region.offset),
    );
    let (width, height) = (right - left, (bottom - top).max(1.0));
    let (fill, border) = region.purpose.colours();
    writeln!(
        out,
        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
         fill=\"{fill}\" fill-opacity=\"0.72\" stroke=\"{border}\"><title>{}{}: {}, {} bytes from \
         {}, operators {} to {}</title></rect>",
        region.label,
        shape(region),
        region.purpose.name(),
        grouped(region.bytes),
        grouped(region.offset),
        region.live.first,
        region.live.last
    )
}

/// Label and bytes in the part of a rectangle that none of those above it covers, as far as there is
/// room.
fn label(out: &mut String, frame: &Frame, region: &Region, above: &[&Region]) -> std::fmt::Result {
    let range = region.offset..region.offset + region.bytes;
    let covering = above.iter().filter(|other| {
        other.inside(&range) > 0
            && other.live.overlaps(&region.live)
            && other.live.first > region.live.first
    });
    let end = covering.map(|other| other.live.first).min();
    let (left, right) = (
        frame.x(region.live.first),
        frame.x(end.unwrap_or(region.live.last + 1)),
    );
    let (top, bottom) = (frame.y(range.end), frame.y(range.start));
    let (width, height) = (right - left, bottom - top);
    // A character of this size is about 6.5 wide.
    let fits = |text: &str| text.len() as f64 * 6.5 < width - 2.0;
    let long = format!("{}{}", region.label, shape(region));
    let texts = [long.as_str(), region.label.as_str()];
    let text = texts.into_iter().find(|text| fits(text));
    let Some(text) = text.filter(|_| height >= 13.0) else {
        return Ok(());
    };
    let bytes = format!("{} B", grouped(region.bytes));
    let both = height >= 32.0 && fits(&bytes);
    let (x, y) = (
        left + width / 2.0,
        top + height / 2.0 + if both { -3.0 } else { 4.0 },
    );
    writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>"
    )?;
    if both {
        let y = y + 14.0;
        writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#444444\">{bytes}</text>"
        )?;
    }
    Ok(())
}

/// Height, width and channels.
fn shape(region: &Region) -> String {
    let shape = region.shape;
    shape.map_or(String::new(), |[_, h, w, c]| format!(" {h}x{w}x{c}"))
}

/// One, two or five times a power of ten, but at least 16, so that few ticks cover all bytes.
fn tick_step(bytes: usize) -> usize {
    let least = bytes.div_ceil(TICKS).max(16);
    let mut power = 1_usize;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if step >= least || step == usize::MAX {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
