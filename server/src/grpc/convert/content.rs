//! Contents of versions.

use prompt_ledger_domain::content::{PromptTemplate, VersionContent};
use prompt_ledger_domain::error::Violations;
use prompt_ledger_domain::prompt::{TemplateFormat, Version};
use prompt_ledger_proto::v1;

use super::{chat, config, known};

macro_rules! contents {
    ($($name:ident from $oneof:path,)*) => {$(
        /// The content that a request carries at `field`, which is empty where the request holds it itself; absent where it
        /// has no template. What cannot be converted is noted.
        pub fn $name(
            field: &str,
            template: Option<$oneof>,
            config: Option<v1::VersionConfig>,
            violations: &mut Violations,
        ) -> Option<VersionContent> {
            use $oneof as Wire;
            let template = template.map(|template| match template {
                Wire::TemplateSource(source) => PromptTemplate::Text(source),
                Wire::ChatTemplate(sent) => {
                    PromptTemplate::Chat(chat::template(&below(field, "chat_template"), sent, violations))
                }
            });
            let config = config::config(&below(field, "config"), config, violations);
            template.map(|template| VersionContent { template, config })
        }
    )*};
}

contents! {
    put from v1::put_prompt_request::Template,
    carried from v1::code_prompt::Template,
    draft from v1::prompt_draft::Template,
    exported from v1::exported_version::Template,
}

fn below(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

/// A content as the parts of a version.
#[must_use]
pub fn to_version(content: VersionContent) -> (v1::prompt_version::Template, Option<v1::VersionConfig>) {
    let template = match content.template {
        PromptTemplate::Text(source) => v1::prompt_version::Template::TemplateSource(source),
        PromptTemplate::Chat(sent) => v1::prompt_version::Template::ChatTemplate(chat::to_template(sent)),
    };
    (template, config::to_config(content.config))
}

/// The format that a request names; Handlebars where it names none, or none that is known, which is noted.
pub fn format(field: &str, sent: i32, violations: &mut Violations) -> TemplateFormat {
    match known(field, sent).map_err(|error| violations.note(error)) {
        Ok(v1::TemplateFormat::Opaque) => TemplateFormat::Opaque,
        Ok(v1::TemplateFormat::Unspecified | v1::TemplateFormat::Handlebars) | Err(()) => TemplateFormat::Handlebars,
    }
}

#[must_use]
pub fn to_format(format: TemplateFormat) -> v1::TemplateFormat {
    match format {
        TemplateFormat::Handlebars => v1::TemplateFormat::Handlebars,
        TemplateFormat::Opaque => v1::TemplateFormat::Opaque,
    }
}

/// The variables of a version: a placeholder's is a list of messages.
#[must_use]
pub fn to_variables(version: &Version) -> Vec<v1::TemplateVariable> {
    let chat = version.content.chat();
    let is_placeholder = |name: &str| chat.is_some_and(|chat| chat.placeholders().any(|of| of == name));
    let kind = |name: &str| match is_placeholder(name) {
        true => v1::TemplateVariableKind::Messages,
        false => v1::TemplateVariableKind::Text,
    };
    let variable = |name: &String| v1::TemplateVariable { kind: kind(name).into(), name: name.clone(), required: true };
    version.variables.iter().map(variable).collect()
}

#[cfg(test)]
mod tests;
