//! Driving executions on a real SQLite store, against a model server over a real socket.
#![allow(clippy::disallowed_types, reason = "tests choose their provider")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod attempt;
mod heartbeat;
mod kit;
