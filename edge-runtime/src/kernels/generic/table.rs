//! The kernels of a vector instruction set as entries of a table.

use crate::operator::Call;

/// The clamp of a record.
pub(crate) fn limits(call: &Call<'_>) -> [i8; 2] {
    [call.record.clamp_min, call.record.clamp_max]
}

/// The table of an instruction set whose kernels are in scope under the names of the operators, with
/// `$more` entries of its own.
macro_rules! table {
    ($($more:ident),*) => {
        use crate::format::{opcode, packing};
        use crate::kernels::reference::broadcast::Operand;
        use crate::kernels::{Kernel, joined, reference};
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

        /// CONV_2D.
        pub const CONV_2D: Kernel = kernel(
            opcode::CONV_2D,
            packing::DOT_16X4,
            |call| layers::check_conv(call, &packed::DOT_16X4),
            |call| conv_2d(&layers::layer(call)),
        );
        /// FULLY_CONNECTED.
        pub const FULLY_CONNECTED: Kernel = kernel(
            opcode::FULLY_CONNECTED,
            packing::DOT_16X4,
            |call| layers::check_fully_connected(call, &packed::DOT_16X4),
            |call| fully_connected(&layers::flat_layer(call)),
        );
        /// DEPTHWISE_CONV_2D.
        pub const DEPTHWISE_CONV_2D: Kernel = kernel(
            opcode::DEPTHWISE_CONV_2D,
            packing::DEPTHWISE_16X4,
            |call| layers::check_depthwise(call, &packed::DEPTHWISE_16X4),
            |call| depthwise_conv_2d(&layers::layer(call)),
        );
        /// AVERAGE_POOL_2D.
        pub const AVERAGE_POOL_2D: Kernel = kernel(
            opcode::AVERAGE_POOL_2D,
            packing::CANONICAL,
            pools::check,
            |call| {
                let (window, x, y) = (call.window(), call.cells(&call.x()), call.cells(&call.y()));
                average_pool_2d(&window, crate::kernels::generic::limits(call), x, y);
            },
        );
        /// MAX_POOL_2D.
        pub const MAX_POOL_2D: Kernel = kernel(
            opcode::MAX_POOL_2D,
            packing::CANONICAL,
            pools::check,
            |call| {
                let (window, x, y) = (call.window(), call.cells(&call.x()), call.cells(&call.y()));
                max_pool_2d(&window, crate::kernels::generic::limits(call), x, y);
            },
        );
        /// ADD and SUB in one linear form.
        pub const ADD_FITTED: Kernel = kernel(
            opcode::ADD,
            packing::FITTED,
            elementwise::check_add_fitted,
            |call| {
                let ([first, second], y) = (elementwise::operands(call), call.cells(&call.y()));
                match (first, second) {
                    (Operand::Activation(a), Operand::Activation(b))
                        if a.len() == y.len() && b.len() == y.len() =>
                    {
                        add_fitted(&elementwise::add_fitted(call), a, b, y);
                    }
                    _ => (reference::table::ADD_FITTED.run)(call),
                }
            },
        );

        /// Every kernel of this instruction set.
        pub const OWN: &[Kernel] = &[
            $($more,)*
            CONV_2D,
            FULLY_CONNECTED,
            DEPTHWISE_CONV_2D,
            AVERAGE_POOL_2D,
            MAX_POOL_2D,
            ADD_FITTED,
        ];

        /// These, then the reference kernels in every packing.
        pub static KERNELS: [Kernel; OWN.len() + reference::KERNELS.len()] =
            joined(OWN, &reference::KERNELS);
    };
}
pub(crate) use table;
