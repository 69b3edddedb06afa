//! Bodies of the requests about prompts.

use prompt_ledger_domain::Result;
use prompt_ledger_proto::v1;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::chat::ChatTemplateJson;
use super::config::ConfigJson;
use super::only;
use super::values::{self, ObjectJson};
use super::words::{ModeWord, VersionStatusWord};

/// A prompt to write; its content becomes a version where it is new.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutPrompt)]
pub(crate) struct PutPromptBody {
    /// The template as a text. Exactly one of `template_source` and `chat_template` is sent.
    template_source: Option<String>,
    /// The template as a chat.
    chat_template: Option<ChatTemplateJson>,
    /// What the prompt was tuned with.
    config: Option<ConfigJson>,
    description: Option<String>,
    owner_team: Option<String>,
    /// Who writes.
    created_by: Option<String>,
    /// Whether to make the version the active one.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    set_active: bool,
    tags: Option<Vec<String>>,
    /// Labels to point at the version.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    labels: Vec<String>,
    /// Kept with the version.
    note: Option<String>,
}

impl PutPromptBody {
    /// `create_only` and `etag` are in the headers.
    pub(crate) fn wire(self, name: String, create_only: bool, etag: Option<String>) -> Result<v1::PutPromptRequest> {
        use v1::put_prompt_request::Template;
        let template = only([
            ("template_source", self.template_source.map(Template::TemplateSource)),
            ("chat_template", self.chat_template.map(|chat| Template::ChatTemplate(chat.wire()))),
        ])?;
        Ok(v1::PutPromptRequest {
            name,
            template,
            config: self.config.map(|config| config.wire("config")).transpose()?,
            description: self.description,
            owner_team: self.owner_team,
            created_by: self.created_by.unwrap_or_default(),
            set_active: self.set_active,
            tags: self.tags.map(|values| v1::Tags { values }),
            create_only,
            etag,
            labels: self.labels,
            note: self.note.unwrap_or_default(),
        })
    }
}

/// What to change about a prompt; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UpdatePrompt)]
pub(crate) struct UpdatePromptBody {
    description: Option<String>,
    owner_team: Option<String>,
    tags: Option<Vec<String>>,
    /// Who writes.
    created_by: Option<String>,
}

impl UpdatePromptBody {
    pub(crate) fn wire(self, name: String, etag: Option<String>) -> v1::UpdatePromptRequest {
        let sent = [
            ("description", self.description.is_some()),
            ("owner_team", self.owner_team.is_some()),
            ("tags", self.tags.is_some()),
        ];
        let paths = sent.into_iter().filter(|(_, sent)| *sent).map(|(name, _)| name.to_owned()).collect();
        v1::UpdatePromptRequest {
            name,
            update_mask: Some(prost_types::FieldMask { paths }),
            description: self.description.unwrap_or_default(),
            owner_team: self.owner_team.unwrap_or_default(),
            tags: self.tags.map(|values| v1::Tags { values }),
            etag,
            created_by: self.created_by.unwrap_or_default(),
        }
    }
}

/// Which prompts to read at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BatchGetPrompts)]
pub(crate) struct BatchGetBody {
    /// 1 to 100 names, each once.
    pub(crate) names: Vec<String>,
    /// Which version; absent: the active one.
    pub(crate) label: Option<String>,
    /// The least project revision to read at.
    pub(crate) min_revision: Option<i64>,
}

/// What to render, and with which values.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RenderPrompt)]
pub(crate) struct RenderBody {
    #[schema(value_type = Option<Object>)]
    variables: Option<ObjectJson>,
    version_number: Option<i32>,
    label: Option<String>,
    checksum_hash: Option<String>,
    /// A content that is not stored. At most one of it and the selectors is sent.
    draft: Option<DraftJson>,
    /// The least project revision to read at.
    min_revision: Option<i64>,
}

/// A content that is not stored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PromptDraft)]
pub(crate) struct DraftJson {
    template_source: Option<String>,
    chat_template: Option<ChatTemplateJson>,
    config: Option<ConfigJson>,
}

impl DraftJson {
    fn wire(self) -> Result<v1::PromptDraft> {
        use v1::prompt_draft::Template;
        let template = only([
            ("draft.template_source", self.template_source.map(Template::TemplateSource)),
            ("draft.chat_template", self.chat_template.map(|chat| Template::ChatTemplate(chat.wire()))),
        ])?;
        let config = self.config.map(|config| config.wire("draft.config")).transpose()?;
        Ok(v1::PromptDraft { template, config })
    }
}

impl RenderBody {
    pub(crate) fn wire(self, name: String) -> Result<v1::RenderPromptRequest> {
        use v1::render_prompt_request::Selector;
        let draft = self.draft.map(DraftJson::wire).transpose()?;
        let selector = only([
            ("version_number", self.version_number.map(Selector::VersionNumber)),
            ("label", self.label.map(Selector::Label)),
            ("checksum_hash", self.checksum_hash.map(Selector::ChecksumHash)),
            ("draft", draft.map(Selector::Draft)),
        ])?;
        Ok(v1::RenderPromptRequest {
            name,
            selector,
            variables: self.variables.map(values::wire),
            min_revision: self.min_revision,
        })
    }
}

/// The version to activate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetActiveVersion)]
pub(crate) struct SetActiveBody {
    pub(crate) version_number: i32,
    /// Who writes.
    pub(crate) created_by: Option<String>,
}

/// The version that a label is to point at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetLabel)]
pub(crate) struct SetLabelBody {
    pub(crate) version_number: i32,
    /// Who writes.
    pub(crate) created_by: Option<String>,
}

/// Who writes, where the request has no body.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WriterQuery {
    pub(crate) created_by: Option<String>,
}

/// Who writes; no body at all is the same as none.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Writer)]
pub(crate) struct WriterBody {
    /// Who writes.
    pub(crate) created_by: Option<String>,
}

/// The status to give a version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetVersionStatus)]
pub(crate) struct SetStatusBody {
    pub(crate) status: VersionStatusWord,
    /// Who writes.
    pub(crate) created_by: Option<String>,
}

/// The mode to move a prompt to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MigratePromptMode)]
pub(crate) struct MigrateBody {
    pub(crate) mode: ModeWord,
    /// Who writes.
    pub(crate) created_by: Option<String>,
}
