//! The production backend: Postgres. Any number of servers and workers share it; its clock is the only one that counts.
//!
//! | file | what it does |
//! |---|---|
//! | `connection`, `connect` | one connection; pools, and how every connection in them is set up |
//! | `writability` | whether the database takes writes: asked of connections, told by writes |
//! | `migrate` | the schema, forwards and back |
//! | `registry`, `select` | prompts and versions, read |
//! | `registry_write`, `put_prompt`, `change_prompt`, `register_code`, `save` | prompts and versions, written |
//! | `project_lock` | who writes to a project's registry next |
//! | `models`, `access` | models and prices; projects and keys |
//! | `analytics` | figures, read |
//! | `batch`, `batches` | group commit: what arrived while the last statement was committing is the next one |
//! | `executions` | one function per intent, in `record`, `claim`, `finish`, `cancel`, `lease`, `read`, `list` |
//! | `maintenance` | what background jobs ask for, in `expire`, `roll_up` |
//! | `cost` | a cost, reckoned where the tokens are |
//! | `row`, `timestamp` | rows to records, with `rows`; timestamps |
//! | `error` | the one mapping of database failures |
//!
//! Four habits. A hot write is one statement for many executions, whose text never changes: arrays in, `UNNEST`. Rows are
//! locked in the order of their ids, by every statement, before anything is written: no two ever wait for each other in a
//! circle. The time is `clock_timestamp()`: `now()` is when the transaction began, and a claim that waited would be born
//! expired. And each statement names the one index that finds its rows: what else it tests is
//! compared by IS NOT DISTINCT FROM, which no index serves, so that a plan made for small tables holds for large ones.
#![warn(missing_docs)]
#![allow(
    clippy::disallowed_types,
    reason = "a database: the texts of its statements are composed once, at their first use"
)]

mod access;
mod analytics;
mod batch;
mod batches;
mod bind;
mod cancel;
mod change_prompt;
mod claim;
mod connect;
mod connection;
mod cost;
mod error;
mod executions;
mod expire;
mod finish;
mod lease;
mod list;
mod maintenance;
mod migrate;
mod models;
#[cfg(test)]
mod plans;
mod project_lock;
mod put_prompt;
mod read;
mod record;
mod register_code;
mod registry;
mod registry_write;
mod roll_up;
mod row;
mod save;
mod select;
mod timestamp;
mod writability;

pub use connect::{Postgres, PostgresOptions};
pub use migrate::{migrate_down, migrate_status, migrate_up, other_connections};
