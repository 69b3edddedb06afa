//! Columns to values. A word or an id that no release wrote is an INTERNAL failure.

use prompt_ledger_domain::{Error, Result, Timestamp};
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use uuid::Uuid;

use super::error;

/// The value of a column.
pub(super) fn value<'r, T>(row: &'r SqliteRow, column: &str) -> Result<T>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get(column).map_err(error::store)
}

/// A text, empty where there is none.
pub(super) fn text(row: &SqliteRow, column: &str) -> Result<String> {
    Ok(value::<Option<String>>(row, column)?.unwrap_or_default())
}

/// A moment.
pub(super) fn time(row: &SqliteRow, column: &str) -> Result<Timestamp> {
    value(row, column).map(Timestamp)
}

/// A moment that may not have come.
pub(super) fn maybe_time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>> {
    Ok(value::<Option<i64>>(row, column)?.map(Timestamp))
}

/// An identity.
pub(super) fn id(row: &SqliteRow, column: &str) -> Result<Uuid> {
    maybe_id(row, column)?.ok_or_else(|| error::corrupt(column))
}

/// An identity that may be absent.
pub(super) fn maybe_id(row: &SqliteRow, column: &str) -> Result<Option<Uuid>> {
    let text: Option<&str> = value(row, column)?;
    text.map(|text| Uuid::try_parse(text).map_err(|_| error::corrupt(column))).transpose()
}

/// One of a list of words.
pub(super) fn word<T>(row: &SqliteRow, column: &str, read: fn(&str) -> Option<T>) -> Result<T> {
    maybe_word(row, column, read)?.ok_or_else(|| error::corrupt(column))
}

/// One of a list of words, or none.
pub(super) fn maybe_word<T>(row: &SqliteRow, column: &str, read: fn(&str) -> Option<T>) -> Result<Option<T>> {
    let text: Option<&str> = value(row, column)?;
    text.map(|text| read(text).ok_or_else(|| error::corrupt(column))).transpose()
}

/// What a column holds as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T> {
    serde_json::from_str(value(row, column)?).map_err(Error::internal)
}

/// The text that [`json`] reads.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// Exactly so many bytes.
pub(super) fn bytes<const N: usize>(row: &SqliteRow, column: &str) -> Result<[u8; N]> {
    let bytes: &[u8] = value(row, column)?;
    bytes.try_into().map_err(|_| error::corrupt(column))
}
