//! Postgres rows: ids are `uuid`, timestamps `timestamptz`.

use prompt_ledger_domain::{Result, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};
use uuid::Uuid;

use super::error;
use super::timestamp::PgTimestamp;
pub(super) use prompt_ledger_store::rows::*;

fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(row: &'r PgRow, column: &str) -> Result<Option<T>> {
    row.try_get(column).map_err(error::store)
}

/// Lets this crate implement [`LedgerRow`] for the driver's row type.
pub(super) struct PostgresRows;

impl LedgerRow<PostgresRows> for PgRow {
    fn text(&self, column: &str) -> Result<Option<&str>> {
        get(self, column)
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
        get(self, column)
    }

    fn uuid(&self, column: &str) -> Result<Option<Uuid>> {
        get(self, column)
    }

    fn timestamp(&self, column: &str) -> Result<Option<Timestamp>> {
        Ok(get::<PgTimestamp>(self, column)?.map(|at| at.0))
    }
}

/// Replaces NUL, which Postgres cannot store in a text, by U+FFFD.
pub(super) fn without_nul(text: &str) -> std::borrow::Cow<'_, str> {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}").into(),
        false => text.into(),
    }
}
