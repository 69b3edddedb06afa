//! Figures, read from the executions themselves: a file has one process, and few of them. Money is added in two halves, since
//! a sum of 64 bits that overflows is an error here.

use std::collections::HashMap;

use async_trait::async_trait;
use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::{Bucket, Histogram};
use prompt_ledger_domain::{Error, Result};
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

/// $1 project; $2 the bucket in microseconds; $3 to $8 whether to split by mode, prompt, version, model, environment, status;
/// $9, $10 created, from and to before; $11 mode, $12 prompt, $13 version, $14 provider, $15 model, $16 environment; $17
/// whether there is a row before, $18 to $25 its key; $26 how many.
macro_rules! figures {
    ($index:literal, $walk:literal) => {
        concat!(
            "WITH grouped AS (
                SELECT CASE WHEN $2 > 0 THEN e.created_at - e.created_at % $2 END AS bucket_start,
                    CASE WHEN $3 THEN e.prompt_mode END AS prompt_mode, CASE WHEN $4 THEN e.prompt_id END AS prompt_id,
                    CASE WHEN $5 THEN e.version_id END AS version_id, CASE WHEN $6 THEN e.provider END AS provider,
                    CASE WHEN $6 THEN e.model_name END AS model_name,
                    CASE WHEN $7 THEN e.environment END AS environment, CASE WHEN $8 THEN e.status END AS status,
                    count(*) AS executions, sum(e.status = 'succeeded') AS succeeded, sum(e.status = 'failed') AS failed,
                    sum(e.status = 'canceled') AS canceled, coalesce(sum(e.prompt_tokens), 0) AS prompt_tokens,
                    coalesce(sum(e.response_tokens), 0) AS response_tokens, count(e.cost_nano_usd) AS with_cost,
                    coalesce(sum(e.cost_nano_usd >> 32), 0) AS cost_high,
                    coalesce(sum(e.cost_nano_usd & 4294967295), 0) AS cost_low,
                    coalesce(sum(e.latency_ms), 0) AS latency_sum, group_concat(e.latency_ms, ' ') AS latencies
                FROM executions e INDEXED BY ",
            $index,
            " WHERE ",
            $walk,
            " AND e.created_at >= $9 AND e.created_at < $10 AND e.project_id = $1
                    AND ($11 IS NULL OR e.prompt_mode = $11) AND ($12 IS NULL OR e.prompt_id = $12)
                    AND ($13 IS NULL OR e.version_id = $13) AND ($14 = '' OR e.provider = $14)
                    AND ($15 = '' OR e.model_name = $15) AND ($16 = '' OR e.environment = $16)
                GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
            )
            SELECT g.*, p.name AS prompt_name, v.version_number
            FROM grouped g LEFT JOIN prompts p ON p.id = g.prompt_id LEFT JOIN prompt_versions v ON v.id = g.version_id
            WHERE NOT $17 OR (coalesce(bucket_start, 0), coalesce(g.prompt_mode, ''), coalesce(p.name, ''),
                    coalesce(v.version_number, 0), coalesce(g.provider, ''), coalesce(g.model_name, ''),
                    coalesce(g.environment, ''), coalesce(g.status, ''))
                > ($18, $19, $20, $21, $22, $23, $24, $25)
            ORDER BY bucket_start, g.prompt_mode, p.name, v.version_number, g.provider, g.model_name, g.environment,
                g.status
            LIMIT $26"
        )
    };
}

const OF_PROJECT: &str = figures!("executions_project", "e.project_id = $1");
const OF_PROMPT: &str = figures!("executions_prompt", "e.prompt_id = $12");
const OF_VERSION: &str = figures!("executions_version", "e.version_id = $13");

/// Counted by a trigger (migration 4).
const COUNTS: &str = "
    SELECT v.version_number, c.executions
    FROM prompts p JOIN prompt_versions v ON v.prompt_id = p.id JOIN version_executions c ON c.version_id = v.id
    WHERE p.project_id = $1 AND p.name = $2 AND v.version_number >= $3 ORDER BY v.version_number LIMIT $4";

#[async_trait]
impl Analytics for Sqlite {
    async fn overview(&self, project: ProjectId, filter: &UsageFilter) -> Result<(PromptCounts, Vec<UsageRow>)> {
        let mut snapshot = self.lists.begin().await.map_err(error::store)?;
        let split = Split { mode: true, ..Split::default() };
        let rows = ask(&mut snapshot, project, filter, split, None, Mode::ALL.len()).await?;
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
        ask(&mut snapshot, project, filter, split, after, limit).await
    }

    async fn version_counts(
        &self,
        project: ProjectId,
        prompt_name: &str,
        first: i32,
        versions: usize,
    ) -> Result<HashMap<i32, i64>> {
        let query = sqlx::query(COUNTS).bind(project.to_string()).bind(prompt_name).bind(first);
        let query = query.bind(count(versions));
        let rows = query.fetch_all(&self.readers).await.map_err(error::store)?;
        rows.iter().map(|row| Ok((row::value(row, "version_number")?, row::value(row, "executions")?))).collect()
    }
}

async fn ask(
    connection: &mut SqliteConnection,
    project: ProjectId,
    filter: &UsageFilter,
    split: Split,
    after: Option<&UsageKey>,
    limit: usize,
) -> Result<Vec<UsageRow>> {
    let found = named(connection, project, &filter.prompt_name, filter.version_number).await?;
    let Some(Named { prompt, version }) = found else { return Ok(Vec::new()) };
    let statement = match (&prompt, &version) {
        (_, Some(_)) => OF_VERSION,
        (Some(_), None) => OF_PROMPT,
        (None, None) => OF_PROJECT,
    };
    // The rows of a page before are not read again.
    let start = filter.start_time.max(after.and_then(|after| after.bucket_start));
    let nothing = UsageKey::default();
    let key = after.unwrap_or(&nothing);
    let (provider, model) = key.model.as_ref().map_or(("", ""), |model| (&model.provider, &model.model));
    let rows = sqlx::query(statement)
        .bind(project.to_string())
        .bind(split.bucket.map_or(0, Bucket::micros))
        .bind(split.mode)
        .bind(split.prompt || split.version)
        .bind(split.version)
        .bind(split.model)
        .bind(split.environment)
        .bind(split.status)
        .bind(start.map_or(i64::MIN, |start| start.0))
        .bind(filter.end_time.map_or(i64::MAX, |end| end.0))
        .bind(filter.mode.map(Mode::as_str))
        .bind(prompt)
        .bind(version)
        .bind(&filter.provider)
        .bind(&filter.model)
        .bind(&filter.environment)
        .bind(after.is_some())
        .bind(key.bucket_start.unwrap_or_default().0)
        .bind(key.mode.map_or("", Mode::as_str))
        .bind(key.prompt_name.as_deref().unwrap_or_default())
        .bind(key.version_number.unwrap_or_default())
        .bind(provider)
        .bind(model)
        .bind(key.environment.as_deref().unwrap_or_default())
        .bind(key.status.map_or("", Status::as_str))
        .bind(count(limit))
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<UsageRow> {
    let mut latencies = Histogram::default();
    for latency in row.text("latencies")?.unwrap_or_default().split_whitespace() {
        latencies.record(latency.parse().map_err(Error::internal)?);
    }
    let [high, low] = ["cost_high", "cost_low"].map(|half| row::value::<_, _, i64>(row, half));
    usage(row, (i128::from(high?) << 32) + i128::from(low?), latencies)
}
