//! The rules of Prompt Ledger as pure functions. Time, ids and randomness are arguments; nothing here reads a clock, a
//! file or a socket.
//!
//! | module | rules |
//! |---|---|
//! | [`error`] | the closed list of reasons, and the one error type |
//! | [`mode`] | the modes of a prompt, and the operations that have an RPC per mode |
//! | [`limits`] | the limits of requests, answers and records |
//! | [`field`] | checks of single fields of a request |
//! | [`prompt`] | prompts, versions, etags and selectors |
//! | [`versioning`] | content hashes, new versions, registration, mode changes, deprecation |
//! | [`execution`] | the record of one execution, its events and its status machine |
//! | [`spec`] | a request to execute, its checks and its canonical hash |
//! | [`retry`] | the delays between attempts |
//! | [`model`] | models, prices, token counts and cost |
//! | [`provider`] | the protocols of provider instances, and what a request may ask of one |
//! | [`usage`] | sums and percentiles over many executions |
//! | [`cause`] | an error's text for the log, with its causes and without secrets |
//! | [`page`] | page sizes and page tokens |
//! | [`ids`] | a newtype per kind of id |
//! | [`text`] | cutting of texts at a character boundary |
//! | [`time`] | timestamps in microseconds |
//! | [`secret`] | values that `Debug` does not print |
#![warn(missing_docs)]

pub mod cause;
pub mod error;
mod error_constructors;
pub mod execution;
pub mod field;
pub mod ids;
pub mod limits;
pub mod mode;
pub mod model;
pub mod page;
pub mod prompt;
pub mod provider;
pub mod retry;
pub mod secret;
pub mod spec;
pub mod text;
pub mod time;
pub mod usage;
pub mod versioning;

pub use error::{Error, Reason, Result};
/// Lists the variants of the enums that are stored and sent as words, as `Status::VARIANTS`.
pub use strum::VariantArray;
pub use time::Timestamp;
