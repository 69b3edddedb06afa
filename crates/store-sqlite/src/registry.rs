//! Reads of prompts and versions. A prompt, its version and the project's revision are read in one statement or
//! transaction, so that the revision identifies the state exactly.

use std::sync::LazyLock;

use super::registry_write::SqliteRegistryWrite as _;
use super::select::select;
use super::{Sqlite, error, now, register_code, row};
use async_trait::async_trait;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Mode, Selector, Version};
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::prompt::{add_revision, maybe_prompt, maybe_version, project_revision};
use prompt_ledger_store::{
    ChangeRequest, Changed, PromptChange, PromptFilter, PromptWithActive, PutPrompt, PutResult, RegisterCode,
    Registered, Registry, ResolvedVersion, Revisions,
};
use prompt_ledger_store::{prompt_columns, version_columns};

/// Prompts of a range of names, with their active versions.
static PROMPTS: LazyLock<String> = LazyLock::new(|| {
    let sql = concat!("SELECT ", prompt_columns!(), ", ", version_columns!(), " ", include_str!("sql/prompts.sql"));
    numbered(sql, PromptsParameters::NAMES)
});

parameters! {
    /// Names begin at `first`, inclusive, and end at `beyond`, exclusive; `after` is the last name of the page before.
    PromptsParameters(project: ProjectId, filter: &PromptFilter, after: &str, limit: usize) of sqlx::Sqlite {
        project_id = project.to_string(),
        first = after.max(&filter.name_prefix),
        after = after,
        beyond = format!("{}{BEYOND}", filter.name_prefix),
        mode = filter.mode.map(Mode::as_str),
        owner_team = &filter.owner_team,
        include_archived = filter.include_archived,
        most = count(limit),
    }
}

/// Versions with numbers below `before`, newest first; one row without a version where there are none.
static VERSIONS: LazyLock<String> = LazyLock::new(|| {
    let sql =
        concat!("SELECT j.revision AS project_revision, ", version_columns!(), " ", include_str!("sql/versions.sql"));
    numbered(sql, VersionsParameters::NAMES)
});

parameters! {
    VersionsParameters(project: ProjectId, name: &str, before: Option<i32>, limit: usize) of sqlx::Sqlite {
        project_id = project.to_string(),
        name = name,
        before = before.unwrap_or(i32::MAX),
        most = count(limit).max(1),
    }
}

/// One row per counter, all from one snapshot.
const REVISIONS: &str = "SELECT scope, NULL AS project_id, revision FROM revisions \
                         UNION ALL SELECT NULL, id, revision FROM projects \
                         WHERE id IN (SELECT value FROM json_each($1))";

/// Sorts after every character of a name: names are ASCII.
const BEYOND: char = '\u{10ffff}';

#[async_trait]
impl Registry for Sqlite {
    async fn put_prompt(&self, project: ProjectId, put: PutPrompt) -> Result<PutResult> {
        self.write_registry(project, put).await
    }

    async fn register_code(&self, project: ProjectId, code: RegisterCode) -> Result<Registered> {
        // Planned on a read connection first, so that calls which write nothing do not wait for the writer.
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        let plan = code.plan(&mut connection, project, now()).await?;
        drop(connection);
        if plan.is_idle() {
            return Ok(plan.answer);
        }
        self.write_registry(project, code).await
    }

    async fn modes(&self, project: ProjectId, names: &[&str]) -> Result<Vec<(String, Mode)>> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        register_code::modes(&mut connection, project, names).await
    }

    async fn prompt(&self, project: ProjectId, name: &str) -> Result<PromptWithActive> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        let (prompt, active, revision) = select(&mut connection, project, name, &Selector::Active).await?;
        Ok(PromptWithActive { prompt, active, revision })
    }

    async fn prompts(
        &self,
        project: ProjectId,
        filter: &PromptFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<PromptWithActive>, i64)> {
        let mut transaction = self.lists.begin().await.map_err(error::store)?;
        let revision: Option<i64> = sqlx::query_scalar("SELECT revision FROM projects WHERE id = $1")
            .bind(project.to_string())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(error::store)?;
        let query = PromptsParameters::query(&PROMPTS, project, filter, after.unwrap_or_default(), limit);
        let rows = query.fetch_all(&mut *transaction).await.map_err(error::store)?;
        let revision = revision.unwrap_or_default();
        let mut prompts = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(prompt) = maybe_prompt(&row)? {
                prompts.push(PromptWithActive { prompt, active: maybe_version(&row)?, revision });
            }
        }
        Ok((prompts, revision))
    }

    async fn version(&self, project: ProjectId, name: &str, selector: &Selector) -> Result<ResolvedVersion> {
        let mut connection = self.readers.acquire().await.map_err(error::store)?;
        let (prompt, version, revision) = select(&mut connection, project, name, selector).await?;
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
        let query = VersionsParameters::query(&VERSIONS, project, name, before, limit);
        let rows = query.fetch_all(&self.lists).await.map_err(error::store)?;
        let revision = project_revision(rows.first().ok_or_else(|| Error::prompt_not_found(name))?)?;
        let versions: Result<Vec<_>> =
            rows.iter().filter_map(|row| maybe_version(row).transpose()).take(limit).collect();
        Ok((versions?, revision))
    }

    async fn change_prompt(
        &self,
        project: ProjectId,
        name: &str,
        etag: Option<&str>,
        change: PromptChange,
    ) -> Result<Changed> {
        let asked = ChangeRequest { name: name.to_owned(), etag: etag.map(str::to_owned), change };
        self.write_registry(project, asked).await
    }

    async fn revisions(&self, projects: &[ProjectId]) -> Result<Revisions> {
        let projects: Vec<_> = projects.iter().map(ToString::to_string).collect();
        let rows = sqlx::query(REVISIONS)
            .bind(row::to_json(&projects)?)
            .fetch_all(&self.revisions)
            .await
            .map_err(error::store)?;
        let mut revisions = Revisions::default();
        for row in &rows {
            add_revision(&mut revisions, row)?;
        }
        Ok(revisions)
    }
}
