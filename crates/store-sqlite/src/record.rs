//! Recording of executions: sync ones as running, async ones as queued.

use std::sync::LazyLock;
use std::time::Duration;

use prompt_ledger_domain::execution::{Event, ExecutionMode, Input, Status};
use prompt_ledger_domain::ids::{ExecutionId, PromptId};
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::{Connection, Row, ToSql};

use super::statement::{Parameters, Script, parameters};
use super::{now, row};
use prompt_ledger_store::rows::request::{stored_metadata, stored_request, stored_settings};
use prompt_ledger_store::{Holder, KeyHolder, NewExecution, Recorded, needs};

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
    retry_of: Option<String>,
    start_as: StartAs,
    messages: Option<String>,
    /// What it is sent with beside its messages, as it is stored; absent for most.
    settings: Option<String>,
    request: Option<String>,
}

impl Record {
    pub(super) fn new(new: NewExecution, start_as: StartAs) -> Result<Self> {
        let messages = match &new.input {
            Input::Messages(messages) => Some(row::to_json(messages)?),
            Input::Prompt(_) => None,
        };
        let retry_of = new.retry_of.map(|id| id.to_string());
        let (settings, request) = (stored_settings(&new)?, stored_request(&new)?);
        Ok(Self { id: new.id.to_string(), new, retry_of, start_as, messages, settings, request })
    }

    /// The length of its texts.
    pub(super) fn bytes(&self) -> usize {
        let texts = [self.rendered(), self.messages.as_deref(), self.request.as_deref(), Some(&self.new.variables)];
        texts.into_iter().flatten().map(str::len).sum()
    }

    fn rendered(&self) -> Option<&str> {
        match &self.new.input {
            Input::Prompt(text) => Some(text),
            Input::Messages(_) => None,
        }
    }
}

/// No row where the execution was resolved with what has changed, or the version may not be executed.
static CHECK: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/record_check.sql"), CheckParameters::NAMES));

parameters! {
    CheckParameters(record: &Record) {
        project_id = record.new.project_id.to_string(),
        prompt_id = record.new.prompt_id.to_string(),
        version_id = record.new.version_id.to_string(),
        prompt_mode = <&str>::from(record.new.prompt_mode),
        must_be_active = record.new.must_be_active,
        must_be_labelled = record.new.must_be_labelled,
        label = &record.new.label,
        keys_revision = record.new.resolved_at.map(|at| at.keys),
        models_revision = record.new.resolved_at.map(|at| at.models),
        project_revision = record.new.resolved_at.map(|at| at.project),
    }
}

/// Writes nothing where the key or the id is taken. A single row, after the check: SQLite keeps a journal of its own for
/// each statement that selects what it writes.
static EXECUTION: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/record.sql"), RecordParameters::NAMES));

parameters! {
    RecordParameters(record: &Record, at: Timestamp, version_environment: i64) {
        id = &record.id,
        project_id = record.new.project_id.to_string(),
        prompt_id = record.new.prompt_id.to_string(),
        version_id = record.new.version_id.to_string(),
        prompt_mode = <&str>::from(record.new.prompt_mode),
        mode = <&str>::from(record.start_as.mode()),
        status = <&str>::from(record.start_as.status()),
        environment = &record.new.environment,
        provider = &record.new.model.provider,
        model_name = &record.new.model.model_name,
        price_id = record.new.price_id.map(|id| id.to_string()),
        temperature = record.new.params.temperature,
        top_k = record.new.params.top_k,
        top_p = record.new.params.top_p,
        repetition_penalty = record.new.params.repetition_penalty,
        max_new_tokens = record.new.params.max_new_tokens,
        correlation_id = &record.new.correlation_id,
        idempotency_key = record.new.key.as_ref().map(|key| &key.key),
        request_hash = record.new.key.as_ref().map(|key| &key.request_hash),
        prompt_truncated = record.new.prompt_truncated,
        timeout_micros = record.new.timeout.to_micros(),
        max_retries = record.new.max_retries,
        attempts = record.start_as.attempt(),
        created_at = at.0,
        begun_at = record.start_as.holder().map(|_| at.0),
        worker = record.start_as.holder().map_or("", |holder| &holder.worker),
        claim_id = record.start_as.holder().map(|holder| holder.claim_id.to_string()),
        lease_until = record.start_as.holder().map(|holder| at.after(holder.lease).0),
        expire_at = record.new.expire_after.map(|life| at.after(life).0),
        available_at = record.start_as.available_in().map(|available_in| at.after(available_in).0),
        stream_text = record.new.stream_text,
        version_environment = version_environment,
        retry_of = &record.retry_of,
        settings = &record.settings,
        needs = needs(&record.new),
        label = &record.new.label,
        trace = record.new.trace.map(|trace| trace.to_string()),
    }
}

/// The number of the version and the environment, and the statement that gives them one.
static NUMBER: LazyLock<[Script; 2]> = LazyLock::new(|| {
    let find = include_str!("sql/environment.sql");
    let add = include_str!("sql/add_environment.sql");
    [find, add].map(|sql| Script::new(sql, NumberParameters::NAMES))
});

parameters! {
    NumberParameters(record: &Record) {
        prompt_id = record.new.prompt_id.to_string(),
        version_id = record.new.version_id.to_string(),
        environment = &record.new.environment,
    }
}

/// Takes the number away again, where nothing was recorded.
static FORGET: LazyLock<Script> =
    LazyLock::new(|| Script::new("DELETE FROM version_environments WHERE id = :id", &["id"]));

/// Adds an execution to the open ones where its project's executions of that time were moved into rollups already: where the
/// clock was set back. So it is moved as those that end late are.
static BEHIND: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/add_open.sql");
    Script::new(sql, BehindParameters::NAMES)
});

static IS_BEHIND: LazyLock<Script> = LazyLock::new(|| {
    let sql = "SELECT 1 FROM usage_rolled_up WHERE project_id = :project_id AND until > :created_at";
    Script::new(sql, &["project_id", "created_at"])
});

parameters! {
    BehindParameters(record: &Record, at: Timestamp) {
        id = &record.id,
        project_id = record.new.project_id.to_string(),
        created_at = at.0,
    }
}

static INPUT: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/record_input.sql"), InputParameters::NAMES));

parameters! {
    InputParameters(record: &Record) {
        id = &record.id,
        rendered_prompt = record.rendered(),
        messages = &record.messages,
        variables = &record.new.variables,
        request = &record.request,
    }
}

static FIRST: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/record_event.sql"), FirstEventParameters::NAMES));

parameters! {
    FirstEventParameters(record: &Record, at: Timestamp) {
        id = &record.id,
        at = at.0,
        status = <&str>::from(record.start_as.status()),
        attempt = record.start_as.attempt(),
    }
}

static BY_KEY: LazyLock<Script> = LazyLock::new(|| {
    let sql = "SELECT id, request_hash, status FROM executions WHERE prompt_id = :prompt_id AND idempotency_key = :key";
    Script::new(sql, &["prompt_id", "key"])
});

static FIRST_EVENT: LazyLock<Script> = LazyLock::new(|| {
    let sql = "SELECT at, to_status, attempt FROM execution_events WHERE execution_id = :id AND sequence = 1";
    Script::new(sql, &["id"])
});

/// Takes the key away from a failed execution that is repeated, and gives it back.
static KEY_OF_FAILED: LazyLock<[Script; 2]> = LazyLock::new(|| {
    let give_back = include_str!("sql/give_key_back.sql");
    [include_str!("sql/free_key.sql"), give_back].map(|sql| Script::new(sql, FailedKeyParameters::NAMES))
});

parameters! {
    FailedKeyParameters(record: &Record) {
        retry_of = &record.retry_of,
        prompt_id = record.new.prompt_id.to_string(),
        idempotency_key = record.new.key.as_ref().map(|key| &key.key),
        request_hash = record.new.key.as_ref().map(|key| &key.request_hash),
    }
}

static METADATA: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/record_metadata.sql"), MetadataParameters::NAMES));

parameters! {
    MetadataParameters(record: &Record, metadata: &str, at: Timestamp) {
        id = &record.id,
        project_id = record.new.project_id.to_string(),
        metadata = metadata,
        created_at = at.0,
    }
}

/// Records an execution with its input and its first event, inside a transaction.
pub(super) fn record(connection: &Connection, record: &Record) -> Result<Recorded> {
    let at = now();
    let [free, give_back] = &*KEY_OF_FAILED;
    if record.retry_of.is_some() && free.execute(connection, FailedKeyParameters::values(record))? == 0 {
        return existing(connection, record);
    }
    if !insert(connection, record, at)? {
        if record.retry_of.is_some() {
            give_back.execute(connection, FailedKeyParameters::values(record))?;
            return Ok(Recorded::Stale);
        }
        return existing(connection, record);
    }
    let project_id = record.new.project_id.to_string();
    if returns_row(&IS_BEHIND, connection, [&project_id as &dyn ToSql, &at.0])? {
        BEHIND.execute(connection, BehindParameters::values(record, at))?;
    }
    INPUT.execute(connection, InputParameters::values(record))?;
    if let Some(metadata) = stored_metadata(&record.new.metadata)? {
        METADATA.execute(connection, MetadataParameters::values(record, &metadata, at))?;
    }
    FIRST.execute(connection, FirstEventParameters::values(record, at))?;
    Ok(Recorded::New(Event::first(at, record.start_as.status(), record.start_as.attempt())))
}

/// Writes the execution alone. Returns whether it did.
fn insert(connection: &Connection, record: &Record, at: Timestamp) -> Result<bool> {
    if !returns_row(&CHECK, connection, CheckParameters::values(record))? {
        return Ok(false);
    }
    let [find, add] = &*NUMBER;
    let number = |script: &Script| script.row(connection, NumberParameters::values(record), |row| row::at(row, 0));
    let known: Option<i64> = number(find)?;
    let Some(number) = known.map_or_else(|| number(add), |known| Ok(Some(known)))? else { return Ok(false) };
    let is_written = EXECUTION.execute(connection, RecordParameters::values(record, at, number))? > 0;
    if !is_written && known.is_none() {
        FORGET.execute(connection, [&number as &dyn ToSql])?;
    }
    Ok(is_written)
}

fn returns_row(script: &Script, connection: &Connection, parameters: impl Parameters) -> Result<bool> {
    Ok(script.row(connection, parameters, |_| Ok(()))?.is_some())
}

/// Why nothing was recorded.
fn existing(connection: &Connection, record: &Record) -> Result<Recorded> {
    // Recorded by an earlier call with the same id.
    if let Some(event) = FIRST_EVENT.row(connection, [&record.id as &dyn ToSql], first_event)? {
        return Ok(Recorded::New(event));
    }
    let holder = match &record.new.key {
        Some(key) => by_key(connection, record.new.prompt_id, &key.key)?,
        None => None,
    };
    Ok(holder.map_or(Recorded::Stale, Recorded::Existing))
}

fn first_event(row: &Row<'_>) -> Result<Event> {
    let status = row::word(row, "to_status")?;
    Ok(Event::first(row::value(row, "at")?, status, row::value(row, "attempt")?))
}

/// The prompt's execution with this key.
pub(super) fn by_key(connection: &Connection, prompt: PromptId, key: &str) -> Result<Option<KeyHolder>> {
    BY_KEY.row(connection, [&prompt.to_string() as &dyn ToSql, &key], |row| {
        Ok(KeyHolder {
            id: ExecutionId(row::value(row, "id")?),
            status: row::word(row, "status")?,
            request_hash: row::bytes(row, "request_hash")?,
        })
    })
}

/// What is run for each execution.
#[cfg(test)]
pub(super) fn usual_scripts() -> [&'static Script; 6] {
    [&CHECK, &NUMBER[0], &EXECUTION, &IS_BEHIND, &INPUT, &FIRST]
}

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 13] {
    let [free_key, give_key_back] = &*KEY_OF_FAILED;
    let [find, add] = &*NUMBER;
    [
        &CHECK,
        &EXECUTION,
        &INPUT,
        &FIRST,
        &IS_BEHIND,
        &BEHIND,
        &FORGET,
        &METADATA,
        find,
        add,
        free_key,
        give_key_back,
        &BY_KEY,
    ]
}
