//! Links again when a linker script has changed: `cargo xtask bench-boards` names the script of the
//! machine among the compiler's flags, where cargo does not look into it.

fn main() {
    println!("cargo:rerun-if-changed=memory");
    println!("cargo:rerun-if-changed=build.rs");
}
