//! Recording executions, many in one statement: sync ones as running, async ones as queued.
//!
//! A repetition is harmless: what the first try wrote is found by its own id.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::{Event, Input, Status};
use prompt_ledger_domain::ids::{ExecutionId, PromptId};
use sqlx::PgPool;
use sqlx::postgres::{PgBindIterExt, PgRow};
use uuid::Uuid;

use super::batch::{BatchOutcome, BatchWrite};
use super::bind::{clean, each, maybe_clean, micros};
use super::{error, row};
use prompt_ledger_store::{Holder, KeyHolder, NewExecution, Recorded};

/// The executions whose version may be executed and whose key and id are free, with their inputs and first events. In the
/// order of their keys: two batches that wait for each other's keys do so in one direction. In a file of its own, so that
/// the figures run the same text by `pgbench`.
pub(super) const RECORD: &str = include_str!("record.sql");

/// Why some were not written: $1 is there already, or $2 has an execution of key $3, or neither. The statement that
/// lost saw the world as it was before the winner; this one sees it after.
pub(super) const LOSERS: &str = "
    SELECT n.id, f.at, f.to_status, f.attempt, h.id AS holder_id, h.request_hash
    FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS n (id, prompt_id, idempotency_key)
    LEFT JOIN execution_events f ON f.execution_id = n.id AND f.sequence = 1
    LEFT JOIN executions h ON h.prompt_id = n.prompt_id AND h.idempotency_key = n.idempotency_key";

pub(super) const BY_KEY: &str =
    "SELECT id AS holder_id, request_hash FROM executions WHERE prompt_id = $1 AND idempotency_key = $2";

/// How an execution begins.
#[derive(Clone, Debug)]
pub(super) enum Beginning {
    /// Held by the caller, at attempt 1.
    Running(Holder),
    /// Waiting for a worker, who may take it without a hint this much later.
    Queued(Duration),
}

/// An execution to record.
pub(super) struct Recording {
    new: NewExecution,
    beginning: Beginning,
    /// What goes to the model, as JSON, where it is messages.
    messages: Option<String>,
}

impl Recording {
    pub(super) fn new(new: NewExecution, beginning: Beginning) -> Result<Self> {
        let messages = match &new.input {
            Input::Prompt(_) => None,
            Input::Messages(messages) => Some(row::to_json(messages)?),
        };
        Ok(Self { new, beginning, messages })
    }

    fn rendered(&self) -> Option<&str> {
        match &self.new.input {
            Input::Prompt(text) => Some(text),
            Input::Messages(_) => None,
        }
    }

    fn key(&self) -> Option<&str> {
        self.new.key.as_ref().map(|key| key.key.as_str())
    }

    fn holder(&self) -> Option<&Holder> {
        match &self.beginning {
            Beginning::Running(holder) => Some(holder),
            Beginning::Queued(_) => None,
        }
    }

    /// How long it is its holder's, or waits for its hint.
    fn reserved(&self) -> Duration {
        match &self.beginning {
            Beginning::Running(holder) => holder.lease,
            Beginning::Queued(available_in) => *available_in,
        }
    }
}

/// Recording in batches.
pub(super) struct Records {
    pub(super) pool: PgPool,
}

#[async_trait]
impl BatchWrite for Records {
    type Item = Recording;
    type Answer = Recorded;

    fn identity(item: &Recording) -> Option<Uuid> {
        Some(item.new.id.0)
    }

    fn bytes(item: &Recording) -> usize {
        let texts = [item.rendered(), item.messages.as_deref(), Some(&item.new.variables)];
        texts.into_iter().flatten().map(str::len).sum::<usize>() + 512
    }

    async fn write(&self, items: &[Recording], _: bool) -> Result<Vec<BatchOutcome<Recorded>>> {
        let mut made = HashMap::with_capacity(items.len());
        for row in record(&self.pool, items).await? {
            made.insert(row::value::<_, _, Uuid>(&row, "id")?, Recorded::New(first(&row)?));
        }
        let losers: Vec<_> = items.iter().filter(|item| !made.contains_key(&item.new.id.0)).collect();
        if !losers.is_empty() {
            for row in lost(&self.pool, &losers).await? {
                made.insert(row::value::<_, _, Uuid>(&row, "id")?, why(&row)?);
            }
        }
        let outcome = |item: &Recording| BatchOutcome::Done(made.remove(&item.new.id.0).unwrap_or(Recorded::Stale));
        Ok(items.iter().map(outcome).collect())
    }
}

async fn record(pool: &PgPool, items: &[Recording]) -> Result<Vec<PgRow>> {
    sqlx::query(RECORD)
        .bind(each!(items, |item| item.new.id.0))
        .bind(each!(items, |item| item.new.project_id.0))
        .bind(each!(items, |item| item.new.prompt_id.0))
        .bind(each!(items, |item| item.new.version_id.0))
        .bind(each!(items, |item| item.new.must_be_active))
        .bind(each!(items, |item| clean(&item.new.environment)))
        .bind(each!(items, |item| clean(&item.new.model.provider)))
        .bind(each!(items, |item| clean(&item.new.model.model)))
        .bind(each!(items, |item| item.new.price_id.map(|id| id.0)))
        .bind(each!(items, |item| item.new.params.temperature))
        .bind(each!(items, |item| item.new.params.top_k))
        .bind(each!(items, |item| item.new.params.top_p))
        .bind(each!(items, |item| item.new.params.repetition_penalty))
        .bind(each!(items, |item| item.new.params.max_new_tokens))
        .bind(each!(items, |item| clean(&item.new.correlation_id)))
        .bind(each!(items, |item| maybe_clean(item.key())))
        .bind(each!(items, |item| item.new.key.as_ref().map(|key| &key.request_hash[..])))
        .bind(each!(items, |item| item.new.prompt_truncated))
        .bind(each!(items, |item| micros(item.new.timeout)))
        .bind(each!(items, |item| item.new.max_retries))
        .bind(each!(items, |item| item.new.stream_text))
        .bind(each!(items, |item| clean(item.holder().map_or("", |holder| &holder.worker))))
        .bind(each!(items, |item| item.holder().map(|holder| holder.claim_id.0)))
        .bind(each!(items, |item| micros(item.reserved())))
        .bind(each!(items, |item| item.new.expire_after.map(micros)))
        .bind(each!(items, |item| maybe_clean(item.rendered())))
        .bind(each!(items, |item| maybe_clean(item.messages.as_deref())))
        .bind(each!(items, |item| clean(&item.new.variables)))
        .bind(each!(items, |item| item.new.prompt_mode.as_str()))
        .fetch_all(pool)
        .await
        .map_err(error::store)
}

async fn lost(pool: &PgPool, losers: &[&Recording]) -> Result<Vec<PgRow>> {
    sqlx::query(LOSERS)
        .bind(each!(losers, |item| item.new.id.0))
        .bind(each!(losers, |item| item.new.prompt_id.0))
        .bind(each!(losers, |item| maybe_clean(item.key())))
        .fetch_all(pool)
        .await
        .map_err(error::store)
}

/// Its first event.
fn first(row: &PgRow) -> Result<Event> {
    let status = row::word(row, "to_status", Status::from_word)?;
    Ok(Event::first(row::value(row, "at")?, status, row::value(row, "attempt")?))
}

/// Why nothing was written: an earlier call of its own, its key's execution, or its version.
fn why(row: &PgRow) -> Result<Recorded> {
    if row::maybe::<_, _, i32>(row, "attempt")?.is_some() {
        return Ok(Recorded::New(first(row)?));
    }
    if row::maybe::<_, _, Uuid>(row, "holder_id")?.is_some() {
        return Ok(Recorded::Existing(key_holder(row)?));
    }
    Ok(Recorded::Stale)
}

fn key_holder(row: &PgRow) -> Result<KeyHolder> {
    Ok(KeyHolder { id: ExecutionId(row::value(row, "holder_id")?), request_hash: row::bytes(row, "request_hash")? })
}

/// The execution that has a key.
pub(super) async fn by_key(pool: &PgPool, prompt: PromptId, key: &str) -> Result<Option<KeyHolder>> {
    let row = sqlx::query(BY_KEY).bind(prompt.0).bind(clean(key)).fetch_optional(pool).await.map_err(error::store)?;
    row.as_ref().map(key_holder).transpose()
}
