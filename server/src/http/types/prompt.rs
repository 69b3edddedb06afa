//! Prompts and versions, as they are answered.

use prompt_ledger_proto::v1;
use serde::Serialize;
use utoipa::ToSchema;

use super::chat::{ChatMessageJson, ChatTemplateJson};
use super::config::ConfigJson;
use super::time::{TimeJson, time};
use super::told;
use super::words::{ModeWord, TemplateFormatWord, VariableKindWord, VersionStatusWord, WireWord};

/// A prompt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Prompt)]
pub(crate) struct PromptJson {
    pub(crate) prompt_id: String,
    project: String,
    pub(crate) name: String,
    description: Option<String>,
    owner_team: Option<String>,
    mode: Option<ModeWord>,
    tags: Vec<String>,
    labels: Vec<LabelJson>,
    /// The number of the active version; null where none was activated.
    active_version_number: Option<i32>,
    latest_version_number: i32,
    /// Changes with each change of the prompt; the header `ETag` has it in quotes.
    pub(crate) etag: String,
    /// The project's revision that changed the prompt last.
    revision: i64,
    created_at: Option<TimeJson>,
    updated_at: Option<TimeJson>,
    /// Null: it is not archived.
    archived_at: Option<TimeJson>,
}

impl From<v1::Prompt> for PromptJson {
    fn from(prompt: v1::Prompt) -> Self {
        Self {
            mode: ModeWord::of(prompt.mode),
            prompt_id: prompt.prompt_id,
            project: prompt.project,
            name: prompt.name,
            description: told(prompt.description),
            owner_team: told(prompt.owner_team),
            tags: prompt.tags,
            labels: prompt.labels.into_iter().map(Into::into).collect(),
            active_version_number: prompt.active_version_number,
            latest_version_number: prompt.latest_version_number,
            etag: prompt.etag,
            revision: prompt.revision,
            created_at: time(prompt.created_at),
            updated_at: time(prompt.updated_at),
            archived_at: time(prompt.archived_at),
        }
    }
}

/// A label and the version that it points at.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptLabel)]
pub(crate) struct LabelJson {
    label: String,
    version_number: i32,
    set_at: Option<TimeJson>,
    set_by: Option<String>,
}

impl From<v1::PromptLabel> for LabelJson {
    fn from(held: v1::PromptLabel) -> Self {
        let v1::PromptLabel { label, version_number, set_at, set_by } = held;
        Self { label, version_number, set_at: time(set_at), set_by: told(set_by) }
    }
}

/// A version: one content of a prompt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptVersion)]
pub(crate) struct VersionJson {
    version_id: String,
    prompt_id: String,
    prompt_name: String,
    version_number: i32,
    status: Option<VersionStatusWord>,
    /// Null where the template is a chat.
    template_source: Option<String>,
    /// Null where the template is a text.
    chat_template: Option<ChatTemplateJson>,
    config: Option<ConfigJson>,
    template_format: Option<TemplateFormatWord>,
    /// The SHA-256 of the content, 64 hex digits; of a text without config, that of the text.
    checksum_hash: String,
    variables: Vec<VariableJson>,
    created_by: Option<String>,
    created_at: Option<TimeJson>,
    source: Option<SourceJson>,
    labels: Vec<String>,
    note: Option<String>,
    /// Null where it was not counted; only a history counts.
    execution_count: Option<i64>,
}

/// A page of versions, newest first; the header `Link` has the address of the next one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(as = PromptVersions)]
pub(crate) struct VersionsJson(pub(crate) Vec<VersionJson>);

/// A variable that a template names.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TemplateVariable)]
pub(crate) struct VariableJson {
    name: String,
    required: bool,
    kind: Option<VariableKindWord>,
}

/// Where the code is that a version came from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VersionSource)]
pub(crate) struct SourceJson {
    repository: Option<String>,
    commit: Option<String>,
    path: Option<String>,
}

/// A template as its two forms, one of which is null.
pub(crate) fn template(template: Option<v1::prompt_version::Template>) -> (Option<String>, Option<ChatTemplateJson>) {
    match template {
        Some(v1::prompt_version::Template::TemplateSource(source)) => (Some(source), None),
        Some(v1::prompt_version::Template::ChatTemplate(chat)) => (None, Some(chat.into())),
        None => (None, None),
    }
}

pub(crate) fn source(sent: v1::VersionSource) -> SourceJson {
    SourceJson { repository: told(sent.repository), commit: told(sent.commit), path: told(sent.path) }
}

impl From<v1::PromptVersion> for VersionJson {
    fn from(version: v1::PromptVersion) -> Self {
        let (template_source, chat_template) = template(version.template);
        let variable = |v1::TemplateVariable { name, required, kind }| VariableJson {
            name,
            required,
            kind: VariableKindWord::of(kind),
        };
        Self {
            version_id: version.version_id,
            prompt_id: version.prompt_id,
            prompt_name: version.prompt_name,
            version_number: version.version_number,
            status: VersionStatusWord::of(version.status),
            template_source,
            chat_template,
            config: version.config.map(Into::into),
            template_format: TemplateFormatWord::of(version.template_format),
            checksum_hash: version.checksum_hash,
            variables: version.variables.into_iter().map(variable).collect(),
            created_by: told(version.created_by),
            created_at: time(version.created_at),
            source: version.source.map(source),
            labels: version.labels,
            note: told(version.note),
            execution_count: version.execution_count,
        }
    }
}

/// A prompt after a change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangedPrompt)]
pub(crate) struct ChangedPromptJson {
    #[serde(flatten)]
    pub(crate) prompt: PromptJson,
    /// The version that the change is about; null where it is about none.
    pub(crate) version: Option<VersionJson>,
    /// The version that the label pointed at before; null where it pointed at none, or the change is of no label.
    pub(crate) previous_version: Option<i32>,
}

/// A prompt with a version.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = PromptAnswer)]
pub(crate) enum PromptAnswerJson {
    /// Without a selector.
    Active(PromptActiveJson),
    /// With a selector.
    Selected(PromptSelectedJson),
}

/// A prompt with its active version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptWithActive)]
pub(crate) struct PromptActiveJson {
    #[serde(flatten)]
    pub(crate) prompt: PromptJson,
    /// Null where none was activated.
    pub(crate) active_version: Option<VersionJson>,
}

/// A prompt with the version that was selected.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptWithVersion)]
pub(crate) struct PromptSelectedJson {
    #[serde(flatten)]
    pub(crate) prompt: PromptJson,
    pub(crate) version: VersionJson,
}

/// What a write of a prompt has made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PutPromptAnswer)]
pub(crate) struct PutPromptJson {
    pub(crate) prompt: PromptJson,
    pub(crate) version: VersionJson,
    /// Whether the content is another than that of the latest version.
    pub(crate) version_change: bool,
    /// Whether the write made the version the active one.
    pub(crate) activated: bool,
    pub(crate) warnings: Vec<String>,
    /// The project's revision now.
    pub(crate) revision: i64,
}

/// A page of prompts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptPage)]
pub(crate) struct PromptPageJson {
    pub(crate) prompts: Vec<PromptActiveJson>,
    /// For the next page; null: this was the last.
    pub(crate) next_page_token: Option<String>,
    pub(crate) revision: i64,
}

/// Several prompts by their names.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptBatch)]
pub(crate) struct PromptBatchJson {
    pub(crate) found: Vec<FoundJson>,
    /// Names that no prompt has.
    pub(crate) missing: Vec<String>,
    /// Names that did not fit into the answer: ask again for them.
    pub(crate) left_out: Vec<String>,
    pub(crate) revision: i64,
}

/// A prompt that was found, and its version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FoundPrompt)]
pub(crate) struct FoundJson {
    pub(crate) prompt: Option<PromptJson>,
    /// The active version, or the one that the label points at; null where there is none.
    pub(crate) version: Option<VersionJson>,
}

/// What an execution would send.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RenderedPrompt)]
pub(crate) struct RenderedJson {
    /// Null where the template is a chat.
    rendered_prompt: Option<String>,
    /// Null where the template is a text.
    messages: Option<Vec<ChatMessageJson>>,
    prompt_truncated: bool,
    /// Null for a draft.
    version: Option<VersionJson>,
    config: Option<ConfigJson>,
    revision: i64,
}

impl RenderedJson {
    pub(crate) fn new(sent: v1::RenderPromptResponse, is_chat: bool) -> Self {
        let messages = sent.messages.into_iter().map(Into::into).collect();
        Self {
            rendered_prompt: (!is_chat).then_some(sent.rendered_prompt),
            messages: is_chat.then_some(messages),
            prompt_truncated: sent.prompt_truncated,
            version: sent.version.map(Into::into),
            config: sent.config.map(Into::into),
            revision: sent.revision,
        }
    }
}
