//! Fixtures for tests. It depends on no crate of the product but domain and proto, so every crate can use it in tests.

// A library for tests and measurements: a panic here is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod complaints;
pub mod compose;
pub mod fake_model;
pub mod ledger;
pub mod metrics;
pub mod otlp;
pub mod poll;
pub mod process;
pub mod prompt_writes;
pub mod shell;
pub mod vacant;
pub mod values;
pub mod watch_record;

pub use prompt_ledger_services as services;
