//! What the tests stand on. It depends on no product crate but domain and proto, so every crate may test with it.

// A library for tests and measurements: a panic here is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod fake_model;
pub mod ledger;
pub mod process;
pub mod services;
pub mod story;
pub mod values;
