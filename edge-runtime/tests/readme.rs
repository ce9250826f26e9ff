//! The table in `README.md` says what the kernel list says.

use edge_runtime::format::kernel_set;
use edge_runtime::kernels::{KERNELS, operator_name};

#[test]
fn the_table_is_the_kernel_list() {
    let readme = include_str!("../README.md");
    let rows: Vec<(&str, &str)> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(operator, cells)| (operator, cells.trim_matches([' ', '|'])))
        .collect();
    let expected: Vec<(&str, &str)> = KERNELS
        .iter()
        .map(|kernel| {
            assert_eq!(kernel.instruction_set, "reference");
            (kernel.operator, "yes")
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_kernel_list_is_what_images_may_ask_for() {
    let bits = KERNELS
        .iter()
        .fold(0_u32, |bits, kernel| bits | 1 << kernel.opcode);
    assert_eq!(bits, kernel_set::SUPPORTED);
    assert_eq!(operator_name(2), Some("CONV_2D"));
    assert_eq!(operator_name(0), None);
}
