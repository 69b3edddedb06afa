//! Prompts that live in code.

use std::collections::BTreeMap;

use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_proto::v1;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chat::{ChatMessageJson, ChatTemplateJson};
use super::config::{ConfigJson, ModelRefJson, ParamsJson, ResponseFormatJson, ToolChoiceJson, ToolJson};
use super::execution::{ExecutionJson, SubmittedJson};
use super::only;
use super::spec::SpecBody;
use super::values::ObjectJson;
use super::words::{ModeWord, RegistrationWord, TemplateFormatWord, WireWord};

/// Prompts to register from code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RegisterCodePrompts)]
pub(crate) struct RegisterCodeBody {
    /// At most 1,000.
    prompts: Vec<CodePromptJson>,
    /// Whether to tell what would happen, and change nothing.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    dry_run: bool,
    /// Whether the registered versions become the active ones; absent: true.
    set_active: Option<bool>,
    /// Who registers.
    created_by: Option<String>,
    /// Where the code is.
    source: Option<CodeSourceJson>,
}

/// Where code is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CodeSource)]
pub(crate) struct CodeSourceJson {
    repository: Option<String>,
    commit: Option<String>,
}

/// A prompt in code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CodePrompt)]
pub(crate) struct CodePromptJson {
    name: String,
    /// The template as a text. Exactly one of `template_source` and `chat_template` is sent.
    template_source: Option<String>,
    chat_template: Option<ChatTemplateJson>,
    config: Option<ConfigJson>,
    /// Absent: handlebars.
    template_format: Option<TemplateFormatWord>,
    /// The SHA-256 of the template's text, 64 hex digits: checked where it is sent.
    template_hash: Option<String>,
    description: Option<String>,
    owner_team: Option<String>,
    /// The file that the prompt is in.
    path: Option<String>,
    /// Labels to point at the version.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    labels: Vec<String>,
    note: Option<String>,
}

impl RegisterCodeBody {
    pub(crate) fn wire(self) -> Result<v1::RegisterCodePromptsRequest> {
        let prompts = self.prompts.into_iter().enumerate().map(|(place, prompt)| prompt.wire(place));
        let source = |source: CodeSourceJson| v1::CodeSource {
            repository: source.repository.unwrap_or_default(),
            commit: source.commit.unwrap_or_default(),
        };
        Ok(v1::RegisterCodePromptsRequest {
            prompts: prompts.collect::<Result<_>>()?,
            dry_run: self.dry_run,
            set_active: self.set_active,
            created_by: self.created_by.unwrap_or_default(),
            source: self.source.map(source),
        })
    }
}

impl CodePromptJson {
    fn wire(self, place: usize) -> Result<v1::CodePrompt> {
        use v1::code_prompt::Template;
        let template = only([
            ("template_source", self.template_source.map(Template::TemplateSource)),
            ("chat_template", self.chat_template.map(|chat| Template::ChatTemplate(chat.wire()))),
        ]);
        let within = |error: Error| error.within(&format!("prompts[{place}]"));
        Ok(v1::CodePrompt {
            name: self.name,
            template: template.map_err(within)?,
            template_format: self.template_format.map_or(0, TemplateFormatWord::wire),
            template_hash: self.template_hash.unwrap_or_default(),
            description: self.description,
            owner_team: self.owner_team,
            path: self.path.unwrap_or_default(),
            config: self.config.map(|config| config.wire("config")).transpose().map_err(within)?,
            labels: self.labels,
            note: self.note.unwrap_or_default(),
        })
    }
}

/// What became of each prompt, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RegisteredCodePrompts)]
pub(crate) struct RegisteredJson {
    registered: Vec<RegisteredPromptJson>,
    revision: i64,
}

/// What became of a prompt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RegisteredPrompt)]
pub(crate) struct RegisteredPromptJson {
    name: String,
    mode: Option<ModeWord>,
    version: i32,
    change_detected: bool,
    previous_version: Option<i32>,
    action: Option<RegistrationWord>,
    checksum_hash: String,
    warnings: Vec<String>,
}

impl From<v1::RegisterCodePromptsResponse> for RegisteredJson {
    fn from(sent: v1::RegisterCodePromptsResponse) -> Self {
        let one = |prompt: v1::RegisteredPrompt| RegisteredPromptJson {
            mode: ModeWord::of(prompt.mode),
            action: RegistrationWord::of(prompt.action),
            name: prompt.name,
            version: prompt.version,
            change_detected: prompt.change_detected,
            previous_version: prompt.previous_version,
            checksum_hash: prompt.checksum_hash,
            warnings: prompt.warnings,
        };
        Self { registered: sent.registered.into_iter().map(one).collect(), revision: sent.revision }
    }
}

/// How a prompt from code is executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ExecuteMode)]
pub(crate) enum ExecuteModeWord {
    /// Within the call.
    #[default]
    Sync,
    /// Through the queue; the answer is 202.
    Async,
    /// Within the call, whose answer is a stream of events.
    Stream,
}

/// What to execute, of a prompt from code.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExecuteCodePrompt)]
pub(crate) struct ExecuteBody {
    /// Absent: sync.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    pub(crate) mode: ExecuteModeWord,
    /// At most one of `version`, `label` and `checksum_hash` is sent; none: the active version.
    version: Option<i32>,
    label: Option<String>,
    checksum_hash: Option<String>,
    /// The values to render the template with; not beside `messages`.
    #[schema(value_type = Option<Object>)]
    variables: Option<ObjectJson>,
    /// Ready messages to send instead of a rendered template.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    messages: Vec<ChatMessageJson>,
    /// The model of the default model's provider; not beside `model`.
    pub(crate) model_name: Option<String>,
    pub(crate) model: Option<ModelRefJson>,
    params: Option<ParamsJson>,
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    tools: Vec<ToolJson>,
    tool_choice: Option<ToolChoiceJson>,
    response_format: Option<ResponseFormatJson>,
    environment: Option<String>,
    correlation_id: Option<String>,
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    metadata: BTreeMap<String, String>,
    /// Makes the request safe to repeat; the header `Idempotency-Key` is the same.
    idempotency_key: Option<String>,
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    retry_failed: bool,
    /// Bounds each provider call, in milliseconds; absent: 120 s.
    timeout_ms: Option<u64>,
    /// Bounds the whole life, queue and retries included, in milliseconds.
    expire_after_ms: Option<u64>,
    max_retries: Option<i32>,
    stream_text: Option<bool>,
    min_revision: Option<i64>,
    /// What of the version's config to leave out, such as `params.temperature`.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    without: Vec<String>,
}

impl ExecuteBody {
    /// As the spec of the prompt. `default_model` gives the provider of a `model_name` alone; INVALID_FIELD where there is
    /// none.
    pub(crate) fn spec(self, prompt_name: String, default_model: Option<&ModelRef>) -> Result<SpecBody> {
        let named = match self.model_name {
            None => None,
            Some(model_name) => {
                let provider = default_model.map(|model| model.provider.clone()).ok_or_else(|| {
                    let problem = "is sent without a provider, and this server has no DEFAULT_MODEL; send `model` with \
                                   `provider` and `model_name` instead";
                    Error::invalid("model_name", problem)
                })?;
                Some(ModelRefJson { provider, model_name })
            }
        };
        Ok(SpecBody {
            prompt_name,
            version_number: self.version,
            label: self.label,
            checksum_hash: self.checksum_hash,
            environment: self.environment,
            variables: self.variables,
            messages: self.messages,
            model: only([("model_name", named), ("model", self.model)])?,
            params: self.params,
            tools: self.tools,
            tool_choice: self.tool_choice,
            response_format: self.response_format,
            correlation_id: self.correlation_id,
            metadata: self.metadata,
            idempotency_key: self.idempotency_key,
            retry_failed: self.retry_failed,
            timeout_ms: self.timeout_ms,
            expire_after_ms: self.expire_after_ms,
            max_retries: self.max_retries,
            stream_text: self.stream_text,
            min_revision: self.min_revision,
            without: self.without,
        })
    }
}

/// An execution of a prompt from code: as it ended, or as it was queued.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ExecutedCodePrompt)]
pub(crate) enum ExecutedJson {
    Ran(Box<RanCodeJson>),
    Submitted(SubmittedCodeJson),
}

/// An execution as it ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RanCodePrompt)]
pub(crate) struct RanCodeJson {
    #[serde(flatten)]
    pub(crate) execution: ExecutionJson,
    /// The number of the version that was executed.
    pub(crate) version_used: i32,
}

/// An execution as it was queued.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubmittedCodePrompt)]
pub(crate) struct SubmittedCodeJson {
    #[serde(flatten)]
    pub(crate) execution: SubmittedJson,
    /// The mode of the prompt.
    pub(crate) prompt_mode: ModeWord,
    /// The number of the version that will be executed.
    pub(crate) version_used: i32,
}
