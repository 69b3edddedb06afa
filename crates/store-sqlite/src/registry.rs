//! Reads of prompts and versions. A prompt, its version and the project's revision are read in one statement or
//! transaction, so that the revision identifies the state exactly.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use super::registry_write::SqliteRegistryWrite as _;
use super::select::select;
use super::statement::{Script, parameters};
use super::{Sqlite, now, register_code, row};
use async_trait::async_trait;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Mode, Selector, Version};
use prompt_ledger_domain::prompt_log::{ChangeEntry, ChangeKind};
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::prompt::{add_revision, change_entry, maybe_prompt, maybe_version, project_revision};
use prompt_ledger_store::{
    ChangeRequest, Changed, ImportPrompt, Imported, PromptFilter, PromptWithActive, PutPrompt, PutResult, RegisterCode,
    Registered, Registry, ResolvedVersion, Revisions, Walked, rows_walked,
};
use prompt_ledger_store::{prompt_columns, version_columns};
use rusqlite::{Connection, ToSql};

/// Prompts of a range of names, with their active versions, and whether they match the other filters.
static PROMPTS: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!("SELECT ", prompt_columns!(), ", ", version_columns!(), ", ", include_str!("sql/prompts.sql"));
    Script::new(sql, PromptsParameters::NAMES)
});

parameters! {
    /// Names begin at `first`, inclusive, and end at `beyond`, exclusive; `after` is the last name of the page before.
    PromptsParameters(project: ProjectId, filter: &PromptFilter, words: &str, after: &str, budget: usize) {
        project_id = project.to_string(),
        first = after.max(&filter.name_prefix),
        after = after,
        beyond = format!("{}{BEYOND}", filter.name_prefix),
        mode = filter.mode.map(<&str>::from),
        owner_team = &filter.owner_team,
        include_archived = filter.include_archived,
        tag = &filter.tag,
        words = words,
        label = &filter.label,
        budget = count(budget),
    }
}

/// Versions with numbers below `before`, newest first; one row without a version where there are none.
static VERSIONS: LazyLock<Script> = LazyLock::new(|| {
    let sql =
        concat!("SELECT j.revision AS project_revision, ", version_columns!(), " ", include_str!("sql/versions.sql"));
    Script::new(sql, VersionsParameters::NAMES)
});

parameters! {
    VersionsParameters(project: ProjectId, name: &str, before: Option<i32>, limit: usize) {
        project_id = project.to_string(),
        name = name,
        before = before.unwrap_or(i32::MAX),
        most = count(limit).max(1),
    }
}

/// Entries of the change log, newest first, of all prompts or of one, each by its own index. `kinds` is a JSON array of
/// words.
static CHANGES: LazyLock<[Script; 2]> = LazyLock::new(|| {
    [":name = ''", "c.prompt_name = :name"]
        .map(|of| Script::new(&include_str!("sql/changes.sql").replace("{of}", of), ChangesParameters::NAMES))
});

parameters! {
    ChangesParameters(
        project: ProjectId,
        name: &str,
        kinds: Option<&str>,
        before: Option<(i64, i32)>,
        budget: usize,
    ) {
        project_id = project.to_string(),
        name = name,
        kinds = kinds,
        before_revision = before.map_or(i64::MAX, |before| before.0),
        before_position = before.map_or(i32::MAX, |before| before.1),
        budget = count(budget),
    }
}

/// One row per counter, all from one snapshot.
static REVISIONS: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/revisions.sql");
    Script::new(sql, &["projects"])
});

static REVISION: LazyLock<Script> =
    LazyLock::new(|| Script::new("SELECT revision FROM projects WHERE id = :id", &["id"]));

/// Sorts after every character of a name: names are ASCII.
const BEYOND: char = '\u{10ffff}';

#[async_trait]
impl Registry for Sqlite {
    async fn put_prompt(&self, project: ProjectId, put: PutPrompt) -> Result<PutResult> {
        self.write_registry(project, put).await
    }

    async fn register_code(&self, project: ProjectId, code: RegisterCode) -> Result<Registered> {
        // Planned on a read connection first, so that calls which write nothing do not wait for the writer.
        let plan = move |connection: &Connection| {
            let plan = code.plan(connection, project, now())?;
            Ok((code, plan))
        };
        let (code, plan) = self.readers.read(plan).await?;
        if plan.is_idle() {
            return Ok(plan.answer);
        }
        self.write_registry(project, code).await
    }

    async fn import_prompt(&self, project: ProjectId, import: ImportPrompt) -> Result<Imported> {
        self.write_registry(project, import).await
    }

    async fn modes(&self, project: ProjectId, names: &[&str]) -> Result<Vec<(String, Mode)>> {
        let names = row::to_json(&names)?;
        self.readers.read(move |connection| register_code::modes(connection, project, &names)).await
    }

    async fn prompt(&self, project: ProjectId, name: &str) -> Result<PromptWithActive> {
        let name = name.to_owned();
        let selected = move |connection: &Connection| select(connection, project, &name, &Selector::Active);
        let (prompt, active, revision) = self.readers.read(selected).await?;
        Ok(PromptWithActive { prompt, active, revision })
    }

    async fn prompts(
        &self,
        project: ProjectId,
        filter: &PromptFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Walked<PromptWithActive, String>, i64)> {
        let (filter, after) = (filter.clone(), after.unwrap_or_default().to_owned());
        self.lists.snapshot(move |connection| prompts(connection, project, &filter, &after, limit)).await
    }

    async fn version(&self, project: ProjectId, name: &str, selector: &Selector) -> Result<ResolvedVersion> {
        let (name, selector) = (name.to_owned(), selector.clone());
        let resolved = move |connection: &Connection| {
            let (prompt, version, revision) = select(connection, project, &name, &selector)?;
            let version = version.ok_or_else(|| Error::version_not_found(&name, &selector))?;
            Ok(ResolvedVersion { prompt, version, revision })
        };
        self.readers.read(resolved).await
    }

    async fn versions(
        &self,
        project: ProjectId,
        name: &str,
        before: Option<i32>,
        limit: usize,
    ) -> Result<(Vec<Version>, i64)> {
        let name = name.to_owned();
        self.lists.read(move |connection| versions(connection, project, &name, before, limit)).await
    }

    async fn change(&self, project: ProjectId, asked: ChangeRequest) -> Result<Changed> {
        self.write_registry(project, asked).await
    }

    async fn prompt_changes(
        &self,
        project: ProjectId,
        name: &str,
        kinds: &[ChangeKind],
        before: Option<(i64, i32)>,
        limit: usize,
    ) -> Result<(Walked<ChangeEntry, (i64, i32)>, i64)> {
        let name = name.to_owned();
        let kinds = match kinds {
            [] => None,
            kinds => Some(row::to_json(&kinds.iter().map(<&str>::from).collect::<Vec<_>>())?),
        };
        let changes = move |connection: &Connection| {
            let revision = revision_of(connection, project)?;
            let budget = rows_walked(limit);
            let parameters = ChangesParameters::values(project, &name, kinds.as_deref(), before, budget);
            let (mut seen, mut rows, mut stopped) = (0, Vec::new(), None);
            CHANGES[usize::from(!name.is_empty())].each(connection, parameters, |row| {
                seen += 1;
                if seen == budget {
                    stopped = Some((row::value(row, "revision")?, row::value(row, "position")?));
                }
                if row::value(row, "matches")? {
                    rows.push(change_entry(row)?);
                }
                Ok(if rows.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
            let stopped = stopped.filter(|_| rows.len() < limit);
            Ok((Walked { rows, stopped }, revision))
        };
        self.lists.snapshot(changes).await
    }

    async fn revisions(&self, projects: &[ProjectId]) -> Result<Revisions> {
        let projects = row::to_json(&projects.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let revisions = move |connection: &Connection| {
            let mut revisions = Revisions::default();
            REVISIONS.rows(connection, [&projects as &dyn ToSql], |row| add_revision(&mut revisions, row))?;
            Ok(revisions)
        };
        self.revisions.read(revisions).await
    }
}

/// The project's revision; 0 where it does not exist.
pub(super) fn revision_of(connection: &Connection, project: ProjectId) -> Result<i64> {
    let id = project.to_string();
    let revision = REVISION.row(connection, [&id as &dyn ToSql], |row| row::value(row, "revision"))?;
    Ok(revision.unwrap_or_default())
}

fn prompts(
    connection: &Connection,
    project: ProjectId,
    filter: &PromptFilter,
    after: &str,
    limit: usize,
) -> Result<(Walked<PromptWithActive, String>, i64)> {
    let revision = revision_of(connection, project)?;
    let words = row::to_json(&filter.words)?;
    let budget = rows_walked(limit);
    let (mut seen, mut rows, mut stopped) = (0, Vec::new(), None);
    PROMPTS.each(connection, PromptsParameters::values(project, filter, &words, after, budget), |row| {
        seen += 1;
        if seen == budget {
            stopped = Some(row::text(row, "name")?);
        }
        if row::value(row, "matches")?
            && let Some(prompt) = maybe_prompt(row)?
        {
            rows.push(PromptWithActive { prompt, active: maybe_version(row)?, revision });
        }
        Ok(if rows.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    let stopped = stopped.filter(|_| rows.len() < limit);
    Ok((Walked { rows, stopped }, revision))
}

fn versions(
    connection: &Connection,
    project: ProjectId,
    name: &str,
    before: Option<i32>,
    limit: usize,
) -> Result<(Vec<Version>, i64)> {
    let found = VERSIONS.rows(connection, VersionsParameters::values(project, name, before, limit), |row| {
        Ok((project_revision(row)?, maybe_version(row)?))
    })?;
    let (revision, _) = found.first().ok_or_else(|| Error::prompt_not_found(name))?;
    let revision = *revision;
    Ok((found.into_iter().filter_map(|(_, version)| version).take(limit).collect(), revision))
}
