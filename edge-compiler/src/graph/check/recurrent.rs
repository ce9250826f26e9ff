//! The recurrent operators.

use super::super::{GraphError, Lstm, Role, Svdf, Tensor};
use super::good_scale;

type Place<'a> = &'a dyn Fn() -> String;

/// The output's shape.
pub(super) fn check_lstm(
    place: Place<'_>,
    lstm: &Lstm,
    inputs: &[&Tensor],
) -> Result<[usize; 4], GraphError> {
    // The states are there: their number was checked.
    let [input, hidden, cell] = inputs else {
        return Ok([0; 4]);
    };
    let cells = lstm.cells();
    for gate in lstm.gates() {
        let weights = cells.saturating_mul(input.shape[3]);
        count(
            place,
            "weights of the input",
            weights,
            gate.input_weights.len(),
        )?;
        let recurrent = cells.saturating_mul(cells);
        count(
            place,
            "recurrent weights",
            recurrent,
            gate.recurrent_weights.len(),
        )?;
        count(place, "biases", cells, gate.bias.len())?;
        scale(place, gate.input_scale)?;
        scale(place, gate.recurrent_scale)?;
    }
    state(place, hidden, false, cells)?;
    state(place, cell, true, cells)?;
    scale(place, lstm.hidden_scale)?;
    if !(-128..=127).contains(&lstm.hidden_zero_point) || !lstm.cell_clip.is_finite() {
        return Err(GraphError::BadWeightScale {
            operator: place(),
            channel: 0,
            scale: lstm.cell_clip,
        });
    }
    let [batch, height, width, _] = input.shape;
    Ok([batch, height, width, cells])
}

pub(super) fn check_svdf(
    place: Place<'_>,
    svdf: &Svdf,
    inputs: &[&Tensor],
) -> Result<(), GraphError> {
    let [input, past] = inputs else {
        return Ok(());
    };
    let (filters, [_, _, _, memory]) = (svdf.filters(), past.shape);
    let weights = filters.saturating_mul(input.len());
    count(
        place,
        "weights of the features",
        weights,
        svdf.feature_weights.len(),
    )?;
    let times = filters.saturating_mul(memory);
    count(
        place,
        "weights of the times",
        times,
        svdf.time_weights.len(),
    )?;
    scale(place, svdf.feature_scale)?;
    scale(place, svdf.time_scale)?;
    if past.shape != [1, 1, filters, memory] {
        return Err(GraphError::OutputShape {
            operator: place(),
            expected: [1, 1, filters, memory],
            found: past.shape,
        });
    }
    state(place, past, true, times)
}

fn count(
    place: Place<'_>,
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), GraphError> {
    if expected == found {
        return Ok(());
    }
    Err(GraphError::ConstantCount {
        operator: place(),
        what,
        expected,
        found,
    })
}

fn scale(place: Place<'_>, scale: f32) -> Result<(), GraphError> {
    if good_scale(scale) {
        return Ok(());
    }
    Err(GraphError::BadWeightScale {
        operator: place(),
        channel: 0,
        scale,
    })
}

fn state(place: Place<'_>, state: &Tensor, wide: bool, len: usize) -> Result<(), GraphError> {
    let what = if wide {
        "16-bit states"
    } else {
        "8-bit states"
    };
    let found = if state.role == (Role::State { wide }) {
        state.len()
    } else {
        0
    };
    count(place, what, len, found)
}
