//! Recording of executions: sync ones as running, async ones as queued.

use std::time::Duration;

use prompt_ledger_domain::execution::{Event, ExecutionMode, Input, Status};
use prompt_ledger_domain::ids::{ExecutionId, PromptId};
use prompt_ledger_domain::{Error, Result};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::statement::{HotWritten, Statement, statement};
use super::{error, row};
use prompt_ledger_store::{Holder, KeyHolder, NewExecution, Recorded};

#[derive(Clone, Debug)]
pub(super) enum StartAs {
    /// Running at attempt 1, held by the caller.
    Running(Holder),
    /// Queued, and available to workers without a hint after this time.
    Queued(Duration),
}

impl StartAs {
    fn status(&self) -> Status {
        match self {
            Self::Running(_) => Status::Running,
            Self::Queued(_) => Status::Queued,
        }
    }

    fn mode(&self) -> ExecutionMode {
        match self {
            Self::Running(_) => ExecutionMode::Sync,
            Self::Queued(_) => ExecutionMode::Async,
        }
    }

    fn available_in(&self) -> Option<Duration> {
        match self {
            Self::Running(_) => None,
            Self::Queued(available_in) => Some(*available_in),
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

/// An execution to record, with ids and durations in their stored form.
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

    fn rendered(&self) -> Option<&str> {
        match &self.new.input {
            Input::Prompt(text) => Some(text),
            Input::Messages(_) => None,
        }
    }
}

/// The inserts of execution, input and, last, first event. The first statement writes nothing where the version may not
/// be executed, or the key or the id is taken; the others then find no new execution with that id.
pub(super) const STATEMENTS: [Statement<Record>; 3] = [EXECUTION, INPUT, FIRST];

const EXECUTION: Statement<Record> = statement!(include_str!("sql/record.sql"), |Record { id, new, beginning, timeout, .. }, at| {
    id = id,
    project_id = new.project_id.to_string(),
    prompt_id = new.prompt_id.to_string(),
    version_id = new.version_id.to_string(),
    prompt_mode = new.prompt_mode.as_str(),
    must_be_active = new.must_be_active,
    mode = beginning.mode().as_str(),
    status = beginning.status().as_str(),
    environment = &new.environment,
    provider = &new.model.provider,
    model_name = &new.model.model_name,
    price_id = new.price_id.map(|id| id.to_string()),
    temperature = new.params.temperature,
    top_k = new.params.top_k,
    top_p = new.params.top_p,
    repetition_penalty = new.params.repetition_penalty,
    max_new_tokens = new.params.max_new_tokens,
    correlation_id = &new.correlation_id,
    idempotency_key = new.key.as_ref().map(|key| key.key.as_str()),
    request_hash = new.key.as_ref().map(|key| &key.request_hash[..]),
    prompt_truncated = new.prompt_truncated,
    timeout_micros = *timeout,
    max_retries = new.max_retries,
    attempts = beginning.attempt(),
    created_at = at.0,
    begun_at = beginning.holder().map(|_| at.0),
    worker = beginning.holder().map_or("", |holder| &holder.worker),
    claim_id = beginning.holder().map(|holder| holder.claim_id.to_string()),
    lease_until = beginning.holder().map(|holder| at.after(holder.lease).0),
    expire_at = new.expire_after.map(|life| at.after(life).0),
    available_at = beginning.available_in().map(|available_in| at.after(available_in).0),
    stream_text = new.stream_text,
});

const INPUT: Statement<Record> = statement!(include_str!("sql/record_input.sql"), |record, _at| {
    id = &record.id,
    rendered_prompt = record.rendered(),
    messages = record.messages.as_deref(),
    variables = &record.new.variables,
});

const FIRST: Statement<Record> = statement!(include_str!("sql/record_event.sql"), |Record { id, beginning, .. }, at| {
    id = id,
    at = at.0,
    status = beginning.status().as_str(),
    attempt = beginning.attempt(),
});

pub(super) const BY_KEY: &str = "SELECT id, request_hash FROM executions WHERE prompt_id = $1 AND idempotency_key = $2";

const FIRST_EVENT: &str =
    "SELECT at, to_status, attempt FROM execution_events WHERE execution_id = $1 AND sequence = 1";

/// The result of recording. Where one execution of the text was not new, queries which, and why.
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

/// The first event of an execution, recorded by this call or an earlier one with the same id.
async fn first_event(connection: &mut SqliteConnection, id: ExecutionId) -> Result<Option<Event>> {
    let row = sqlx::query(FIRST_EVENT).bind(id.to_string()).fetch_optional(connection).await.map_err(error::store)?;
    let event = |row: SqliteRow| {
        let status = row::word(&row, "to_status", Status::from_word)?;
        Ok(Event::first(row::value(&row, "at")?, status, row::value(&row, "attempt")?))
    };
    row.map(event).transpose()
}

/// The prompt's execution with this key.
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
