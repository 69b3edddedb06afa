//! The history and the change log of prompts, and the queries of what reads prompts.

use prompt_ledger_proto::v1;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::chat::ChatTemplateJson;
use super::config::ConfigJson;
use super::prompt::{SourceJson, source, template};
use super::time::{TimeJson, time};
use super::told;
use super::words::{ChangeWord, ModeFilterWord, ModeWord, TemplateFormatWord, VersionStatusWord, WireWord};
use crate::http::query::Words;

/// Which version of a prompt; at most one of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct VersionQuery {
    pub(crate) label: Option<String>,
    pub(crate) version_number: Option<i32>,
    pub(crate) checksum_hash: Option<String>,
    /// The least project revision to read at.
    pub(crate) min_revision: Option<i64>,
}

/// Which prompts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PromptsQuery {
    #[param(inline)]
    pub(crate) mode: ModeFilterWord,
    pub(crate) owner_team: String,
    pub(crate) tag: String,
    /// Only names that begin with this.
    pub(crate) prefix: String,
    /// Words that name or description contain.
    pub(crate) q: String,
    /// Only prompts that have this label.
    pub(crate) label: String,
    pub(crate) include_archived: bool,
    /// 1 to 500; 0: 50.
    pub(crate) page_size: i32,
    pub(crate) page_token: String,
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// 1 to 500; 0: 50.
    pub(crate) page_size: i32,
    pub(crate) page_token: String,
}

/// Which part of a history.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HistoryQuery {
    /// The mode that the prompt must be in.
    #[param(inline)]
    pub(crate) mode: ModeFilterWord,
    /// 1 to 500; 0: 50.
    pub(crate) page_size: i32,
    pub(crate) page_token: String,
}

/// Which changes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ChangesQuery {
    /// Only changes of these kinds, separated by commas.
    #[param(value_type = Option<String>)]
    pub(crate) kinds: Words<ChangeWord>,
    /// 1 to 500; 0: 50.
    pub(crate) page_size: i32,
    pub(crate) page_token: String,
}

/// Which prompts to watch, and from where. The header `Last-Event-ID` goes before `after_revision`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// Prompts of these names, also of such as do not exist yet; may be sent again and again.
    #[param(style = Form, explode, value_type = Option<Vec<String>>)]
    pub(crate) name: Vec<String>,
    /// Prompts whose name begins with this. Without it and without names: all.
    pub(crate) name_prefix: String,
    /// The revision of the last event that the caller has; absent or 0: every prompt first.
    pub(crate) after_revision: Option<i64>,
}

/// A prompt's versions with their use, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptHistory)]
pub(crate) struct HistoryJson {
    prompt_name: String,
    mode: Option<ModeWord>,
    /// The number of the active version; null where there is none.
    current_version: Option<i32>,
    versions: Vec<HistoryVersionJson>,
    /// For the next page; null: this was the last.
    next_page_token: Option<String>,
    revision: i64,
}

/// A version in a history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryVersion)]
pub(crate) struct HistoryVersionJson {
    version: i32,
    version_id: String,
    status: Option<VersionStatusWord>,
    /// The SHA-256 of the content, as `checksum_hash` elsewhere.
    template_hash: String,
    template_source: Option<String>,
    chat_template: Option<ChatTemplateJson>,
    config: Option<ConfigJson>,
    template_format: Option<TemplateFormatWord>,
    created_by: Option<String>,
    created_at: Option<TimeJson>,
    source: Option<SourceJson>,
    labels: Vec<String>,
    note: Option<String>,
    execution_count: i64,
}

impl From<v1::GetPromptHistoryResponse> for HistoryJson {
    fn from(sent: v1::GetPromptHistoryResponse) -> Self {
        Self {
            prompt_name: sent.prompt_name,
            mode: ModeWord::of(sent.mode),
            current_version: sent.current_version,
            versions: sent.versions.into_iter().map(Into::into).collect(),
            next_page_token: told(sent.next_page_token),
            revision: sent.revision,
        }
    }
}

impl From<v1::PromptVersion> for HistoryVersionJson {
    fn from(version: v1::PromptVersion) -> Self {
        let (template_source, chat_template) = template(version.template);
        Self {
            version: version.version_number,
            version_id: version.version_id,
            status: VersionStatusWord::of(version.status),
            template_hash: version.checksum_hash,
            template_source,
            chat_template,
            config: version.config.map(Into::into),
            template_format: TemplateFormatWord::of(version.template_format),
            created_by: told(version.created_by),
            created_at: time(version.created_at),
            source: version.source.map(source),
            labels: version.labels,
            note: told(version.note),
            execution_count: version.execution_count.unwrap_or_default(),
        }
    }
}

/// A page of the change log, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangePage)]
pub(crate) struct ChangePageJson {
    changes: Vec<ChangeJson>,
    /// For the next page; null: this was the last.
    next_page_token: Option<String>,
    revision: i64,
}

/// A change of a prompt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptChangeEntry)]
pub(crate) struct ChangeJson {
    prompt_name: String,
    kind: Option<ChangeWord>,
    version_number: Option<i32>,
    label: Option<String>,
    from_value: Option<String>,
    to_value: Option<String>,
    created_by: Option<String>,
    key_id: Option<String>,
    key_name: Option<String>,
    revision: i64,
    /// The place among the changes of the same revision.
    position: i32,
    at: Option<TimeJson>,
    note: Option<String>,
}

impl From<v1::ListPromptChangesResponse> for ChangePageJson {
    fn from(sent: v1::ListPromptChangesResponse) -> Self {
        let change = |entry: v1::PromptChangeEntry| ChangeJson {
            prompt_name: entry.prompt_name,
            kind: ChangeWord::of(entry.kind),
            version_number: entry.version_number,
            label: told(entry.label),
            from_value: told(entry.from_value),
            to_value: told(entry.to_value),
            created_by: told(entry.created_by),
            key_id: told(entry.key_id),
            key_name: told(entry.key_name),
            revision: entry.revision,
            position: entry.position,
            at: time(entry.at),
            note: told(entry.note),
        };
        Self {
            changes: sent.changes.into_iter().map(change).collect(),
            next_page_token: told(sent.next_page_token),
            revision: sent.revision,
        }
    }
}
