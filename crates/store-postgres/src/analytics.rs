//! Usage figures, each result from one snapshot: how far rollups go is read first, then the rollups, the open
//! executions and the executions that together contain each execution once (`rollup::cover`).

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::VariantArray as _;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::{Bucket, Histogram};
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::Transaction;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::session::begin_list;
use super::statement::{clean, parameters};
use super::timestamp::PgTimestamp;
use super::watched_pool::WatchedPool;
use super::{Postgres, error, roll_up, row};
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rollup::{self, Cover};
use prompt_ledger_store::rows::LedgerRow as _;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::usage::{add_prompts, usage};
use prompt_ledger_store::{Analytics, PromptCounts, Split, UsageFilter, UsageKey, UsageRow};

const SNAPSHOT: &str = begin_list!("ISOLATION LEVEL REPEATABLE READ READ ONLY");

pub(super) const UNTIL: &str = "SELECT until FROM usage_rolled_up";

/// The prompt of a project with that name, and its version with that number.
pub(super) static NAMED: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/named.sql"), NamedParameters::NAMES));

parameters! {
    NamedParameters(project: ProjectId, filter: &UsageFilter) {
        project_id = project.0,
        name = clean(&filter.prompt_name),
        version_number = filter.version_number,
    }
}

pub(super) const PROMPTS: &str = include_str!("sql/prompt_counts.sql");

/// Rollups, open executions and executions of a time span, grouped: `sql/usage.sql`.
pub(super) static USAGE: LazyLock<String> = LazyLock::new(|| {
    // An execution in the form of a rollup with one execution.
    let sql = include_str!("sql/usage.sql").replace("{single}", include_str!("sql/single.sql"));
    numbered(&sql, UsageParameters::NAMES)
});

parameters! {
    UsageParameters(question: &PgUsageQuery<'_>, prompt: Option<Uuid>, version: Option<Uuid>, cover: &Cover) {
        project = question.project.0,
        bucket = question.split.bucket.map(<&str>::from),
        utc_offset = question.split.utc_offset.minutes(),
        by_mode = question.split.mode,
        by_prompt = question.by_prompt(),
        by_version = question.split.version,
        by_model = question.split.model,
        by_environment = question.split.environment,
        by_status = question.split.status,
        mode = question.filter.mode.map(<&str>::from),
        prompt = prompt,
        version = version,
        provider = clean(&question.filter.provider),
        model = clean(&question.filter.model),
        environment = clean(&question.filter.environment),
        rollups_of = question.rollups_of(prompt),
        all_prompts = question.by_prompt() && prompt.is_none(),
        spans = cover.rollups.iter().map(|(length, ..)| roll_up::span(*length)).collect::<Vec<_>>(),
        span_starts = timestamps(cover.rollups.iter().map(|(_, from, _)| *from)),
        span_stops = timestamps(cover.rollups.iter().map(|(.., to)| *to)),
        raw_starts = timestamps(cover.raw.iter().map(|(from, _)| *from)),
        raw_stops = timestamps(cover.raw.iter().map(|(_, to)| *to)),
        open_start = PgTimestamp(Timestamp(cover.open_executions.0)),
        open_stop = PgTimestamp(Timestamp(cover.open_executions.1)),
        has_after = question.after.is_some(),
        after_bucket = question.after.and_then(|after| after.bucket_start).map(PgTimestamp),
        after_mode = question.after.and_then(|after| after.mode).map_or("", <&str>::from),
        after_prompt = clean(question.after.and_then(|after| after.prompt_name.as_deref()).unwrap_or_default()),
        after_version = question.after.and_then(|after| after.version_number).unwrap_or_default(),
        after_provider = clean(question.after.and_then(|after| after.model.as_ref()).map_or("", |model| &model.provider)),
        after_model = clean(question.after.and_then(|after| after.model.as_ref()).map_or("", |model| &model.model_name)),
        after_environment = clean(question.after.and_then(|after| after.environment.as_deref()).unwrap_or_default()),
        after_status = question.after.and_then(|after| after.status).map_or("", <&str>::from),
        most = count(question.limit),
        with_latencies = question.latencies,
    }
}

fn timestamps(all: impl Iterator<Item = i64>) -> Vec<PgTimestamp> {
    all.map(|at| PgTimestamp(Timestamp(at))).collect()
}

/// The arguments of a usage query.
struct PgUsageQuery<'a> {
    project: ProjectId,
    filter: &'a UsageFilter,
    split: Split,
    after: Option<&'a UsageKey>,
    limit: usize,
    /// Whether latencies are selected; they are most of the result's size.
    latencies: bool,
}

impl PgUsageQuery<'_> {
    fn by_prompt(&self) -> bool {
        self.split.prompt || self.split.version
    }

    /// Prompts whose rollups are read; empty for those of every prompt. The nil UUID selects the rollups of the whole
    /// project.
    fn rollups_of(&self, prompt: Option<Uuid>) -> Vec<Uuid> {
        match prompt {
            Some(prompt) => vec![prompt],
            None if self.by_prompt() => Vec::new(),
            None => vec![Uuid::nil()],
        }
    }
}

impl Postgres {
    async fn answer(&self, question: PgUsageQuery<'_>) -> Result<Vec<UsageRow>> {
        let asked = async {
            let mut snapshot = snapshot(&self.lists).await?;
            let rows = ask(&mut snapshot, &question).await?;
            error::commit(snapshot).await?;
            Ok(rows)
        };
        error::bounded(error::LIST, asked).await
    }
}

#[async_trait]
impl Analytics for Postgres {
    async fn overview(&self, project: ProjectId, filter: &UsageFilter) -> Result<(PromptCounts, Vec<UsageRow>)> {
        let split = Split { mode: true, ..Split::default() };
        let question =
            PgUsageQuery { project, filter, split, after: None, limit: Mode::VARIANTS.len(), latencies: true };
        let asked = async {
            let mut snapshot = snapshot(&self.lists).await?;
            let rows = ask(&mut snapshot, &question).await?;
            let found = sqlx::query(PROMPTS).bind(project.0).fetch_all(&mut *snapshot).await.map_err(error::store)?;
            let mut prompts = PromptCounts::default();
            for row in &found {
                add_prompts(&mut prompts, row)?;
            }
            error::commit(snapshot).await?;
            Ok((prompts, rows))
        };
        error::bounded(error::LIST, asked).await
    }

    async fn usage(
        &self,
        project: ProjectId,
        filter: &UsageFilter,
        split: Split,
        after: Option<&UsageKey>,
        limit: usize,
    ) -> Result<Vec<UsageRow>> {
        self.answer(PgUsageQuery { project, filter, split, after, limit, latencies: true }).await
    }

    async fn version_counts(
        &self,
        project: ProjectId,
        prompt_name: &str,
        first: i32,
        versions: usize,
    ) -> Result<HashMap<i32, i64>> {
        let filter = &UsageFilter { prompt_name: prompt_name.to_owned(), ..UsageFilter::default() };
        let split = Split { version: true, ..Split::default() };
        let before = UsageKey {
            prompt_name: Some(prompt_name.to_owned()),
            version_number: Some(first - 1),
            ..UsageKey::default()
        };
        let question = PgUsageQuery { project, filter, split, after: Some(&before), limit: versions, latencies: false };
        let rows = self.answer(question).await?;
        Ok(rows.into_iter().filter_map(|row| Some((row.key.version_number?, row.tally.executions))).collect())
    }
}

async fn snapshot(pool: &WatchedPool) -> Result<Transaction<'static, sqlx::Postgres>> {
    error::walk(|| pool.begin_with(SNAPSHOT)).await
}

async fn ask(
    snapshot: &mut Transaction<'static, sqlx::Postgres>,
    question: &PgUsageQuery<'_>,
) -> Result<Vec<UsageRow>> {
    let Some((prompt, version)) = named(snapshot, question).await? else { return Ok(Vec::new()) };
    let PgTimestamp(until) = sqlx::query_scalar(UNTIL).fetch_one(&mut **snapshot).await.map_err(error::store)?;
    let (filter, split, after) = (question.filter, question.split, question.after);
    // Skips the intervals before the one that the previous page ended in.
    let start = filter.start_time.max(after.and_then(|after| after.bucket_start)).map_or(i64::MIN, |start| start.0);
    let end = filter.end_time.map_or(i64::MAX, |end| end.0);
    let longest = split.bucket.map_or(Bucket::Day, |bucket| bucket.consists_of(split.utc_offset));
    let cover = rollup::cover(start, end, until.0, longest);
    let query = UsageParameters::query(&USAGE, question, prompt, version, &cover);
    let rows = query.fetch_all(&mut **snapshot).await.map_err(error::store)?;
    rows.iter().map(read).collect()
}

/// The prompt and the version that the filter names; none where one of them does not exist.
async fn named(
    snapshot: &mut Transaction<'static, sqlx::Postgres>,
    question: &PgUsageQuery<'_>,
) -> Result<Option<(Option<Uuid>, Option<Uuid>)>> {
    let filter = question.filter;
    if filter.prompt_name.is_empty() {
        return Ok(Some((None, None)));
    }
    let query = NamedParameters::query(&NAMED, question.project, filter);
    let found = query.fetch_optional(&mut **snapshot).await.map_err(error::store)?;
    let Some(found) = found else { return Ok(None) };
    let (prompt, version) = (row::maybe(&found, "prompt_id")?, row::maybe(&found, "version_id")?);
    let unknown = filter.version_number.is_some() && version.is_none();
    Ok((!unknown).then_some((prompt, version)))
}

fn read(row: &PgRow) -> Result<UsageRow> {
    let mut latencies = Histogram::default();
    rollup::add_steps(&mut latencies, row.bytes("steps")?.unwrap_or_default());
    rollup::add_latencies(&mut latencies, row.bytes("latencies")?.unwrap_or_default());
    usage(row, roll_up::cost(row)?, latencies)
}
