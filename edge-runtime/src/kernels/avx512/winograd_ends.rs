//! The ends of Winograd's tiles, from sums to outputs without a memory between.

use core::arch::x86_64::*;

use super::Vnni;
use super::how::{self, AFFINE, Bytes};
use super::requantise::{Lines, starts};
use crate::kernels::generic::{Constants, TileSums, back};
use crate::kernels::packing::affine::Centred;
use crate::kernels::packing::winograd_16x2::{BLOCK, OUTPUTS, SCALE, SIDE};

/// What the start of the sums is multiplied by on its way to each output.
const GRANULE: i32 = Centred::GRANULE as i32;

/// How a block of tiles ends: the inverse transformation without the factors of its rows, 1, 2, 4 and 4
/// (see [`A`](crate::kernels::packing::winograd_16x2::A)), which stand in the scales, then the lines.
pub(super) struct TileEnds {
    /// Those of outputs with a factor of 1, 2, 4, 8 and 16.
    scales: [__m512; 5],
    add: __m512,
    /// What position (1, 1) begins at, which adds 16 times as much to each output: 36 times the bias,
    /// and the centre.
    pub first: __m512i,
    pub is_odd: bool,
    bytes: Bytes,
}

impl TileEnds {
    /// # Safety
    /// The constants are those of the packing and have the block.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) unsafe fn load(constants: &Constants, block: usize) -> Option<Self> {
        // SAFETY: the lines of tiles lie behind those of layers, and the block is in the layer.
        unsafe {
            let lines = Lines::load_from(
                constants.scales.add(constants.channels * 2 + block * BLOCK),
                constants.adds.add(constants.channels * 2 + block * BLOCK),
            );
            let bias = starts(constants, block);
            let (lines, centre) = lines.tiles(constants.zero_point)?;
            let first = _mm512_mullo_epi32(bias, _mm512_set1_epi32(i32::from(SCALE) / GRANULE));
            let is_odd = lines.odd();
            Some(Self {
                scales: lines.powers(),
                add: lines.add(),
                first: _mm512_add_epi32(first, centre),
                is_odd,
                // The two forms differ in what `write` adds.
                bytes: Bytes::new::<AFFINE>(constants),
            })
        }
    }

    /// See [`Vector::tiles`](crate::kernels::generic::Vector::tiles).
    ///
    /// # Safety
    /// As there.
    #[inline(never)] // once each, and not in each place where tiles end
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) unsafe fn tiles<const ODD: bool, const HALF: bool>(
        &self,
        sums: TileSums,
        count: usize,
        output: *mut i8,
        strides: [usize; 2],
    ) {
        let [pixel, _] = strides;
        for tile in 0..count {
            // SAFETY: passed on.
            unsafe {
                let output = output.add(tile * OUTPUTS * pixel);
                self.tile::<ODD, HALF>(sums.skip(tile), output, strides);
            }
        }
    }

    /// Writes the outputs of a tile.
    ///
    /// # Safety
    /// As [`tiles`](Self::tiles).
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn tile<const ODD: bool, const HALF: bool>(
        &self,
        sums: TileSums,
        output: *mut i8,
        [pixel, line]: [usize; 2],
    ) {
        let sums = TileSums {
            is_half: HALF,
            ..sums
        };
        // Written out, and not in arrays that loops go over, so that all stays in registers.
        // SAFETY: passed on.
        unsafe {
            let [a0, a1, a2, a3] = sums.column::<Vnni>(0);
            let [b0, b1, b2, b3] = sums.column::<Vnni>(1);
            let [c0, c1, c2, c3] = sums.column::<Vnni>(2);
            let [d0, d1, d2, d3] = sums.column::<Vnni>(3);
            let [e0, e1, e2, e3] = sums.column::<Vnni>(4);
            let [f0, f1, f2, f3] = sums.column::<Vnni>(5);
            let [one, two, four, eight, sixteen] = self.scales;
            let line = |row: usize| output.add(row * line);
            self.row::<ODD>([a0, b0, c0, d0, e0, f0], [one, two, four], line(0), pixel);
            self.row::<ODD>([a1, b1, c1, d1, e1, f1], [two, four, eight], line(1), pixel);
            let last = [four, eight, sixteen];
            self.row::<ODD>([a2, b2, c2, d2, e2, f2], last, line(2), pixel);
            self.row::<ODD>([a3, b3, c3, d3, e3, f3], last, line(3), pixel);
        }
    }

    /// Writes a row of four outputs, the last two of which have the same scale.
    ///
    /// # Safety
    /// As [`tile`](Self::tile).
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn row<const ODD: bool>(
        &self,
        sums: [__m512i; SIDE],
        [first, second, last]: [__m512; 3],
        output: *mut i8,
        pixel: usize,
    ) {
        // SAFETY: the machine has the instructions.
        let [a, b, c, d] = unsafe { back::<Vnni>(sums) };
        // SAFETY: passed on.
        unsafe {
            self.write::<ODD>(a, first, output);
            self.write::<ODD>(b, second, output.add(pixel));
            self.write::<ODD>(c, last, output.add(pixel * 2));
            self.write::<ODD>(d, last, output.add(pixel * 3));
        }
    }

    /// Writes sixteen outputs.
    ///
    /// # Safety
    /// As [`tile`](Self::tile).
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn write<const ODD: bool>(&self, sums: __m512i, scale: __m512, to: *mut i8) {
        let lines = Lines::new(scale, self.add);
        // SAFETY: passed on.
        unsafe {
            if ODD {
                self.bytes
                    .write::<{ how::ODD }>(lines.odd_outputs(sums), to);
            } else {
                self.bytes.write::<AFFINE>(lines.outputs(sums), to);
            }
        }
    }
}
