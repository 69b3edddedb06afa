//! What a version of a prompt holds: a file, the ledger and a request all say it in this form.

use prompt_ledger_client::v1;
use v1::{code_prompt, prompt_draft, prompt_version, put_prompt_request};

use crate::failure::CommandError;

/// The template and what it was tuned with. Equal contents have equal hashes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PromptContent {
    pub(crate) template: ContentTemplate,
    /// Absent: the version has none.
    pub(crate) config: Option<v1::VersionConfig>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ContentTemplate {
    /// One text, byte for byte.
    Text(String),
    Chat(v1::ChatTemplate),
}

impl PromptContent {
    /// A text without a config.
    #[cfg(test)]
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { template: ContentTemplate::Text(text.into()), config: None }
    }

    pub(crate) fn put_template(&self) -> put_prompt_request::Template {
        match self.template.clone() {
            ContentTemplate::Text(text) => put_prompt_request::Template::TemplateSource(text),
            ContentTemplate::Chat(chat) => put_prompt_request::Template::ChatTemplate(chat),
        }
    }

    pub(crate) fn code_template(&self) -> code_prompt::Template {
        match self.template.clone() {
            ContentTemplate::Text(text) => code_prompt::Template::TemplateSource(text),
            ContentTemplate::Chat(chat) => code_prompt::Template::ChatTemplate(chat),
        }
    }

    /// For RenderPrompt, which checks it as if it was put.
    pub(crate) fn draft(&self) -> v1::PromptDraft {
        let template = match self.template.clone() {
            ContentTemplate::Text(text) => prompt_draft::Template::TemplateSource(text),
            ContentTemplate::Chat(chat) => prompt_draft::Template::ChatTemplate(chat),
        };
        v1::PromptDraft { template: Some(template), config: self.config.clone() }
    }
}

impl TryFrom<&v1::PromptVersion> for PromptContent {
    type Error = CommandError;

    fn try_from(version: &v1::PromptVersion) -> Result<Self, CommandError> {
        let template = match version.template.clone() {
            Some(prompt_version::Template::TemplateSource(text)) => ContentTemplate::Text(text),
            Some(prompt_version::Template::ChatTemplate(chat)) => ContentTemplate::Chat(chat),
            None => return Err(unknown_template(version)),
        };
        Ok(Self { template, config: version.config.clone() })
    }
}

fn unknown_template(version: &v1::PromptVersion) -> CommandError {
    CommandError::refused(format!(
        "version {} of {} holds a kind of template that this ledgerctl does not know: use the one of the server's release",
        version.version_number, version.prompt_name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat() -> PromptContent {
        let message = v1::ChatMessage { role: "user".into(), content: "{{question}}".into(), ..Default::default() };
        let entry = v1::ChatTemplateEntry { entry: Some(v1::chat_template_entry::Entry::Message(message)) };
        let config = v1::VersionConfig { model: Some(v1::ModelRef::default()), ..Default::default() };
        PromptContent {
            template: ContentTemplate::Chat(v1::ChatTemplate { entries: vec![entry] }),
            config: Some(config),
        }
    }

    #[test]
    fn what_is_sent_is_what_the_version_answered() {
        for content in [PromptContent::text("Hi {{name}}\n"), chat()] {
            let template = match content.draft().template.unwrap() {
                prompt_draft::Template::TemplateSource(text) => prompt_version::Template::TemplateSource(text),
                prompt_draft::Template::ChatTemplate(chat) => prompt_version::Template::ChatTemplate(chat),
            };
            let version = v1::PromptVersion {
                template: Some(template),
                config: content.draft().config,
                ..v1::PromptVersion::default()
            };
            assert_eq!(PromptContent::try_from(&version).unwrap(), content);
        }
    }

    #[test]
    fn a_kind_of_template_that_is_not_known_yet_is_told() {
        let version = v1::PromptVersion { prompt_name: "greet".into(), version_number: 4, ..Default::default() };
        let said = PromptContent::try_from(&version).unwrap_err().to_string();
        assert!(said.contains("version 4 of greet"), "{said}");
    }
}
