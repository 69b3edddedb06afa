//! Versions as they are selected: from the caches where what names them, and their status, cannot have changed.

use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::error::Error;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Selector, Version};
use prompt_ledger_domain::spec::SpecSelector;
use prompt_ledger_store::{PromptWithActive, ResolvedVersion};

use super::{CachedVersion, RegistryService, Resolved, check_revision};

impl RegistryService {
    /// The version that a selector names, with its template parsed.
    pub async fn version(
        &self,
        project: ProjectId,
        name: &str,
        selector: Option<&SpecSelector>,
        min_revision: Option<i64>,
    ) -> Result<Resolved> {
        let selector = match selector {
            None => Selector::Active,
            Some(SpecSelector::Number(number)) => Selector::Number(*number),
            Some(SpecSelector::Checksum(checksum)) => Selector::Checksum(checksum.clone()),
            Some(label @ SpecSelector::Label(_)) => return self.labelled(project, name, label, min_revision).await,
        };
        self.resolved(project, name, &selector, min_revision).await
    }

    /// The version that a label names, from the caches: read again where its status may have changed since.
    async fn labelled(
        &self,
        project: ProjectId,
        name: &str,
        label: &SpecSelector,
        min_revision: Option<i64>,
    ) -> Result<Resolved> {
        let entry = self.entry(project, name, min_revision).await?;
        entry.check_revision(min_revision)?;
        let PromptWithActive { prompt, active, revision } = &entry.found;
        let selector = label.resolve(prompt)?;
        let Selector::Number(number) = selector else {
            return self.resolved(project, name, &selector, min_revision).await;
        };
        let is_active = active.as_ref().filter(|active| active.number == number);
        let (version, template) = match is_active {
            Some(active) => (active.clone(), entry.template.clone()),
            None => {
                let mut held = self.fixed(project, prompt, selector.clone()).await?;
                if held.revision < *revision {
                    self.held.versions.remove(&(prompt.id, selector.clone()));
                    held = self.fixed(project, prompt, selector).await?;
                }
                (held.version.clone(), held.template.clone())
            }
        };
        Ok(Resolved { found: ResolvedVersion { prompt: prompt.clone(), version, revision: *revision }, template })
    }

    /// As [`Self::version`], of a selector whose label was resolved.
    pub async fn resolved(
        &self,
        project: ProjectId,
        name: &str,
        selector: &Selector,
        min_revision: Option<i64>,
    ) -> Result<Resolved> {
        if let Selector::Active = selector {
            let entry = self.entry(project, name, min_revision).await?;
            entry.check_revision(min_revision)?;
            let PromptWithActive { prompt, active, revision } = entry.found.clone();
            let version = active.ok_or_else(|| Error::version_not_found(name, &Selector::Active))?;
            let template = entry.template.clone();
            return Ok(Resolved { found: ResolvedVersion { prompt, version, revision }, template });
        }
        let found = self.store.version(project, name, selector).await?;
        check_revision(found.revision, min_revision)?;
        let template = self.parsed(project, &found.version).await?;
        Ok(Resolved { found, template })
    }

    /// The version of a number or a hash, which name the same one for ever; its status may not be the present one.
    pub async fn fixed(&self, project: ProjectId, of: &Prompt, selector: Selector) -> Result<Arc<CachedVersion>> {
        let read = async {
            let Resolved { found, template } = self.resolved(project, &of.name, &selector, None).await?;
            Ok(Some(CachedVersion { version: found.version, template, revision: found.revision }))
        };
        let held = self.held.versions.get_or_read((of.id, selector.clone()), CachedVersion::bytes, read).await?;
        self.held.make_room();
        held.ok_or_else(|| Error::version_not_found(&of.name, &selector))
    }

    /// The version of that number as it is stored: its template may not parse any more.
    pub async fn stored(&self, project: ProjectId, name: &str, number: i32) -> Result<Version> {
        Ok(self.store.version(project, name, &Selector::Number(number)).await?.version)
    }
}
