//! Conversions between the contract's messages and domain types. Nothing is decided here: what cannot be converted is
//! INVALID_FIELD.

pub mod chat;
pub mod code;
pub mod config;
pub mod content;
pub mod event;
pub mod execution;
pub mod label;
pub mod model;
pub mod prompt;
pub mod prompt_event;
pub mod prompt_log;
pub mod spec;
pub mod structs;
pub mod time;
pub mod transfer;
pub mod usage;

use prompt_ledger_domain::{Error, Result};

/// The enum value of this number; INVALID_FIELD where this server does not know it.
pub fn known<T: TryFrom<i32>>(field: &str, value: i32) -> Result<T> {
    T::try_from(value).map_err(|_| Error::invalid(field, format!("is {value}, which this server does not know")))
}

/// INVALID_FIELD where the field is absent.
pub fn required<T>(field: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::invalid(field, "is missing; send it"))
}
