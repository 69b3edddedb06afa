//! Between the contract's messages and the domain's words. Nothing is decided here: what cannot be brought over is
//! INVALID_FIELD.

pub mod code;
pub mod event;
pub mod execution;
pub mod model;
pub mod prompt;
pub mod spec;
pub mod structs;
pub mod time;
pub mod usage;

use prompt_ledger_domain::{Error, Result};

/// An enum's value on the wire, or INVALID_FIELD where this server does not know the number.
pub fn known<T: TryFrom<i32>>(field: &str, value: i32) -> Result<T> {
    T::try_from(value).map_err(|_| Error::invalid(field, format!("is {value}, which this server does not know")))
}

/// A part of a request that must be there.
pub fn required<T>(field: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::invalid(field, "is missing; send it"))
}
