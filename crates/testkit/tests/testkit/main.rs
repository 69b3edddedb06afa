//! Tests of the testkit itself.

// In a test a panic is the report.
#![allow(clippy::unwrap_used)]

mod fake_model;
