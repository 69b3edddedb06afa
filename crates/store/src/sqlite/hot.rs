//! The hot writes of a batch as one text: recording executions and ending them. Each call of the driver is a hop to the
//! connection's thread and back, and hops were most of what an execution cost: here `BEGIN`, every job and `COMMIT` are one
//! hop. The jobs travel as JSON arrays, so the text never changes. Long texts travel beside the rest: what is looked into
//! for every column is short.
//!
//! The single-job statements of `start` and `finish` say the same for one job, for when a batch must be taken apart.

use std::collections::HashMap;

use prompt_ledger_domain::execution::{ErrorType, Event, ExecutionMode, Input, Status};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::{Result, Timestamp, versioning};
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::start::Beginning;
use super::{now, row, start};
use crate::{Fence, Finish, NewExecution, Recorded};

/// What is recorded: $1 its columns, $2 its texts; what ends: $3 its columns, $4 its text. All at $5.
const BATCH: &str = "
    BEGIN IMMEDIATE;

    INSERT INTO executions (
        id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider, model_name, price_id,
        temperature, top_k, top_p, repetition_penalty, max_new_tokens, correlation_id, idempotency_key, request_hash,
        prompt_truncated, timeout_micros, max_retries, attempts, attempt_started_at, worker, claim_id, lease_until,
        expire_at, last_sequence, created_at, started_at, look_at, stream_text)
    SELECT j.value ->> 0, p.project_id, p.id, v.id, p.mode, j.value ->> 5, j.value ->> 6, j.value ->> 7, j.value ->> 8,
        j.value ->> 9, j.value ->> 10, j.value ->> 11, j.value ->> 12, j.value ->> 13, j.value ->> 14, j.value ->> 15,
        j.value ->> 16, j.value ->> 17, unhex(j.value ->> 18), j.value ->> 19, j.value ->> 20, j.value ->> 21,
        j.value ->> 22, iif(j.value ->> 22, $5, NULL), j.value ->> 23, j.value ->> 24, $5 + (j.value ->> 25),
        $5 + (j.value ->> 26), 1, $5, iif(j.value ->> 22, $5, NULL), $5 + (j.value ->> 27), j.value ->> 28
    FROM json_each($1) j CROSS JOIN prompt_versions v ON v.id = j.value ->> 3
        CROSS JOIN prompts p ON p.id = v.prompt_id
    WHERE p.id = j.value ->> 2 AND p.project_id = j.value ->> 1 AND p.archived_at IS NULL
        AND (NOT j.value ->> 4 OR p.active_version_number = v.version_number)
    ON CONFLICT DO NOTHING
    RETURNING 'recorded' AS done, id, attempts, status, last_sequence;

    INSERT OR IGNORE INTO execution_inputs (execution_id, rendered_prompt, messages, variables)
    SELECT x.id, t.value ->> 1, t.value ->> 2, t.value ->> 3
    FROM json_each($2) t CROSS JOIN executions x ON x.id = t.value ->> 0;

    INSERT OR IGNORE INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
    SELECT x.id, 1, $5, NULL, x.status, x.attempts FROM json_each($1) j CROSS JOIN executions x ON x.id = j.value ->> 0;

    INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type, provider_request_id,
        prompt_tokens, cached_tokens, response_tokens, latency_ms, error_message)
    SELECT x.id, x.attempts, x.worker, x.attempt_started_at, $5, j.value ->> 2, j.value ->> 3, j.value ->> 4,
        j.value ->> 5, j.value ->> 6, j.value ->> 7, j.value ->> 8
    FROM json_each($3) j CROSS JOIN executions x ON x.id = j.value ->> 0
    WHERE x.attempts = j.value ->> 1 AND x.status = 'running';

    INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type)
    SELECT x.id, x.last_sequence + 1, $5, x.status, j.value ->> 9, x.attempts, j.value ->> 10
    FROM json_each($3) j CROSS JOIN executions x ON x.id = j.value ->> 0
    WHERE x.attempts = j.value ->> 1 AND x.status = 'running';

    INSERT INTO execution_outputs (execution_id, response_text)
    SELECT x.id, t.value ->> 2 FROM json_each($4) t CROSS JOIN executions x ON x.id = t.value ->> 0
    WHERE x.attempts = t.value ->> 1 AND x.status = 'running';

    UPDATE executions SET status = j.value ->> 9, error_type = j.value ->> 10, error_message = j.value ->> 11,
        response_truncated = j.value ->> 12, finish_reason = j.value ->> 13, cost_nano_usd = j.value ->> 14,
        completed_at = $5, lease_until = NULL, provider_request_id = j.value ->> 3,
        prompt_tokens = iif(j.value ->> 4 IS NULL, prompt_tokens,
            min(coalesce(prompt_tokens, 0) + (j.value ->> 4), 2147483647)),
        cached_tokens = iif(j.value ->> 5 IS NULL, cached_tokens,
            min(coalesce(cached_tokens, 0) + (j.value ->> 5), 2147483647)),
        response_tokens = iif(j.value ->> 6 IS NULL, response_tokens,
            min(coalesce(response_tokens, 0) + (j.value ->> 6), 2147483647)),
        latency_ms = coalesce(j.value ->> 7, latency_ms), last_sequence = last_sequence + 1
    FROM json_each($3) j
    WHERE executions.id = j.value ->> 0 AND attempts = j.value ->> 1 AND status = 'running'
    RETURNING 'ended' AS done, id, attempts, status, last_sequence;

    COMMIT";

/// The jobs of a batch.
pub(super) struct Batch<'a> {
    pub(super) records: Vec<&'a (NewExecution, Beginning)>,
    pub(super) ends: Vec<&'a (Fence, Finish)>,
}

/// What they came to, in their order.
pub(super) struct Done {
    pub(super) records: Vec<Result<Recorded>>,
    pub(super) ends: Vec<Result<Option<Event>>>,
}

impl Batch<'_> {
    /// Writes all of them and commits. On an error a transaction may be open, and nothing is durable.
    pub(super) async fn write(&self, connection: &mut SqliteConnection) -> sqlx::Result<Done> {
        let at = now();
        let (columns, texts): (Vec<_>, Vec<_>) = self.records.iter().map(|(new, how)| record(new, how)).unzip();
        let ends: Vec<_> = self.ends.iter().map(|(fence, finish)| end(*fence, finish)).collect();
        let responses = self.ends.iter().filter(|(_, finish)| !finish.response.is_empty());
        let responses: Vec<_> =
            responses.map(|(fence, finish)| json!([fence.id.to_string(), fence.attempt, finish.response])).collect();
        let rows = sqlx::query(BATCH)
            .bind(Value::Array(columns).to_string())
            .bind(Value::Array(texts).to_string())
            .bind(Value::Array(ends).to_string())
            .bind(Value::Array(responses).to_string())
            .bind(at.0)
            .fetch_all(&mut *connection)
            .await?;
        let (mut recorded, mut ended) = (HashMap::new(), HashMap::new());
        for written in &rows {
            if let (Ok(id), Ok(attempt)) = (row::value(written, "id"), row::value::<_, i32>(written, "attempts")) {
                let first = row::text(written, "done").is_ok_and(|done| done == "recorded");
                match first {
                    true => drop(recorded.insert(ExecutionId(id), written)),
                    false => drop(ended.insert(Fence { id: ExecutionId(id), attempt }, written)),
                }
            }
        }
        let mut done = Done { records: Vec::new(), ends: Vec::new() };
        for (new, _) in &self.records {
            done.records.push(match recorded.get(&new.id) {
                Some(written) => first_event(written, at).map(Recorded::New),
                None => start::lost(connection, new).await,
            });
        }
        for (fence, finish) in &self.ends {
            done.ends.push(ended.get(fence).map(|written| last_event(written, *fence, finish, at)).transpose());
        }
        Ok(done)
    }
}

/// Whether JSON carries its numbers exactly: decimals of up to 15 digits do.
pub(super) fn fits(new: &NewExecution) -> bool {
    let short = |value: Option<f64>| value.is_none_or(|value| value.to_string().len() <= 15);
    short(new.params.temperature) && short(new.params.top_p) && short(new.params.repetition_penalty)
}

fn record(new: &NewExecution, beginning: &Beginning) -> (Value, Value) {
    let micros = |length: std::time::Duration| i64::try_from(length.as_micros()).unwrap_or(i64::MAX / 4);
    let (mode, status, holder, look_in) = match beginning {
        Beginning::Running(holder) => (ExecutionMode::Sync, Status::Running, Some(holder), None),
        Beginning::Queued(look_in) => (ExecutionMode::Async, Status::Queued, None, Some(*look_in)),
    };
    let id = new.id.to_string();
    let columns = json!([
        id,
        new.project_id.to_string(),
        new.prompt_id.to_string(),
        new.version_id.to_string(),
        new.must_be_active,
        mode.as_str(),
        status.as_str(),
        new.environment,
        new.model.provider,
        new.model.model,
        new.price_id.map(|id| id.to_string()),
        new.params.temperature,
        new.params.top_k,
        new.params.top_p,
        new.params.repetition_penalty,
        new.params.max_new_tokens,
        Some(&new.correlation_id).filter(|id| !id.is_empty()),
        new.key.as_ref().map(|key| &key.key),
        new.key.as_ref().map(|key| versioning::hex(&key.request_hash)),
        new.prompt_truncated,
        micros(new.timeout),
        new.max_retries,
        i32::from(holder.is_some()),
        holder.map_or("", |holder| &holder.worker),
        holder.map(|holder| holder.claim_id.to_string()),
        holder.map(|holder| micros(holder.lease)),
        new.expire_after.map(micros),
        look_in.map(micros),
        new.stream_text,
    ]);
    let (prompt, messages) = match &new.input {
        Input::Prompt(text) => (Some(text), None),
        // A list of texts always has a JSON form.
        Input::Messages(messages) => (None, Some(row::to_json(messages).unwrap_or_default())),
    };
    (columns, json!([id, prompt, messages, new.variables]))
}

fn end(fence: Fence, finish: &Finish) -> Value {
    let (ended, failure) = (&finish.ended, finish.failure.as_ref());
    json!([
        fence.id.to_string(),
        fence.attempt,
        ended.error_type.map(ErrorType::as_str),
        ended.provider_request_id,
        ended.usage.prompt_tokens,
        ended.usage.cached_tokens,
        ended.usage.response_tokens,
        ended.latency.map(|latency| i32::try_from(latency.as_millis()).unwrap_or(i32::MAX)),
        ended.error_message,
        finish.status.as_str(),
        failure.map(|failure| failure.error_type.as_str()),
        failure.map(|failure| &failure.message),
        finish.response_truncated,
        finish.finish_reason.map(|reason| reason.as_str()),
        finish.cost_nano_usd,
    ])
}

fn first_event(written: &SqliteRow, at: Timestamp) -> Result<Event> {
    Ok(Event::first(at, row::word(written, "status", Status::from_word)?, row::value(written, "attempts")?))
}

fn last_event(written: &SqliteRow, fence: Fence, finish: &Finish, at: Timestamp) -> Result<Event> {
    Ok(Event {
        sequence: row::value(written, "last_sequence")?,
        at,
        from: Some(Status::Running),
        to: finish.status,
        attempt: fence.attempt,
        error_type: finish.failure.as_ref().map(|failure| failure.error_type),
        next_attempt_at: None,
    })
}
