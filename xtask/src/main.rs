//! Developer commands: test, firmware.

fn main() {}
