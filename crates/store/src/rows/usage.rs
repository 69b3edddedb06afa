//! Reads usage figures from rows.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::{Histogram, Tally};

use crate::rows as row;
use crate::rows::LedgerRow;
use crate::{PromptCounts, UsageKey, UsageRow};

/// A row of figures; `cost` and `latencies` are stored differently by each database and passed in.
pub fn usage<D, R: LedgerRow<D>>(row: &R, cost: i128, latencies: Histogram) -> Result<UsageRow> {
    let provider: Option<String> = row::maybe(row, "provider")?;
    let model = match provider {
        Some(provider) => Some(ModelRef { provider, model_name: row::text(row, "model_name")? }),
        None => None,
    };
    Ok(UsageRow {
        key: UsageKey {
            bucket_start: row::maybe(row, "bucket_start")?,
            mode: row::maybe_word(row, "prompt_mode")?,
            prompt_name: row::maybe(row, "prompt_name")?,
            version_number: row::maybe(row, "version_number")?,
            model,
            environment: row::maybe(row, "environment")?,
            status: row::maybe_word(row, "status")?,
        },
        succeeded: row::value(row, "succeeded")?,
        failed: row::value(row, "failed")?,
        canceled: row::value(row, "canceled")?,
        tally: tally(row, cost, latencies)?,
    })
}

/// The sums of a row.
pub fn tally<D, R: LedgerRow<D>>(row: &R, cost: i128, latencies: Histogram) -> Result<Tally> {
    Ok(Tally {
        executions: row::value(row, "executions")?,
        prompt_tokens: row::value(row, "prompt_tokens")?,
        response_tokens: row::value(row, "response_tokens")?,
        with_cost: row::value(row, "with_cost")?,
        cost,
        latency_sum: row::value(row, "latency_sum")?,
        latencies,
    })
}

/// Stores the number of prompts of one mode, archived or not.
pub fn add_prompts<D, R: LedgerRow<D>>(counts: &mut PromptCounts, row: &R) -> Result<()> {
    let mode = row::word(row, "mode")?;
    let counted = match (mode, row::value(row, "archived")?) {
        (Mode::Full, false) => &mut counts.full,
        (Mode::Tracking, false) => &mut counts.tracking,
        (Mode::Full, true) => &mut counts.archived_full,
        (Mode::Tracking, true) => &mut counts.archived_tracking,
    };
    *counted = row::value(row, "prompts")?;
    Ok(())
}
