//! The table in `README.md` says what the kernel list says.

use edge_runtime::kernels::{operator_name, reference, supported};

#[test]
fn the_table_is_the_kernel_list() {
    let readme = include_str!("../README.md");
    let rows: Vec<(&str, &str)> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(operator, cells)| (operator, cells.trim_matches([' ', '|'])))
        .collect();
    let expected: Vec<(&str, &str)> = reference::KERNELS
        .iter()
        .filter(|kernel| kernel.packing == 0)
        .map(|kernel| (kernel.operator, "yes"))
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn every_kernel_has_its_bit() {
    let set = supported(&reference::KERNELS);
    for kernel in reference::KERNELS {
        assert_ne!(set & 1 << kernel.opcode, 0);
    }
    assert_eq!(operator_name(2), Some("CONV_2D"));
    assert_eq!(operator_name(0), None);
}
