use crate::elf::{ElfError, Symbol, check_firmware, check_firmware_at, panic_machinery, symbols};

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

#[test]
fn a_board_may_start_elsewhere() {
    let (start, ram) = (0x1000_0000, 0x38);
    let good = elf(start, &vectors(0x3820_0000, start + 0x41));
    assert!(check_firmware_at(&good, start, ram).is_ok());
    assert!(matches!(
        check_firmware_at(&good, 0, ram),
        Err(ElfError::NoVectorTable { address: 0, .. })
    ));
    for (stack, reset) in [(0x2040_0000, start + 0x41), (0x3820_0000, 0x41)] {
        let file = elf(start, &vectors(stack, reset));
        let error = check_firmware_at(&file, start, ram).unwrap_err();
        assert!(matches!(error, ElfError::BadVectorTable { .. }), "{error}");
    }
}

/// [`elf`] with a symbol table: names, one after the other, and addresses.
fn with_symbols(wanted: &[(&str, u32)]) -> Vec<u8> {
    let mut file = elf(0, &vectors(0x2040_0000, 0x41));
    let mut names = vec![0];
    let mut records = vec![0; 16];
    for (name, address) in wanted {
        let record = [names.len() as u32, *address, 8, 2];
        records.extend(record.map(u32::to_le_bytes).concat());
        names.extend(name.bytes().chain([0]));
    }
    let records_at = file.len() as u32;
    file.extend(&records);
    let names_at = file.len() as u32;
    file.extend(&names);
    let headers_at = file.len() as u32;
    // name, type, flags, address, offset, size, link, info, alignment, entry size
    let header = |kind, offset, size, link| [0, kind, 0, 0, offset, size, link, 0, 1, 16u32];
    for words in [
        header(2, records_at, records.len() as u32, 1),
        header(3, names_at, names.len() as u32, 0),
    ] {
        file.extend(words.map(u32::to_le_bytes).concat());
    }
    file[32..36].copy_from_slice(&headers_at.to_le_bytes());
    file[46..48].copy_from_slice(&40u16.to_le_bytes());
    file[48..50].copy_from_slice(&2u16.to_le_bytes());
    file
}

#[test]
fn symbols_are_read_without_the_marks_of_code_and_data() {
    let file = with_symbols(&[("main", 0x41), ("$t", 0x40), ("reset", 0x61)]);
    let symbol = |name, address| Symbol {
        name,
        address,
        size: 8,
    };
    let expected = vec![symbol("main", 0x41), symbol("reset", 0x61)];
    assert_eq!(symbols(&file), Ok(expected));
    assert_eq!(symbols(&elf(0, &vectors(0x2040_0000, 0x41))), Ok(vec![]));
    // Cut short it may still have its vector table, but never another list of symbols.
    for len in 0..file.len() {
        let cut = symbols(&file[..len]);
        assert!(cut.is_err(), "cut to {len} bytes: {cut:?}");
    }
}

#[test]
fn a_panic_is_found_by_any_of_its_names() {
    let names = [
        "_ZN4core9panicking9panic_fmt17h0123456789abcdefE",
        "_RNvNtCs1234_4core9panicking18panic_bounds_check",
        "rust_begin_unwind",
        "bench_panic_is_linked",
    ];
    for name in names {
        let file = with_symbols(&[("main", 0x41), (name, 0x61)]);
        assert_eq!(panic_machinery(&file), Ok(vec![name]));
    }
    let file = with_symbols(&[("main", 0x41), ("bench_fault", 0x61)]);
    assert_eq!(panic_machinery(&file), Ok(vec![]));
}
