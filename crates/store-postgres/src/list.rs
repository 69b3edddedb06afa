//! Lists of executions, one page per statement. For each shape of filter the statement uses the index that leaves the
//! fewest rows, newest first, and tests the other conditions in a form that no index supports: the choice of index is
//! fixed here, independent of statistics.

use std::sync::LazyLock;

use prompt_ledger_domain::VariantArray as _;
use prompt_ledger_domain::execution::{Execution, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::PgPool;
use uuid::Uuid;

use super::error;
use super::statement::{clean, parameters};
use super::timestamp::PgTimestamp;
use prompt_ledger_store::ExecutionFilter;
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::execution::{execution, texts};
use prompt_ledger_store::{execution_select, text_columns, text_joins};

/// A page of executions, which `walk` finds by one index.
fn page(walk: &str) -> String {
    include_str!("sql/list.sql").replace("{walk}", walk)
}

/// The executions of `{page}` with prompt, version and project: without texts, and with.
const LIST: [&str; 2] = [
    execution_select!(" JOIN", "", "({page}) x", ""),
    execution_select!(" JOIN", text_columns!(), "({page}) x", text_joins!()),
];

/// The statements of one shape of filter: without texts, and with.
type ListShape = LazyLock<[String; 2]>;

fn shape(page: &str) -> [String; 2] {
    LIST.map(|list| {
        let sql = list.replace("{page}", page) + " ORDER BY x.created_at DESC, x.id DESC LIMIT :most";
        numbered(&sql, PageParameters::NAMES)
    })
}

pub(super) static OF_PROJECT: ListShape = LazyLock::new(|| shape(&page("w.project_id = :project_id")));
pub(super) static OF_PROMPT: ListShape = LazyLock::new(|| {
    shape(&page("w.prompt_id = (SELECT q.id FROM prompts q WHERE q.project_id = :project_id AND q.name = :prompt)"))
});
pub(super) static OF_VERSION: ListShape = LazyLock::new(|| {
    shape(&page(
        "w.version_id = (SELECT u.id FROM prompts q JOIN prompt_versions u ON u.prompt_id = q.id
        WHERE q.project_id = :project_id AND q.name = :prompt AND u.version_number = :version_number)",
    ))
});
pub(super) static OF_CORRELATION: ListShape = LazyLock::new(|| shape(&page("w.correlation_id = :correlation_id")));
/// Those that have the first entry, by the index of the entries.
pub(super) static OF_METADATA: ListShape = LazyLock::new(|| {
    let page = page(
        "m.project_id = :project_id AND (m.key, m.value) =
        (SELECT f.key, f.value FROM jsonb_each_text(:metadata::jsonb) AS f (key, value) LIMIT 1)",
    );
    let from = "FROM execution_metadata m JOIN executions w ON w.id = m.execution_id";
    let page = page.replace("FROM executions w", from).replace("w.created_at", "m.created_at");
    shape(&page.replace("w.id)", "m.execution_id)").replace("w.id DESC", "m.execution_id DESC"))
});
/// One index scan for each status, merged: the index is ordered within one status only. The condition `status <>
/// 'succeeded'` repeats that of the partial index.
pub(super) static OF_STATUSES: ListShape = LazyLock::new(|| {
    let page = page("w.status = s.status AND w.status <> 'succeeded'");
    shape(&format!("SELECT y.* FROM unnest(:statuses::text[]) AS s (status) CROSS JOIN LATERAL ({page}) y"))
});

parameters! {
    PageParameters(page: &PostgresPage<'_>) {
        project_id = page.project.0,
        first = PgTimestamp(page.filter.start_time.unwrap_or(Timestamp(i64::MIN))),
        last = PgTimestamp(page.last()),
        before_at = PgTimestamp(page.before().0),
        before_id = page.before().1.0,
        environment = clean(&page.filter.environment),
        statuses = page.statuses(),
        correlation_id = clean(&page.filter.correlation_id),
        prompt = clean(&page.filter.prompt_name),
        version_number = page.filter.version_number,
        label = clean(&page.filter.label),
        error_type = clean(&page.filter.error_type),
        provider = clean(&page.filter.provider),
        model_name = clean(&page.filter.model_name),
        mode = page.filter.mode.map(<&str>::from),
        metadata = page.metadata.as_deref(),
        most = count(page.limit),
    }
}

/// The arguments of `list`.
pub(super) struct PostgresPage<'a> {
    pub(super) project: ProjectId,
    pub(super) filter: &'a ExecutionFilter,
    pub(super) before: Option<(Timestamp, ExecutionId)>,
    pub(super) limit: usize,
    pub(super) texts: bool,
    /// The entries of the filter as JSON; absent for none.
    pub(super) metadata: Option<String>,
}

impl PostgresPage<'_> {
    /// The statements whose index leaves the fewest rows.
    fn shape(&self) -> &'static [String; 2] {
        let filter = self.filter;
        if !filter.correlation_id.is_empty() {
            &OF_CORRELATION
        } else if !filter.metadata.is_empty() {
            &OF_METADATA
        } else if !filter.prompt_name.is_empty() && filter.version_number.is_some() {
            &OF_VERSION
        } else if !filter.prompt_name.is_empty() {
            &OF_PROMPT
        } else if filter.statuses.is_empty() || filter.statuses.contains(&Status::Succeeded) {
            &OF_PROJECT
        } else {
            &OF_STATUSES
        }
    }

    /// Creation time and id of the last row of the page before; greater than those of every row on the first page.
    fn before(&self) -> (Timestamp, ExecutionId) {
        self.before.unwrap_or((Timestamp(i64::MAX), ExecutionId(Uuid::max())))
    }

    /// Latest creation time, inclusive.
    fn last(&self) -> Timestamp {
        let end = self.filter.end_time.map_or(i64::MAX, |end| end.0.saturating_sub(1));
        Timestamp(end.min(self.before().0.0))
    }

    /// None where every status matches.
    fn statuses(&self) -> Option<Vec<&'static str>> {
        let statuses = &self.filter.statuses;
        let words = || Status::VARIANTS.iter().filter(|status| statuses.contains(status)).map(<&str>::from);
        (!statuses.is_empty()).then(|| words().collect())
    }
}

pub(super) async fn list(pool: &PgPool, page: PostgresPage<'_>) -> Result<Vec<Execution>> {
    let statement = &page.shape()[usize::from(page.texts)];
    let rows = error::list(pool, || PageParameters::query(statement, &page)).await?;
    let mut executions = Vec::with_capacity(rows.len());
    for row in &rows {
        let texts = if page.texts { Some(texts(row)?) } else { None };
        executions.push(Execution { texts, ..execution(row)? });
    }
    Ok(executions)
}
