//! The table in `README.md` says what the kernel list says.

use edge_runtime::kernels::{operator_name, reference, supported};

/// Instruction sets with a table, as the columns have them. Read as text: most of them build for their
/// own target only.
const TABLES: [&str; 4] = [
    include_str!("../src/kernels/portable/table.rs"),
    include_str!("../src/kernels/dsp/table.rs"),
    include_str!("../src/kernels/mve/table.rs"),
    include_str!("../src/kernels/generic/table.rs"),
];

#[test]
fn the_table_is_the_kernel_list() {
    let readme = include_str!("../README.md");
    let rows: Vec<String> = readme
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(str::to_owned)
        .collect();
    let expected: Vec<String> = reference::CANONICAL
        .iter()
        .filter(|kernel| kernel.packing == 0)
        .map(|kernel| {
            let name = operator_name(kernel.opcode).unwrap();
            let fast = TABLES.map(|table| {
                let named = table.contains(&format!("opcode::{name},"));
                if named { "yes" } else { "-" }
            });
            format!("| `{name}` | yes | {} |", fast.join(" | "))
        })
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
