//! Lists of executions. For each shape of filter the statement uses the index that leaves the fewest rows, newest
//! first, and tests the other conditions. `INDEXED BY` fixes the choice, independent of statistics.

use prompt_ledger_domain::execution::{Execution, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::SqliteConnection;

use super::{error, row};
use prompt_ledger_store::ExecutionFilter;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::execution::{execution, texts};
use prompt_ledger_store::{execution_select, text_columns, text_joins};

/// $1 project; $2 to $3 creation time, both inclusive; $4, $5 creation time and id of the last row of the page before;
/// $6 environment, $7 statuses as JSON, $8 correlation id, $9 prompt, $10 version, $11 the one status that is scanned;
/// $12 limit.
macro_rules! list {
    ($index:literal, $walk:literal, $columns:expr, $joins:expr) => {
        concat!(
            execution_select!(" CROSS JOIN", $columns, concat!("executions x INDEXED BY ", $index), $joins),
            " WHERE ",
            $walk,
            " AND x.created_at BETWEEN $2 AND $3 AND (x.created_at, x.id) < ($4, $5) AND x.project_id = $1",
            " AND ($6 = '' OR x.environment = $6)",
            " AND ($7 IS NULL OR x.status IN (SELECT value FROM json_each($7)))",
            " AND ($8 = '' OR x.correlation_id = $8)",
            " AND ($9 IS NULL OR x.prompt_id = $9) AND ($10 IS NULL OR x.version_id = $10)",
            " ORDER BY x.created_at DESC, x.id DESC LIMIT $12"
        )
    };
}

/// The statement without texts, and with.
macro_rules! shapes {
    ($index:literal, $walk:literal) => {
        [list!($index, $walk, "", ""), list!($index, $walk, text_columns!(), text_joins!())]
    };
}

const OF_PROJECT: [&str; 2] = shapes!("executions_project", "x.project_id = $1");
const OF_PROMPT: [&str; 2] = shapes!("executions_prompt", "x.prompt_id = $9");
const OF_VERSION: [&str; 2] = shapes!("executions_version", "x.version_id = $10");
const OF_CORRELATION: [&str; 2] = shapes!("executions_correlation", "x.correlation_id = $8");
// `status <> 'succeeded'` repeats the condition of the partial index, without which SQLite does not use it.
const OF_STATUS: [&str; 2] = shapes!("executions_status", "x.status = $11 AND x.status <> 'succeeded'");

const NAMED: &str = "
    SELECT p.id AS prompt_id, v.id AS version_id
    FROM prompts p LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.version_number = $3
    WHERE p.project_id = $1 AND p.name = $2";

/// The arguments of `list`.
pub(super) struct SqlitePage<'a> {
    pub(super) project: ProjectId,
    pub(super) filter: &'a ExecutionFilter,
    pub(super) before: Option<(Timestamp, ExecutionId)>,
    pub(super) limit: usize,
    pub(super) texts: bool,
}

/// Ids of the prompt and the version that the filter names.
#[derive(Default)]
pub(super) struct Named {
    pub(super) prompt: Option<String>,
    pub(super) version: Option<String>,
}

pub(super) async fn list(connection: &mut SqliteConnection, page: SqlitePage<'_>) -> Result<Vec<Execution>> {
    let filter = page.filter;
    let names = named(connection, page.project, &filter.prompt_name, filter.version_number);
    let Some(named) = names.await? else { return Ok(Vec::new()) };
    let statement = if !filter.correlation_id.is_empty() {
        OF_CORRELATION
    } else if named.version.is_some() {
        OF_VERSION
    } else if named.prompt.is_some() {
        OF_PROMPT
    } else if filter.statuses.is_empty() || filter.statuses.contains(&Status::Succeeded) {
        OF_PROJECT
    } else {
        return of_statuses(connection, &page).await;
    };
    walk(connection, statement, &page, &named, None).await
}

/// Looks up the ids; nothing where the prompt or the version does not exist.
pub(super) async fn named(
    connection: &mut SqliteConnection,
    project: ProjectId,
    prompt_name: &str,
    version_number: Option<i32>,
) -> Result<Option<Named>> {
    if prompt_name.is_empty() {
        return Ok(Some(Named::default()));
    }
    let row = sqlx::query(NAMED)
        .bind(project.to_string())
        .bind(prompt_name)
        .bind(version_number)
        .fetch_optional(connection)
        .await
        .map_err(error::store)?;
    let Some(row) = row else { return Ok(None) };
    let named = Named { prompt: row::maybe(&row, "prompt_id")?, version: row::maybe(&row, "version_id")? };
    let unknown_version = version_number.is_some() && named.version.is_none();
    Ok(if unknown_version { None } else { Some(named) })
}

/// One index scan per status, merged: the index is ordered within one status only.
async fn of_statuses(connection: &mut SqliteConnection, page: &SqlitePage<'_>) -> Result<Vec<Execution>> {
    let mut all = Vec::new();
    for status in Status::ALL.iter().filter(|status| page.filter.statuses.contains(status)) {
        all.extend(walk(connection, OF_STATUS, page, &Named::default(), Some(*status)).await?);
    }
    all.sort_by_key(|execution: &Execution| std::cmp::Reverse((execution.created_at, execution.id)));
    all.truncate(page.limit);
    Ok(all)
}

async fn walk(
    connection: &mut SqliteConnection,
    statement: [&'static str; 2],
    page: &SqlitePage<'_>,
    named: &Named,
    status: Option<Status>,
) -> Result<Vec<Execution>> {
    let filter = page.filter;
    let (before_at, before_id) = match page.before {
        Some((at, id)) => (at.0, id.to_string()),
        None => (i64::MAX, String::new()),
    };
    let end = filter.end_time.map_or(i64::MAX, |end| end.0.saturating_sub(1));
    let words: Vec<_> = filter.statuses.iter().map(|status| status.as_str()).collect();
    let statuses = if words.is_empty() { None } else { Some(row::to_json(&words)?) };
    let rows = sqlx::query(statement[usize::from(page.texts)])
        .bind(page.project.to_string())
        .bind(filter.start_time.map_or(i64::MIN, |start| start.0))
        .bind(end.min(before_at))
        .bind(before_at)
        .bind(before_id)
        .bind(&filter.environment)
        .bind(statuses)
        .bind(&filter.correlation_id)
        .bind(&named.prompt)
        .bind(&named.version)
        .bind(status.map(Status::as_str))
        .bind(count(page.limit))
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    let mut page_rows = Vec::with_capacity(rows.len());
    for row in &rows {
        let texts = if page.texts { Some(texts(row)?) } else { None };
        page_rows.push(Execution { texts, ..execution(row)? });
    }
    Ok(page_rows)
}

#[cfg(test)]
mod tests;
