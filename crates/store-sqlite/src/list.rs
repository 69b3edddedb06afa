//! Lists of executions. Rows of an index that serves the whole filter are walked newest first, so that a list reads few
//! rows more than it returns, however many there are. `INDEXED BY` fixes the choice, independent of statistics.
//!
//! Ended executions are found by status: those of a project, of a project's environment, or of a prompt; those of a
//! version, or of an environment of a prompt, by their numbers in `version_environments`. The others are found by status
//! too; there are few of them, and version and environment are tested. Where there are several statuses or numbers, each
//! is walked, and what was found bounds the next walk. A correlation id is walked whole: other conditions are tested.

use std::cmp::Reverse;
use std::sync::LazyLock;

use prompt_ledger_domain::execution::{Execution, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::{Connection, ToSql};

use super::row;
use super::statement::{Script, parameters};
use prompt_ledger_store::ExecutionFilter;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::execution::{execution, texts};
use prompt_ledger_store::rows::request::stored_metadata;
use prompt_ledger_store::{execution_select, text_columns, text_joins};

/// Declares walks: the index of each, and the condition that it serves. A status is the only one of `:statuses`; the
/// conditions of partial indexes are repeated, without which SQLite does not use them. The `+` in `sql/list.sql` keeps it
/// from beginning at `:before_at` where `:latest` is earlier.
macro_rules! walks {
    ($($name:ident: $index:literal, $of:literal;)*) => {
        $(static $name: LazyLock<Script> = LazyLock::new(|| walk($index, $of));)*

        /// Each walk with the name of its index.
        #[cfg(test)]
        pub(super) fn walks() -> Vec<(&'static Script, &'static str)> {
            vec![$((&*$name, $index)),*]
        }
    };
}

walks! {
    OF_PROJECT: "executions_project", "x.project_id = :project_id";
    OF_CORRELATION: "executions_correlation", "x.correlation_id = :correlation_id";
    ENDED_OF_PROJECT: "executions_ended", "x.project_id = :project_id {ended}";
    ENDED_OF_PROMPT: "executions_prompt", "x.prompt_id = :prompt {ended}";
    ENDED_OF_ENVIRONMENT: "executions_environment",
        "x.project_id = :project_id {ended} AND x.environment = :environment AND x.environment <> ''";
    ENDED_OF_VERSION: "executions_version", "x.version_environment = :number {ended}";
    LIVE_OF_PROJECT: "executions_live", "x.project_id = :project_id {live}";
    LIVE_OF_PROMPT: "executions_live_prompt", "x.prompt_id = :prompt {live}";
}

/// Row id and key of the executions that the walk finds.
fn walk(index: &str, of: &str) -> Script {
    let sql = "SELECT x.rowid, x.created_at, x.id FROM executions x INDEXED BY {index} ".to_owned();
    let sql = (sql + include_str!("sql/list.sql")).replace("{index}", index).replace("{walk}", of);
    let sql = sql
        .replace("{ended}", "AND x.status = :statuses ->> 0 AND x.completed_at IS NOT NULL")
        .replace("{live}", "AND x.status = :statuses ->> 0 AND x.completed_at IS NULL");
    Script::new(&sql, ListParameters::NAMES)
}

/// Those that have the first entry of the metadata, by the index of the entries.
static OF_METADATA: LazyLock<Script> = LazyLock::new(|| {
    let first =
        "m.project_id = :project_id AND (m.key, m.value) = (SELECT key, value FROM json_each(:metadata) LIMIT 1)";
    let sql = "SELECT x.rowid, x.created_at, x.id \
               FROM execution_metadata m CROSS JOIN executions x ON x.id = m.execution_id ";
    let sql = (sql.to_owned() + include_str!("sql/list.sql"))
        .replace("{walk}", first)
        .replace("x.created_at", "m.created_at");
    let sql = sql.replace("x.id)", "m.execution_id)").replace("x.id DESC", "m.execution_id DESC");
    Script::new(&sql, ListParameters::NAMES)
});

parameters! {
    /// `statuses` is a JSON array; absent stands for all. `earliest` is in microseconds since 1970, inclusive. `number` is
    /// the id in `version_environments`; absent where the walk does not begin there.
    ListParameters(page: &SqlitePage<'_>, named: &Named, walk: &ListWalk<'_>, statuses: Option<&str>, earliest: i64) {
        project_id = page.project.to_string(),
        earliest = earliest,
        latest = page.latest(),
        before_at = page.before_at(),
        before_id = page.before.map(|(_, id)| id.to_string()).unwrap_or_default(),
        environment = &page.filter.environment,
        statuses = statuses,
        correlation_id = &page.filter.correlation_id,
        prompt = &named.prompt,
        version = &named.version,
        number = walk.number,
        narrows = page.narrows(),
        label = &page.filter.label,
        error_type = &page.filter.error_type,
        provider = &page.filter.provider,
        model_name = &page.filter.model_name,
        mode = page.filter.mode.map(<&str>::from),
        metadata = named.metadata.as_deref(),
        most = count(page.limit),
    }
}

/// Numbers of the versions and environments that the filter matches, the newest first.
static NUMBERS: LazyLock<Script> = LazyLock::new(|| {
    let sql = "SELECT id FROM version_environments WHERE prompt_id = :prompt \
               AND (:version IS NULL OR version_id = :version) AND (:environment = '' OR environment = :environment) \
               ORDER BY id DESC LIMIT :most";
    Script::new(sql, &["prompt", "version", "environment", "most"])
});

/// Numbers that a list walks. Environments are free texts: where a version has been in more, its prompt is walked.
const NUMBERS_WALKED: usize = 32;

/// Executions by their places, a JSON array, without texts, and with.
static AT: LazyLock<[Script; 2]> = LazyLock::new(|| {
    let from = "json_each(:places) w CROSS JOIN executions x ON x.rowid = w.value";
    [
        execution_select!(" CROSS JOIN", "", "{from}", ""),
        execution_select!(" CROSS JOIN", text_columns!(), "{from}", text_joins!()),
    ]
    .map(|sql| Script::new(&sql.replace("{from}", from), &["places"]))
});

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
    /// Whether any filter is used that no walk begins with: else one check a row stands for all of these.
    fn narrows(&self) -> bool {
        let ExecutionFilter { label, error_type, provider, model_name, mode, metadata, .. } = self.filter;
        let texts = [label, error_type, provider, model_name];
        texts.iter().any(|text| !text.is_empty()) || mode.is_some() || !metadata.is_empty()
    }

    /// Creation time of the last row of the page before.
    fn before_at(&self) -> i64 {
        self.before.map_or(i64::MAX, |(at, _)| at.0)
    }

    /// The latest creation time of a row on the page.
    fn latest(&self) -> i64 {
        self.filter.end_time.map_or(i64::MAX, |end| end.0.saturating_sub(1)).min(self.before_at())
    }
}

/// Ids of the prompt and the version that the filter names, and its metadata.
#[derive(Default)]
pub(super) struct Named {
    pub(super) prompt: Option<String>,
    pub(super) version: Option<String>,
    /// The entries of the filter as JSON; absent for none.
    pub(super) metadata: Option<String>,
}

pub(super) fn list(connection: &Connection, page: &SqlitePage<'_>) -> Result<Vec<Execution>> {
    let filter = page.filter;
    let named = named(connection, page.project, &filter.prompt_name, filter.version_number)?;
    let Some(named) = named else { return Ok(Vec::new()) };
    let named = Named { metadata: stored_metadata(&filter.metadata)?, ..named };
    let mut found = Vec::new();
    let mut earliest = filter.start_time.map_or(i64::MIN, |start| start.0);
    for walk in walks_of(connection, filter, &named)? {
        let words: Vec<_> = walk.statuses.iter().map(<&str>::from).collect();
        let statuses = if words.is_empty() { None } else { Some(row::to_json(&words)?) };
        let parameters = ListParameters::values(page, &named, &walk, statuses.as_deref(), earliest);
        found.extend(walk.script.rows(connection, parameters, |row| {
            Ok(RowPlace { created_at: row::at(row, 1)?, id: row::at(row, 2)?, rowid: row::at(row, 0)? })
        })?);
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.truncate(page.limit);
        if let Some(last) = found.last().filter(|_| found.len() == page.limit) {
            earliest = last.created_at;
        }
    }
    let places: Vec<_> = found.iter().map(|place| place.rowid).collect();
    read(connection, &places, page.texts)
}

/// The order of lists, oldest first, and where the execution is stored.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RowPlace {
    created_at: i64,
    id: String,
    rowid: i64,
}

/// A script, and what it looks for.
struct ListWalk<'f> {
    script: &'static LazyLock<Script>,
    /// None for all.
    statuses: &'f [Status],
    /// In `version_environments`.
    number: Option<i64>,
}

/// Every status, first the one that most executions have: what it leaves of the time span to the others is little.
const SUCCEEDED_FIRST: &[Status] =
    &[Status::Succeeded, Status::Failed, Status::Canceled, Status::Running, Status::Queued];

/// The walks that together find what a list may show.
fn walks_of<'f>(connection: &Connection, filter: &'f ExecutionFilter, named: &Named) -> Result<Vec<ListWalk<'f>>> {
    let whole = |script| Ok(vec![ListWalk { script, statuses: &filter.statuses, number: None }]);
    let in_environment = !filter.environment.is_empty();
    if !filter.correlation_id.is_empty() {
        return whole(&OF_CORRELATION);
    }
    if !filter.metadata.is_empty() {
        return whole(&OF_METADATA);
    }
    if named.prompt.is_none() && !in_environment && filter.statuses.is_empty() {
        return whole(&OF_PROJECT);
    }
    let mut numbers = vec![None];
    let mut by_number = named.version.is_some() || named.prompt.is_some() && in_environment;
    if by_number {
        let most = count(NUMBERS_WALKED + 1);
        let parameters: [&dyn ToSql; 4] = [&named.prompt, &named.version, &filter.environment, &most];
        let found = NUMBERS.rows(connection, parameters, |row| row::at(row, 0).map(Some))?;
        by_number = found.len() <= NUMBERS_WALKED;
        if by_number {
            numbers = found;
        }
    }
    let (ended, live): (&LazyLock<_>, &LazyLock<_>) = match &named.prompt {
        Some(_) if by_number => (&ENDED_OF_VERSION, &LIVE_OF_PROMPT),
        Some(_) => (&ENDED_OF_PROMPT, &LIVE_OF_PROMPT),
        None if in_environment => (&ENDED_OF_ENVIRONMENT, &LIVE_OF_PROJECT),
        None => (&ENDED_OF_PROJECT, &LIVE_OF_PROJECT),
    };
    let mut walks = Vec::new();
    for status in SUCCEEDED_FIRST.iter().filter(|status| filter.statuses.is_empty() || filter.statuses.contains(status))
    {
        let statuses = std::slice::from_ref(status);
        match status.is_terminal() {
            true => walks.extend(numbers.iter().map(|number| ListWalk { script: ended, statuses, number: *number })),
            false => walks.push(ListWalk { script: live, statuses, number: None }),
        }
    }
    Ok(walks)
}

/// The executions at these places, newest first.
fn read(connection: &Connection, places: &[i64], with_texts: bool) -> Result<Vec<Execution>> {
    let places = row::to_json(&places)?;
    let mut all = AT[usize::from(with_texts)].rows(connection, [&places as &dyn ToSql], |row| {
        let texts = if with_texts { Some(texts(row)?) } else { None };
        Ok(Execution { texts, ..execution(row)? })
    })?;
    all.sort_unstable_by_key(|execution: &Execution| Reverse((execution.created_at, execution.id)));
    Ok(all)
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
        Ok(Named { prompt: row::maybe(row, "prompt_id")?, version: row::maybe(row, "version_id")?, metadata: None })
    })?;
    Ok(named.filter(|named| version_number.is_none() || named.version.is_some()))
}

/// What reads the executions that the walks found.
#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 5] {
    [&OF_METADATA, &NAMED, &NUMBERS, &AT[0], &AT[1]]
}
