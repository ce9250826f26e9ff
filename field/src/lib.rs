//! A simulated field: many boards, lossy links and a ledger of what was really produced.
//!
//! This is where the loop is driven and judged: boards sense and sync, the fleet's server watches
//! and retrains, and the ledger, which neither of them can see, knows the truth.

pub mod report;
