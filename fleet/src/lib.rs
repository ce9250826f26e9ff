//! The server side: ingest, store, drift, label queue, retraining, releases.
