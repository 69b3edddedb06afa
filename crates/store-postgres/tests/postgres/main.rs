//! The ledger in Postgres: the scenarios that every database passes, and what is Postgres' own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod batches;
mod outages;
mod registry_locks;
mod rolling_up;
mod store;

prompt_ledger_store_conformance::conformance!(store::Fresh);
