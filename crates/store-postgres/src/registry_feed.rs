//! Reads for streams of prompts.

use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::{ProjectId, PromptId};
use prompt_ledger_domain::prompt::{Prompt, Version};
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::prompt::{maybe_prompt, maybe_version, project_revision};
use prompt_ledger_store::{ChangedPrompt, RegistryFeed};
use prompt_ledger_store::{prompt_columns, version_columns};

use super::row::without_nul;
use super::statement::parameters;
use super::{Postgres, error, row};

/// Prompts by revision; one row without a prompt where there are none, for the project's revision.
pub(super) static CHANGED_AFTER: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/changed_after.sql"), ChangedParameters::NAMES));

parameters! {
    ChangedParameters(project: ProjectId, after: i64, limit: usize) {
        project_id = project.0,
        after = after,
        // The row without a prompt is read even where none is asked for.
        most = count(limit).max(1),
    }
}

pub(super) const PROMPTS_NAMED: &str = concat!(
    "SELECT ",
    prompt_columns!(),
    " FROM projects j CROSS JOIN unnest($2::text[]) AS n (name)",
    " JOIN prompts p ON p.project_id = j.id AND p.name = n.name WHERE j.id = $1"
);

/// The range and the order, which say no more than a number would, keep the planner from the index by hash.
pub(super) const VERSIONS_NUMBERED: &str =
    concat!("SELECT ", version_columns!(), " ", include_str!("sql/versions_numbered.sql"));

const REVISION: &str = "SELECT revision AS project_revision FROM projects WHERE id = $1";

#[async_trait]
impl RegistryFeed for Postgres {
    async fn revision(&self, project: ProjectId) -> Result<i64> {
        let row = error::again(|| sqlx::query(REVISION).bind(project.0).fetch_optional(&self.calls)).await?;
        row.as_ref().map_or(Ok(0), project_revision)
    }

    async fn changed_after(&self, project: ProjectId, after: i64, limit: usize) -> Result<(Vec<ChangedPrompt>, i64)> {
        let read = || ChangedParameters::query(&CHANGED_AFTER, project, after, limit).fetch_all(&self.calls);
        let rows = error::again(read).await?;
        let present = rows.first().map_or(Ok(0), project_revision)?;
        let mut changed = Vec::with_capacity(rows.len());
        for found in &rows {
            if let Some(revision) = row::maybe(found, "revision")? {
                changed.push(ChangedPrompt { revision, name: row::text(found, "name")? });
            }
        }
        changed.truncate(limit);
        Ok((changed, present))
    }

    async fn prompts_named(&self, project: ProjectId, names: &[&str]) -> Result<Vec<Prompt>> {
        let names: Vec<_> = names.iter().map(|name| without_nul(name)).collect();
        let read = || sqlx::query(PROMPTS_NAMED).bind(project.0).bind(&names).fetch_all(&self.calls);
        let rows = error::again(read).await?;
        rows.iter().filter_map(|found| maybe_prompt(found).transpose()).collect()
    }

    async fn versions_numbered(&self, of: &[(PromptId, i32)]) -> Result<Vec<Version>> {
        let (prompts, numbers): (Vec<_>, Vec<_>) = of.iter().map(|(prompt, number)| (prompt.0, *number)).unzip();
        let read = || sqlx::query(VERSIONS_NUMBERED).bind(&prompts).bind(&numbers).fetch_all(&self.calls);
        let rows = error::again(read).await?;
        rows.iter().filter_map(|found| maybe_version(found).transpose()).collect()
    }
}
