//! Attacks on a running server, each with bounds on what it may cost: memory, processor time, and what an honest client
//! waits meanwhile. The bounds are generous: only a server that an attack can block or fill exceeds them. Each attack
//! prints what it measured:
//! `cargo test -p prompt-ledger-server --test attacks -- --nocapture --test-threads 1`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "what an attack cost is printed for whoever runs it")]

mod answers;
mod caches;
mod connections;
mod kit;
mod memory;
mod provider_json;
mod provider_streams;
mod rendering;
mod requests;
