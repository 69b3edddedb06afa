//! The rules of Prompt Ledger as pure functions. Time, ids and randomness are arguments; nothing here reads a clock, a
//! file or a socket.
//!
//! | module | rules |
//! |---|---|
//! | [`error`] | the closed list of reasons, and the one error type |
//! | [`mode`] | the modes of a prompt, and the operations that have an RPC per mode |
//! | [`limits`] | the limits of requests, answers and records |
//! | [`field`] | checks of single fields of a request |
//! | [`json`] | free JSON of a request, and the canonical form |
//! | [`prompt`] | prompts, versions, etags and selectors |
//! | [`content`] | what a version holds, its canonical form and its hash |
//! | [`chat`] | messages of a chat, and templates of chats |
//! | [`tool`] | tools, tool choices and the form of an answer |
//! | [`schema`] | JSON Schemas |
//! | [`params`] | parameters of a model call |
//! | [`config`] | what a version was tuned with, and what an execution is sent with |
//! | [`capabilities`] | what a model can do, and what it is asked |
//! | [`label`] | labels of a prompt |
//! | [`prompt_log`] | what a write changed of a prompt |
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
//! | [`trace`] | where work belongs in a distributed trace |
//! | [`secret`] | values that `Debug` does not print |
#![warn(missing_docs)]

pub mod call_log;
pub mod capabilities;
pub mod cause;
pub mod chat;
pub mod config;
pub mod content;
pub mod error;
mod error_constructors;
pub mod execution;
pub mod field;
pub mod ids;
pub mod json;
pub mod label;
pub mod limits;
pub mod mode;
pub mod model;
pub mod page;
pub mod params;
pub mod prompt;
pub mod prompt_log;
pub mod provider;
pub mod retry;
pub mod schema;
pub mod secret;
pub mod spec;
pub mod text;
pub mod time;
pub mod tool;
pub mod trace;
pub mod usage;
pub mod versioning;

pub use error::{Error, Reason, Result};
/// Lists the variants of the enums that are stored and sent as words, as `Status::VARIANTS`.
pub use strum::VariantArray;
pub use time::Timestamp;
