//! The keys of front matter, and of a chat's file.

use prompt_ledger_client::v1;

use super::contract_yaml::{self, odd, unplaced};
use super::{FileFault, PromptFile, YamlNode, YamlValue, yaml, yaml_text};
use crate::prompt_content::ContentTemplate;

/// What a file says beside its text. Absent: it does not say.
#[derive(Default)]
pub(super) struct Header {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) owner_team: Option<String>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) labels: Vec<String>,
    pub(super) note: String,
    pub(super) format: Option<v1::TemplateFormat>,
    pub(super) config: Option<v1::VersionConfig>,
    /// Of a chat's file only.
    pub(super) messages: Option<v1::ChatTemplate>,
}

const KEYS: &str = "`name`, `description`, `owner_team`, `tags`, `labels`, `note`, `config`";

impl Header {
    pub(super) fn read(text: &str, is_chat: bool) -> Result<Self, FileFault> {
        let read = yaml::parse(text)?;
        let YamlValue::Mapping(entries) = read.value else {
            let wrong = format!(
                "holds {} where keys and their values belong: write such as `name: shop.greeting`",
                read.value.kind()
            );
            return Err(FileFault::at(read.line, "", wrong));
        };
        let mut header = Self::default();
        for (key, node) in &entries {
            match key.as_str() {
                "name" => header.name = Some(text_at(key, node)?),
                "description" => header.description = Some(text_at(key, node)?),
                "owner_team" => header.owner_team = Some(text_at(key, node)?),
                "note" => header.note = text_at(key, node)?,
                "tags" => header.tags = Some(texts_at(key, node)?),
                "labels" => header.labels = texts_at(key, node)?,
                "config" => header.config = Some(contract_yaml::read("VersionConfig", key, node)?),
                "messages" if is_chat => header.messages = Some(contract_yaml::read_chat(key, node)?),
                "format" if !is_chat => header.format = Some(format_at(key, node)?),
                _ => {
                    let own = if is_chat { "`messages`" } else { "`format`" };
                    return Err(FileFault::at(node.line, key, format!("is not known: known are {KEYS} and {own}")));
                }
            }
        }
        Ok(header)
    }
}

fn text_at(key: &str, node: &YamlNode) -> Result<String, FileFault> {
    match &node.value {
        YamlValue::Text(text) => Ok(text.clone()),
        _ => Err(odd(key, node, "a text, in quotes where it looks like something else")),
    }
}

fn texts_at(key: &str, node: &YamlNode) -> Result<Vec<String>, FileFault> {
    let YamlValue::List(entries) = &node.value else {
        return Err(odd(key, node, "a list, such as [production, eu-west]"));
    };
    entries.iter().enumerate().map(|(index, entry)| text_at(&format!("{key}[{index}]"), entry)).collect()
}

fn format_at(key: &str, node: &YamlNode) -> Result<v1::TemplateFormat, FileFault> {
    match text_at(key, node)?.as_str() {
        "handlebars" => Ok(v1::TemplateFormat::Handlebars),
        "opaque" => Ok(v1::TemplateFormat::Opaque),
        other => Err(FileFault::at(node.line, key, format!("is `{other}`: write one of handlebars, opaque"))),
    }
}

/// What [`Header::read`] reads again, the messages last.
pub(super) fn write(prompt: &PromptFile) -> String {
    let text = |text: &str| YamlValue::Text(text.to_owned());
    let texts = |texts: &[String]| YamlValue::List(texts.iter().map(|each| unplaced(text(each))).collect());
    let opaque = prompt.format == v1::TemplateFormat::Opaque;
    let entries = [
        ("name", Some(text(&prompt.name))),
        ("description", prompt.description.as_deref().map(text)),
        ("owner_team", prompt.owner_team.as_deref().map(text)),
        ("tags", prompt.tags.as_deref().map(texts)),
        ("labels", (!prompt.labels.is_empty()).then(|| texts(&prompt.labels))),
        ("note", (!prompt.note.is_empty()).then(|| text(&prompt.note))),
        ("format", opaque.then(|| text("opaque"))),
        ("config", prompt.content.config.as_ref().map(|config| contract_yaml::write("VersionConfig", config))),
        (
            "messages",
            match &prompt.content.template {
                ContentTemplate::Chat(chat) => Some(contract_yaml::write_chat(chat)),
                ContentTemplate::Text(_) => None,
            },
        ),
    ];
    let entries = entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), unplaced(value?))));
    yaml_text::lines(&entries.collect::<Vec<_>>())
}
