//! The inner loops of [`super::depthwise`]: four channels at a time of one or two output rows.
//!
//! The input rows are read once for all outputs of a group of four channels, one word a pixel, and
//! widened into *columns* of 32 bytes: for each channel rows 0 and 1 as the halves of a word, then
//! rows 2 and 3. With weights as pairs of rows, a column of the kernel takes two instructions an
//! output: for the upper output (0, 1)·(0, 1) and 2·2, for the lower 1·0 and (2, 3)·(1, 2).
//!
//! For two output rows with stride 2 a column has 40 bytes: the fifth row follows, with channels
//! 0 and 2, then 1 and 3 as the halves of a word; the lower output takes (2, 3)·(0, 1) and 4·2.
#![allow(unsafe_code)] // Assembly: the compiler has no other way to SMLAD.

use core::arch::naked_asm;

use crate::kernels::cases;

/// What the loops get; they copy it to their frame, and the assembly knows the offsets.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// Used by the loops.
    pub working: [u32; 4],
    /// Bytes from an output to the output two columns on.
    pub step: usize,
    /// Where in the columns the outputs that come in pairs end.
    pub pairs_end: *const u32,
    /// Four input rows. The lower of one output row is not used.
    pub rows: [*const i8; 4],
    /// Bytes from a pixel to the next, of input and output.
    pub channels: usize,
    /// Where the first pixel's column goes, and the end of the last one's.
    pub interior: [*mut u32; 2],
    /// The column under the left edge of the first output.
    pub columns: *const u32,
    /// Records of packing 5.
    pub records: *const u8,
    /// Upper and lower output row.
    pub outputs: [*mut i8; 2],
    /// Channels / 4, at least one.
    pub groups: usize,
    /// Not zero where a last output comes without a partner.
    pub odd: usize,
    /// The fifth input row, for two output rows with stride 2.
    pub fifth_row: *const i8,
}

/// Runs all groups of channels of one or two output rows.
///
/// # Safety
/// All pointers of `Rows` on 4-byte boundaries; four rows of `(interior[1] - interior[0]) / 8`
/// pixels of `channels = 4 · groups` bytes; `columns` up to the last output's last column valid,
/// those outside `interior` filled; `groups` times four records; output rows of as many pixels.
pub(super) type Kernel = unsafe extern "C" fn(&Rows);

macro_rules! two_rows {
    ($name:ident, $form:ident) => {
        /// # Safety
        /// See [`Kernel`].
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name<const CASES: u64>(rows: &Rows) {
            naked_asm!(
                dsp_cpu!(),
                enter!(),
                widen!(),
                "3:",
                channel_2x2!($form, "0"),
                channel_2x2!($form, "1"),
                channel_2x2!($form, "2"),
                channel_2x2!($form, "3"),
                advance!("64"),
                ".if {odd}",
                channel_2x1!($form, "0"),
                channel_2x1!($form, "1"),
                channel_2x1!($form, "2"),
                channel_2x1!($form, "3"),
                "subs r1, #160",
                ".endif",
                leave!(),
                odd = const (CASES & cases::ODD_COLUMNS != 0) as u32,
            )
        }
    };
}

macro_rules! two_rows_stride_2 {
    ($name:ident, $form:ident) => {
        /// # Safety
        /// See [`Kernel`].
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name<const CASES: u64>(rows: &Rows) {
            naked_asm!(
                dsp_cpu!(),
                enter!(),
                widen_five!(),
                "3:",
                channel_2x2_stride_2!($form, "0", ["smlabt", "32"]),
                channel_2x2_stride_2!($form, "1", ["smlabt", "36"]),
                channel_2x2_stride_2!($form, "2", ["smlatt", "32"]),
                channel_2x2_stride_2!($form, "3", ["smlatt", "36"]),
                advance!("160"),
                ".if {odd}",
                channel_2x1_stride_2!($form, "0", ["smlabt", "32"]),
                channel_2x1_stride_2!($form, "1", ["smlabt", "36"]),
                channel_2x1_stride_2!($form, "2", ["smlatt", "32"]),
                channel_2x1_stride_2!($form, "3", ["smlatt", "36"]),
                "subs r1, #160",
                ".endif",
                leave!(),
                odd = const (CASES & cases::ODD_COLUMNS != 0) as u32,
            )
        }
    };
}

macro_rules! one_row {
    ($name:ident, $stride:tt, $bytes:literal, $form:ident) => {
        /// # Safety
        /// See [`Kernel`].
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name<const CASES: u64>(rows: &Rows) {
            naked_asm!(
                dsp_cpu!(),
                enter!(),
                widen!(),
                "3:",
                channel_1x2!($stride, $form, "0"),
                channel_1x2!($stride, $form, "1"),
                channel_1x2!($stride, $form, "2"),
                channel_1x2!($stride, $form, "3"),
                advance!($bytes),
                ".if {odd}",
                channel_1x1!($form, "0"),
                channel_1x1!($form, "1"),
                channel_1x1!($form, "2"),
                channel_1x1!($form, "3"),
                "subs r1, #160",
                ".endif",
                leave!(),
                odd = const (CASES & cases::ODD_COLUMNS != 0) as u32,
            )
        }
    };
}

macro_rules! single {
    ($name:ident, $form:ident) => {
        /// One output row, one output at a time, any stride: a quarter of the code. `step` is the
        /// bytes of columns from behind an output's first one to the next output's, `pairs_end` where
        /// the outputs end.
        ///
        /// # Safety
        /// See [`Kernel`].
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name<const CASES: u64>(rows: &Rows) {
            naked_asm!(
                dsp_cpu!(),
                enter!(),
                widen!(),
                "3:",
                channel_any!($form),
                "
                ldrd r12, lr, [sp, #16]
                ldr r5, [sp, #40]
                add r0, r0, r12
                subs r5, #4
                add r4, r4, r5
                str r4, [sp]
                subs r1, #160
                cmp r0, lr
                bne 3b
                4:
                ",
                leave!(),
            )
        }
    };
}

single!(single_fixed, Fixed);
single!(single_merged, Merged);
single!(single_ties, Ties);
two_rows!(two_rows_fixed, Fixed);
two_rows!(two_rows_merged, Merged);
two_rows!(two_rows_ties, Ties);
two_rows_stride_2!(two_rows_stride_2_fixed, Fixed);
two_rows_stride_2!(two_rows_stride_2_merged, Merged);
two_rows_stride_2!(two_rows_stride_2_ties, Ties);
one_row!(one_row_fixed, 1, "64", Fixed);
one_row!(one_row_merged, 1, "64", Merged);
one_row!(one_row_ties, 1, "64", Ties);
one_row!(one_row_stride_2_fixed, 2, "128", Fixed);
one_row!(one_row_stride_2_merged, 2, "128", Merged);
one_row!(one_row_stride_2_ties, 2, "128", Ties);
