//! Providers over real sockets.
#![allow(clippy::disallowed_types, reason = "every provider is tested")]
// In a test a panic is the report.
#![allow(clippy::unwrap_used)]

mod anthropic;
mod bodies;
mod echo;
mod failures;
mod openai;
mod registry;
mod setup;
mod stream;
mod stream_failures;
