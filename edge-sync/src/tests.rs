//! Tests of the whole crate. Seeds are fixed; nothing sleeps.

mod frame;
mod golden;
mod hostile;
mod link;
mod log;
mod manifest;
mod slots;
