//! Whether bytes are text.

/// Whether bytes are UTF-8, by the table of RFC 3629, section 4. `core::str::from_utf8` is faster and
/// takes 600 bytes of flash; it is linked only where texts are read.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    // How many bytes of a character are to come, and the range of the next one.
    let (mut left, mut range) = (0_u8, (0x80_u8, 0xBF_u8));
    for &byte in bytes {
        if left > 0 {
            if byte < range.0 || byte > range.1 {
                return false;
            }
            left = left.wrapping_sub(1);
            range = (0x80, 0xBF);
            continue;
        }
        left = match byte {
            0x00..=0x7F => 0,
            0xC2..=0xDF => 1,
            0xE0..=0xEF => 2,
            0xF0..=0xF4 => 3,
            _ => return false,
        };
        // No longer than needed, no surrogate, not beyond U+10FFFF.
        range = match byte {
            0xE0 => (0xA0, 0xBF),
            0xED => (0x80, 0x9F),
            0xF0 => (0x90, 0xBF),
            0xF4 => (0x80, 0x8F),
            _ => range,
        };
    }
    left == 0
}

#[cfg(test)]
mod tests {
    use super::is_text;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn all_of_up_to_three_bytes_and_all_beginnings_of_four() {
        for value in 0..1_u32 << 24 {
            let [a, b, c, _] = value.to_le_bytes();
            for bytes in [
                &[a][..],
                &[a, b],
                &[a, b, c],
                &[a, b, c, 0x80],
                &[a, b, 0xBF, c],
            ] {
                assert_eq!(
                    is_text(bytes),
                    core::str::from_utf8(bytes).is_ok(),
                    "{bytes:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn text_is_text_and_a_changed_byte_is_judged_as_core_does(
            text in ".{0,40}", at in 0_usize..160, byte: u8,
        ) {
            let mut bytes = Vec::from(text.as_bytes());
            prop_assert!(is_text(&bytes));
            if let Some(changed) = bytes.get_mut(at) {
                *changed = byte;
            }
            prop_assert_eq!(is_text(&bytes), core::str::from_utf8(&bytes).is_ok());
        }
    }
}
