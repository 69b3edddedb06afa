//! The ledger in one file: the scenarios that every database passes, and what is SQLite's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod store;

prompt_ledger_store_conformance::conformance!(store::File);
