//! Warns where a content differs from the one that was active in what nobody may have meant: line ends alone, or a config
//! that is gone.

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::versioning;

use super::{GoOn, RegistryService};

/// What is compared of a content that was registered.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    /// `versioning::lines_checksum` of a text without a config; absent for another content.
    lines: Option<String>,
    has_config: bool,
}

impl Compared {
    /// Reads the whole text.
    pub(super) fn of(content: &VersionContent) -> Self {
        Self { lines: content.bare_text().map(versioning::lines_checksum), has_config: !content.config.is_empty() }
    }
}

impl RegistryService {
    /// Warnings about `version`, which holds the content, by the one that was active before.
    pub(super) async fn compared(
        &self,
        project: ProjectId,
        name: &str,
        active: Option<i32>,
        version: i32,
        new: Compared,
    ) -> Option<String> {
        let active = active.filter(|active| *active != version)?;
        // Without its warning where it cannot be read: the content is registered already.
        let content = self.stored(project, name, active).await.ok()?.content;
        if !content.config.is_empty() && !new.has_config {
            return Some(format!(
                "version {active}, which was active, has a config and this one has none: it is not inherited; send the \
                 config again to keep it"
            ));
        }
        let lines = new.lines?;
        let source = content.bare_text()?.to_owned();
        let bytes = source.len();
        let compare = move |_: GoOn<'_>| Ok(versioning::lines_checksum(&source) == lines);
        let alike = self.cpu.run(project, bytes, compare).await.ok()?;
        alike.then(|| {
            format!(
                "the content differs from version {active}, which was active, only in line ends or in those behind its \
                 last line; to be one version, texts need the same bytes"
            )
        })
    }
}
