//! The writes that every execution needs, batched: recordings and ends of many executions are one call of the driver,
//! including the transaction.
//!
//! Values are bound without numbers, because the driver looks up each of thousands of names among all. Each statement
//! therefore brings the values of its own columns, in the order of the text, and a long value appears in one statement
//! only. Numbers of jobs are rounded up to [`SIZES`], so that there are few texts, each planned once; surplus rows are
//! NULL and match nothing.
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

/// Numbers of jobs of one kind for which there are texts.
const SIZES: [usize; 8] = [0, 1, 2, 4, 8, 16, 32, 64];

/// Whether a text contains its own transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Around {
    /// With BEGIN and COMMIT.
    Transaction,
    /// Runs within the caller's transaction.
    Nothing,
}

/// Writes all jobs. After an error nothing is written, but a transaction may still be open.
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
    // Every statement reports the number of rows it wrote, after the rows it returns. Returning which recordings are
    // new would cost more than querying the few that are not.
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

/// Records one execution, inside a transaction.
pub(super) async fn record_alone(connection: &mut SqliteConnection, record: &Record) -> Result<Recorded> {
    let written = write(connection, &[record], &[], Around::Nothing).await.map_err(error::store)?;
    record::recorded(connection, record, &written).await
}

/// Ends one execution, inside a transaction.
pub(super) async fn end_alone(connection: &mut SqliteConnection, end: &AttemptEnd) -> Result<Option<Event>> {
    let written = write(connection, &[], &[end], Around::Nothing).await.map_err(error::store)?;
    Ok(end.event(&written))
}

/// Index of the smallest of [`SIZES`] that holds this many jobs; a batch has no more than the last one.
fn room(jobs: usize) -> usize {
    SIZES.iter().position(|size| *size >= jobs).unwrap_or(SIZES.len() - 1)
}

/// The text for these sizes of recordings and ends, composed at its first use.
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

/// Rolls back a failed text. This fails, harmlessly, where the transaction did not begin or was rolled back by the
/// failure; if one stayed open, the next BEGIN fails.
pub(super) async fn roll_back(connection: &mut SqliteConnection) {
    sqlx::query("ROLLBACK").execute(connection).await.ok();
}
