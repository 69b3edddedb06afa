//! Renders a version, or a draft, without recording anything.

use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::config::VersionConfig;
use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::Violations;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::TemplateFormat;
use prompt_ledger_domain::spec::SpecSelector;
use prompt_ledger_store::ResolvedVersion;
use prompt_ledger_template::content::{ParsedTemplate, RenderedTemplate};
use prompt_ledger_template::{Interrupted, value};
use serde_json::{Map, Value};

use super::{GoOn, RegistryService, Resolved};

/// The values to render with.
#[derive(Clone, Debug, Default)]
pub struct RenderValues {
    pub variables: Map<String, Value>,
    /// Their size as they were sent, encoded.
    pub bytes: usize,
}

impl RegistryService {
    /// Exactly what an execution would send.
    pub async fn render(
        &self,
        project: ProjectId,
        name: &str,
        selector: Option<&SpecSelector>,
        values: RenderValues,
        min_revision: Option<i64>,
    ) -> Result<(RenderedTemplate, ResolvedVersion)> {
        let Resolved { found, template } = self.version(project, name, selector, min_revision).await?;
        let template = template.ok_or_else(|| found.prompt.opaque(found.version.number))?;
        let bytes = values.bytes + found.version.content.bytes();
        let work = move |go_on: GoOn<'_>| render(&template, &values.variables, go_on);
        let rendered = self.cpu.run_inline_if_short(project, bytes, work).await??;
        Ok((rendered, found))
    }

    /// A content as it would be put, checked and rendered; `wrong` is what could not be converted of it. Nothing is stored.
    pub async fn render_draft(
        &self,
        project: ProjectId,
        draft: VersionContent,
        mut wrong: Violations,
        values: RenderValues,
    ) -> Result<(RenderedTemplate, VersionConfig)> {
        let bytes = values.bytes + draft.bytes();
        let draft = Arc::new(draft);
        let read = Arc::clone(&draft);
        let work = move |go_on: GoOn<'_>| {
            let checked = read.check(TemplateFormat::Handlebars).map_err(|error| error.within("draft"));
            let parsed = wrong
                .keep(checked)
                .and_then(|_| wrong.finish(Some(())))
                .and_then(|()| ParsedTemplate::parse(&read.template).map_err(|error| error.within("draft")));
            match parsed {
                Ok(template) => render(&template, &values.variables, go_on),
                Err(error) => Ok(Err(error)),
            }
        };
        let rendered = self.cpu.run(project, bytes, work).await??;
        Ok((rendered, Arc::unwrap_or_clone(draft).config))
    }
}

/// Checks the variables and renders a template with them.
pub fn render(
    template: &ParsedTemplate,
    variables: &Map<String, Value>,
    go_on: GoOn<'_>,
) -> Result<Result<RenderedTemplate>, Interrupted> {
    match value::check(variables) {
        Ok(()) => template.render(variables, go_on),
        Err(error) => Ok(Err(error)),
    }
}
