//! Rows to records, the same for every database. What a database does its own way is how it keeps an identity and a moment:
//! that is [`LedgerRow`]. A word or an id that no release wrote is an INTERNAL failure.

pub(crate) mod access;
pub(crate) mod claimed;
pub(crate) mod execution;
pub(crate) mod prompt;
pub(crate) mod usage;

use std::time::Duration;

use prompt_ledger_domain::{Error, Result, Timestamp};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A row of one of the databases, read by the names of its columns.
pub(crate) trait LedgerRow {
    fn text(&self, column: &str) -> Result<Option<&str>>;
    fn int(&self, column: &str) -> Result<Option<i32>>;
    fn long(&self, column: &str) -> Result<Option<i64>>;
    fn real(&self, column: &str) -> Result<Option<f64>>;
    fn flag(&self, column: &str) -> Result<Option<bool>>;
    fn bytes(&self, column: &str) -> Result<Option<&[u8]>>;
    fn uuid(&self, column: &str) -> Result<Option<Uuid>>;
    fn moment(&self, column: &str) -> Result<Option<Timestamp>>;
}

/// A value of a column.
pub(crate) trait Column: Sized {
    fn read<R: LedgerRow>(row: &R, column: &str) -> Result<Option<Self>>;
}

macro_rules! columns {
    ($($type:ty: $read:ident,)*) => {$(
        impl Column for $type {
            fn read<R: LedgerRow>(row: &R, column: &str) -> Result<Option<Self>> {
                row.$read(column)
            }
        }
    )*};
}

columns! { i32: int, i64: long, f64: real, bool: flag, Uuid: uuid, Timestamp: moment, }

impl Column for String {
    fn read<R: LedgerRow>(row: &R, column: &str) -> Result<Option<Self>> {
        Ok(row.text(column)?.map(str::to_owned))
    }
}

/// What a stored value that no release ever wrote comes to.
pub(crate) fn corrupt(column: &str) -> Error {
    Error::internal(format!("the database holds a value in `{column}` that this release does not know"))
}

/// The value of a column that always has one.
pub(crate) fn value<R: LedgerRow, T: Column>(row: &R, column: &str) -> Result<T> {
    maybe(row, column)?.ok_or_else(|| corrupt(column))
}

/// The value of a column, where it has one.
pub(crate) fn maybe<R: LedgerRow, T: Column>(row: &R, column: &str) -> Result<Option<T>> {
    T::read(row, column)
}

/// A text, empty where there is none.
pub(crate) fn text<R: LedgerRow>(row: &R, column: &str) -> Result<String> {
    Ok(maybe(row, column)?.unwrap_or_default())
}

/// A length of time, kept in microseconds.
pub(crate) fn micros<R: LedgerRow>(row: &R, column: &str) -> Result<Duration> {
    let micros: i64 = value(row, column)?;
    Ok(Duration::from_micros(u64::try_from(micros).map_err(|_| corrupt(column))?))
}

/// One of a list of words.
pub(crate) fn word<R: LedgerRow, T>(row: &R, column: &str, read: fn(&str) -> Option<T>) -> Result<T> {
    maybe_word(row, column, read)?.ok_or_else(|| corrupt(column))
}

/// One of a list of words, or none.
pub(crate) fn maybe_word<R: LedgerRow, T>(row: &R, column: &str, read: fn(&str) -> Option<T>) -> Result<Option<T>> {
    row.text(column)?.map(|text| read(text).ok_or_else(|| corrupt(column))).transpose()
}

/// What a column holds as JSON.
pub(crate) fn json<R: LedgerRow, T: DeserializeOwned>(row: &R, column: &str) -> Result<T> {
    let text = row.text(column)?.ok_or_else(|| corrupt(column))?;
    serde_json::from_str(text).map_err(Error::internal)
}

/// The text that [`json`] reads.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// Exactly so many bytes.
pub(crate) fn bytes<R: LedgerRow, const N: usize>(row: &R, column: &str) -> Result<[u8; N]> {
    row.bytes(column)?.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| corrupt(column))
}

/// How many, as a database counts.
pub(crate) fn count(many: usize) -> i64 {
    i64::try_from(many).unwrap_or(i64::MAX)
}
