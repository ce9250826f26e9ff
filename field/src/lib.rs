//! A simulated field: many boards, lossy links, a ledger of what was produced; drives the loop and reports.
