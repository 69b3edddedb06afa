//! Figures, each answer from one snapshot: how far executions are added up is read first, and then exactly the rollups, the
//! open_executions and the executions that together hold each of them once (`rollup::cover`).

use std::collections::HashMap;

use async_trait::async_trait;
use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::{Bucket, Histogram};
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Transaction};
use uuid::Uuid;

use super::bind::clean;
use super::timestamp::PgTimestamp;
use super::{Postgres, error, roll_up, row};
use prompt_ledger_store::rollup::{self, Cover};
use prompt_ledger_store::rows::LedgerRow as _;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::usage::{add_prompts, usage};
use prompt_ledger_store::{Analytics, PromptCounts, Split, UsageFilter, UsageKey, UsageRow};

const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

pub(super) const UNTIL: &str = "SELECT until FROM usage_rolled_up";

/// The prompt of project $1 and name $2, and its version of number $3.
pub(super) const NAMED: &str = "
    SELECT p.id AS prompt_id, v.id AS version_id
    FROM prompts p LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.version_number = $3
    WHERE p.project_id = $1 AND p.name = $2";

pub(super) const PROMPTS: &str = "
    SELECT mode, archived_at IS NOT NULL AS archived, count(*) AS prompts FROM prompts WHERE project_id = $1
    GROUP BY mode, archived";

/// An execution as a rollup of its own.
macro_rules! single {
    () => {
        "SELECT e.created_at, e.prompt_id, e.version_id, e.provider, e.model_name, e.environment COLLATE \"C\",
            e.prompt_mode COLLATE \"C\", e.status COLLATE \"C\", 1::int8, coalesce(e.prompt_tokens, 0)::int8,
            coalesce(e.response_tokens, 0)::int8, (e.cost_nano_usd IS NOT NULL)::int4::int8,
            coalesce(e.cost_nano_usd, 0)::numeric, coalesce(e.latency_ms, 0)::int8, NULL::bytea, int4send(e.latency_ms)"
    };
}

/// $1 project; $2 the bucket's word; $3 to $8 whether to split by mode, prompt, version, model, environment, status; $9
/// mode, $10 prompt, $11 version, $12 provider, $13 model, $14 environment; $15 whose rollups, and $16 those of every
/// prompt too; $17 to $19 rollups; $20, $21 executions; $22, $23 open executions; $24 whether there is a row before, $25 to $32
/// its key; $33 how many; $34 whether latencies are told.
pub(super) const USAGE: &str = concat!(
    "WITH source AS (
        SELECT u.start AS at, u.prompt_id, u.version_id, u.provider, u.model_name, u.environment, u.prompt_mode, u.status,
            u.executions, u.prompt_tokens, u.response_tokens, u.with_cost, u.cost_nano_usd, u.latency_sum,
            u.latencies AS steps, NULL::bytea AS latency
        FROM (SELECT unnest($15::uuid[]) AS prompt_id
            UNION ALL SELECT p.id FROM prompts p WHERE $16 AND p.project_id = $1) w
        CROSS JOIN unnest($17::int2[], $18::timestamptz[], $19::timestamptz[]) AS r (span, start, stop)
        CROSS JOIN LATERAL (SELECT x.* FROM usage_rollups x WHERE x.project_id = $1 AND x.prompt_id = w.prompt_id
            AND x.span = r.span AND x.start >= r.start AND x.start < r.stop OFFSET 0) u
        UNION ALL ",
    single!(),
    " FROM unnest($20::timestamptz[], $21::timestamptz[]) AS r (start, stop)
        CROSS JOIN LATERAL (SELECT x.* FROM executions x WHERE x.project_id = $1 AND x.created_at >= r.start
            AND x.created_at < r.stop OFFSET 0) e
        UNION ALL ",
    single!(),
    " FROM usage_open_executions s CROSS JOIN LATERAL (SELECT x.* FROM executions x WHERE x.id = s.execution_id OFFSET 0) e
        WHERE s.project_id = $1 AND s.created_at >= $22 AND s.created_at < $23
    ), grouped AS (
        SELECT date_trunc($2, at, 'UTC') AS bucket_start, CASE WHEN $3 THEN prompt_mode END AS prompt_mode,
            CASE WHEN $4 THEN prompt_id END AS prompt_id, CASE WHEN $5 THEN version_id END AS version_id,
            CASE WHEN $6 THEN provider END AS provider, CASE WHEN $6 THEN model_name END AS model_name,
            CASE WHEN $7 THEN environment END AS environment, CASE WHEN $8 THEN status END AS status,
            sum(executions)::int8 AS executions,
            coalesce(sum(executions) FILTER (WHERE source.status = 'succeeded'), 0)::int8 AS succeeded,
            coalesce(sum(executions) FILTER (WHERE source.status = 'failed'), 0)::int8 AS failed,
            coalesce(sum(executions) FILTER (WHERE source.status = 'canceled'), 0)::int8 AS canceled,
            sum(prompt_tokens)::int8 AS prompt_tokens, sum(response_tokens)::int8 AS response_tokens,
            sum(with_cost)::int8 AS with_cost, sum(cost_nano_usd)::text AS cost, sum(latency_sum)::int8 AS latency_sum,
            string_agg(steps, '') FILTER (WHERE $34) AS steps,
            string_agg(latency, '') FILTER (WHERE $34) AS latencies
        FROM source
        WHERE ($9::text IS NULL OR source.prompt_mode = $9) AND ($10::uuid IS NULL OR source.prompt_id = $10)
            AND ($11::uuid IS NULL OR source.version_id = $11) AND ($12 = '' OR source.provider = $12)
            AND ($13 = '' OR source.model_name = $13) AND ($14 = '' OR source.environment = $14)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), named AS (
        SELECT g.*, p.name AS prompt_name, v.version_number
        FROM grouped g LEFT JOIN prompts p ON p.id = g.prompt_id LEFT JOIN prompt_versions v ON v.id = g.version_id
    )
    SELECT * FROM named
    WHERE NOT $24 OR (coalesce(bucket_start, '-infinity'), coalesce(prompt_mode, ''), coalesce(prompt_name, ''),
            coalesce(version_number, 0), coalesce(provider, ''), coalesce(model_name, ''), coalesce(environment, ''),
            coalesce(status, ''))
        > (coalesce($25, '-infinity'::timestamptz), $26, $27, $28::int4, $29, $30, $31, $32)
    ORDER BY bucket_start, prompt_mode, prompt_name, version_number, provider, model_name, environment, status LIMIT $33"
);

/// One question.
struct Question<'a> {
    project: ProjectId,
    filter: &'a UsageFilter,
    split: Split,
    after: Option<&'a UsageKey>,
    limit: usize,
    /// Whether latencies are asked for too: they are most of the answer.
    latencies: bool,
}

impl Postgres {
    async fn answer(&self, question: Question<'_>) -> Result<Vec<UsageRow>> {
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
        let question = Question { project, filter, split, after: None, limit: Mode::ALL.len(), latencies: true };
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
        self.answer(Question { project, filter, split, after, limit, latencies: true }).await
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
        let question = Question { project, filter, split, after: Some(&before), limit: versions, latencies: false };
        let rows = self.answer(question).await?;
        Ok(rows.into_iter().filter_map(|row| Some((row.key.version_number?, row.tally.executions))).collect())
    }
}

async fn snapshot(pool: &PgPool) -> Result<Transaction<'static, sqlx::Postgres>> {
    error::walk(|| pool.begin_with(SNAPSHOT)).await
}

async fn ask(snapshot: &mut Transaction<'static, sqlx::Postgres>, question: &Question<'_>) -> Result<Vec<UsageRow>> {
    let Some((prompt, version)) = named(snapshot, question).await? else { return Ok(Vec::new()) };
    let PgTimestamp(until) = sqlx::query_scalar(UNTIL).fetch_one(&mut **snapshot).await.map_err(error::store)?;
    let Question { project, filter, split, after, limit, latencies } = question;
    // The rows of a page before are not read again.
    let start = filter.start_time.max(after.and_then(|after| after.bucket_start)).map_or(i64::MIN, |start| start.0);
    let end = filter.end_time.map_or(i64::MAX, |end| end.0);
    let Cover { raw, rollups, open_executions } =
        rollup::cover(start, end, until.0, split.bucket.unwrap_or(Bucket::Day));
    let by_prompt = split.prompt || split.version;
    let whose = match prompt {
        Some(prompt) => vec![prompt],
        None if by_prompt => Vec::new(),
        None => vec![Uuid::nil()],
    };
    let moments = |all: &[i64]| all.iter().map(|at| PgTimestamp(Timestamp(*at))).collect::<Vec<_>>();
    let (raw_from, raw_to): (Vec<_>, Vec<_>) = raw.into_iter().unzip();
    let nothing = UsageKey::default();
    let key = after.unwrap_or(&nothing);
    let (provider, model) = key.model.as_ref().map_or(("", ""), |model| (&model.provider, &model.model));
    let rows = sqlx::query(USAGE)
        .bind(project.0)
        .bind(split.bucket.map(Bucket::as_str))
        .bind(split.mode)
        .bind(by_prompt)
        .bind(split.version)
        .bind(split.model)
        .bind(split.environment)
        .bind(split.status)
        .bind(filter.mode.map(Mode::as_str))
        .bind(prompt)
        .bind(version)
        .bind(clean(&filter.provider))
        .bind(clean(&filter.model))
        .bind(clean(&filter.environment))
        .bind(whose)
        .bind(by_prompt && prompt.is_none())
        .bind(rollups.iter().map(|(length, ..)| roll_up::span(*length)).collect::<Vec<_>>())
        .bind(moments(&rollups.iter().map(|(_, from, _)| *from).collect::<Vec<_>>()))
        .bind(moments(&rollups.iter().map(|(.., to)| *to).collect::<Vec<_>>()))
        .bind(moments(&raw_from))
        .bind(moments(&raw_to))
        .bind(PgTimestamp(Timestamp(open_executions.0)))
        .bind(PgTimestamp(Timestamp(open_executions.1)))
        .bind(after.is_some())
        .bind(key.bucket_start.map(PgTimestamp))
        .bind(key.mode.map_or("", Mode::as_str))
        .bind(clean(key.prompt_name.as_deref().unwrap_or_default()))
        .bind(key.version_number.unwrap_or_default())
        .bind(clean(provider))
        .bind(clean(model))
        .bind(clean(key.environment.as_deref().unwrap_or_default()))
        .bind(key.status.map_or("", Status::as_str))
        .bind(count(*limit))
        .bind(latencies)
        .fetch_all(&mut **snapshot)
        .await
        .map_err(error::store)?;
    rows.iter().map(read).collect()
}

/// The prompt and the version that the filter names; nothing where one does not exist.
async fn named(
    snapshot: &mut Transaction<'static, sqlx::Postgres>,
    question: &Question<'_>,
) -> Result<Option<(Option<Uuid>, Option<Uuid>)>> {
    let filter = question.filter;
    if filter.prompt_name.is_empty() {
        return Ok(Some((None, None)));
    }
    let found = sqlx::query(NAMED)
        .bind(question.project.0)
        .bind(clean(&filter.prompt_name))
        .bind(filter.version_number)
        .fetch_optional(&mut **snapshot)
        .await
        .map_err(error::store)?;
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
