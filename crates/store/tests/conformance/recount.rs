//! Figures as a plain recount of the executions gives them.

use std::cmp::Ordering;

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::execution::{Execution, Status};
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_store::{Analytics, ExecutionFilter, Executions, Split, UsageFilter, UsageKey, UsageRow};

use crate::kit::Backend;

/// Every execution of a project.
pub(crate) async fn all<B: Backend>(backend: &B, project: ProjectId) -> Vec<Execution> {
    backend.store().list(project, &ExecutionFilter::default(), None, 100_000, false).await.unwrap()
}

fn matches(filter: &UsageFilter, of: &Execution) -> bool {
    filter.mode.is_none_or(|mode| of.prompt_mode == mode)
        && (filter.prompt_name.is_empty() || of.prompt_name == filter.prompt_name)
        && filter.version_number.is_none_or(|number| of.version_number == number)
        && (filter.provider.is_empty() || of.model.provider == filter.provider)
        && (filter.model.is_empty() || of.model.model == filter.model)
        && (filter.environment.is_empty() || of.environment == filter.environment)
        && filter.start_time.is_none_or(|start| of.created_at >= start)
        && filter.end_time.is_none_or(|end| of.created_at < end)
}

fn key(split: Split, of: &Execution) -> UsageKey {
    let floor = |micros: i64| Timestamp(of.created_at.0.div_euclid(micros) * micros);
    UsageKey {
        bucket_start: split.bucket.map(|bucket| floor(bucket.micros())),
        mode: split.mode.then_some(of.prompt_mode),
        prompt_name: (split.prompt || split.version).then(|| of.prompt_name.clone()),
        version_number: split.version.then_some(of.version_number),
        model: split.model.then(|| of.model.clone()),
        environment: split.environment.then(|| of.environment.clone()),
        status: split.status.then_some(of.status),
    }
}

fn order(one: &UsageKey, other: &UsageKey) -> Ordering {
    let parts = |key: &UsageKey| {
        let model = key.model.clone().map(|model| (model.provider, model.model));
        let (mode, status) = (key.mode.map(Mode::as_str), key.status.map(Status::as_str));
        (key.bucket_start, mode, key.prompt_name.clone(), key.version_number, model, key.environment.clone(), status)
    };
    parts(one).cmp(&parts(other))
}

/// The figures of these executions.
pub(crate) fn recount(executions: &[Execution], filter: &UsageFilter, split: Split) -> Vec<UsageRow> {
    let mut rows: Vec<UsageRow> = Vec::new();
    for of in executions.iter().filter(|of| matches(filter, of)) {
        let key = key(split, of);
        let at = rows.iter().position(|row| row.key == key).unwrap_or_else(|| {
            rows.push(UsageRow::none(key));
            rows.len() - 1
        });
        let row = &mut rows[at];
        row.succeeded += i64::from(of.status == Status::Succeeded);
        row.failed += i64::from(of.status == Status::Failed);
        row.canceled += i64::from(of.status == Status::Canceled);
        row.tally.executions += 1;
        row.tally.prompt_tokens += i64::from(of.usage.prompt_tokens.unwrap_or(0));
        row.tally.response_tokens += i64::from(of.usage.response_tokens.unwrap_or(0));
        row.tally.with_cost += i64::from(of.cost_nano_usd.is_some());
        row.tally.cost += i128::from(of.cost_nano_usd.unwrap_or(0));
        row.tally.latency_sum += i64::from(of.latency_ms.unwrap_or(0));
        if let Some(latency) = of.latency_ms {
            row.tally.latencies.record(latency);
        }
    }
    rows.sort_by(|one, other| order(&one.key, &other.key));
    rows
}

/// The store's figures, page by page of this size.
pub(crate) async fn figures<B: Backend>(
    backend: &B,
    project: ProjectId,
    filter: &UsageFilter,
    split: Split,
    size: usize,
) -> Vec<UsageRow> {
    let mut rows: Vec<UsageRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.key.clone());
        let page = backend.store().usage(project, filter, split, after.as_ref(), size).await.unwrap();
        let last = page.len() < size;
        rows.extend(page);
        if last {
            return rows;
        }
    }
}
