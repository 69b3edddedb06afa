//! Recording an execution: sync ones as running, async ones as queued.

use std::time::Duration;

use prompt_ledger_domain::execution::{Event, ExecutionMode, Input, Status};
use prompt_ledger_domain::ids::{ExecutionId, PromptId};
use prompt_ledger_domain::{Error, Result};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::hot::{self, Around, HotWritten, Statement};
use super::{error, row};
use prompt_ledger_store::{Holder, KeyHolder, NewExecution, Recorded};

/// How an execution begins.
#[derive(Clone, Debug)]
pub(super) enum StartAs {
    /// Held by the caller, at attempt 1.
    Running(Holder),
    /// Waiting for a worker, who may take it without a hint this much later.
    Queued(Duration),
}

impl StartAs {
    fn status(&self) -> Status {
        match self {
            Self::Running(_) => Status::Running,
            Self::Queued(_) => Status::Queued,
        }
    }

    fn attempt(&self) -> i32 {
        i32::from(self.holder().is_some())
    }

    fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Running(holder) => Some(holder),
            Self::Queued(_) => None,
        }
    }
}

/// An execution to record, in the form that is stored.
#[derive(Debug)]
pub(super) struct Record {
    id: String,
    new: NewExecution,
    beginning: StartAs,
    messages: Option<String>,
    timeout: i64,
}

impl Record {
    pub(super) fn new(new: NewExecution, beginning: StartAs) -> Result<Self> {
        let messages = match &new.input {
            Input::Messages(messages) => Some(row::to_json(messages)?),
            Input::Prompt(_) => None,
        };
        let timeout = i64::try_from(new.timeout.as_micros()).map_err(Error::internal)?;
        Ok(Self { id: new.id.to_string(), new, beginning, messages, timeout })
    }
}

/// The execution, its input and, last, its first event: as many as are new. The first statement writes nothing where
/// the version may not be executed, or the key or the id is taken; then the others find no new execution of that id.
pub(super) const STATEMENTS: [Statement<Record>; 3] = [EXECUTION, INPUT, FIRST];

const EXECUTION: Statement<Record> = Statement {
    columns: &[
        "id",
        "project_id",
        "prompt_id",
        "version_id",
        "prompt_mode",
        "must_be_active",
        "mode",
        "status",
        "environment",
        "provider",
        "model_name",
        "price_id",
        "temperature",
        "top_k",
        "top_p",
        "repetition_penalty",
        "max_new_tokens",
        "correlation_id",
        "idempotency_key",
        "request_hash",
        "prompt_truncated",
        "timeout_micros",
        "max_retries",
        "attempts",
        "created_at",
        "begun_at",
        "worker",
        "claim_id",
        "lease_until",
        "expire_at",
        "available_at",
        "stream_text",
    ],
    body: "
    INSERT INTO executions (
        id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider, model_name, price_id,
        temperature, top_k, top_p, repetition_penalty, max_new_tokens, correlation_id, idempotency_key, request_hash,
        prompt_truncated, timeout_micros, max_retries, attempts, attempt_started_at, worker, claim_id, lease_until,
        expire_at, last_sequence, created_at, started_at, available_at, stream_text)
    SELECT job.id, p.project_id, p.id, v.id, p.mode, job.mode, job.status, job.environment, job.provider,
        job.model_name, job.price_id, job.temperature, job.top_k, job.top_p, job.repetition_penalty,
        job.max_new_tokens, nullif(job.correlation_id, ''), job.idempotency_key, job.request_hash,
        job.prompt_truncated, job.timeout_micros, job.max_retries, job.attempts, job.begun_at, job.worker,
        job.claim_id, job.lease_until, job.expire_at, 1, job.created_at, job.begun_at, job.available_at, job.stream_text
    FROM job CROSS JOIN prompt_versions v ON v.id = job.version_id CROSS JOIN prompts p ON p.id = v.prompt_id
    WHERE p.id = job.prompt_id AND p.project_id = job.project_id AND p.archived_at IS NULL
        AND p.mode = job.prompt_mode
        AND (NOT job.must_be_active OR p.active_version_number = v.version_number)
    ON CONFLICT DO NOTHING",
    values: |Record { id, new, beginning, timeout, .. }, at, values| {
        let (mode, available_at) = match beginning {
            StartAs::Running(_) => (ExecutionMode::Sync, None),
            StartAs::Queued(available_in) => (ExecutionMode::Async, Some(at.after(*available_in).0)),
        };
        let holder = beginning.holder();
        values.push(id)?;
        values.push(new.project_id.to_string())?;
        values.push(new.prompt_id.to_string())?;
        values.push(new.version_id.to_string())?;
        values.push(new.prompt_mode.as_str())?;
        values.push(new.must_be_active)?;
        values.push(mode.as_str())?;
        values.push(beginning.status().as_str())?;
        values.push(&new.environment)?;
        values.push(&new.model.provider)?;
        values.push(&new.model.model)?;
        values.push(new.price_id.map(|id| id.to_string()))?;
        values.push(new.params.temperature)?;
        values.push(new.params.top_k)?;
        values.push(new.params.top_p)?;
        values.push(new.params.repetition_penalty)?;
        values.push(new.params.max_new_tokens)?;
        values.push(&new.correlation_id)?;
        values.push(new.key.as_ref().map(|key| key.key.as_str()))?;
        values.push(new.key.as_ref().map(|key| &key.request_hash[..]))?;
        values.push(new.prompt_truncated)?;
        values.push(*timeout)?;
        values.push(new.max_retries)?;
        values.push(beginning.attempt())?;
        values.push(at.0)?;
        values.push(holder.map(|_| at.0))?;
        values.push(holder.map_or("", |holder| &holder.worker))?;
        values.push(holder.map(|holder| holder.claim_id.to_string()))?;
        values.push(holder.map(|holder| at.after(holder.lease).0))?;
        values.push(new.expire_after.map(|life| at.after(life).0))?;
        values.push(available_at)?;
        values.push(new.stream_text)
    },
};

const INPUT: Statement<Record> = Statement {
    columns: &["id", "rendered_prompt", "messages", "variables"],
    body: "
    INSERT INTO execution_inputs (execution_id, rendered_prompt, messages, variables)
    SELECT x.id, job.rendered_prompt, job.messages, job.variables
    FROM job CROSS JOIN executions x ON x.id = job.id WHERE true
    ON CONFLICT DO NOTHING",
    values: |Record { id, new, messages, .. }, _, values| {
        let rendered = match &new.input {
            Input::Prompt(text) => Some(text.as_str()),
            Input::Messages(_) => None,
        };
        values.push(id)?;
        values.push(rendered)?;
        values.push(messages.as_deref())?;
        values.push(&new.variables)
    },
};

const FIRST: Statement<Record> = Statement {
    columns: &["id", "at", "status", "attempt"],
    body: "
    INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
    SELECT x.id, 1, job.at, NULL, job.status, job.attempt
    FROM job CROSS JOIN executions x ON x.id = job.id WHERE true
    ON CONFLICT DO NOTHING",
    values: |Record { id, beginning, .. }, at, values| {
        values.push(id)?;
        values.push(at.0)?;
        values.push(beginning.status().as_str())?;
        values.push(beginning.attempt())
    },
};

pub(super) const BY_KEY: &str = "SELECT id, request_hash FROM executions WHERE prompt_id = $1 AND idempotency_key = $2";

const FIRST_EVENT: &str =
    "SELECT at, to_status, attempt FROM execution_events WHERE execution_id = $1 AND sequence = 1";

/// Records it, inside a transaction.
pub(super) async fn alone(connection: &mut SqliteConnection, record: &Record) -> Result<Recorded> {
    let written = hot::write(connection, &[record], &[], Around::Nothing).await.map_err(error::store)?;
    recorded(connection, record, &written).await
}

/// What recording came to; where one of the text was not new, the store is asked which, and why.
pub(super) async fn recorded(
    connection: &mut SqliteConnection,
    record: &Record,
    written: &HotWritten,
) -> Result<Recorded> {
    if written.all_new {
        return Ok(Recorded::New(Event::first(written.at, record.beginning.status(), record.beginning.attempt())));
    }
    if let Some(event) = first_event(connection, record.new.id).await? {
        return Ok(Recorded::New(event));
    }
    let holder = match &record.new.key {
        Some(key) => by_key(connection, record.new.prompt_id, &key.key).await?,
        None => None,
    };
    Ok(holder.map_or(Recorded::Stale, Recorded::Existing))
}
/// The first event of an execution that is recorded, by this call or by an earlier one with the same id.
async fn first_event(connection: &mut SqliteConnection, id: ExecutionId) -> Result<Option<Event>> {
    let row = sqlx::query(FIRST_EVENT).bind(id.to_string()).fetch_optional(connection).await.map_err(error::store)?;
    let event = |row: SqliteRow| {
        let status = row::word(&row, "to_status", Status::from_word)?;
        Ok(Event::first(row::value(&row, "at")?, status, row::value(&row, "attempt")?))
    };
    row.map(event).transpose()
}

/// The execution that has a key.
pub(super) async fn by_key(
    connection: &mut SqliteConnection,
    prompt: PromptId,
    key: &str,
) -> Result<Option<KeyHolder>> {
    let row = sqlx::query(BY_KEY)
        .bind(prompt.to_string())
        .bind(key)
        .fetch_optional(connection)
        .await
        .map_err(error::store)?;
    row.as_ref().map(key_holder).transpose()
}

fn key_holder(row: &SqliteRow) -> Result<KeyHolder> {
    Ok(KeyHolder { id: ExecutionId(row::value(row, "id")?), request_hash: row::bytes(row, "request_hash")? })
}
