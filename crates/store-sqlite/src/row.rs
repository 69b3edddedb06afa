//! SQLite rows: ids are texts, timestamps microseconds since 1970.

use prompt_ledger_domain::{Error, Result, Timestamp};
use rusqlite::Row;
use rusqlite::types::FromSql;
use uuid::Uuid;

use super::error;
pub(super) use prompt_ledger_store::rows::*;

fn get<T: FromSql>(row: &Row<'_>, column: &str) -> Result<Option<T>> {
    row.get(column).map_err(error::store)
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
