//! Ending attempts, many in one statement, and with each its execution or not. The fence is tested where the row is
//! locked: the write of an attempt that no longer holds it finds no row. Rows that others have locked are passed over, so
//! that no two statements wait for each other; a second look tells them from a fence that no longer holds.
//!
//! A repetition is harmless by the fence; what an earlier try wrote is then found by its attempt's row.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::execution::{ErrorType, Event, Status};
use prompt_ledger_domain::{Error, Result};
use sqlx::PgPool;
use sqlx::postgres::{PgBindIterExt, PgRow};
use uuid::Uuid;

use super::batch::{BatchOutcome, BatchWrite};
use super::bind::{clean, each, maybe_clean, micros};
use super::cost::cost;
use super::{error, lease, row};
use prompt_ledger_store::rows::execution::maybe_event;
use prompt_ledger_store::{Ended, Fence, Finish, Holder, Requeue};

/// A count with what the attempt adds: absent until something is told.
macro_rules! sum {
    ($column:literal) => {
        concat!(
            "CASE WHEN n.",
            $column,
            " IS NULL THEN e.",
            $column,
            " ELSE least(coalesce(e.",
            $column,
            ", 0)::int8 + n.",
            $column,
            ", 2147483647)::int4 END"
        )
    };
}

/// `held` locks the rows and decides what becomes of them: canceled where that was asked for and they would go on.
pub(super) const END: &str = concat!(
    "WITH held AS (
        SELECT e.id, e.worker AS held_by, e.attempt_started_at AS begun_at, clock_timestamp() AS at,
            CASE WHEN n.next IN ('queued', 'running') AND e.cancel_requested_at IS NOT NULL THEN 'canceled'
                ELSE n.next END AS becomes,
            n.next IN ('queued', 'running') AND e.cancel_requested_at IS NOT NULL AS settles,
            n.attempt, n.error_type, n.error_message, n.provider_request_id, n.prompt_tokens, n.cached_tokens,
            n.response_tokens, n.latency_ms, n.failure_type, n.failure_message, n.response_truncated, n.finish_reason,
            n.cost, n.after, n.handed_back, n.worker, n.claim_id, n.lease, n.response, ",
    sum!("prompt_tokens"),
    " AS all_prompt, ",
    sum!("cached_tokens"),
    " AS all_cached, ",
    sum!("response_tokens"),
    " AS all_response
        FROM unnest($1::uuid[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int4[], $8::int4[],
                $9::int4[], $10::int4[], $11::text[], $12::text[], $13::boolean[], $14::text[], $15::int8[],
                $16::int8[], $17::int4[], $18::text[], $19::uuid[], $20::int8[], $21::text[])
            AS n (id, attempt, next, error_type, error_message, provider_request_id, prompt_tokens, cached_tokens,
                response_tokens, latency_ms, failure_type, failure_message, response_truncated, finish_reason, cost,
                after, handed_back, worker, claim_id, lease, response)
        JOIN executions e ON e.id = n.id
        WHERE e.status IS NOT DISTINCT FROM 'running' AND e.attempts = n.attempt
        ORDER BY e.id FOR NO KEY UPDATE OF e SKIP LOCKED
    ), ended AS (
        UPDATE executions e SET
            status = h.becomes, last_sequence = e.last_sequence + 1,
            attempts = e.attempts + (h.becomes = 'running')::int4, handed_back = e.handed_back + h.handed_back,
            prompt_tokens = h.all_prompt, cached_tokens = h.all_cached, response_tokens = h.all_response,
            provider_request_id = h.provider_request_id, latency_ms = coalesce(h.latency_ms, e.latency_ms),
            error_type = h.failure_type, error_message = h.failure_message, finish_reason = h.finish_reason,
            response_truncated = h.response_truncated,
            cost_nano_usd = CASE WHEN h.settles THEN ",
    cost!("e.price_id", "h.all_prompt", "h.all_cached", "h.all_response"),
    " ELSE h.cost END,
            completed_at = CASE WHEN h.becomes NOT IN ('queued', 'running') THEN h.at END,
            available_at = CASE WHEN h.becomes = 'queued' THEN h.at + h.after * interval '1 microsecond' END,
            lease_until = CASE WHEN h.becomes = 'running'
                THEN clock_timestamp() + h.lease * interval '1 microsecond' END,
            attempt_started_at = CASE WHEN h.becomes = 'running' THEN h.at ELSE e.attempt_started_at END,
            worker = CASE WHEN h.becomes = 'running' THEN h.worker ELSE e.worker END,
            claim_id = CASE WHEN h.becomes = 'running' THEN h.claim_id ELSE e.claim_id END
        FROM held h WHERE e.id = h.id
        RETURNING e.last_sequence, h.*
    ), attempts AS (
        INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type, error_message,
            provider_request_id, prompt_tokens, cached_tokens, response_tokens, latency_ms)
        SELECT id, attempt, held_by, begun_at, at, error_type, error_message, provider_request_id, prompt_tokens,
            cached_tokens, response_tokens, latency_ms
        FROM ended
    ), outputs AS (
        INSERT INTO execution_outputs (execution_id, response_text)
        SELECT id, response FROM ended WHERE response <> ''
    )
    INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type,
        next_attempt_at)
    SELECT id, last_sequence, at, 'running', becomes, attempt,
        CASE WHEN settles THEN NULL WHEN becomes IN ('queued', 'running') THEN error_type ELSE failure_type END,
        CASE WHEN becomes IN ('queued', 'running') THEN at + after * interval '1 microsecond' END
    FROM ended
    RETURNING execution_id, sequence, at, from_status, to_status, attempt, error_type, next_attempt_at"
);

/// The events of those attempts that ended as an earlier try of ours said. Only their holder can have written them: what
/// the ledger itself ends has another message.
pub(super) const WRITTEN: &str = "
    SELECT v.execution_id, v.sequence, v.at, v.from_status, v.to_status, v.attempt, v.error_type, v.next_attempt_at
    FROM unnest($1::uuid[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int4[])
        AS n (id, attempt, next, error_type, error_message, provider_request_id, latency_ms)
    JOIN execution_attempts a ON a.execution_id = n.id AND a.number = n.attempt
        AND a.error_type IS NOT DISTINCT FROM n.error_type AND a.error_message = n.error_message
        AND a.provider_request_id = n.provider_request_id AND a.latency_ms IS NOT DISTINCT FROM n.latency_ms
    JOIN execution_events v ON v.execution_id = n.id AND v.attempt = n.attempt AND v.from_status = 'running'
        AND (v.to_status = n.next OR v.to_status = 'canceled' AND n.next IN ('queued', 'running'))";

/// What follows an attempt.
#[derive(Clone, Debug)]
pub(super) enum AfterAttempt {
    /// The execution ends.
    Finish(Finish),
    /// It goes back into the queue.
    Requeue(Requeue),
    /// Its next attempt begins, its call this much later, with this holder.
    Retry(Ended, Duration, Holder),
}

/// The end of an attempt.
pub(super) struct AttemptEnding {
    fence: Fence,
    next: AfterAttempt,
}

impl AttemptEnding {
    /// An INTERNAL failure where a finish does not end anything.
    pub(super) fn new(fence: Fence, next: AfterAttempt) -> Result<Self> {
        match &next {
            AfterAttempt::Finish(finish) if !finish.status.is_terminal() => {
                Err(Error::internal(format!("an execution was to end `{}`", finish.status)))
            }
            _ => Ok(Self { fence, next }),
        }
    }

    fn status(&self) -> &'static str {
        match &self.next {
            AfterAttempt::Finish(finish) => finish.status,
            AfterAttempt::Requeue(_) => Status::Queued,
            AfterAttempt::Retry(..) => Status::Running,
        }
        .as_str()
    }

    fn ended(&self) -> &Ended {
        match &self.next {
            AfterAttempt::Finish(finish) => &finish.ended,
            AfterAttempt::Requeue(requeue) => &requeue.ended,
            AfterAttempt::Retry(ended, ..) => ended,
        }
    }

    fn error_type(&self) -> Option<&'static str> {
        self.ended().error_type.map(ErrorType::as_str)
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

/// Ending attempts in batches.
pub(super) struct Ends {
    pub(super) pool: PgPool,
}

#[async_trait]
impl BatchWrite for Ends {
    type Item = AttemptEnding;
    type Answer = Option<Event>;

    fn identity(item: &AttemptEnding) -> Option<Uuid> {
        Some(item.fence.id.0)
    }

    fn bytes(item: &AttemptEnding) -> usize {
        item.finish().map_or(0, |finish| finish.response.len()) + item.ended().error_message.len() + 512
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

async fn end(pool: &PgPool, items: &[AttemptEnding]) -> Result<Vec<PgRow>> {
    sqlx::query(END)
        .bind(each!(items, |item| item.fence.id.0))
        .bind(each!(items, |item| item.fence.attempt))
        .bind(each!(items, |item| item.status()))
        .bind(each!(items, |item| item.error_type()))
        .bind(each!(items, |item| clean(&item.ended().error_message)))
        .bind(each!(items, |item| clean(&item.ended().provider_request_id)))
        .bind(each!(items, |item| item.ended().usage.prompt_tokens))
        .bind(each!(items, |item| item.ended().usage.cached_tokens))
        .bind(each!(items, |item| item.ended().usage.response_tokens))
        .bind(each!(items, |item| item.ended().latency_ms()))
        .bind(each!(items, |item| item.finish().and_then(|f| f.failure.as_ref()).map(|f| f.error_type.as_str())))
        .bind(each!(items, |item| maybe_clean(item.finish().and_then(|f| f.failure.as_ref()).map(|f| &*f.message))))
        .bind(each!(items, |item| item.finish().is_some_and(|finish| finish.response_truncated)))
        .bind(each!(items, |item| item.finish().and_then(|f| f.finish_reason).map(|reason| reason.as_str())))
        .bind(each!(items, |item| item.finish().and_then(|finish| finish.cost_nano_usd)))
        .bind(each!(items, |item| item.after()))
        .bind(each!(items, |item| item.handed_back()))
        .bind(each!(items, |item| maybe_clean(item.holder().map(|holder| &*holder.worker))))
        .bind(each!(items, |item| item.holder().map(|holder| holder.claim_id.0)))
        .bind(each!(items, |item| item.holder().map(|holder| micros(holder.lease))))
        .bind(each!(items, |item| clean(item.finish().map_or("", |finish| &finish.response))))
        .fetch_all(pool)
        .await
        .map_err(error::store)
}

/// Those that are still at their fence: another one had locked them.
async fn still_held(pool: &PgPool, left: &[&AttemptEnding]) -> Result<HashSet<Uuid>> {
    let rows = sqlx::query(lease::STILL_HELD)
        .bind(each!(left, |item| item.fence.id.0))
        .bind(each!(left, |item| item.fence.attempt))
        .fetch_all(pool)
        .await
        .map_err(error::store)?;
    rows.iter().map(|row| row::value(row, "id")).collect()
}

async fn written(pool: &PgPool, left: &[&AttemptEnding]) -> Result<Vec<PgRow>> {
    sqlx::query(WRITTEN)
        .bind(each!(left, |item| item.fence.id.0))
        .bind(each!(left, |item| item.fence.attempt))
        .bind(each!(left, |item| item.status()))
        .bind(each!(left, |item| item.error_type()))
        .bind(each!(left, |item| clean(&item.ended().error_message)))
        .bind(each!(left, |item| clean(&item.ended().provider_request_id)))
        .bind(each!(left, |item| item.ended().latency_ms()))
        .fetch_all(pool)
        .await
        .map_err(error::store)
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
