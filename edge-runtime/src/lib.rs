//! Reads a Dunlin model image and runs it in a caller's arena; features and statistics shared by
//! host and device.
//!
//! Nothing here allocates, does I/O or panics on any input. [`Model::load`] checks an image once;
//! after that no accessor can fail, every loop is bounded, and [`Session::run`] always ends.
//! Integer arithmetic that a hostile image could drive out of range wraps or saturates, as
//! `FORMAT.md` says; the compiler proves that it never does for the images it writes.
#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable
    )
)]

#[cfg(test)]
extern crate std;

pub mod features;
pub mod format;
pub mod kernels;
pub mod model;
pub mod monitor;
mod operator;
pub mod self_test;
pub mod session;
mod validate;

pub use features::{FeatureError, FeatureKind, FeaturePipeline};
pub use model::{DriftReference, LoadError, Model, TensorInfo, image_hash};
pub use monitor::{Monitor, MonitorError};
pub use session::{Arena, ArenaError, Session};
