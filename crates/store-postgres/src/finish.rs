//! Ends of attempts, batched into one statement, which also end, continue or requeue the execution. The fence is
//! checked while the row is locked: a write of an attempt that no longer holds its execution finds no row. Rows locked
//! by others are skipped, to avoid deadlocks; a second query distinguishes them from those whose fence no longer holds.
//!
//! Repeating is harmless because of the fence; what an earlier attempt wrote is then found by the row of the
//! execution's attempt.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::execution::{Event, Status};
use prompt_ledger_domain::{Error, Result};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::batch::{BatchOutcome, BatchWrite};
use super::cost::with_cost;
use super::kept::KeptConnections;
use super::lease::FenceRows;
use super::statement::{clean, maybe_clean, micros, rows, statement};
use super::{error, lease, row};
use prompt_ledger_store::rows::execution::{maybe_event, stored_calls};
use prompt_ledger_store::{Ended, Fence, Finish, Holder, Requeue};

/// Its CTE `held` locks the rows and decides their next state: `canceled` where a cancellation was requested and the
/// execution would otherwise continue.
pub(super) static END: LazyLock<String> = LazyLock::new(|| {
    let tokens = ["h.all_prompt", "h.all_cached", "h.all_5m", "h.all_1h", "h.all_response"];
    let sql = with_cost(include_str!("sql/end.sql"), "e.price_id", tokens);
    statement(&sql, EndRows::COLUMNS, &[])
});

/// The events of attempts that ended as an earlier write of this process would have ended them. Only the holder can
/// have written these: expiry writes another message.
pub(super) static WRITTEN: LazyLock<String> =
    LazyLock::new(|| statement(include_str!("sql/written.sql"), WrittenRows::COLUMNS, &[]));

/// What follows the attempt.
#[derive(Clone, Debug)]
pub(super) enum AfterAttempt {
    Finish(Finish),
    Requeue(Requeue),
    /// The next attempt begins at once, held by this holder; its provider call follows after the duration.
    Retry(Ended, Duration, Holder),
}

pub(super) struct AttemptEnding {
    fence: Fence,
    next: AfterAttempt,
    /// As they are stored; absent for none.
    tool_calls: Option<String>,
}

impl AttemptEnding {
    /// INTERNAL where the status of a finish is not terminal.
    pub(super) fn new(fence: Fence, next: AfterAttempt) -> Result<Self> {
        match &next {
            AfterAttempt::Finish(finish) if !finish.status.is_terminal() => {
                Err(Error::internal(format!("an execution was to end `{}`", finish.status)))
            }
            AfterAttempt::Finish(finish) => Ok(Self { fence, tool_calls: stored_calls(finish)?, next }),
            AfterAttempt::Requeue(_) | AfterAttempt::Retry(..) => Ok(Self { fence, next, tool_calls: None }),
        }
    }

    fn status(&self) -> &'static str {
        match &self.next {
            AfterAttempt::Finish(finish) => finish.status,
            AfterAttempt::Requeue(_) => Status::Queued,
            AfterAttempt::Retry(..) => Status::Running,
        }
        .into()
    }

    fn ended(&self) -> &Ended {
        match &self.next {
            AfterAttempt::Finish(finish) => &finish.ended,
            AfterAttempt::Requeue(requeue) => &requeue.ended,
            AfterAttempt::Retry(ended, ..) => ended,
        }
    }

    fn error_type(&self) -> Option<&'static str> {
        self.ended().error_type.map(<&str>::from)
    }

    fn finish(&self) -> Option<&Finish> {
        match &self.next {
            AfterAttempt::Finish(finish) => Some(finish),
            AfterAttempt::Requeue(_) | AfterAttempt::Retry(..) => None,
        }
    }

    fn after(&self) -> Option<i64> {
        match &self.next {
            AfterAttempt::Finish(_) => None,
            AfterAttempt::Requeue(requeue) => Some(micros(requeue.after)),
            AfterAttempt::Retry(_, after, _) => Some(micros(*after)),
        }
    }

    fn handed_back(&self) -> i32 {
        i32::from(matches!(&self.next, AfterAttempt::Requeue(requeue) if requeue.handed_back))
    }

    fn holder(&self) -> Option<&Holder> {
        match &self.next {
            AfterAttempt::Retry(.., holder) => Some(holder),
            AfterAttempt::Finish(_) | AfterAttempt::Requeue(_) => None,
        }
    }
}

pub(super) struct Ends {
    pub(super) pool: KeptConnections,
}

#[async_trait]
impl BatchWrite for Ends {
    type Item = AttemptEnding;
    type Answer = Option<Event>;

    const KIND: &'static str = "end";

    fn identity(item: &AttemptEnding) -> Option<Uuid> {
        Some(item.fence.id.0)
    }

    fn bytes(item: &AttemptEnding) -> usize {
        item.finish().map_or(0, |finish| finish.response.len())
            + item.tool_calls.as_ref().map_or(0, String::len)
            + item.ended().error_message.len()
            + 512
    }

    async fn write(&self, items: &[AttemptEnding], again: bool) -> Result<Vec<BatchOutcome<Option<Event>>>> {
        let mut events = by_execution(&end(&self.pool, items).await?)?;
        let missing = |events: &HashMap<Uuid, Event>| -> Vec<&AttemptEnding> {
            items.iter().filter(|item| !events.contains_key(&item.fence.id.0)).collect()
        };
        let left = missing(&events);
        let mut locked = HashSet::new();
        if !left.is_empty() {
            locked = still_held(&self.pool, &left).await?;
            if again {
                events.extend(by_execution(&written(&self.pool, &left).await?)?);
            }
        }
        let outcome = |item: &AttemptEnding| match events.remove(&item.fence.id.0) {
            None if locked.contains(&item.fence.id.0) => BatchOutcome::Locked,
            event => BatchOutcome::Done(event),
        };
        Ok(items.iter().map(outcome).collect())
    }
}

rows! {
    EndRows(item: AttemptEnding) {
        id: uuid = item.fence.id.0,
        attempt: int4 = item.fence.attempt,
        next: text = item.status(),
        error_type: text = item.error_type(),
        error_message: text = clean(&item.ended().error_message),
        provider_request_id: text = clean(&item.ended().provider_request_id),
        response_model: text = maybe_clean(Some(&*item.ended().response_model).filter(|name| !name.is_empty())),
        requests: int4 = item.ended().stored_requests(),
        prompt_tokens: int4 = item.ended().usage.prompt_tokens,
        cached_prompt_tokens: int4 = item.ended().usage.cached_prompt_tokens,
        cache_write_5m_tokens: int4 = item.ended().usage.cache_write_5m_tokens,
        cache_write_1h_tokens: int4 = item.ended().usage.cache_write_1h_tokens,
        response_tokens: int4 = item.ended().usage.response_tokens,
        latency_ms: int4 = item.ended().latency_ms(),
        failure_type: text = item.finish().and_then(|f| f.failure.as_ref()).map(|f| <&str>::from(f.error_type)),
        failure_message: text = maybe_clean(item.finish().and_then(|f| f.failure.as_ref()).map(|f| &*f.message)),
        response_truncated: boolean = item.finish().is_some_and(|finish| finish.response_truncated),
        refused: boolean = item.finish().is_some_and(|finish| finish.refused),
        finish_reason: text = item.finish().and_then(|f| f.finish_reason).map(<&str>::from),
        cost: int8 = item.finish().and_then(|finish| finish.cost_nano_usd),
        after: int8 = item.after(),
        handed_back: int4 = item.handed_back(),
        worker: text = maybe_clean(item.holder().map(|holder| &*holder.worker)),
        claim_id: uuid = item.holder().map(|holder| holder.claim_id.0),
        lease: int8 = item.holder().map(|holder| micros(holder.lease)),
        response: text = clean(item.finish().map_or("", |finish| &finish.response)),
        tool_calls: text = maybe_clean(item.tool_calls.as_deref()),
    }
}

rows! {
    /// The values that identify an attempt's end as written by this process.
    WrittenRows(item: &AttemptEnding) {
        id: uuid = item.fence.id.0,
        attempt: int4 = item.fence.attempt,
        next: text = item.status(),
        error_type: text = item.error_type(),
        error_message: text = clean(&item.ended().error_message),
        provider_request_id: text = clean(&item.ended().provider_request_id),
        latency_ms: int4 = item.ended().latency_ms(),
    }
}

async fn end(pool: &KeptConnections, items: &[AttemptEnding]) -> Result<Vec<PgRow>> {
    pool.fetch_all(EndRows::bind(sqlx::query(END.as_str()), items)).await.map_err(error::store)
}

/// Those that are still at their fence, so were skipped because another transaction had locked them.
async fn still_held(pool: &KeptConnections, left: &[&AttemptEnding]) -> Result<HashSet<Uuid>> {
    let fences: Vec<_> = left.iter().map(|item| item.fence).collect();
    let query = FenceRows::bind(sqlx::query(lease::STILL_HELD.as_str()), &fences);
    pool.fetch_all(query).await.map_err(error::store)?.iter().map(|row| row::value(row, "id")).collect()
}

async fn written(pool: &KeptConnections, left: &[&AttemptEnding]) -> Result<Vec<PgRow>> {
    pool.fetch_all(WrittenRows::bind(sqlx::query(WRITTEN.as_str()), left)).await.map_err(error::store)
}

fn by_execution(rows: &[PgRow]) -> Result<HashMap<Uuid, Event>> {
    let mut events = HashMap::with_capacity(rows.len());
    for row in rows {
        if let Some(event) = maybe_event(row)? {
            events.insert(row::value(row, "execution_id")?, event);
        }
    }
    Ok(events)
}
