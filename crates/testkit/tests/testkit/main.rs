//! The testkit itself, tested.

// Tests state facts: a panic is the report, also in what they share.
#![allow(clippy::unwrap_used)]

mod fake_model;
mod services;
