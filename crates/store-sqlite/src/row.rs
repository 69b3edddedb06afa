//! SQLite rows: ids are texts, timestamps microseconds since 1970.

use std::str::FromStr;

use prompt_ledger_domain::{Error, Result, Timestamp};
use rusqlite::Row;
use rusqlite::types::FromSql;
use uuid::Uuid;

use super::error;
pub(super) use prompt_ledger_store::rows::*;

fn get<T: FromSql>(row: &Row<'_>, column: &str) -> Result<Option<T>> {
    row.get(column).map_err(error::store)
}

/// The value of a column by its place, from 0: for statements that return many rows, where looking each name up would
/// take most of the time.
pub(super) fn at<T: FromSql>(row: &Row<'_>, place: usize) -> Result<T> {
    row.get(place).map_err(error::store)
}

/// As [`at`], for a word of a closed list.
pub(super) fn word_at<T: FromStr>(row: &Row<'_>, place: usize) -> Result<T> {
    let text = row.get_ref(place).map_err(error::store)?.as_str().map_err(Error::internal)?;
    text.parse().map_err(|_| corrupt(&format!("column {place}")))
}

/// Lets this crate implement [`LedgerRow`] for the driver's row type.
pub(super) struct SqliteRows;

impl LedgerRow<SqliteRows> for Row<'_> {
    fn text(&self, column: &str) -> Result<Option<&str>> {
        self.get_ref(column).map_err(error::store)?.as_str_or_null().map_err(Error::internal)
    }

    fn int(&self, column: &str) -> Result<Option<i32>> {
        get(self, column)
    }

    fn long(&self, column: &str) -> Result<Option<i64>> {
        get(self, column)
    }

    fn real(&self, column: &str) -> Result<Option<f64>> {
        get(self, column)
    }

    fn flag(&self, column: &str) -> Result<Option<bool>> {
        get(self, column)
    }

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>> {
        self.get_ref(column).map_err(error::store)?.as_blob_or_null().map_err(Error::internal)
    }

    fn uuid(&self, column: &str) -> Result<Option<Uuid>> {
        self.text(column)?.map(|text| Uuid::try_parse(text).map_err(|_| corrupt(column))).transpose()
    }

    fn timestamp(&self, column: &str) -> Result<Option<Timestamp>> {
        Ok(get::<i64>(self, column)?.map(Timestamp))
    }
}
