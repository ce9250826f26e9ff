//! Resize.

use edge_compiler::import::tflite::{Options, Resize};
use edge_compiler::prepare::resize::{Alignment, nearest};

use super::builder::{Builder, Lowered, Patch};
use crate::proto::Attributes;
use crate::source::Node;

/// What the attributes say about where elements lie and how they are chosen.
struct Rule<'a> {
    coordinates: &'a str,
    rounding: &'a str,
}

impl Rule<'_> {
    /// Where output element `index` lies in the input.
    fn place(&self, index: usize, from: usize, to: usize, scale: f64) -> Option<f64> {
        let x = index as f64;
        Some(match self.coordinates {
            "half_pixel" => (x + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if to > 1 => (x + 0.5) / scale - 0.5,
            "pytorch_half_pixel" => 0.0,
            "align_corners" if to > 1 => x * (from as f64 - 1.0) / (to as f64 - 1.0),
            "align_corners" => 0.0,
            "asymmetric" => x / scale,
            _ => return None,
        })
    }

    /// For each output element the one of the input.
    fn nearest(&self, from: usize, to: usize, scale: f64) -> Option<Vec<u16>> {
        let last = u16::try_from(from.checked_sub(1)?).ok()?;
        u16::try_from(to).ok()?;
        let choose = |index: usize| {
            let place = self.place(index, from, to, scale)?;
            let chosen = match self.rounding {
                "round_prefer_floor" => (place - 0.5).ceil(),
                "round_prefer_ceil" => (place + 0.5).floor(),
                "floor" => place.floor(),
                "ceil" => place.ceil(),
                _ => return None,
            };
            Some((chosen.max(0.0) as u16).min(last))
        };
        (0..to).map(choose).collect()
    }
}

impl Builder<'_> {
    pub fn resize(&mut self, node: &Node) -> Lowered {
        let (input, output) = (self.argument(node, 0)?, node.outputs[0]);
        let (from, to) = (self.shape(input), self.shape(output));
        let attributes = node.attributes.as_slice();
        let (&[_, channels, height, width], &[_, kept, rows, columns]) = (from, to) else {
            return Err(format!(
                "it resizes {from:?} to {to:?}: four dimensions are possible"
            ));
        };
        if channels != kept || from[0] != to[0] {
            return Err(format!(
                "it resizes {from:?} to {to:?}: only rows and columns can change"
            ));
        }
        let plain_policy = |policy: Option<&str>| policy.is_none_or(|p| p == "stretch");
        if attributes.int("antialias", 0) != 0
            || !plain_policy(attributes.text("keep_aspect_ratio_policy"))
        {
            return Err("antialiasing or a kept aspect ratio".into());
        }
        // Before version 11 there was one way only.
        let old = self.source.version < 11;
        let rule = Rule {
            coordinates: attributes
                .text("coordinate_transformation_mode")
                .unwrap_or(if old { "asymmetric" } else { "half_pixel" }),
            rounding: attributes.text("nearest_mode").unwrap_or(if old {
                "floor"
            } else {
                "round_prefer_floor"
            }),
        };
        let stated = self.scales(node, old);
        let scale = |i: usize| {
            let own = to[i] as f64 / from[i] as f64;
            stated
                .as_ref()
                .and_then(|all| all.get(i).copied())
                .unwrap_or(own)
        };
        let (x, q) = self.image(input)?;
        let y = self.image_output(output, q);
        let size = self.integers(&[2], &[rows as i32, columns as i32]);
        let inputs = vec![Some(x), Some(size)];
        match attributes.text("mode").unwrap_or("nearest") {
            "nearest" => {
                let table = |from, to, scale| {
                    rule.nearest(from, to, scale).ok_or_else(|| {
                        format!(
                            "coordinates `{}`, rounded `{}`",
                            rule.coordinates, rule.rounding
                        )
                    })
                };
                let (rows, columns) = (
                    table(height, rows, scale(2))?,
                    table(width, columns, scale(3))?,
                );
                // TFLite's own table, so that the operator is one that it has.
                let plainly = Alignment::default();
                nearest(height, rows.len(), plainly).ok_or("it is too large")?;
                let options = Options::ResizeNearestNeighbor(Resize {
                    align_corners: false,
                    half_pixel_centers: false,
                });
                let operator = self.emit(options, inputs, y);
                self.patch(operator, Patch::Nearest { rows, columns });
            }
            "linear" => {
                let exact = |i: usize| (from[i] as f64 * scale(i) - to[i] as f64).abs() < 1e-3;
                if !exact(2) || !exact(3) {
                    return Err("scales that do not give whole sizes".into());
                }
                let single = rows == 1 || columns == 1;
                let (align_corners, half_pixel_centers) = match rule.coordinates {
                    "half_pixel" => (false, true),
                    "pytorch_half_pixel" if !single => (false, true),
                    "align_corners" => (true, false),
                    "asymmetric" => (false, false),
                    other => return Err(format!("coordinates `{other}`")),
                };
                let options = Options::ResizeBilinear(Resize {
                    align_corners,
                    half_pixel_centers,
                });
                self.emit(options, inputs, y);
            }
            other => return Err(format!("the mode `{other}`")),
        }
        self.set_image(output, y, q)
    }

    /// Scales for all dimensions, if the node states them.
    fn scales(&self, node: &Node, old: bool) -> Option<Vec<f64>> {
        let constant = self.source.constant(node, if old { 1 } else { 2 })?;
        let scales: Vec<f64> = constant.floats().iter().map(|&s| s.into()).collect();
        let rank = self.shape(node.inputs[0]?).len();
        let fine = scales.len() == rank && scales.iter().all(|s| s.is_normal() && *s > 0.0);
        fine.then_some(scales)
    }
}
