//! What to execute.

use std::collections::{BTreeMap, HashMap};

use prompt_ledger_domain::Result;
use prompt_ledger_proto::v1::{self, execution_spec::Selector};
use serde::Deserialize;
use utoipa::ToSchema;

use super::chat::ChatMessageJson;
use super::config::{ModelRefJson, ParamsJson, ResponseFormatJson, ToolChoiceJson, ToolJson};
use super::only;
use super::time::length;
use super::values::{self, ObjectJson};

/// What to execute, with which model, and how long it may take. Only `prompt_name` is required.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExecutionSpec)]
pub(crate) struct SpecBody {
    pub(crate) prompt_name: String,
    /// At most one of `version_number`, `label` and `checksum_hash` is sent; none: the active version.
    pub(crate) version_number: Option<i32>,
    pub(crate) label: Option<String>,
    pub(crate) checksum_hash: Option<String>,
    /// A label for reports; absent: `dev`.
    pub(crate) environment: Option<String>,
    /// The values to render the template with.
    #[schema(value_type = Option<Object>)]
    pub(crate) variables: Option<ObjectJson>,
    /// Ready messages instead of a rendered template; tracking mode only.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    pub(crate) messages: Vec<ChatMessageJson>,
    /// Absent: that of the version's config, or else the server's default model.
    pub(crate) model: Option<ModelRefJson>,
    /// They win field by field over those of the version's config.
    pub(crate) params: Option<ParamsJson>,
    /// Instead of those of the version's config.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    pub(crate) tools: Vec<ToolJson>,
    pub(crate) tool_choice: Option<ToolChoiceJson>,
    pub(crate) response_format: Option<ResponseFormatJson>,
    /// Yours, to find executions that belong together.
    pub(crate) correlation_id: Option<String>,
    /// Yours, to find executions by: at most 16 entries.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    pub(crate) metadata: BTreeMap<String, String>,
    /// Makes the request safe to repeat; the header `Idempotency-Key` is the same.
    pub(crate) idempotency_key: Option<String>,
    /// Whether to execute again where the execution that has the key failed.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    pub(crate) retry_failed: bool,
    /// Bounds each provider call, in milliseconds; absent: 120 s.
    pub(crate) timeout_ms: Option<u64>,
    /// Bounds the whole life, queue and retries included, in milliseconds.
    pub(crate) expire_after_ms: Option<u64>,
    /// How often to try again after a failure that may pass.
    pub(crate) max_retries: Option<i32>,
    /// Whether watchers see the text while the model writes it.
    pub(crate) stream_text: Option<bool>,
    /// The least project revision to resolve the prompt at.
    pub(crate) min_revision: Option<i64>,
    /// What of the version's config to leave out, such as `params.temperature`.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    pub(crate) without: Vec<String>,
}

impl SpecBody {
    /// INVALID_FIELD where it cannot be read in one way.
    pub(crate) fn wire(self) -> Result<v1::ExecutionSpec> {
        let selector = only([
            ("version_number", self.version_number.map(Selector::VersionNumber)),
            ("label", self.label.map(Selector::Label)),
            ("checksum_hash", self.checksum_hash.map(Selector::ChecksumHash)),
        ])?;
        Ok(v1::ExecutionSpec {
            prompt_name: self.prompt_name,
            selector,
            environment: self.environment.unwrap_or_default(),
            variables: self.variables.map(values::wire),
            messages: self.messages.into_iter().map(ChatMessageJson::wire).collect(),
            model: self.model.map(ModelRefJson::wire),
            params: self.params.map(ParamsJson::wire),
            correlation_id: self.correlation_id.unwrap_or_default(),
            idempotency_key: self.idempotency_key.unwrap_or_default(),
            timeout: self.timeout_ms.map(length),
            expire_after: self.expire_after_ms.map(length),
            max_retries: self.max_retries,
            stream_text: self.stream_text,
            min_revision: self.min_revision,
            tools: self.tools.into_iter().map(ToolJson::wire).collect(),
            tool_choice: self.tool_choice.map(|choice| choice.wire("tool_choice")).transpose()?,
            response_format: self.response_format.map(ResponseFormatJson::wire),
            metadata: self.metadata.into_iter().collect::<HashMap<_, _>>(),
            without: self.without,
            retry_failed: self.retry_failed,
        })
    }
}
