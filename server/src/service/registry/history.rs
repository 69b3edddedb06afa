//! Pages of a prompt's versions, and the history, which adds how often each was executed.

use std::sync::atomic::{AtomicI64, Ordering};

use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Mode, Prompt, Version};
use prompt_ledger_domain::{Result, page};

use super::RegistryService;
use crate::service::PageReader;

/// Versions of a prompt, newest first.
pub struct VersionPage {
    pub versions: Vec<Version>,
    /// Empty on the last page.
    pub next_page_token: String,
    /// The lowest revision that a part of the page was read at.
    pub revision: i64,
}

pub struct PromptHistory {
    pub prompt: Prompt,
    pub page: VersionPage,
    /// The number of executions of each version of the page.
    pub counts: Vec<i64>,
}

impl RegistryService {
    /// A page of a prompt's versions.
    pub async fn versions(&self, project: ProjectId, name: &str, asked: PageReader) -> Result<VersionPage> {
        let read_at = &AtomicI64::new(i64::MAX);
        let fetch = async |after: Option<String>, limit| {
            let number = |key: String| key.parse().ok().filter(|number| *number > 0).ok_or_else(page::foreign);
            let before = after.map(number).transpose()?;
            Name::parse("name", name)?;
            let (found, revision) = self.store.versions(project, name, before, limit).await?;
            read_at.fetch_min(revision, Ordering::Relaxed);
            Ok(found)
        };
        let (versions, next_page_token) =
            asked.read(fetch, Version::bytes, |version| version.number.to_string()).await?;
        Ok(VersionPage { versions, next_page_token, revision: read_at.load(Ordering::Relaxed) })
    }

    /// A page of a prompt's history; MODE_MISMATCH where the prompt is not of the mode that is asked for. `page` may be
    /// the error of reading the request: what is wrong with the prompt takes precedence over it.
    pub async fn history(
        &self,
        project: ProjectId,
        name: &str,
        mode: Option<Mode>,
        page: Result<PageReader>,
    ) -> Result<PromptHistory> {
        let entry = self.get(project, name, None).await?;
        let prompt = entry.found.prompt.clone();
        prompt.check_asked_mode(mode)?;
        let mut page = self.versions(project, name, page?).await?;
        page.revision = page.revision.min(entry.found.revision);
        let counts = self.execution_counts(project, name, &page.versions).await?;
        Ok(PromptHistory { prompt, page, counts })
    }

    /// The number of executions of each of these versions of a prompt.
    async fn execution_counts(&self, project: ProjectId, name: &str, versions: &[Version]) -> Result<Vec<i64>> {
        let Some(first) = versions.iter().map(|version| version.number).min() else { return Ok(Vec::new()) };
        let counts = self.analytics.version_counts(project, name, first, versions.len()).await?;
        Ok(versions.iter().map(|version| counts.get(&version.number).copied().unwrap_or(0)).collect())
    }
}
