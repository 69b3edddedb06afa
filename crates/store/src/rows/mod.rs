//! Converts rows to records, the same for every database. Databases differ in how they store ids and timestamps: that
//! is behind [`LedgerRow`]. A word or an id that this release does not know is an INTERNAL failure.

pub mod access;
pub mod claimed;
pub mod execution;
pub mod processes;
pub mod prompt;
pub mod request;
pub mod usage;

use std::str::FromStr;
use std::time::Duration;

use prompt_ledger_domain::execution::CallTimeout;
use prompt_ledger_domain::{Error, Result, Timestamp};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A row of a query's result, read by column name; NULL is `None`. `D` is a type of the database's own crate, which
/// lets that crate implement this trait for its driver's row type.
///
/// # Errors
/// INTERNAL for a column that is missing or has another type.
pub trait LedgerRow<D> {
    /// A text.
    fn text(&self, column: &str) -> Result<Option<&str>>;
    /// A 32-bit integer.
    fn int(&self, column: &str) -> Result<Option<i32>>;
    /// A 64-bit integer.
    fn long(&self, column: &str) -> Result<Option<i64>>;
    /// A 64-bit floating point number.
    fn real(&self, column: &str) -> Result<Option<f64>>;
    /// A boolean.
    fn flag(&self, column: &str) -> Result<Option<bool>>;
    /// A byte string.
    fn bytes(&self, column: &str) -> Result<Option<&[u8]>>;
    /// A UUID.
    fn uuid(&self, column: &str) -> Result<Option<Uuid>>;
    /// A timestamp, in microseconds since 1970.
    fn timestamp(&self, column: &str) -> Result<Option<Timestamp>>;
}

/// A type that a column can be read as.
pub trait Column: Sized {
    /// Reads the column; NULL is `None`.
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

columns! { i32: int, i64: long, f64: real, bool: flag, Uuid: uuid, Timestamp: timestamp, }

impl Column for String {
    fn read<D, R: LedgerRow<D>>(row: &R, column: &str) -> Result<Option<Self>> {
        Ok(row.text(column)?.map(str::to_owned))
    }
}

/// INTERNAL: a stored value that this release does not know.
pub fn corrupt(column: &str) -> Error {
    Error::internal(format!("the database holds a value in `{column}` that this release does not know"))
}

/// The value of a column that is never NULL; INTERNAL where it is.
pub fn value<D, R: LedgerRow<D>, T: Column>(row: &R, column: &str) -> Result<T> {
    maybe(row, column)?.ok_or_else(|| corrupt(column))
}

/// The value of a column; NULL is `None`.
pub fn maybe<D, R: LedgerRow<D>, T: Column>(row: &R, column: &str) -> Result<Option<T>> {
    T::read(row, column)
}

/// A text; NULL is empty.
pub fn text<D, R: LedgerRow<D>>(row: &R, column: &str) -> Result<String> {
    Ok(maybe(row, column)?.unwrap_or_default())
}

/// The limit of each provider call, in its stored form.
pub fn timeout<D, R: LedgerRow<D>>(row: &R) -> Result<CallTimeout> {
    let column = "timeout_micros";
    CallTimeout::from_micros(value(row, column)?).ok_or_else(|| corrupt(column))
}

/// A duration, stored in microseconds.
pub fn micros<D, R: LedgerRow<D>>(row: &R, column: &str) -> Result<Duration> {
    let micros: i64 = value(row, column)?;
    Ok(Duration::from_micros(u64::try_from(micros).map_err(|_| corrupt(column))?))
}

/// A word of a closed list, never NULL.
pub fn word<D, R: LedgerRow<D>, T: FromStr>(row: &R, column: &str) -> Result<T> {
    maybe_word(row, column)?.ok_or_else(|| corrupt(column))
}

/// A word of a closed list; NULL is `None`.
pub fn maybe_word<D, R: LedgerRow<D>, T: FromStr>(row: &R, column: &str) -> Result<Option<T>> {
    row.text(column)?.map(|text| text.parse().map_err(|_| corrupt(column))).transpose()
}

/// A column that holds JSON.
pub fn json<D, R: LedgerRow<D>, T: DeserializeOwned>(row: &R, column: &str) -> Result<T> {
    let text = row.text(column)?.ok_or_else(|| corrupt(column))?;
    serde_json::from_str(text).map_err(Error::internal)
}

/// The JSON text that [`json`] reads.
pub fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// A byte string of exactly `N` bytes.
pub fn bytes<D, R: LedgerRow<D>, const N: usize>(row: &R, column: &str) -> Result<[u8; N]> {
    row.bytes(column)?.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| corrupt(column))
}

/// A count as a bind value, at most `i64::MAX`.
pub fn count(many: usize) -> i64 {
    i64::try_from(many).unwrap_or(i64::MAX)
}
