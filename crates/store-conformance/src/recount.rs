//! Figures computed by counting the executions.

use std::cmp::Ordering;

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::execution::{Execution, Status};
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_store::{Analytics, ExecutionFilter, ExecutionReader, Split, UsageFilter, UsageKey, UsageRow};

use crate::kit::Backend;

/// All executions of a project.
pub async fn all<B: Backend>(backend: &B, project: ProjectId) -> Vec<Execution> {
    backend.store().list(project, &ExecutionFilter::default(), None, 100_000, false).await.unwrap().rows
}

fn matches(filter: &UsageFilter, of: &Execution) -> bool {
    filter.mode.is_none_or(|mode| of.prompt_mode == mode)
        && (filter.prompt_name.is_empty() || of.prompt_name == filter.prompt_name)
        && filter.version_number.is_none_or(|number| of.version_number == number)
        && (filter.provider.is_empty() || of.model.provider == filter.provider)
        && (filter.model.is_empty() || of.model.model_name == filter.model)
        && (filter.environment.is_empty() || of.environment == filter.environment)
        && filter.start_time.is_none_or(|start| of.created_at >= start)
        && filter.end_time.is_none_or(|end| of.created_at < end)
}

fn key(split: Split, of: &Execution) -> UsageKey {
    let offset = split.utc_offset.micros();
    let floor = |micros: i64| Timestamp((of.created_at.0 + offset).div_euclid(micros) * micros - offset);
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
        let model = key.model.clone().map(|model| (model.provider, model.model_name));
        let (mode, status) = (key.mode.map(<&str>::from), key.status.map(<&str>::from));
        (key.bucket_start, mode, key.prompt_name.clone(), key.version_number, model, key.environment.clone(), status)
    };
    parts(one).cmp(&parts(other))
}

/// A row of figures, with what the row holds in derived form only.
struct Counted {
    row: UsageRow,
    unfinished: i64,
    latencies: Vec<i32>,
}

impl Counted {
    fn take(&mut self, of: &Execution) {
        let row = &mut self.row;
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
        self.unfinished += i64::from(matches!(of.status, Status::Queued | Status::Running));
        self.latencies.extend(of.latency_ms);
    }

    /// The latency by the nearest-rank method.
    fn percentile(&self, percent: usize) -> Option<f64> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent).div_ceil(100);
        Some(f64::from(*sorted.get(place.checked_sub(1)?)?))
    }
}

fn recount(executions: &[Execution], filter: &UsageFilter, split: Split) -> Vec<Counted> {
    let mut all: Vec<Counted> = Vec::new();
    for of in executions.iter().filter(|of| matches(filter, of)) {
        let key = key(split, of);
        let at = all.iter().position(|counted| counted.row.key == key).unwrap_or_else(|| {
            all.push(Counted { row: UsageRow::none(key), unfinished: 0, latencies: Vec::new() });
            all.len() - 1
        });
        all[at].take(of);
    }
    all.sort_by(|one, other| order(&one.row.key, &other.row.key));
    all
}

/// Asserts that these rows are the figures of these executions.
#[track_caller]
pub fn assert_recounted(found: &[UsageRow], executions: &[Execution], filter: &UsageFilter, split: Split) {
    let expected = recount(executions, filter, split);
    let rows: Vec<_> = expected.iter().map(|counted| &counted.row).collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), rows, "{filter:?} {split:?}");
    for (row, counted) in found.iter().zip(&expected) {
        assert_eq!(row.unfinished(), counted.unfinished, "{row:?}");
        for percent in [50, 95, 99] {
            let told = row.tally.latencies.percentile(u64::try_from(percent).unwrap());
            let near = match (told, counted.percentile(percent)) {
                (Some(told), Some(exact)) => (told - exact).abs() <= 0.008 * exact,
                (told, exact) => told.is_none() && exact.is_none(),
            };
            assert!(near, "{percent} %: {told:?} of {:?}", counted.latencies);
        }
    }
}

/// The store's figures, read in pages of `size` rows.
pub async fn figures<B: Backend>(
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
