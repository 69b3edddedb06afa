//! Lists of executions. For each shape of filter the statement uses the index that leaves the fewest rows, newest
//! first, and tests the other conditions. `INDEXED BY` fixes the choice, independent of statistics.

use std::sync::LazyLock;

use prompt_ledger_domain::execution::{Execution, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::Connection;

use super::row;
use super::statement::{Script, parameters};
use prompt_ledger_store::ExecutionFilter;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::execution::{execution, texts};
use prompt_ledger_store::{execution_select, text_columns, text_joins};

/// The statement without texts, and with. `{index}` is the index that is scanned, `{walk}` the condition that it serves.
const LISTS: [&str; 2] = [
    concat!(
        execution_select!(" CROSS JOIN", "", "executions x INDEXED BY {index}", ""),
        " ",
        include_str!("sql/list.sql")
    ),
    concat!(
        execution_select!(" CROSS JOIN", text_columns!(), "executions x INDEXED BY {index}", text_joins!()),
        " ",
        include_str!("sql/list.sql")
    ),
];

static OF_PROJECT: LazyLock<[Script; 2]> = LazyLock::new(|| lists("executions_project", "x.project_id = :project_id"));
static OF_PROMPT: LazyLock<[Script; 2]> = LazyLock::new(|| lists("executions_prompt", "x.prompt_id = :prompt"));
static OF_VERSION: LazyLock<[Script; 2]> = LazyLock::new(|| lists("executions_version", "x.version_id = :version"));
static OF_CORRELATION: LazyLock<[Script; 2]> =
    LazyLock::new(|| lists("executions_correlation", "x.correlation_id = :correlation_id"));
/// Of the first of the statuses, which is the only one. `status <> 'succeeded'` repeats the condition of the partial
/// index, without which SQLite does not use it.
static OF_STATUS: LazyLock<[Script; 2]> =
    LazyLock::new(|| lists("executions_status", "x.status = :statuses ->> 0 AND x.status <> 'succeeded'"));

fn lists(index: &str, walk: &str) -> [Script; 2] {
    LISTS.map(|sql| Script::new(&sql.replace("{index}", index).replace("{walk}", walk), ListParameters::NAMES))
}

parameters! {
    /// `statuses` is a JSON array; absent stands for all.
    ListParameters(page: &SqlitePage<'_>, named: &Named, statuses: Option<&str>) {
        project_id = page.project.to_string(),
        earliest = page.filter.start_time.map_or(i64::MIN, |start| start.0),
        latest = page.latest(),
        before_at = page.before_at(),
        before_id = page.before.map(|(_, id)| id.to_string()).unwrap_or_default(),
        environment = &page.filter.environment,
        statuses = statuses,
        correlation_id = &page.filter.correlation_id,
        prompt = &named.prompt,
        version = &named.version,
        most = count(page.limit),
    }
}

pub(super) static NAMED: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/named.sql"), NamedParameters::NAMES));

parameters! {
    NamedParameters(project: ProjectId, prompt_name: &str, version_number: Option<i32>) {
        project_id = project.to_string(),
        name = prompt_name,
        version_number = version_number,
    }
}

/// The arguments of `list`.
pub(super) struct SqlitePage<'a> {
    pub(super) project: ProjectId,
    pub(super) filter: &'a ExecutionFilter,
    pub(super) before: Option<(Timestamp, ExecutionId)>,
    pub(super) limit: usize,
    pub(super) texts: bool,
}

impl SqlitePage<'_> {
    /// Creation time of the last row of the page before.
    fn before_at(&self) -> i64 {
        self.before.map_or(i64::MAX, |(at, _)| at.0)
    }

    /// The latest creation time of a row on the page.
    fn latest(&self) -> i64 {
        self.filter.end_time.map_or(i64::MAX, |end| end.0.saturating_sub(1)).min(self.before_at())
    }
}

/// Ids of the prompt and the version that the filter names.
#[derive(Default)]
pub(super) struct Named {
    pub(super) prompt: Option<String>,
    pub(super) version: Option<String>,
}

pub(super) fn list(connection: &Connection, page: &SqlitePage<'_>) -> Result<Vec<Execution>> {
    let filter = page.filter;
    let named = named(connection, page.project, &filter.prompt_name, filter.version_number)?;
    let Some(named) = named else { return Ok(Vec::new()) };
    let scripts: &LazyLock<_> = if !filter.correlation_id.is_empty() {
        &OF_CORRELATION
    } else if named.version.is_some() {
        &OF_VERSION
    } else if named.prompt.is_some() {
        &OF_PROMPT
    } else if filter.statuses.is_empty() || filter.statuses.contains(&Status::Succeeded) {
        &OF_PROJECT
    } else {
        return of_statuses(connection, page);
    };
    walk(connection, scripts, page, &named, &filter.statuses)
}

/// Looks up the ids; nothing where the prompt or the version does not exist.
pub(super) fn named(
    connection: &Connection,
    project: ProjectId,
    prompt_name: &str,
    version_number: Option<i32>,
) -> Result<Option<Named>> {
    if prompt_name.is_empty() {
        return Ok(Some(Named::default()));
    }
    let named = NAMED.row(connection, NamedParameters::values(project, prompt_name, version_number), |row| {
        Ok(Named { prompt: row::maybe(row, "prompt_id")?, version: row::maybe(row, "version_id")? })
    })?;
    Ok(named.filter(|named| version_number.is_none() || named.version.is_some()))
}

/// One index scan per status, merged: the index is ordered within one status only.
fn of_statuses(connection: &Connection, page: &SqlitePage<'_>) -> Result<Vec<Execution>> {
    let mut all = Vec::new();
    for status in Status::ALL.iter().filter(|status| page.filter.statuses.contains(status)) {
        all.extend(walk(connection, &OF_STATUS, page, &Named::default(), &[*status])?);
    }
    all.sort_by_key(|execution: &Execution| std::cmp::Reverse((execution.created_at, execution.id)));
    all.truncate(page.limit);
    Ok(all)
}

fn walk(
    connection: &Connection,
    scripts: &[Script; 2],
    page: &SqlitePage<'_>,
    named: &Named,
    statuses: &[Status],
) -> Result<Vec<Execution>> {
    let words: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
    let statuses = if words.is_empty() { None } else { Some(row::to_json(&words)?) };
    let parameters = ListParameters::values(page, named, statuses.as_deref());
    scripts[usize::from(page.texts)].rows(connection, parameters, |row| {
        let texts = if page.texts { Some(texts(row)?) } else { None };
        Ok(Execution { texts, ..execution(row)? })
    })
}

/// Each list with the beginning of its index' use in a plan.
#[cfg(test)]
pub(super) fn shapes() -> [(&'static [Script; 2], &'static str); 5] {
    [
        (&OF_PROJECT, "executions_project (project_id=?"),
        (&OF_PROMPT, "executions_prompt (prompt_id=?"),
        (&OF_VERSION, "executions_version (version_id=?"),
        (&OF_CORRELATION, "executions_correlation (correlation_id=?"),
        (&OF_STATUS, "executions_status (status=?"),
    ]
}
