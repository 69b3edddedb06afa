//! The Postgres database, for production. Any number of servers and workers share it; all times are those of its clock.
//!
//! | file | what it does |
//! |---|---|
//! | `connection`, `connect` | the first connection of a process; pools |
//! | `session` | the settings that stand on the role, and whether they hold |
//! | `pooler` | whether connections have sessions of their own |
//! | `refusal` | why a process cannot start, in plain words |
//! | `watched_pool` | a pool with a count of those that wait |
//! | `kept` | connections that stay with their user between statements |
//! | `connection_failure` | why no connection can be made |
//! | `writability` | whether the database accepts writes, from checks of connections and results of writes |
//! | `migrate` | applies and reverts the schema |
//! | `registry`, `select` | reads prompts and versions |
//! | `registry_write`, `put_prompt`, `change_prompt`, `register_code`, `save` | writes prompts and versions |
//! | `project_lock` | serializes this process's writes to a project's registry |
//! | `models`, `access` | models and prices; projects and API keys |
//! | `analytics` | reads usage figures |
//! | `batch`, `batches` | group commit of hot writes |
//! | `executions` | traits about executions, in `record`, `claim`, `finish`, `cancel`, `lease`, `read`, `list` |
//! | `processes` | what the processes tell of themselves |
//! | `maintenance` | the operations of background jobs, in `expire`, `roll_up` |
//! | `bind`, `sql/` | binds batches and named parameters; the longer statements |
//! | `cost` | computes costs in SQL |
//! | `row`, `timestamp` | reads rows, for `store::rows`; timestamps in binary form |
//! | `error` | maps the driver's failures |
//!
//! Rules for the statements:
//! - A hot write is one statement of constant text for many executions, which passes arrays to `UNNEST`.
//! - Every statement locks rows in the order of their ids, before it writes anything. This prevents deadlocks.
//! - The current time is `clock_timestamp()`. `now()` is the start of the transaction: the lease of a claim that had to
//!   wait could be over at once.
//! - A statement finds its rows by one index. It tests others with IS NOT DISTINCT FROM, which no index supports:
//!   a plan made for small tables then remains good for large ones.
#![warn(missing_docs)]
#![allow(
    clippy::disallowed_types,
    reason = "a database: the texts of its statements are composed once, at their first use"
)]

mod access;
mod analytics;
mod batch;
mod batches;
mod cancel;
mod change_prompt;
mod claim;
mod connect;
mod connection;
mod connection_failure;
mod cost;
mod error;
mod executions;
mod expire;
mod finish;
mod import;
mod kept;
mod lease;
mod list;
mod maintenance;
mod migrate;
mod models;
#[cfg(test)]
mod plans;
mod pooler;
mod processes;
mod project_lock;
mod put_prompt;
mod read;
mod record;
mod refusal;
mod register_code;
mod registry;
mod registry_feed;
mod registry_write;
mod roll_up;
mod row;
mod select;
mod session;
mod statement;
mod timestamp;
#[cfg(test)]
mod walks;
mod watched_pool;
mod writability;

pub use connect::{Postgres, PostgresOptions};
pub use migrate::{
    migrate_down, migrate_status, migrate_up, newest_migration, other_connections, role_settings, set_role,
};
pub use session::RoleSettings;
