//! The conformance suite of the clients: scenarios, a server that follows a script, and what runs them against a driver.
//! `README.md` has the protocol and the form of the scenarios.

// For tests alone: a panic here is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod contract;
pub mod drivers;
mod matching;
mod outcome;
mod real_server;
mod run;
pub mod scenario;
mod scripted;
pub mod suite;
