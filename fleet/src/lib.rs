//! The server side of Dunlin: ingest, store, drift, label queue, retraining, releases.
//!
//! [`Fleet`] runs inside the process that uses it. Bytes of devices go in through
//! [`Fleet::on_bytes`] and wait in memory; [`Fleet::commit`] stores them in one transaction and only
//! then lets the sessions acknowledge them; [`Fleet::poll_transmit`] gives what is to be sent. It
//! can be dropped at any moment and opened again from its file: what was acknowledged is there, and
//! what was not comes again from the devices.
//!
//! | module | holds |
//! | --- | --- |
//! | [`store`] | the SQLite file: records, statistics, samples, releases |
//! | [`server`] | [`Fleet`]: sessions with devices, commit, acknowledge |
//! | [`drift`] | the drift test on merged histograms, and its null distribution |
//! | [`watch`] | that test on what the fleet counted in a round |
//! | [`labels`] | which returned samples a person is asked about, within a budget |
//! | [`release`] | compile per target, sign, store, offer; the rollout |
//! | [`retrain`] | a new model from the released checkpoint and the labels |
#![forbid(unsafe_code)]

pub mod drift;
pub mod labels;
pub mod release;
pub mod retrain;
pub mod server;
pub mod store;
pub mod watch;

pub use drift::DriftReport;
pub use labels::{LabelError, LabelRequest};
pub use release::{Release, ReleaseError, ReleaseImage, Rollout};
pub use retrain::{RetrainError, Retrained};
pub use server::{EnrolError, Fleet, FleetConfig, UnknownDevice};
pub use store::{Committed, Store, StoreError};
pub use watch::WatchError;
