//! Lists of executions, one page per statement. For each shape of filter the statement uses the index that leaves the
//! fewest rows, newest first, and tests the other conditions in a form that no index supports: the choice of index is
//! fixed here, independent of statistics.

use prompt_ledger_domain::execution::{Execution, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::PgPool;
use uuid::Uuid;

use super::bind::clean;
use super::error;
use super::timestamp::PgTimestamp;
use prompt_ledger_store::ExecutionFilter;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::execution::{execution, texts};
use prompt_ledger_store::{execution_select, text_columns, text_joins};

/// $1 project; $2 to $3 creation time, both inclusive; $4, $5 creation time and id of the last row of the page before;
/// $6 environment, $7 statuses, $8 correlation id; $9 prompt and $10 version number; $11 limit.
macro_rules! page {
    ($walk:literal) => {
        concat!(
            "SELECT w.* FROM executions w WHERE ",
            $walk,
            " AND w.created_at BETWEEN $2 AND $3 AND (w.created_at, w.id) < ($4, $5)",
            " AND ($6 = '' OR w.environment = $6)",
            " AND ($7::text[] IS NULL OR w.status = ANY ($7)) AND ($8 = '' OR w.correlation_id = $8)",
            " AND w.project_id IS NOT DISTINCT FROM $1",
            " AND ($9 = '' OR w.prompt_id IN (SELECT q.id FROM prompts q",
            " WHERE q.project_id = $1 AND q.name = $9))",
            " AND ($10::int4 IS NULL OR w.version_id IN (SELECT u.id FROM prompts q",
            " JOIN prompt_versions u ON u.prompt_id = q.id",
            " WHERE q.project_id = $1 AND q.name = $9 AND u.version_number = $10))",
            " ORDER BY w.created_at DESC, w.id DESC LIMIT $11"
        )
    };
}

/// A page from `$page`, joined with prompt, version and project.
macro_rules! list {
    ($page:expr, $columns:expr, $joins:expr) => {
        concat!(
            execution_select!(" JOIN", $columns, concat!("(", $page, ") x"), $joins),
            " ORDER BY x.created_at DESC, x.id DESC LIMIT $11"
        )
    };
}

/// The statement without texts, and with.
macro_rules! shapes {
    ($page:expr) => {
        [list!($page, "", ""), list!($page, text_columns!(), text_joins!())]
    };
}

pub(super) const OF_PROJECT: [&str; 2] = shapes!(page!("w.project_id = $1"));
pub(super) const OF_PROMPT: [&str; 2] =
    shapes!(page!("w.prompt_id = (SELECT q.id FROM prompts q WHERE q.project_id = $1 AND q.name = $9)"));
pub(super) const OF_VERSION: [&str; 2] = shapes!(page!(
    "w.version_id = (SELECT u.id FROM prompts q JOIN prompt_versions u ON u.prompt_id = q.id \
     WHERE q.project_id = $1 AND q.name = $9 AND u.version_number = $10)"
));
pub(super) const OF_CORRELATION: [&str; 2] = shapes!(page!("w.correlation_id = $8"));
/// One index scan for each status, merged: the index is ordered within one status only. The condition `status <>
/// 'succeeded'` repeats that of the partial index.
pub(super) const OF_STATUSES: [&str; 2] = shapes!(concat!(
    "SELECT y.* FROM unnest($7::text[]) AS s (status) CROSS JOIN LATERAL (",
    page!("w.status = s.status AND w.status <> 'succeeded'"),
    ") y"
));

/// The arguments of `list`.
pub(super) struct PostgresPage<'a> {
    pub(super) project: ProjectId,
    pub(super) filter: &'a ExecutionFilter,
    pub(super) before: Option<(Timestamp, ExecutionId)>,
    pub(super) limit: usize,
    pub(super) texts: bool,
}

impl PostgresPage<'_> {
    /// The statement whose index leaves the fewest rows.
    fn shape(&self) -> [&'static str; 2] {
        let filter = self.filter;
        if !filter.correlation_id.is_empty() {
            OF_CORRELATION
        } else if !filter.prompt_name.is_empty() && filter.version_number.is_some() {
            OF_VERSION
        } else if !filter.prompt_name.is_empty() {
            OF_PROMPT
        } else if filter.statuses.is_empty() || filter.statuses.contains(&Status::Succeeded) {
            OF_PROJECT
        } else {
            OF_STATUSES
        }
    }
}

pub(super) async fn list(pool: &PgPool, page: PostgresPage<'_>) -> Result<Vec<Execution>> {
    let filter = page.filter;
    let (before_at, before_id) = page.before.unwrap_or((Timestamp(i64::MAX), ExecutionId(Uuid::max())));
    let end = filter.end_time.map_or(i64::MAX, |end| end.0.saturating_sub(1));
    let statuses: Vec<_> = Status::ALL.iter().filter(|s| filter.statuses.contains(s)).map(|s| s.as_str()).collect();
    let statuses = (!statuses.is_empty()).then_some(statuses);
    let statement = page.shape()[usize::from(page.texts)];
    let query = || {
        sqlx::query(statement)
            .bind(page.project.0)
            .bind(PgTimestamp(Timestamp(filter.start_time.map_or(i64::MIN, |start| start.0))))
            .bind(PgTimestamp(Timestamp(end.min(before_at.0))))
            .bind(PgTimestamp(before_at))
            .bind(before_id.0)
            .bind(clean(&filter.environment))
            .bind(statuses.clone())
            .bind(clean(&filter.correlation_id))
            .bind(clean(&filter.prompt_name))
            .bind(filter.version_number)
            .bind(count(page.limit))
            .fetch_all(pool)
    };
    let rows = error::walk(query).await?;
    let mut executions = Vec::with_capacity(rows.len());
    for row in &rows {
        let texts = if page.texts { Some(texts(row)?) } else { None };
        executions.push(Execution { texts, ..execution(row)? });
    }
    Ok(executions)
}
