//! What every execution writes, for many executions at once: a batch of beginnings and ends is one call of the driver,
//! the transaction around it included.
//!
//! The values have no numbers: with thousands of them the driver looks each name up among all. So each statement brings
//! the values of its own columns, in the order of the text, and a long text stands in one statement alone. Counts of
//! jobs are rounded up, so that the texts stay few and are planned once; the rows that no job fills are NULL, and equal
//! to nothing.
#![allow(clippy::disallowed_types, reason = "constant texts, made when they are first used")]

use std::sync::OnceLock;

use futures::TryStreamExt;
use prompt_ledger_domain::Result;
use prompt_ledger_store::{Event, Recorded};
use sqlx::{Either, Executor, Row, SqliteConnection};

use super::finish::{self, AttemptEnd};
use super::record::{self, Record};
use super::statement::{HotValues, HotWritten};
use super::{error, now};

/// How many jobs of a kind a text is made for.
const SIZES: [usize; 8] = [0, 1, 2, 4, 8, 16, 32, 64];

/// Whether a text is a transaction of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Around {
    /// It is.
    Transaction,
    /// It runs within another.
    Nothing,
}

/// Writes them all, or on an error nothing; a transaction may then still be open.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    records: &[&Record],
    ends: &[&AttemptEnd],
    around: Around,
) -> sqlx::Result<HotWritten> {
    let (more, less) = (room(records.len()), room(ends.len()));
    let at = now();
    let mut values = HotValues::default();
    values.of(&record::STATEMENTS, records, SIZES[more], at)?;
    values.of(&finish::STATEMENTS, ends, SIZES[less], at)?;
    let mut written = HotWritten { at, all_new: true, ends: Vec::new() };
    // Every statement answers how many rows it wrote, after those that it returns. An answer that tells which
    // beginnings are new would cost each of them more than asking does for the few that are not.
    let mut statement = usize::from(around == Around::Nothing);
    let mut answers = connection.fetch_many(sqlx::query_with(text(more, less, around), values.0));
    while let Some(answer) = answers.try_next().await? {
        match answer {
            Either::Left(done) if statement == record::STATEMENTS.len() && !records.is_empty() => {
                written.all_new = usize::try_from(done.rows_affected()) == Ok(records.len());
                statement += 1;
            }
            Either::Left(_) => statement += 1,
            Either::Right(row) => written.ends.push((row.try_get("id")?, row.try_get("last_sequence")?)),
        }
    }
    drop(answers);
    Ok(written)
}

/// Records one, inside a transaction.
pub(super) async fn record_alone(connection: &mut SqliteConnection, record: &Record) -> Result<Recorded> {
    let written = write(connection, &[record], &[], Around::Nothing).await.map_err(error::store)?;
    record::recorded(connection, record, &written).await
}

/// Ends one, inside a transaction.
pub(super) async fn end_alone(connection: &mut SqliteConnection, end: &AttemptEnd) -> Result<Option<Event>> {
    let written = write(connection, &[], &[end], Around::Nothing).await.map_err(error::store)?;
    Ok(end.event(&written))
}

/// Which of [`SIZES`] holds so many; a batch has no more than the last.
fn room(jobs: usize) -> usize {
    SIZES.iter().position(|size| *size >= jobs).unwrap_or(SIZES.len() - 1)
}

/// The text for so many beginnings and ends; made once.
fn text(records: usize, ends: usize, around: Around) -> &'static str {
    type HotTexts = [[OnceLock<String>; SIZES.len()]; SIZES.len()];
    static WHOLE: HotTexts = [const { [const { OnceLock::new() }; SIZES.len()] }; SIZES.len()];
    static BARE: HotTexts = [const { [const { OnceLock::new() }; SIZES.len()] }; SIZES.len()];
    let (texts, before, after) = match around {
        Around::Transaction => (&WHOLE, Some("BEGIN IMMEDIATE"), Some("COMMIT")),
        Around::Nothing => (&BARE, None, None),
    };
    texts[records][ends].get_or_init(|| {
        let mut text: Vec<String> = before.into_iter().map(str::to_owned).collect();
        if records > 0 {
            text.extend(record::STATEMENTS.iter().map(|statement| statement.text(SIZES[records])));
        }
        if ends > 0 {
            text.extend(finish::STATEMENTS.iter().map(|statement| statement.text(SIZES[ends])));
        }
        text.extend(after.map(str::to_owned));
        text.join(";")
    })
}

/// Ends what a failed text has begun. Nothing is left to end where the lock was not to be had, or where a failure has
/// rolled back by itself: that it was not, the next transaction would tell.
pub(super) async fn roll_back(connection: &mut SqliteConnection) {
    sqlx::query("ROLLBACK").execute(connection).await.ok();
}
