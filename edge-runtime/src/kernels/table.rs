//! The table of exactly the kernels that an image names, made while the program is compiled: what
//! it leaves out is not linked.
//!
//! ```
//! use edge_runtime::kernels::{Kernel, of_image, of_image_len, reference};
//!
//! // `include_bytes!` of the model that the firmware is built for; the bytes themselves are linked
//! // only where the program uses them too.
//! const IMAGE: &[u8] = include_bytes!("../../tests/golden/sample.dnl");
//!
//! static KERNELS: [Kernel; of_image_len(IMAGE)] = match of_image(IMAGE, reference::CANONICAL) {
//!     Some(kernels) => kernels,
//!     None => panic!("the image needs other kernels"),
//! };
//! ```

use super::packing::dsp_blocks::Taps;
use super::{Kernel, cases, reference};
use crate::format::{Header, OperatorRecord, TensorRecord, opcode, storage};
use core::mem::offset_of;

/// How many kernels an image names: pairs of operator and packing. 0 for what is too short to be an
/// image; nothing else of it is checked.
pub const fn of_image_len(image: &[u8]) -> usize {
    let (mut count, mut index) = (0_usize, 0);
    while let Some(code) = code(image, index) {
        if is_first(image, index, code) {
            count = count.saturating_add(1);
        }
        index = index.saturating_add(1);
    }
    count
}

/// Those kernels of a table that an image names, each once, in the order in which it does. `None`
/// where the table lacks one, or `N` is not [`of_image_len`].
///
/// For the value of a `static`: each call searches the table anew.
pub const fn of_image<const N: usize>(image: &[u8], table: &[Kernel]) -> Option<[Kernel; N]> {
    let mut all = [reference::table::CLAMP; N];
    let (mut index, mut rest) = (0, all.as_mut_slice());
    while let Some(code) = code(image, index) {
        if is_first(image, index, code) {
            let (Some(kernel), Some((place, behind))) =
                (named(table, code), rest.split_first_mut())
            else {
                return None;
            };
            *place = kernel;
            rest = behind;
        }
        index = index.saturating_add(1);
    }
    if rest.is_empty() { Some(all) } else { None }
}

/// The first kernel of a table with an opcode and a packing.
const fn named(mut table: &[Kernel], [opcode, packing]: [u8; 2]) -> Option<Kernel> {
    while let Some((kernel, rest)) = table.split_first() {
        if kernel.opcode == opcode && kernel.packing == packing {
            return Some(*kernel);
        }
        table = rest;
    }
    None
}

/// Whether no operator before this one has the same code.
const fn is_first(image: &[u8], index: usize, [opcode, packing]: [u8; 2]) -> bool {
    let mut earlier = 0;
    while earlier < index {
        if let Some([other, its_packing]) = code(image, earlier)
            && other == opcode
            && its_packing == packing
        {
            return false;
        }
        earlier = earlier.saturating_add(1);
    }
    true
}

/// The cases of its kernels that an image needs, for [`super::native_for`]; all of them for what is no
/// image.
pub const fn cases_of_image(image: &[u8]) -> u64 {
    let (mut set, mut index) = (0, 0);
    let (mut pixels, mut rows, mut all) = (0_u64, 0_u64, 0_u64);
    let mut words = 0;
    while let Some(record) = operator(image, index) {
        let [input, _] = record.inputs;
        let (Some(x), Some(y)) = (tensor(image, input), tensor(image, record.output)) else {
            return cases::ALL;
        };
        let form = if record.weights_len == 0 {
            0
        } else {
            let Some(constants) = word(image, offset_of!(Header, constants)) else {
                return cases::ALL;
            };
            match image.split_at_checked(constants.saturating_add(record.weights as usize)) {
                Some((_, [form, ..])) => *form,
                _ => return cases::ALL,
            }
        };
        set |= cases::of(&record, &x, &y, form);
        if record.opcode == opcode::CONV_2D {
            // The first word comes before the loop.
            let own = taps(&record, &x).words().saturating_sub(1);
            words = if own > words { own } else { words };
        }
        let odd = cases::odd(&record, &x, &y);
        match odd.case {
            cases::ODD_PIXELS => pixels = pixels.saturating_add(odd.saved),
            cases::ODD_ROWS => rows = rows.saturating_add(odd.saved),
            _ => {}
        }
        all = all.saturating_add(odd.all);
        index = index.saturating_add(1);
    }
    if index == 0 {
        return cases::ALL;
    }
    // A kernel more for less than a thousandth of the work is not worth its flash.
    if pixels > all / 1000 {
        set |= cases::ODD_PIXELS;
    }
    if rows > all / 1000 {
        set |= cases::ODD_ROWS;
    }
    set | cases::loop_of(words)
        | cases::DEPTHWISE_PAIRS
        | cases::WHOLE_LOOPS
        | sections(image)
        | tensors(image)
}

/// The taps of a convolution.
const fn taps(record: &OperatorRecord, x: &TensorRecord) -> Taps {
    let ([rows, columns], [_, _, _, depth]) = (record.kernel, x.shape);
    Taps {
        rows: rows as usize,
        row: columns as usize * depth as usize,
    }
}

/// The cases of the sections that an image may do without, and has.
const fn sections(image: &[u8]) -> u64 {
    let [features, labels, drift, metadata] = [
        (offset_of!(Header, features), cases::FEATURES),
        (offset_of!(Header, labels), cases::LABELS),
        (offset_of!(Header, drift), cases::DRIFT),
        (offset_of!(Header, metadata), cases::METADATA),
    ];
    has(image, features) | has(image, labels) | has(image, drift) | has(image, metadata)
}

/// The cases of tensors that few images have.
const fn tensors(image: &[u8]) -> u64 {
    let mut set = match word(image, offset_of!(Header, further_inputs)) {
        Some(0) => 0,
        _ => cases::FURTHER,
    };
    let mut index = 0;
    while let Some(record) = tensor(image, index) {
        if record.storage == storage::STATE {
            set |= cases::STATES;
        }
        index = index.saturating_add(1);
        if index == u16::MAX {
            return set | cases::STATES;
        }
    }
    set
}

/// The case, if the section that the header describes at an offset has any bytes.
const fn has(image: &[u8], (section, case): (usize, u64)) -> u64 {
    match word(image, section.saturating_add(4)) {
        Some(0) => 0,
        _ => case,
    }
}

/// Opcode and packing of an operator; `None` behind the last one.
const fn code(image: &[u8], index: usize) -> Option<[u8; 2]> {
    match operator(image, index) {
        Some(record) => Some([record.opcode, record.packing]),
        None => None,
    }
}

/// An operator; `None` behind the last one.
const fn operator(image: &[u8], index: usize) -> Option<OperatorRecord> {
    match entry::<{ size_of::<OperatorRecord>() }>(image, offset_of!(Header, operators), index) {
        Some(bytes) => Some(zerocopy::transmute!(*bytes)),
        None => None,
    }
}

/// A tensor; `None` where there is none of that index.
const fn tensor(image: &[u8], index: u16) -> Option<TensorRecord> {
    let index = index as usize;
    match entry::<{ size_of::<TensorRecord>() }>(image, offset_of!(Header, tensors), index) {
        Some(bytes) => Some(zerocopy::transmute!(*bytes)),
        None => None,
    }
}

/// The bytes of a record of a section, which the header describes at `section`.
const fn entry<const N: usize>(image: &[u8], section: usize, index: usize) -> Option<&[u8; N]> {
    let start = index.saturating_mul(N);
    let (Some(offset), Some(len)) = (word(image, section), word(image, section.saturating_add(4)))
    else {
        return None;
    };
    if start >= len {
        return None;
    }
    match image.split_at_checked(offset.saturating_add(start)) {
        Some((_, rest)) => rest.first_chunk(),
        None => None,
    }
}

const fn word(image: &[u8], at: usize) -> Option<usize> {
    match image.split_at_checked(at) {
        Some((_, [a, b, c, d, ..])) => Some(u32::from_le_bytes([*a, *b, *c, *d]) as usize),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ALIGNMENT;
    use crate::model::Part;
    use crate::{LoadError, Model};
    use std::vec::Vec;

    const SAMPLE: &[u8] = include_bytes!("../../tests/golden/sample.dnl");
    const LEN: usize = of_image_len(SAMPLE);
    static OWN: Option<[Kernel; LEN]> = of_image(SAMPLE, reference::CANONICAL);

    #[test]
    fn an_image_loads_with_its_own_kernels_and_no_fewer() {
        let mut room: Vec<u128> = std::vec![0; SAMPLE.len().div_ceil(ALIGNMENT)];
        let bytes = zerocopy::IntoBytes::as_mut_bytes(room.as_mut_slice());
        bytes[..SAMPLE.len()].copy_from_slice(SAMPLE);
        let own = OWN.as_ref().unwrap();
        let model = Model::load_with(bytes, own).unwrap();
        for kernel in own {
            let code = (kernel.opcode, kernel.packing);
            let named = |r: &&OperatorRecord| (r.opcode, r.packing) == code;
            assert!(model.operators().iter().any(|record| named(&record)));
            assert_eq!(
                own.iter().filter(|k| (k.opcode, k.packing) == code).count(),
                1
            );
        }
        assert!(Model::load_with(bytes, &own[1..]).is_err());
    }

    #[test]
    fn cases_are_those_of_the_operators() {
        // The sample is for any device.
        let of_kernels = cases_of_image(SAMPLE) & !cases::UNROLLED & !cases::OF_SECTIONS;
        assert_eq!(of_kernels, 0);
        assert_eq!(cases_of_image(&SAMPLE[..100]), cases::ALL);
        assert_eq!(cases_of_image(&[]), cases::ALL);
        // With another packing its first layer has cases.
        let at = word(SAMPLE, offset_of!(Header, operators)).unwrap();
        let mut image = Vec::from(SAMPLE);
        let record = operator(SAMPLE, 0).unwrap();
        assert_eq!(record.opcode, opcode::CONV_2D);
        image[at + offset_of!(OperatorRecord, packing)] = crate::format::packing::DSP_I16;
        let form = word(SAMPLE, offset_of!(Header, constants)).unwrap() + record.weights as usize;
        for code in [0, 4, 1] {
            image[form] = code;
            let set = cases_of_image(&image);
            let [x, _] = record.inputs;
            let [x, y] = [x, record.output].map(|index| tensor(&image, index).unwrap());
            let width = crate::kernels::packing::dsp_blocks::Width::I16;
            let window = cases::window(&record, &x, &y);
            let needed = cases::of_conv(&window, code, width);
            assert_eq!(set & needed, needed);
            assert_eq!(cases::forms(set, width), 1 << code);
        }
    }

    #[test]
    fn what_a_program_was_compiled_without_is_refused() {
        const CASES: u64 = cases_of_image(SAMPLE);
        let mut room: Vec<u128> = std::vec![0; SAMPLE.len().div_ceil(ALIGNMENT)];
        let bytes = zerocopy::IntoBytes::as_mut_bytes(room.as_mut_slice());
        bytes[..SAMPLE.len()].copy_from_slice(SAMPLE);
        assert!(Model::load_in::<CASES>(bytes, reference::CANONICAL).is_ok());
        for (section, part, case) in [
            (
                offset_of!(Header, features),
                Part::Features,
                cases::FEATURES,
            ),
            (offset_of!(Header, labels), Part::Labels, cases::LABELS),
            (offset_of!(Header, drift), Part::Drift, cases::DRIFT),
            (
                offset_of!(Header, metadata),
                Part::Metadata,
                cases::METADATA,
            ),
        ] {
            let is_there = word(SAMPLE, section + 4) != Some(0);
            assert_eq!(CASES & case != 0, is_there, "{part:?}");
            if is_there {
                let refused = Model::load_in::<0>(bytes, reference::CANONICAL);
                assert!(matches!(refused, Err(LoadError::Unsupported(_))));
            }
        }
    }

    #[test]
    fn what_is_no_image_needs_nothing() {
        assert_eq!(of_image_len(&SAMPLE[..100]), 0);
        assert!(of_image::<0>(&[], reference::CANONICAL).is_some());
        assert!(of_image::<LEN>(SAMPLE, &[]).is_none());
        assert!(of_image::<{ LEN + 1 }>(SAMPLE, reference::CANONICAL).is_none());
    }
}
