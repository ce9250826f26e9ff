//! Tests of the whole crate. Seeds are fixed; nothing sleeps.

mod device;
mod frame;
mod golden;
mod hostile;
mod link;
mod log;
mod manifest;
mod server;
mod slots;
