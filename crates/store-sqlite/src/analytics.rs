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
use rusqlite::{Connection, Row, ToSql};

use super::list::{Named, named};
use super::statement::{Script, parameters};
use super::{Sqlite, row};
use prompt_ledger_store::rows::LedgerRow as _;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::usage::{add_prompts, usage};
use prompt_ledger_store::{Analytics, PromptCounts, Split, UsageFilter, UsageKey, UsageRow};

static PROMPTS: LazyLock<Script> = LazyLock::new(|| {
    let sql = "SELECT mode, archived_at IS NOT NULL AS archived, count(*) AS prompts FROM prompts \
               WHERE project_id = :project_id GROUP BY mode, archived_at IS NOT NULL";
    Script::new(sql, &["project_id"])
});

static OF_PROJECT: LazyLock<Script> = LazyLock::new(|| figures("executions_project", "e.project_id = :project"));
static OF_PROMPT: LazyLock<Script> = LazyLock::new(|| figures("executions_prompt", "e.prompt_id = :prompt"));
static OF_VERSION: LazyLock<Script> = LazyLock::new(|| figures("executions_version", "e.version_id = :version"));

/// The statement over the executions that a scan of this index finds, grouped.
fn figures(index: &str, walk: &str) -> Script {
    let sql = include_str!("sql/usage.sql").replace("{index}", index).replace("{walk}", walk);
    Script::new(&sql, UsageParameters::NAMES)
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
    UsageParameters(question: &SqliteUsageQuery<'_>, named: &Named) {
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
static COUNTS: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/version_counts.sql"), VersionCountsParameters::NAMES));

parameters! {
    VersionCountsParameters(project: ProjectId, prompt_name: &str, first: i32, versions: usize) {
        project_id = project.to_string(),
        name = prompt_name,
        first = first,
        most = count(versions),
    }
}

#[async_trait]
impl Analytics for Sqlite {
    async fn overview(&self, project: ProjectId, filter: &UsageFilter) -> Result<(PromptCounts, Vec<UsageRow>)> {
        let filter = filter.clone();
        let overview = move |connection: &Connection| {
            let split = Split { mode: true, ..Split::default() };
            let limit = Mode::ALL.len();
            let rows = ask(connection, &SqliteUsageQuery { project, filter: &filter, split, after: None, limit })?;
            let mut prompts = PromptCounts::default();
            let id = project.to_string();
            PROMPTS.rows(connection, [&id as &dyn ToSql], |row| add_prompts(&mut prompts, row))?;
            Ok((prompts, rows))
        };
        self.lists.snapshot(overview).await
    }

    async fn usage(
        &self,
        project: ProjectId,
        filter: &UsageFilter,
        split: Split,
        after: Option<&UsageKey>,
        limit: usize,
    ) -> Result<Vec<UsageRow>> {
        let (filter, after) = (filter.clone(), after.cloned());
        let usage = move |connection: &Connection| {
            let after = after.as_ref();
            ask(connection, &SqliteUsageQuery { project, filter: &filter, split, after, limit })
        };
        self.lists.snapshot(usage).await
    }

    async fn version_counts(
        &self,
        project: ProjectId,
        prompt_name: &str,
        first: i32,
        versions: usize,
    ) -> Result<HashMap<i32, i64>> {
        let name = prompt_name.to_owned();
        let counts = move |connection: &Connection| {
            COUNTS.rows(connection, VersionCountsParameters::values(project, &name, first, versions), |row| {
                Ok((row::value(row, "version_number")?, row::value(row, "executions")?))
            })
        };
        Ok(self.readers.read(counts).await?.into_iter().collect())
    }
}

fn ask(connection: &Connection, question: &SqliteUsageQuery<'_>) -> Result<Vec<UsageRow>> {
    let filter = question.filter;
    let named = named(connection, question.project, &filter.prompt_name, filter.version_number)?;
    let Some(named) = named else { return Ok(Vec::new()) };
    let script: &LazyLock<_> = match (&named.prompt, &named.version) {
        (_, Some(_)) => &OF_VERSION,
        (Some(_), None) => &OF_PROMPT,
        (None, None) => &OF_PROJECT,
    };
    script.rows(connection, UsageParameters::values(question, &named), read)
}

fn read(row: &Row<'_>) -> Result<UsageRow> {
    let mut latencies = Histogram::default();
    for latency in row.text("latencies")?.unwrap_or_default().split_whitespace() {
        latencies.record(latency.parse().map_err(Error::internal)?);
    }
    let [high, low] = ["cost_high", "cost_low"].map(|half| row::value::<_, _, i64>(row, half));
    usage(row, (i128::from(high?) << 32) + i128::from(low?), latencies)
}
