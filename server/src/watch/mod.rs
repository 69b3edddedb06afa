//! Waiting for what happens to executions, without polling.

pub mod announced;
pub mod finished;
