//! The conformance suite on Postgres, and tests of what is specific to Postgres.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod batches;
mod contended_migration;
mod contents_migration;
mod filters_migration;
mod outages;
mod registry_locks;
mod rolling_up;
mod store;

prompt_ledger_store_conformance::conformance!(store::Fresh);
