//! Reads of prompts and versions. A prompt, its version and the project's revision are read in one statement, so that
//! the revision identifies the state exactly.

use std::sync::LazyLock;

use super::row::without_nul;
use super::select::{fetch, read};
use super::statement::parameters;
use super::{Postgres, error, row};
use async_trait::async_trait;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Mode, Selector, Version};
use prompt_ledger_domain::prompt_log::{ChangeEntry, ChangeKind};
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::prompt::{add_revision, change_entry, maybe_prompt, maybe_version, project_revision};
use prompt_ledger_store::{
    ChangeRequest, Changed, ImportPrompt, Imported, PromptFilter, PromptWithActive, PutPrompt, PutResult, RegisterCode,
    Registered, Registry, ResolvedVersion, Revisions, Walked, rows_walked,
};
use prompt_ledger_store::{prompt_columns, version_columns};

/// Prompts with names from `from` (inclusive), after `after` and below `below` (both exclusive), with their active
/// versions: those that match the other filters, and the one at which the walk stopped. One row without a prompt where there
/// are none, for the revision.
static PROMPTS: LazyLock<String> = LazyLock::new(|| {
    let sql = concat!("SELECT ", prompt_columns!(), ", ", version_columns!(), ", ", include_str!("sql/prompts.sql"));
    numbered(sql, PromptsParameters::NAMES)
});

parameters! {
    PromptsParameters(project: ProjectId, filter: &PromptFilter, after: &str, limit: usize) {
        project_id = project.0,
        from = without_nul(after.max(&filter.name_prefix)),
        after = without_nul(after),
        below = format!("{}{BEYOND}", without_nul(&filter.name_prefix)),
        mode = filter.mode.map(<&str>::from),
        owner_team = without_nul(&filter.owner_team),
        include_archived = filter.include_archived,
        tag = without_nul(&filter.tag),
        words = filter.words.iter().map(|word| without_nul(word)).collect::<Vec<_>>(),
        label = without_nul(&filter.label),
        budget = count(rows_walked(limit)),
        most = count(limit),
    }
}

/// Versions with numbers below `before`, newest first; one row without a version where there are none, for the revision.
static VERSIONS: LazyLock<String> = LazyLock::new(|| {
    let sql =
        concat!("SELECT j.revision AS project_revision, ", version_columns!(), " ", include_str!("sql/versions.sql"));
    numbered(sql, VersionsParameters::NAMES)
});

parameters! {
    VersionsParameters(project: ProjectId, name: &str, before: Option<i32>, limit: usize) {
        project_id = project.0,
        name = without_nul(name),
        before = before.unwrap_or(i32::MAX),
        // The row without a version is read even where no version is asked for.
        most = count(limit).max(1),
    }
}

/// Entries of the change log, newest first, of all prompts or of one, each by its own index; one row without an entry where
/// there are none, for the revision.
static CHANGES: LazyLock<[String; 2]> = LazyLock::new(|| {
    [":name = ''", "q.prompt_name = :name"]
        .map(|of| numbered(&include_str!("sql/changes.sql").replace("{of}", of), ChangesParameters::NAMES))
});

parameters! {
    ChangesParameters(
        project: ProjectId,
        name: &str,
        kinds: &[ChangeKind],
        before: Option<(i64, i32)>,
        limit: usize,
    ) {
        project_id = project.0,
        name = without_nul(name),
        kinds = (!kinds.is_empty()).then(|| kinds.iter().map(<&str>::from).collect::<Vec<_>>()),
        before_revision = before.map_or(i64::MAX, |before| before.0),
        before_position = before.map_or(i32::MAX, |before| before.1),
        budget = count(rows_walked(limit)),
        // The row without an entry is read even where none is asked for.
        most = count(limit).max(1),
    }
}

/// One row per counter, all from one snapshot.
const REVISIONS: &str = include_str!("sql/revisions.sql");

/// Sorts after every character of a name: names are ASCII.
const BEYOND: char = '\u{7f}';

#[async_trait]
impl Registry for Postgres {
    async fn put_prompt(&self, project: ProjectId, put: PutPrompt) -> Result<PutResult> {
        self.write_registry(project, &put).await
    }

    async fn register_code(&self, project: ProjectId, code: RegisterCode) -> Result<Registered> {
        self.write_registry(project, &code).await
    }

    async fn import_prompt(&self, project: ProjectId, import: ImportPrompt) -> Result<Imported> {
        self.write_registry(project, &import).await
    }

    async fn modes(&self, project: ProjectId, names: &[&str]) -> Result<Vec<(String, Mode)>> {
        self.modes_of(project, names).await
    }

    async fn prompt(&self, project: ProjectId, name: &str) -> Result<PromptWithActive> {
        let row = error::again(|| fetch(&self.calls, project, name, &Selector::Active)).await?;
        let (prompt, active, revision) = read(row, name)?;
        Ok(PromptWithActive { prompt, active, revision })
    }

    async fn prompts(
        &self,
        project: ProjectId,
        filter: &PromptFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Walked<PromptWithActive, String>, i64)> {
        let after = after.unwrap_or_default();
        let rows =
            error::list(&self.lists, || PromptsParameters::query(&PROMPTS, project, filter, after, limit)).await?;
        let revision = rows.first().map_or(Ok(0), project_revision)?;
        let (mut prompts, mut stopped) = (Vec::with_capacity(rows.len()), None);
        for row in rows {
            let Some(prompt) = maybe_prompt(&row)? else { continue };
            if row::value(&row, "stopped")? {
                stopped = Some(prompt.name.clone());
            }
            if row::value(&row, "matches")? {
                prompts.push(PromptWithActive { prompt, active: maybe_version(&row)?, revision });
            }
        }
        let stopped = stopped.filter(|_| prompts.len() < limit);
        Ok((Walked { rows: prompts, stopped }, revision))
    }

    async fn version(&self, project: ProjectId, name: &str, selector: &Selector) -> Result<ResolvedVersion> {
        let row = error::again(|| fetch(&self.calls, project, name, selector)).await?;
        let (prompt, version, revision) = read(row, name)?;
        let version = version.ok_or_else(|| Error::version_not_found(name, selector))?;
        Ok(ResolvedVersion { prompt, version, revision })
    }

    async fn versions(
        &self,
        project: ProjectId,
        name: &str,
        before: Option<i32>,
        limit: usize,
    ) -> Result<(Vec<Version>, i64)> {
        let rows =
            error::list(&self.lists, || VersionsParameters::query(&VERSIONS, project, name, before, limit)).await?;
        let revision = project_revision(rows.first().ok_or_else(|| Error::prompt_not_found(name))?)?;
        let versions: Result<Vec<_>> =
            rows.iter().filter_map(|row| maybe_version(row).transpose()).take(limit).collect();
        Ok((versions?, revision))
    }

    async fn change(&self, project: ProjectId, asked: ChangeRequest) -> Result<Changed> {
        self.write_registry(project, &asked).await
    }

    async fn prompt_changes(
        &self,
        project: ProjectId,
        name: &str,
        kinds: &[ChangeKind],
        before: Option<(i64, i32)>,
        limit: usize,
    ) -> Result<(Walked<ChangeEntry, (i64, i32)>, i64)> {
        let query = || {
            ChangesParameters::query(&CHANGES[usize::from(!name.is_empty())], project, name, kinds, before, limit)
                .fetch_all(&self.lists)
        };
        let rows = error::walk(query).await?;
        let revision = rows.first().map_or(Ok(0), project_revision)?;
        let (mut entries, mut stopped) = (Vec::with_capacity(rows.len()), None);
        for row in &rows {
            let Some(matches) = row::maybe(row, "matches")? else { continue };
            if row::value(row, "stopped")? {
                stopped = Some((row::value(row, "revision")?, row::value(row, "position")?));
            }
            if matches && entries.len() < limit {
                entries.push(change_entry(row)?);
            }
        }
        let stopped = stopped.filter(|_| entries.len() < limit);
        Ok((Walked { rows: entries, stopped }, revision))
    }

    async fn revisions(&self, projects: &[ProjectId]) -> Result<Revisions> {
        let ids: Vec<_> = projects.iter().map(|project| project.0).collect();
        let rows = error::again(|| self.refreshes.fetch_all(sqlx::query(REVISIONS).bind(ids.clone()))).await?;
        let mut revisions = Revisions::default();
        for row in &rows {
            add_revision(&mut revisions, row)?;
        }
        Ok(revisions)
    }
}
