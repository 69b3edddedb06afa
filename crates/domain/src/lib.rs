//! The rules of Prompt Ledger, pure: every function here is a function of its arguments. Time, ids and randomness are
//! passed in; nothing reads a clock, a file or a socket.
//!
//! | module | rules |
//! |---|---|
//! | [`error`] | the closed list of reasons, and the one error type |
//! | [`mode`] | how a prompt is managed, and what callers do with it |
//! | [`limits`] | every number that bounds what a caller sends |
//! | [`field`] | names and other fields of a request, checked |
//! | [`prompt`] | prompts, versions, modes and their life cycle |
//! | [`versioning`] | which version a content is, and what activating does |
//! | [`execution`] | the record of one execution, and its status machine |
//! | [`spec`] | what a caller asks to execute, and its canonical hash |
//! | [`retry`] | when another attempt is made |
//! | [`model`] | models, prices, token counts and cost |
//! | [`usage`] | figures over many executions |
//! | [`page`] | keyset pages and their tokens |
#![warn(missing_docs)]

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
pub mod retry;
pub mod secret;
pub mod spec;
pub mod text;
pub mod time;
pub mod usage;
pub mod versioning;
mod words;

pub use error::{Error, Reason, Result};
pub use time::Timestamp;
