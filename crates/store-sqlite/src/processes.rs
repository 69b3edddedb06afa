//! What the processes tell of themselves.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::rows::processes::{providers, seen};
use prompt_ledger_store::{KNOWN_FOR, ProcessRecord, Processes, SUPERSEDED_FOR, SeenProcess};
use rusqlite::{Connection, ToSql};

use super::statement::{Script, parameters};
use super::{Sqlite, now};

static ANNOUNCE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/announce.sql"), AnnounceParameters::NAMES));

parameters! {
    AnnounceParameters(process: &ProcessRecord, providers: &str, at: Timestamp) {
        id = &process.id,
        kind = process.kind.as_str(),
        providers = providers,
        release = &process.release,
        at = at.0,
    }
}

static LEAVE: LazyLock<Script> =
    LazyLock::new(|| Script::new("UPDATE processes SET has_left = 1 WHERE id = :id", &["id"]));

static SEEN: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/processes.sql"), &["at", "known_since"]));

static FORGET: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/forget_processes.sql"), &["known_since", "superseded_since"]));

#[async_trait]
impl Processes for Sqlite {
    async fn announce(&self, process: &ProcessRecord) -> Result<()> {
        let (process, providers) = (process.clone(), providers(&process.providers)?);
        let announce = move |connection: &Connection| {
            ANNOUNCE.execute(connection, AnnounceParameters::values(&process, &providers, now()))
        };
        self.writer.write(announce).await.map(drop)
    }

    async fn leave(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.writer.write(move |connection| LEAVE.execute(connection, [&id as &dyn ToSql])).await.map(drop)
    }

    async fn processes(&self) -> Result<Vec<SeenProcess>> {
        let read = |connection: &Connection| {
            let at = now();
            SEEN.rows(connection, [&at.0 as &dyn ToSql, &before(at, KNOWN_FOR)], |row| seen(row))
        };
        self.readers.read(read).await
    }
}

/// Deletes those that no longer count.
pub(super) fn forget(connection: &Connection) -> Result<()> {
    let at = now();
    FORGET.execute(connection, [&before(at, KNOWN_FOR) as &dyn ToSql, &before(at, SUPERSEDED_FOR)]).map(drop)
}

/// The time that was so long before `at`, in microseconds since 1970.
fn before(at: Timestamp, length: Duration) -> i64 {
    at.0.saturating_sub(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
}
