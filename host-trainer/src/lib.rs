//! From a data set to a model package: features, training, evaluation and quantisation.
//!
//! [`source::load`] turns a [`Recipe`] into a [`Split`], [`train::train`] turns both into a
//! [`Run`], and [`Run::compile`] turns that into the image a device executes. Training knows
//! neither the fleet nor the network; burn is named only in `train`.

#![forbid(unsafe_code)]

pub mod dataset;
pub mod evaluate;
pub mod float_model;
pub mod gas;
pub mod metrics;
pub mod quantise;
pub mod recipe;
pub mod run;
pub mod source;
pub mod train;
pub mod vibration;

pub use dataset::{Dataset, Rejected, Row, Split};
pub use float_model::{FloatLayer, FloatModel};
pub use metrics::Metrics;
pub use recipe::{Recipe, RecipeError};
pub use run::{Evaluation, Reference, Run, RunError};
pub use train::{Progress, TrainError, train};
