//! Rows to records, the same for every database. What a database does its own way is how it keeps an identity and a moment:
//! that is [`LedgerRow`]. A word or an id that no release wrote is an INTERNAL failure.

pub mod access;
pub mod claimed;
pub mod execution;
pub mod prompt;
pub mod usage;

use std::time::Duration;

use prompt_ledger_domain::{Error, Result, Timestamp};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A row of a database, read by the names of its columns; absent is NULL. `D` is a type of the database's own crate: with it
/// that crate may implement this trait for its driver's row.
///
/// # Errors
/// INTERNAL for a column that the row has not, or that is of another type.
pub trait LedgerRow<D> {
    /// A text.
    fn text(&self, column: &str) -> Result<Option<&str>>;
    /// A whole number of 32 bits.
    fn int(&self, column: &str) -> Result<Option<i32>>;
    /// A whole number of 64 bits.
    fn long(&self, column: &str) -> Result<Option<i64>>;
    /// A floating point number.
    fn real(&self, column: &str) -> Result<Option<f64>>;
    /// A truth value.
    fn flag(&self, column: &str) -> Result<Option<bool>>;
    /// Bytes.
    fn bytes(&self, column: &str) -> Result<Option<&[u8]>>;
    /// An id.
    fn uuid(&self, column: &str) -> Result<Option<Uuid>>;
    /// A time, in microseconds since 1970.
    fn moment(&self, column: &str) -> Result<Option<Timestamp>>;
}

/// A value of a column.
pub trait Column: Sized {
    /// Reads it; absent is NULL.
    fn read<D, R: LedgerRow<D>>(row: &R, column: &str) -> Result<Option<Self>>;
}

macro_rules! columns {
    ($($type:ty: $read:ident,)*) => {$(
        impl Column for $type {
            fn read<D, R: LedgerRow<D>>(row: &R, column: &str) -> Result<Option<Self>> {
                row.$read(column)
            }
        }
    )*};
}

columns! { i32: int, i64: long, f64: real, bool: flag, Uuid: uuid, Timestamp: moment, }

impl Column for String {
    fn read<D, R: LedgerRow<D>>(row: &R, column: &str) -> Result<Option<Self>> {
        Ok(row.text(column)?.map(str::to_owned))
    }
}

/// What a stored value that no release ever wrote comes to.
pub fn corrupt(column: &str) -> Error {
    Error::internal(format!("the database holds a value in `{column}` that this release does not know"))
}

/// The value of a column that always has one.
pub fn value<D, R: LedgerRow<D>, T: Column>(row: &R, column: &str) -> Result<T> {
    maybe(row, column)?.ok_or_else(|| corrupt(column))
}

/// The value of a column, where it has one.
pub fn maybe<D, R: LedgerRow<D>, T: Column>(row: &R, column: &str) -> Result<Option<T>> {
    T::read(row, column)
}

/// A text, empty where there is none.
pub fn text<D, R: LedgerRow<D>>(row: &R, column: &str) -> Result<String> {
    Ok(maybe(row, column)?.unwrap_or_default())
}

/// A length of time, kept in microseconds.
pub fn micros<D, R: LedgerRow<D>>(row: &R, column: &str) -> Result<Duration> {
    let micros: i64 = value(row, column)?;
    Ok(Duration::from_micros(u64::try_from(micros).map_err(|_| corrupt(column))?))
}

/// One of a list of words.
pub fn word<D, R: LedgerRow<D>, T>(row: &R, column: &str, read: fn(&str) -> Option<T>) -> Result<T> {
    maybe_word(row, column, read)?.ok_or_else(|| corrupt(column))
}

/// One of a list of words, or none.
pub fn maybe_word<D, R: LedgerRow<D>, T>(row: &R, column: &str, read: fn(&str) -> Option<T>) -> Result<Option<T>> {
    row.text(column)?.map(|text| read(text).ok_or_else(|| corrupt(column))).transpose()
}

/// What a column holds as JSON.
pub fn json<D, R: LedgerRow<D>, T: DeserializeOwned>(row: &R, column: &str) -> Result<T> {
    let text = row.text(column)?.ok_or_else(|| corrupt(column))?;
    serde_json::from_str(text).map_err(Error::internal)
}

/// The text that [`json`] reads.
pub fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// Exactly so many bytes.
pub fn bytes<D, R: LedgerRow<D>, const N: usize>(row: &R, column: &str) -> Result<[u8; N]> {
    row.bytes(column)?.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| corrupt(column))
}

/// How many, as a database counts.
pub fn count(many: usize) -> i64 {
    i64::try_from(many).unwrap_or(i64::MAX)
}
