//! The traits about executions, each method delegating to its module.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::execution::{Event, Execution};
use prompt_ledger_domain::ids::{ClaimId, ExecutionId, ProjectId, PromptId};
use rusqlite::{Connection, ToSql};

use super::finish::AttemptEnd;
use super::list::{self, SqlitePage};
use super::record::{Record, StartAs};
use super::statement::Script;
use super::{Sqlite, cancel, claim, finish, lease, now, read, record, row};
use prompt_ledger_store::rows::count;
use prompt_ledger_store::{
    Canceling, Change, Claimed, Ended, EventLog, ExecutionFilter, ExecutionReader, ExecutionWriter, Fence, Finish,
    Held, Holder, KeyHolder, Leases, ListPosition, NewExecution, QueueDepth, Recorded, Requeue, Walked,
};

static QUEUED: LazyLock<Script> = LazyLock::new(|| {
    let sql = "SELECT count(*) AS queued FROM (SELECT 1 FROM executions WHERE status = 'queued' LIMIT :most)";
    Script::new(sql, &["most"])
});

/// The first provider behind `:after` that has queued executions, and the oldest of these.
static NEXT_OLDEST: LazyLock<Script> = LazyLock::new(|| {
    let sql = "SELECT provider, available_at FROM executions WHERE status = 'queued' AND provider > :after \
               ORDER BY provider, available_at LIMIT 1";
    Script::new(sql, &["after"])
});

/// The earliest `available_at` of all that is queued. Each provider has its part of the index, of which this reads one entry.
fn oldest(connection: &Connection) -> Result<Option<Timestamp>> {
    let (mut after, mut oldest) = (String::new(), None);
    let next = |after: &str| {
        NEXT_OLDEST.row(connection, [&after as &dyn ToSql], |row| {
            Ok((row::text(row, "provider")?, row::value::<_, _, Timestamp>(row, "available_at")?))
        })
    };
    while let Some((provider, available_at)) = next(&after)? {
        oldest = oldest.min(Some(available_at)).or(Some(available_at));
        after = provider;
    }
    Ok(oldest)
}

/// The texts of a write that is short, in bytes.
const SHORT: usize = 64 * 1024;

#[async_trait]
impl ExecutionWriter for Sqlite {
    async fn start(&self, new: NewExecution, holder: Holder) -> Result<Recorded> {
        self.record(new, StartAs::Running(holder)).await
    }

    async fn submit(&self, new: NewExecution, available_in: Duration) -> Result<Recorded> {
        self.record(new, StartAs::Queued(available_in)).await
    }

    async fn claim(&self, next: Vec<Fence>, providers: &[String], holder: Holder) -> Result<Vec<Claimed>> {
        let providers = row::to_json(&providers)?;
        self.writer.write(move |connection| claim::hinted(connection, &next, &providers, &holder)).await
    }

    async fn claim_due(&self, limit: usize, providers: &[String], holder: Holder) -> Result<Vec<Claimed>> {
        let providers = row::to_json(&providers)?;
        let of = providers.clone();
        if !self.readers.read(move |connection| claim::any_due(connection, &of)).await? {
            return Ok(Vec::new());
        }
        self.writer.write(move |connection| claim::due(connection, limit, &providers, &holder)).await
    }

    async fn claimed(&self, claim: ClaimId) -> Result<Vec<Claimed>> {
        self.readers.read(move |connection| claim::of(connection, claim)).await
    }

    async fn retry(
        &self,
        fence: Fence,
        ended: Ended,
        next_attempt_in: Duration,
        holder: Holder,
    ) -> Result<Option<Event>> {
        self.writer.write(move |connection| finish::retry(connection, fence, &ended, next_attempt_in, &holder)).await
    }

    async fn requeue(&self, fence: Fence, requeue: Requeue) -> Result<Option<Event>> {
        self.writer.write(move |connection| finish::requeue(connection, fence, &requeue)).await
    }

    async fn finish(&self, fence: Fence, finish: Finish) -> Result<Option<Event>> {
        let end = AttemptEnd::new(fence, finish)?;
        let is_short = end.bytes() <= SHORT;
        let end = move |connection: &Connection| finish::end(connection, &end);
        match is_short {
            true => self.writer.write_short(end).await,
            false => self.writer.write(end).await,
        }
    }

    async fn cancel(&self, project: ProjectId, id: ExecutionId, reason: &str) -> Result<Canceling> {
        let reason = reason.to_owned();
        self.writer.write(move |connection| cancel::cancel(connection, project, id, &reason)).await
    }
}

#[async_trait]
impl Leases for Sqlite {
    async fn extend(&self, held: &[Fence], lease: Duration) -> Result<Vec<Held>> {
        let held = held.to_vec();
        self.writer.write(move |connection| lease::extend(connection, &held, lease)).await
    }

    async fn canceled_of(&self, held: &[Fence]) -> Result<Vec<Fence>> {
        let held = held.to_vec();
        self.readers.read(move |connection| cancel::canceled_of(connection, &held)).await
    }
}

#[async_trait]
impl ExecutionReader for Sqlite {
    async fn by_key(&self, prompt: PromptId, key: &str) -> Result<Option<KeyHolder>> {
        let key = key.to_owned();
        self.readers.read(move |connection| record::by_key(connection, prompt, &key)).await
    }

    async fn get(&self, project: ProjectId, id: ExecutionId) -> Result<Execution> {
        self.readers.read(move |connection| read::get(connection, project, id)).await
    }

    async fn whole(&self, ids: &[ExecutionId], texts: bool) -> Result<Vec<Execution>> {
        let ids = ids.to_vec();
        self.readers.read(move |connection| read::whole_of(connection, &ids, texts)).await
    }

    async fn list(
        &self,
        project: ProjectId,
        filter: &ExecutionFilter,
        before: Option<ListPosition>,
        limit: usize,
        texts: bool,
    ) -> Result<Walked<Execution, ListPosition>> {
        let filter = filter.clone();
        let list = move |connection: &Connection| {
            list::list(connection, &SqlitePage { project, filter: &filter, before, limit, texts })
        };
        // One snapshot for all statements: an execution whose status changes meanwhile is listed once.
        self.lists.snapshot(list).await
    }

    /// The process that has the file is its only server.
    async fn queued(&self, most: usize) -> Result<QueueDepth> {
        let queued = move |connection: &Connection| {
            let queued =
                QUEUED.row(connection, [&count(most) as &dyn ToSql], |row| row::value::<_, _, i64>(row, "queued"))?;
            Ok((queued.unwrap_or_default(), oldest(connection)?))
        };
        let (queued, oldest) = self.readers.read(queued).await?;
        let oldest = oldest.map(|available| now().since(available));
        Ok(QueueDepth { queued: usize::try_from(queued).unwrap_or_default(), servers: 1, oldest })
    }
}

#[async_trait]
impl EventLog for Sqlite {
    async fn events(
        &self,
        project: ProjectId,
        id: ExecutionId,
        after_sequence: i64,
        limit: usize,
    ) -> Result<Vec<Event>> {
        self.readers.read(move |connection| read::events(connection, project, id, after_sequence, limit)).await
    }

    async fn events_after(&self, cursors: &[(ExecutionId, i64)]) -> Result<Vec<Change>> {
        let cursors = cursors.to_vec();
        self.readers.read(move |connection| read::events_after(connection, &cursors)).await
    }

    async fn events_between(&self, start: Timestamp, end: Timestamp, limit: usize) -> Result<Vec<Change>> {
        self.lists.read(move |connection| read::events_between(connection, start, end, limit)).await
    }

    async fn clock(&self) -> Result<Timestamp> {
        Ok(now())
    }
}

impl Sqlite {
    async fn record(&self, new: NewExecution, start_as: StartAs) -> Result<Recorded> {
        let record = Record::new(new, start_as)?;
        let is_short = record.bytes() <= SHORT;
        let record = move |connection: &Connection| record::record(connection, &record);
        match is_short {
            true => self.writer.write_short(record).await,
            false => self.writer.write(record).await,
        }
    }
}

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 2] {
    [&QUEUED, &NEXT_OLDEST]
}
