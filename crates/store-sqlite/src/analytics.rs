//! Usage figures, computed from the executions: a file belongs to one process and has few of them. Costs are summed in
//! two halves, because a 64-bit sum that overflows is an error in SQLite.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::{Bucket, Histogram};
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::list::{Named, named};
use super::{Sqlite, error, row};
use prompt_ledger_store::rows::LedgerRow as _;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::usage::{add_prompts, usage};
use prompt_ledger_store::{Analytics, PromptCounts, Split, UsageFilter, UsageKey, UsageRow};

const PROMPTS: &str = "
    SELECT mode, archived_at IS NOT NULL AS archived, count(*) AS prompts FROM prompts WHERE project_id = $1
    GROUP BY mode, archived_at IS NOT NULL";

static OF_PROJECT: LazyLock<String> = LazyLock::new(|| figures("executions_project", "e.project_id = :project"));
static OF_PROMPT: LazyLock<String> = LazyLock::new(|| figures("executions_prompt", "e.prompt_id = :prompt"));
static OF_VERSION: LazyLock<String> = LazyLock::new(|| figures("executions_version", "e.version_id = :version"));

/// The statement over the executions that a scan of this index finds, grouped.
fn figures(index: &str, walk: &str) -> String {
    let sql = include_str!("sql/usage.sql").replace("{index}", index).replace("{walk}", walk);
    numbered(&sql, UsageParameters::NAMES)
}

/// The arguments of a usage query.
struct SqliteUsageQuery<'a> {
    project: ProjectId,
    filter: &'a UsageFilter,
    split: Split,
    after: Option<&'a UsageKey>,
    limit: usize,
}

parameters! {
    UsageParameters(question: &SqliteUsageQuery<'_>, named: &Named) of sqlx::Sqlite {
        project = question.project.to_string(),
        bucket = question.split.bucket.map_or(0, Bucket::micros),
        by_mode = question.split.mode,
        by_prompt = question.split.prompt || question.split.version,
        by_version = question.split.version,
        by_model = question.split.model,
        by_environment = question.split.environment,
        by_status = question.split.status,
        start = question.start().map_or(i64::MIN, |start| start.0),
        stop = question.filter.end_time.map_or(i64::MAX, |end| end.0),
        mode = question.filter.mode.map(Mode::as_str),
        prompt = &named.prompt,
        version = &named.version,
        provider = &question.filter.provider,
        model = &question.filter.model,
        environment = &question.filter.environment,
        has_after = question.after.is_some(),
        after_bucket = question.after.and_then(|after| after.bucket_start).unwrap_or_default().0,
        after_mode = question.after.and_then(|after| after.mode).map_or("", Mode::as_str),
        after_prompt = question.after.and_then(|after| after.prompt_name.as_deref()).unwrap_or_default(),
        after_version = question.after.and_then(|after| after.version_number).unwrap_or_default(),
        after_provider = question.after.and_then(|after| after.model.as_ref()).map_or("", |model| &model.provider),
        after_model = question.after.and_then(|after| after.model.as_ref()).map_or("", |model| &model.model_name),
        after_environment = question.after.and_then(|after| after.environment.as_deref()).unwrap_or_default(),
        after_status = question.after.and_then(|after| after.status).map_or("", Status::as_str),
        most = count(question.limit),
    }
}

impl SqliteUsageQuery<'_> {
    /// Start of the scan: skips the intervals before the one that the previous page ended in.
    fn start(&self) -> Option<Timestamp> {
        self.filter.start_time.max(self.after.and_then(|after| after.bucket_start))
    }
}

/// Executions per version, from the table that triggers maintain.
static COUNTS: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/version_counts.sql"), VersionCountsParameters::NAMES));

parameters! {
    VersionCountsParameters(project: ProjectId, prompt_name: &str, first: i32, versions: usize) of sqlx::Sqlite {
        project_id = project.to_string(),
        name = prompt_name,
        first = first,
        most = count(versions),
    }
}

#[async_trait]
impl Analytics for Sqlite {
    async fn overview(&self, project: ProjectId, filter: &UsageFilter) -> Result<(PromptCounts, Vec<UsageRow>)> {
        let mut snapshot = self.lists.begin().await.map_err(error::store)?;
        let split = Split { mode: true, ..Split::default() };
        let rows =
            ask(&mut snapshot, &SqliteUsageQuery { project, filter, split, after: None, limit: Mode::ALL.len() })
                .await?;
        let query = sqlx::query(PROMPTS).bind(project.to_string());
        let mut prompts = PromptCounts::default();
        for row in &query.fetch_all(&mut *snapshot).await.map_err(error::store)? {
            add_prompts(&mut prompts, row)?;
        }
        Ok((prompts, rows))
    }

    async fn usage(
        &self,
        project: ProjectId,
        filter: &UsageFilter,
        split: Split,
        after: Option<&UsageKey>,
        limit: usize,
    ) -> Result<Vec<UsageRow>> {
        let mut snapshot = self.lists.begin().await.map_err(error::store)?;
        ask(&mut snapshot, &SqliteUsageQuery { project, filter, split, after, limit }).await
    }

    async fn version_counts(
        &self,
        project: ProjectId,
        prompt_name: &str,
        first: i32,
        versions: usize,
    ) -> Result<HashMap<i32, i64>> {
        let query = VersionCountsParameters::query(&COUNTS, project, prompt_name, first, versions);
        let rows = query.fetch_all(&self.readers).await.map_err(error::store)?;
        rows.iter().map(|row| Ok((row::value(row, "version_number")?, row::value(row, "executions")?))).collect()
    }
}

async fn ask(connection: &mut SqliteConnection, question: &SqliteUsageQuery<'_>) -> Result<Vec<UsageRow>> {
    let filter = question.filter;
    let found = named(connection, question.project, &filter.prompt_name, filter.version_number).await?;
    let Some(named) = found else { return Ok(Vec::new()) };
    let statement = match (&named.prompt, &named.version) {
        (_, Some(_)) => &OF_VERSION,
        (Some(_), None) => &OF_PROMPT,
        (None, None) => &OF_PROJECT,
    };
    let query = UsageParameters::query(statement, question, &named);
    query.fetch_all(connection).await.map_err(error::store)?.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<UsageRow> {
    let mut latencies = Histogram::default();
    for latency in row.text("latencies")?.unwrap_or_default().split_whitespace() {
        latencies.record(latency.parse().map_err(Error::internal)?);
    }
    let [high, low] = ["cost_high", "cost_low"].map(|half| row::value::<_, _, i64>(row, half));
    usage(row, (i128::from(high?) << 32) + i128::from(low?), latencies)
}
