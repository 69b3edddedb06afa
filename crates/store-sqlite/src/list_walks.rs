//! The indexes that lists of executions walk, and which of them serve a filter. `INDEXED BY` fixes the choice, independent
//! of statistics: what the filter names of these, the first one is walked, since few executions have it in common.
//!
//! - A correlation id, an entry of metadata, an error: few executions each.
//! - A prompt's executions that have ended are found by status; those of a version, or of an environment of a prompt, by
//!   their numbers in `version_environments`. A project's are found by label, by model, by environment and status, or by
//!   status and mode.
//! - Those that have not ended are found by status, of a project or a prompt; there are few of them.
//!
//! A provider without a model has no index of its own: its project is walked.

use std::sync::LazyLock;

use prompt_ledger_domain::execution::{ExecutionMode, Status};
use prompt_ledger_domain::{Result, VariantArray as _};
use rusqlite::{Connection, ToSql};

use super::list::{Named, walk};
use super::row;
use super::statement::Script;
use prompt_ledger_store::ExecutionFilter;
use prompt_ledger_store::rows::count;

/// Declares walks: the index of each, and the condition that it serves. The conditions of partial indexes are repeated,
/// without which SQLite does not use them. The `+` in `sql/list.sql` keeps it from beginning at `:before_at` where
/// `:latest` is earlier.
macro_rules! walks {
    ($($name:ident: $index:literal, $of:literal;)*) => {
        $(static $name: LazyLock<Script> =
            LazyLock::new(|| walk(concat!("executions x INDEXED BY ", $index), $of, ["x.created_at", "x.id"]));)*

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
    OF_ERROR: "executions_error", "x.project_id = :project_id AND x.error_type = :error_type";
    OF_LABEL: "executions_label", "x.project_id = :project_id AND x.label = :label";
    OF_MODEL: "executions_model",
        "x.project_id = :project_id AND x.provider = :provider AND x.model_name = :model_name";
    ENDED_OF_PROJECT: "executions_ended",
        "x.project_id = :project_id AND x.status = :status AND x.mode = :its_mode AND x.completed_at IS NOT NULL";
    ENDED_OF_PROMPT: "executions_prompt",
        "x.prompt_id = :prompt AND x.status = :status AND x.completed_at IS NOT NULL";
    ENDED_OF_ENVIRONMENT: "executions_environment",
        "x.project_id = :project_id AND x.status = :status AND x.completed_at IS NOT NULL
        AND x.environment = :environment AND x.environment <> ''";
    ENDED_OF_VERSION: "executions_version",
        "x.version_environment = :number AND x.status = :status AND x.completed_at IS NOT NULL";
    LIVE_OF_PROJECT: "executions_live",
        "x.project_id = :project_id AND x.status = :status AND x.completed_at IS NULL";
    LIVE_OF_PROMPT: "executions_live_prompt",
        "x.prompt_id = :prompt AND x.status = :status AND x.completed_at IS NULL";
}

/// Those that have the first entry of the metadata, by the index of the entries.
static OF_METADATA: LazyLock<Script> = LazyLock::new(|| {
    let from = "execution_metadata m CROSS JOIN executions x ON x.id = m.execution_id";
    let first =
        "m.project_id = :project_id AND (m.key, m.value) = (SELECT key, value FROM json_each(:metadata) LIMIT 1)";
    walk(from, first, ["m.created_at", "m.execution_id"])
});

/// Numbers of the versions and environments that the filter matches, the newest first.
static NUMBERS: LazyLock<Script> = LazyLock::new(|| {
    let sql = "SELECT id FROM version_environments WHERE prompt_id = :prompt \
               AND (:version IS NULL OR version_id = :version) AND (:environment = '' OR environment = :environment) \
               ORDER BY id DESC LIMIT :most";
    Script::new(sql, &["prompt", "version", "environment", "most"])
});

/// Numbers that a list walks. Environments are free texts: where a version has been in more, its prompt is walked.
const NUMBERS_WALKED: usize = 32;

/// A script, and what it looks for; absent where that is not what it begins with.
pub(super) struct ListWalk {
    pub(super) script: &'static LazyLock<Script>,
    pub(super) status: Option<Status>,
    pub(super) mode: Option<ExecutionMode>,
    /// In `version_environments`.
    pub(super) number: Option<i64>,
}

/// Every status, first the one that most executions have: what it leaves of the time span to the others is little.
const SUCCEEDED_FIRST: &[Status] =
    &[Status::Succeeded, Status::Failed, Status::Canceled, Status::Running, Status::Queued];

/// The walks that together find what a list may show.
pub(super) fn of(connection: &Connection, filter: &ExecutionFilter, named: &Named) -> Result<Vec<ListWalk>> {
    let whole = |script| Ok(vec![ListWalk { script, status: None, mode: None, number: None }]);
    let in_environment = !filter.environment.is_empty();
    if !filter.correlation_id.is_empty() {
        return whole(&OF_CORRELATION);
    }
    if !filter.metadata.is_empty() {
        return whole(&OF_METADATA);
    }
    if !filter.error_type.is_empty() {
        return whole(&OF_ERROR);
    }
    if named.prompt.is_none() {
        if !filter.label.is_empty() {
            return whole(&OF_LABEL);
        }
        if !filter.provider.is_empty() && !filter.model_name.is_empty() {
            return whole(&OF_MODEL);
        }
        if !in_environment && filter.statuses.is_empty() && filter.mode.is_none() {
            return whole(&OF_PROJECT);
        }
    }
    let (mut modes, mut numbers) = (vec![None], vec![None]);
    let (ended, live): (&LazyLock<_>, &LazyLock<_>) = match &named.prompt {
        Some(_) => match numbers_of(connection, filter, named)? {
            Some(found) => {
                numbers = found;
                (&ENDED_OF_VERSION, &LIVE_OF_PROMPT)
            }
            None => (&ENDED_OF_PROMPT, &LIVE_OF_PROMPT),
        },
        None if in_environment => (&ENDED_OF_ENVIRONMENT, &LIVE_OF_PROJECT),
        None => {
            let wanted = ExecutionMode::VARIANTS.iter().copied().map(Some);
            modes = wanted.filter(|mode| filter.mode.is_none() || filter.mode == *mode).collect();
            (&ENDED_OF_PROJECT, &LIVE_OF_PROJECT)
        }
    };
    let mut walks = Vec::new();
    for status in SUCCEEDED_FIRST.iter().copied() {
        if !filter.statuses.is_empty() && !filter.statuses.contains(&status) {
            continue;
        }
        let status = Some(status);
        if status.is_some_and(Status::is_terminal) {
            let each = numbers.iter().flat_map(|number| modes.iter().map(move |mode| (*number, *mode)));
            walks.extend(each.map(|(number, mode)| ListWalk { script: ended, status, mode, number }));
        } else {
            walks.push(ListWalk { script: live, status, mode: None, number: None });
        }
    }
    Ok(walks)
}

/// The numbers that the filter's version or environment has; absent where it names neither, or where these are too many.
fn numbers_of(connection: &Connection, filter: &ExecutionFilter, named: &Named) -> Result<Option<Vec<Option<i64>>>> {
    if named.version.is_none() && filter.environment.is_empty() {
        return Ok(None);
    }
    let most = count(NUMBERS_WALKED + 1);
    let parameters: [&dyn ToSql; 4] = [&named.prompt, &named.version, &filter.environment, &most];
    let found = NUMBERS.rows(connection, parameters, |row| row::at(row, 0).map(Some))?;
    Ok((found.len() <= NUMBERS_WALKED).then_some(found))
}

/// The scripts that walk no index of `executions`.
#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 2] {
    [&OF_METADATA, &NUMBERS]
}
