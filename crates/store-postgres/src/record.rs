//! Recording of executions, batched into one statement: sync ones as running, async ones as queued.
//!
//! Repeating is harmless: what an earlier attempt wrote is found by the execution's id.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::{Event, Input};
use prompt_ledger_domain::ids::{ExecutionId, PromptId};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::batch::{BatchOutcome, BatchWrite, patiently};
use super::kept::KeptConnections;
use super::statement::{clean, maybe_clean, micros, parameters, rows, statement};
use super::watched_pool::WatchedPool;
use super::{error, row};
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rows::request::{stored_metadata, stored_request, stored_settings};
use prompt_ledger_store::{Holder, KeyHolder, NewExecution, Recorded, needs};

/// Inserts the executions that are resolved as of now, whose version may be executed and whose key and id are free, with
/// inputs and first events.
/// Inserts in the order of the keys, so that two batches which wait for each other's keys cannot deadlock. The
/// benchmarks run the same file with `pgbench`.
pub(super) static RECORD: LazyLock<String> =
    LazyLock::new(|| statement(include_str!("sql/record.sql"), RecordRows::COLUMNS, &[]));

/// Why some were not inserted: the id exists, or the key is taken, or neither. The snapshot of the insert preceded the
/// conflicting commit; that of this statement follows it.
pub(super) static LOSERS: LazyLock<String> =
    LazyLock::new(|| statement(include_str!("sql/losers.sql"), LoserRows::COLUMNS, &[]));

/// Takes the key away from a failed execution.
pub(super) static FREE_KEY: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/free_key.sql"), FreeKeyParameters::NAMES));

pub(super) static NAME_RETRIED: LazyLock<String> =
    LazyLock::new(|| numbered("UPDATE executions SET retry_of = :retry_of WHERE id = :id", RetryParameters::NAMES));

pub(super) const BY_KEY: &str =
    "SELECT id AS holder_id, request_hash, status FROM executions WHERE prompt_id = $1 AND idempotency_key = $2";

#[derive(Clone, Debug)]
pub(super) enum Beginning {
    /// Running at attempt 1, held by the caller.
    Running(Holder),
    /// Queued, and available to workers without a hint after this time.
    Queued(Duration),
}

pub(super) struct Recording {
    new: NewExecution,
    beginning: Beginning,
    /// The messages as JSON; absent for a rendered prompt.
    messages: Option<String>,
    /// What it is sent with beside them, as it is stored; absent for most.
    settings: Option<String>,
    request: Option<String>,
    /// As JSON; absent for none.
    metadata: Option<String>,
}

impl Recording {
    /// The failed execution that has the key, which this one repeats.
    pub(super) fn retry_of(&self) -> Option<ExecutionId> {
        self.new.retry_of
    }

    pub(super) fn new(new: NewExecution, beginning: Beginning) -> Result<Self> {
        let messages = match &new.input {
            Input::Prompt(_) => None,
            Input::Messages(messages) => Some(row::to_json(messages)?),
        };
        let (settings, request) = (stored_settings(&new)?, stored_request(&new)?);
        let metadata = stored_metadata(&new.metadata)?;
        Ok(Self { new, beginning, messages, settings, request, metadata })
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

    /// The lease, or the time until it is available.
    fn reserved(&self) -> Duration {
        match &self.beginning {
            Beginning::Running(holder) => holder.lease,
            Beginning::Queued(available_in) => *available_in,
        }
    }
}

pub(super) struct Records {
    pub(super) pool: KeptConnections,
}

#[async_trait]
impl BatchWrite for Records {
    type Item = Recording;
    type Answer = Recorded;

    const KIND: &'static str = "record";

    fn identity(item: &Recording) -> Option<Uuid> {
        Some(item.new.id.0)
    }

    fn bytes(item: &Recording) -> usize {
        let texts = [item.rendered(), item.messages.as_deref(), item.request.as_deref(), Some(&item.new.variables)];
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

rows! {
    RecordRows(item: Recording) {
        id: uuid = item.new.id.0,
        project_id: uuid = item.new.project_id.0,
        prompt_id: uuid = item.new.prompt_id.0,
        version_id: uuid = item.new.version_id.0,
        prompt_mode: text = <&str>::from(item.new.prompt_mode),
        must_be_active: boolean = item.new.must_be_active,
        keys_revision: int8 = item.new.resolved_at.map(|at| at.keys),
        models_revision: int8 = item.new.resolved_at.map(|at| at.models),
        project_revision: int8 = item.new.resolved_at.map(|at| at.project),
        environment: text = clean(&item.new.environment),
        provider: text = clean(&item.new.model.provider),
        model_name: text = clean(&item.new.model.model_name),
        price_id: uuid = item.new.price_id.map(|id| id.0),
        temperature: float8 = item.new.params.temperature,
        top_k: int4 = item.new.params.top_k,
        top_p: float8 = item.new.params.top_p,
        repetition_penalty: float8 = item.new.params.repetition_penalty,
        max_new_tokens: int4 = item.new.params.max_new_tokens,
        correlation_id: text = clean(&item.new.correlation_id),
        idempotency_key: text = maybe_clean(item.key()),
        request_hash: bytea = item.new.key.as_ref().map(|key| &key.request_hash[..]),
        settings: text = maybe_clean(item.settings.as_deref()),
        needs: int2 = needs(&item.new),
        label: text = clean(&item.new.label),
        must_be_labelled: boolean = item.new.must_be_labelled,
        prompt_truncated: boolean = item.new.prompt_truncated,
        timeout_micros: int8 = item.new.timeout.to_micros(),
        max_retries: int4 = item.new.max_retries,
        stream_text: boolean = item.new.stream_text,
        worker: text = clean(item.holder().map_or("", |holder| &holder.worker)),
        claim_id: uuid = item.holder().map(|holder| holder.claim_id.0),
        reserved: int8 = micros(item.reserved()),
        life: int8 = item.new.expire_after.map(micros),
        trace: text = item.new.trace.map(|trace| trace.to_string()),
        rendered_prompt: text = maybe_clean(item.rendered()),
        messages: text = maybe_clean(item.messages.as_deref()),
        variables: text = clean(&item.new.variables),
        request: text = maybe_clean(item.request.as_deref()),
        metadata: text = maybe_clean(item.metadata.as_deref()),
    }
}

parameters! {
    FreeKeyParameters(item: &Recording) {
        retry_of = item.new.retry_of.map(|id| id.0),
        prompt_id = item.new.prompt_id.0,
        idempotency_key = maybe_clean(item.key()),
        request_hash = item.new.key.as_ref().map(|key| &key.request_hash[..]),
    }
}

parameters! {
    RetryParameters(item: &Recording) {
        id = item.new.id.0,
        retry_of = item.new.retry_of.map(|id| id.0),
    }
}

rows! {
    LoserRows(item: &Recording) {
        id: uuid = item.new.id.0,
        prompt_id: uuid = item.new.prompt_id.0,
        idempotency_key: text = maybe_clean(item.key()),
    }
}

async fn record(pool: &KeptConnections, items: &[Recording]) -> Result<Vec<PgRow>> {
    pool.fetch_all(RecordRows::bind(sqlx::query(RECORD.as_str()), items)).await.map_err(error::store)
}

/// Records an execution that repeats a failed one under its key, in a transaction of its own: these are few.
pub(super) async fn retry(writes: &KeptConnections, calls: &WatchedPool, recording: Recording) -> Result<Recorded> {
    let item = &recording;
    patiently(|_| async move {
        let mut transaction = error::again(|| calls.begin()).await?;
        let freed = FreeKeyParameters::query(&FREE_KEY, item).execute(&mut *transaction).await;
        if freed.map_err(error::store)?.rows_affected() > 0 {
            let record = RecordRows::bind(sqlx::query(RECORD.as_str()), std::slice::from_ref(item));
            let record = record.fetch_optional(&mut *transaction).await;
            // Where it was not recorded, the failed one keeps its key: the transaction is rolled back.
            let Some(made) = record.map_err(error::store)? else { return Ok(Recorded::Stale) };
            let named = RetryParameters::query(&NAME_RETRIED, item).execute(&mut *transaction).await;
            named.map_err(error::store)?;
            error::commit(transaction).await?;
            return Ok(Recorded::New(first(&made)?));
        }
        drop(transaction);
        // It was recorded by an earlier attempt, or another execution repeats the failed one.
        Ok(lost(writes, &[item]).await?.first().map(why).transpose()?.unwrap_or(Recorded::Stale))
    })
    .await
}

async fn lost(pool: &KeptConnections, losers: &[&Recording]) -> Result<Vec<PgRow>> {
    pool.fetch_all(LoserRows::bind(sqlx::query(LOSERS.as_str()), losers)).await.map_err(error::store)
}

/// The execution's first event.
fn first(row: &PgRow) -> Result<Event> {
    let status = row::word(row, "to_status")?;
    Ok(Event::first(row::value(row, "at")?, status, row::value(row, "attempt")?))
}

/// The result for an execution that was not inserted.
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
    Ok(KeyHolder {
        id: ExecutionId(row::value(row, "holder_id")?),
        status: row::word(row, "status")?,
        request_hash: row::bytes(row, "request_hash")?,
    })
}

/// The prompt's execution with this key.
pub(super) async fn by_key(pool: &WatchedPool, prompt: PromptId, key: &str) -> Result<Option<KeyHolder>> {
    let row = error::again(|| sqlx::query(BY_KEY).bind(prompt.0).bind(clean(key)).fetch_optional(pool)).await?;
    row.as_ref().map(key_holder).transpose()
}
