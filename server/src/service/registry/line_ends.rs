//! Warns where a content is a version of its own for its line ends alone, as when an editor or Git changed them.

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::versioning;

use super::{GoOn, RegistryService};

impl RegistryService {
    /// A warning where `version`, whose content has this `versioning::lines_checksum`, differs only in line ends from
    /// the one that was active before.
    pub(super) async fn line_ends(
        &self,
        project: ProjectId,
        name: &str,
        active: Option<i32>,
        version: i32,
        lines: String,
    ) -> Option<String> {
        let active = active.filter(|active| *active != version)?;
        // Without its warning where it cannot be read: the content is registered already.
        let content = self.stored(project, name, active).await.ok()?.template_source;
        let bytes = content.len();
        let compare = move |_: GoOn<'_>| Ok(versioning::lines_checksum(&content) == lines);
        let alike = self.cpu.run(project, bytes, compare).await.ok()?;
        alike.then(|| {
            format!(
                "the content differs from version {active}, which was active, only in line ends or in those behind its \
                 last line; to be one version, texts need the same bytes"
            )
        })
    }
}
