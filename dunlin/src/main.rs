//! The command line of Dunlin.

fn main() {}
