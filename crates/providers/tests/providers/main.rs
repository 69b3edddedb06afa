//! Providers over real sockets.
#![allow(clippy::disallowed_types, reason = "every provider is tested")]
// In a test a panic is the report.
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

mod anthropic;
mod bodies;
mod connections;
mod dialects;
mod echo;
mod failures;
mod http2;
mod openai;
mod registry;
mod requests;
mod setup;
mod stream;
mod stream_failures;
