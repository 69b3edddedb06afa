//! Reads claimed executions from rows.

use prompt_ledger_domain::execution::{Event, Status};
use prompt_ledger_domain::ids::{ExecutionId, PriceId};
use prompt_ledger_domain::model::{ModelRef, Price};
use prompt_ledger_domain::tool::AnswerRules;
use prompt_ledger_domain::{Result, Timestamp};

use super::request::{self, StoredRequest, StoredSettings};
use super::{LedgerRow, execution};
use crate::rows as row;
use crate::{Claimed, Fence, Subject};

/// A claimed execution; `at` is the database's time of the claim, from which `expires_in` is computed.
pub fn claimed<D, R: LedgerRow<D>>(row: &R, at: Timestamp) -> Result<Claimed> {
    let attempt: i32 = row::value(row, "attempts")?;
    let StoredSettings { params, tool_choice, .. } = request::settings(row)?;
    let StoredRequest { tools, response_format, .. } = request::request(row)?;
    let created_at: Timestamp = row::value(row, "created_at")?;
    // A first attempt may begin at once, by its hint; in its row stands when it may without one.
    let due_at: Option<Timestamp> = if attempt > 1 { row::maybe(row, "due_at")? } else { None };
    let price = row::maybe(row, "price_id")?.map(|id| price(row, PriceId(id))).transpose()?;
    Ok(Claimed {
        fence: Fence { id: ExecutionId(row::value(row, "id")?), attempt },
        event: Event {
            sequence: row::value(row, "last_sequence")?,
            at: row::value(row, "attempt_started_at")?,
            from: Some(Status::Queued),
            to: Status::Running,
            attempt,
            error_type: None,
            next_attempt_at: None,
        },
        subject: Subject {
            project: row::text(row, "project")?,
            prompt_name: row::text(row, "prompt_name")?,
            version_number: row::value(row, "version_number")?,
            correlation_id: row::text(row, "correlation_id")?,
            // One that cannot be read is none: another release may write another form.
            trace: row.text("trace")?.and_then(|trace| trace.parse().ok()),
        },
        created_at,
        available_at: due_at.unwrap_or(created_at),
        handed_back: row::value(row, "handed_back")?,
        input: execution::input(row)?,
        prompt_truncated: row::value(row, "prompt_truncated")?,
        model: ModelRef { provider: row::text(row, "provider")?, model_name: row::text(row, "model_name")? },
        price,
        params,
        rules: AnswerRules { tools, tool_choice, response_format },
        timeout: row::timeout(row)?,
        max_retries: row::value(row, "max_retries")?,
        used: execution::usage(row)?,
        expires_in: row::maybe::<_, _, Timestamp>(row, "expire_at")?.map(|end| end.since(at)),
        stream_text: row::value(row, "stream_text")?,
        model_streams: row::maybe(row, "supports_streaming")?.unwrap_or(true),
    })
}

/// A price whose id was read before.
pub fn price<D, R: LedgerRow<D>>(row: &R, id: PriceId) -> Result<Price> {
    Ok(Price {
        id,
        input: row::value(row, "input")?,
        cached_input: row::maybe(row, "cached_input")?,
        cache_write_5m: row::maybe(row, "cache_write_5m")?,
        cache_write_1h: row::maybe(row, "cache_write_1h")?,
        output: row::value(row, "output")?,
        valid_from: row::value(row, "valid_from")?,
    })
}
