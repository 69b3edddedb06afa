//! Reads of prompts and versions. A prompt, its version and the project's revision are read in one statement or
//! transaction, so that the revision identifies the state exactly.

use super::registry_write::SqliteRegistryWrite as _;
use super::select::select;
use super::{Sqlite, error, now, register_code, row};
use async_trait::async_trait;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Mode, Selector, Version};
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::prompt::{add_revision, maybe_prompt, maybe_version, project_revision};
use prompt_ledger_store::{
    ChangeRequest, Changed, PromptChange, PromptFilter, PromptWithActive, PutPrompt, PutResult, RegisterCode,
    Registered, Registry, ResolvedVersion, Revisions,
};
use prompt_ledger_store::{prompt_columns, version_columns};

/// Prompts with names from $2 (inclusive), after $3 and below $4 (both exclusive), with their active versions.
const PROMPTS: &str = concat!(
    "SELECT ",
    prompt_columns!(),
    ", ",
    version_columns!(),
    " FROM projects j JOIN prompts p ON p.project_id = j.id",
    " LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.version_number = p.active_version_number",
    " WHERE j.id = $1 AND p.name >= $2 AND p.name <> $3 AND p.name < $4",
    " AND ($5 IS NULL OR p.mode = $5) AND ($6 = '' OR p.owner_team = $6) AND ($7 OR p.archived_at IS NULL)",
    " ORDER BY p.name LIMIT $8"
);

/// Versions with numbers below $3, newest first; one row without a version where there are none.
const VERSIONS: &str = concat!(
    "SELECT j.revision AS project_revision, ",
    version_columns!(),
    " FROM projects j JOIN prompts p ON p.project_id = j.id",
    " LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.version_number < $3",
    " WHERE j.id = $1 AND p.name = $2 ORDER BY v.version_number DESC LIMIT $4"
);

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
        let after = after.unwrap_or_default();
        let rows = sqlx::query(PROMPTS)
            .bind(project.to_string())
            .bind(after.max(&filter.name_prefix))
            .bind(after)
            .bind(format!("{}{BEYOND}", filter.name_prefix))
            .bind(filter.mode.map(Mode::as_str))
            .bind(&filter.owner_team)
            .bind(filter.include_archived)
            .bind(count(limit))
            .fetch_all(&mut *transaction)
            .await
            .map_err(error::store)?;
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
        let rows = sqlx::query(VERSIONS)
            .bind(project.to_string())
            .bind(name)
            .bind(before.unwrap_or(i32::MAX))
            .bind(count(limit).max(1))
            .fetch_all(&self.lists)
            .await
            .map_err(error::store)?;
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
