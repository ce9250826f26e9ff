//! The kernels of the DSP extension as entries of a table.

use super::{
    add, average_pool, conv_2d, depthwise,
    depthwise_general::{self, depthwise_i8_1x4},
    fully_connected, max_pool, winograd, winograd_f4,
};
use crate::format::{opcode, packing};
use crate::kernels::packing::depthwise_dsp::Form;
use crate::kernels::packing::dsp_blocks::Width;
use crate::kernels::packing::winograd_dsp::Transform;
use crate::kernels::{Kernel, cases, joined, reference};
use crate::operator::{Call, Cost, Fault};
use crate::operator::{elementwise, layers, packed, pools};

const fn kernel(
    opcode: u8,
    packing: u8,
    check: fn(&Call<'_>) -> Result<Cost, Fault>,
    run: fn(&Call<'_>),
) -> Kernel {
    Kernel {
        opcode,
        packing,
        check,
        run,
    }
}

/// The kernels, compiled for these [`cases`]. Each refuses, when a model is loaded, what needs others.
#[derive(Debug)]
pub struct Table<const CASES: u64>;

impl<const CASES: u64> Table<CASES> {
    /// CONV_2D with 16-bit weights.
    pub const CONV_2D_I16: Kernel = kernel(
        opcode::CONV_2D,
        packing::DSP_I16,
        |call| {
            within::<CASES>(
                layers::check_conv(call, &packed::DSP_I16)?,
                cases::of_conv(&call.window(), form(call), Width::I16),
            )
        },
        conv_2d::run_i16::<CASES>,
    );
    /// CONV_2D with 8-bit weights.
    pub const CONV_2D_I8: Kernel = kernel(
        opcode::CONV_2D,
        packing::DSP_I8,
        |call| {
            within::<CASES>(
                layers::check_conv(call, &packed::DSP_I8)?,
                cases::of_conv(&call.window(), form(call), Width::I8),
            )
        },
        conv_2d::run_i8::<CASES>,
    );
    /// CONV_2D 3x3 by F(2x2, 3x3).
    pub const CONV_2D_WINOGRAD: Kernel = kernel(
        opcode::CONV_2D,
        packing::DSP_WINOGRAD_2X2,
        |call| {
            within::<CASES>(
                layers::check_conv(call, &packed::DSP_WINOGRAD_2X2)?,
                cases::of_winograd(call.record, call.x(), form(call), Transform::F2),
            )
        },
        |call| winograd::run::<CASES>(&layers::layer(call)),
    );
    /// CONV_2D 3x3 by F(4x4, 3x3).
    pub const CONV_2D_WINOGRAD_4X4: Kernel = kernel(
        opcode::CONV_2D,
        packing::DSP_WINOGRAD_4X4,
        |call| {
            within::<CASES>(
                layers::check_conv(call, &packed::DSP_WINOGRAD_4X4)?,
                cases::of_winograd(call.record, call.x(), form(call), Transform::F4),
            )
        },
        |call| winograd_f4::run::<CASES>(&layers::layer(call)),
    );
    /// AVERAGE_POOL_2D.
    pub const AVERAGE_POOL_2D: Kernel = kernel(
        opcode::AVERAGE_POOL_2D,
        packing::CANONICAL,
        |call| within::<CASES>(pools::check(call)?, cases::of_pool(call.record, call.y())),
        |call| {
            let (window, x, y) = (call.window(), call.cells(call.x()), call.cells(call.y()));
            average_pool::run::<CASES>(&window, limits(call), x, y);
        },
    );
    /// MAX_POOL_2D.
    pub const MAX_POOL_2D: Kernel = kernel(
        opcode::MAX_POOL_2D,
        packing::CANONICAL,
        |call| within::<CASES>(pools::check(call)?, cases::of_pool(call.record, call.y())),
        |call| {
            let (window, x, y) = (call.window(), call.cells(call.x()), call.cells(call.y()));
            max_pool::run::<CASES>(&window, limits(call), x, y);
        },
    );
    /// FULLY_CONNECTED with 16-bit weights.
    pub const FULLY_CONNECTED_I16: Kernel = kernel(
        opcode::FULLY_CONNECTED,
        packing::DSP_I16,
        |call| {
            within::<CASES>(
                layers::check_fully_connected(call, &packed::DSP_I16_DENSE)?,
                cases::of_dense(call.x(), call.y(), form(call), Width::I16),
            )
        },
        fully_connected::run_i16::<CASES>,
    );
    /// FULLY_CONNECTED with 8-bit weights.
    pub const FULLY_CONNECTED_I8: Kernel = kernel(
        opcode::FULLY_CONNECTED,
        packing::DSP_I8,
        |call| {
            within::<CASES>(
                layers::check_fully_connected(call, &packed::DSP_I8_DENSE)?,
                cases::of_dense(call.x(), call.y(), form(call), Width::I8),
            )
        },
        fully_connected::run_i8::<CASES>,
    );
    /// DEPTHWISE_CONV_2D 3x3.
    pub const DEPTHWISE_CONV_2D: Kernel = kernel(
        opcode::DEPTHWISE_CONV_2D,
        packing::DSP_DEPTHWISE,
        |call| {
            let cost = layers::check_depthwise(call, &packed::DSP_DEPTHWISE)?;
            let form = Form::of(call.weights()).unwrap_or(Form::Ties);
            within::<CASES>(cost, cases::of_depthwise(call.record, call.y(), form))
        },
        |call| depthwise::packed::<CASES>(&layers::layer(call)),
    );
    /// DEPTHWISE_CONV_2D 3x3 on canonical weights.
    pub const DEPTHWISE_CONV_2D_SMALL: Kernel = kernel(
        opcode::DEPTHWISE_CONV_2D,
        packing::DSP_DEPTHWISE_SMALL,
        |call| {
            let cost = layers::check_depthwise(call, &packed::DSP_DEPTHWISE_SMALL)?;
            let form = cases::of_canonical(call.record, call.y());
            within::<CASES>(cost, cases::of_depthwise(call.record, call.y(), form))
        },
        |call| depthwise::canonical::<CASES>(&layers::layer(call)),
    );
    /// DEPTHWISE_CONV_2D of any window.
    pub const DEPTHWISE_CONV_2D_ANY: Kernel = kernel(
        opcode::DEPTHWISE_CONV_2D,
        packing::CANONICAL,
        |call| {
            let cost = layers::check_depthwise(call, &layers::CANONICAL_DEPTHWISE)?;
            if depthwise_general::fits(&call.window()) {
                Ok(cost)
            } else {
                Err(Fault::Geometry)
            }
        },
        |call| depthwise_i8_1x4(&layers::layer(call)),
    );
    /// ADD and SUB of two activations of one shape in one linear form.
    pub const ADD_FITTED: Kernel = kernel(
        opcode::ADD,
        packing::FITTED,
        |call| {
            within::<CASES>(
                elementwise::check_add_fitted_flat(call)?,
                cases::of_add(call.record, call.y()),
            )
        },
        |call| {
            let inputs = [call.cells(call.x()), call.cells(call.second())];
            add::run::<CASES>(&elementwise::add_fitted(call), inputs, call.cells(call.y()));
        },
    );

    /// Every kernel of this instruction set.
    pub const OWN: [Kernel; COUNT] = [
        Self::CONV_2D_I16,
        Self::CONV_2D_I8,
        Self::CONV_2D_WINOGRAD,
        Self::FULLY_CONNECTED_I16,
        Self::FULLY_CONNECTED_I8,
        Self::DEPTHWISE_CONV_2D,
        Self::DEPTHWISE_CONV_2D_SMALL,
        Self::DEPTHWISE_CONV_2D_ANY,
        Self::ADD_FITTED,
        Self::CONV_2D_WINOGRAD_4X4,
        Self::AVERAGE_POOL_2D,
        Self::MAX_POOL_2D,
    ];

    /// These, then the reference kernels.
    pub const KERNELS: [Kernel; COUNT + reference::CANONICAL.len()] =
        joined(&Self::OWN, reference::CANONICAL);
}

const COUNT: usize = 12;

/// Every kernel of this instruction set, for all cases, then the reference kernels.
pub static KERNELS: [Kernel; COUNT + reference::CANONICAL.len()] = Table::<{ cases::ALL }>::KERNELS;

/// The cost of an operator, if the kernels were compiled for the cases that it needs.
#[inline(always)] // Of `needed` only what can be missing is computed.
fn within<const CASES: u64>(cost: Cost, needed: u64) -> Result<Cost, Fault> {
    if needed & !CASES != 0 {
        return Err(Fault::Cases);
    }
    Ok(cost)
}

/// The first byte of the weights.
fn form(call: &Call<'_>) -> u8 {
    call.weights().first().copied().unwrap_or(0)
}

fn limits(call: &Call<'_>) -> [i8; 2] {
    [call.record.clamp_min, call.record.clamp_max]
}
