//! The conformance suite on SQLite, and tests of what is specific to SQLite.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod contents_migration;
mod rolling_up;
mod store;

prompt_ledger_store_conformance::conformance!(store::File);
