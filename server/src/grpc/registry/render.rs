//! Previews of what an execution would send.

use prompt_ledger_domain::config::VersionConfig;
use prompt_ledger_domain::error::Violations;
use prompt_ledger_domain::{Result, field, limits};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::render_prompt_request::Selector as RenderSelector;
use prompt_ledger_template::content::RenderedTemplate;
use serde_json::Map;

use super::RegistryApi;
use crate::grpc::convert::{chat, config, content, prompt, required, structs};
use crate::service::Caller;
use crate::service::registry::RenderValues;

impl RegistryApi {
    pub(crate) async fn render(
        &self,
        caller: &Caller,
        sent: v1::RenderPromptRequest,
    ) -> Result<v1::RenderPromptResponse> {
        let bytes = sent.variables.as_ref().map_or(0, prost::Message::encoded_len);
        field::size("variables", bytes, limits::VARIABLES_BYTES)?;
        let project = caller.project.id;
        let fields = sent.variables.unwrap_or_default();
        let (variables, violations) = structs::read(&self.registry.cpu, project, "variables", fields, bytes).await?;
        let values = RenderValues { variables: violations.finish(Some(variables))?, bytes };
        let (rendered, config, version, revision) = match sent.selector {
            Some(RenderSelector::Draft(draft)) => {
                let mut violations = Violations::default();
                let draft = content::draft("draft", draft.template, draft.config, &mut violations);
                let draft = required("draft.template", draft)?;
                let (rendered, config) = self.registry.render_draft(project, draft, violations, values).await?;
                (rendered, config, None, self.registry.revision(project))
            }
            selector => {
                let selector = prompt::selector(&sent.name, selector.and_then(prompt::render_selector))?;
                let (rendered, found) =
                    self.registry.render(project, &sent.name, selector.as_ref(), values, sent.min_revision).await?;
                let config = found.version.content.config.clone();
                (rendered, config, Some(prompt::version(found.version, &found.prompt)), found.revision)
            }
        };
        let model = config.model.or_else(|| self.default_model.clone());
        let params = match &model {
            Some(model) => self.models.completed(model, config.params).await?,
            None => config.params,
        };
        let config = VersionConfig { model, params, ..config };
        let mut answer = v1::RenderPromptResponse {
            version,
            revision,
            config: config::to_config(VersionConfig { custom: Map::new(), ..config }),
            ..v1::RenderPromptResponse::default()
        };
        match rendered {
            RenderedTemplate::Text(text) => {
                answer.rendered_prompt = text.text;
                answer.prompt_truncated = text.truncated;
            }
            RenderedTemplate::Chat(messages) => answer.messages = messages.into_iter().map(chat::to_message).collect(),
        }
        Ok(answer)
    }
}
