//! A simulated field: many boards, lossy links and a ledger of what was really produced.
//!
//! This is where the loop is driven and judged: boards sense and sync, the fleet's server watches
//! and retrains, and the ledger, which neither of them can see, knows the truth.
#![forbid(unsafe_code)]

pub mod bench;
pub mod ledger;
pub mod link;
pub mod live;
pub mod member;
mod names;
pub mod report;
pub mod schedule;
