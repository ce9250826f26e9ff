use crate::elf::{ElfError, check_firmware};

/// An ELF file with one loaded segment: `code` at `address`.
fn elf(address: u32, code: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2u16, 40].map(u16::to_le_bytes).concat());
    // version, entry, program headers, section headers, flags
    file.extend([1u32, 0, 52, 0, 0].map(u32::to_le_bytes).concat());
    // header size, size and number of program headers, section headers
    file.extend([52u16, 32, 1, 40, 0, 0].map(u16::to_le_bytes).concat());
    let len = code.len() as u32;
    // type, offset, virtual and physical address, sizes in file and memory, flags, alignment
    file.extend(
        [1u32, 84, address, address, len, len, 5, 4]
            .map(u32::to_le_bytes)
            .concat(),
    );
    file.extend(code);
    file
}

fn vectors(stack: u32, reset: u32) -> Vec<u8> {
    let mut code = [stack, reset].map(u32::to_le_bytes).concat();
    code.resize(256, 0);
    code
}

#[test]
fn a_vector_table_at_zero_is_a_firmware() {
    let firmware = check_firmware(&elf(0, &vectors(0x2040_0000, 0x41))).unwrap();
    assert_eq!(firmware.loaded_bytes, 256);
    assert_eq!(
        (firmware.initial_stack, firmware.reset_handler),
        (0x2040_0000, 0x41)
    );
}

#[test]
fn a_file_without_linker_script_is_none() {
    let error = check_firmware(&elf(0x1_0000, &vectors(0x2040_0000, 0x41))).unwrap_err();
    assert_eq!(
        error,
        ElfError::NoVectorTable {
            address: 0,
            loaded_bytes: 256
        }
    );
    let near_empty = check_firmware(&elf(0, &[0; 8])).unwrap_err();
    assert_eq!(
        near_empty,
        ElfError::NoVectorTable {
            address: 0,
            loaded_bytes: 8
        }
    );
}

#[test]
fn other_words_in_its_place_are_none() {
    for (stack, reset) in [
        (0, 0x41),
        (0x2040_0000, 0x40),
        (0x2040_0000, 0x1001),
        (0x2040_0004, 0x41),
    ] {
        let error = check_firmware(&elf(0, &vectors(stack, reset))).unwrap_err();
        assert_eq!(
            error,
            ElfError::BadVectorTable {
                initial_stack: stack,
                reset_handler: reset
            }
        );
    }
}

#[test]
fn every_truncation_is_refused() {
    let whole = elf(0, &vectors(0x2040_0000, 0x41));
    assert!(check_firmware(&whole).is_ok());
    for len in 0..whole.len() {
        assert!(check_firmware(&whole[..len]).is_err(), "cut to {len} bytes");
    }
}
