//! A request to execute: its fields as sent, its canonical hash, and its checks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::chat::{self, ChatMessage, Roles};
use crate::config::Overrides;
use crate::error::{Error, Reason, Result, Violation, Violations};
use crate::execution::{CallTimeout, ExecutionMode};
use crate::field::{self, Name, shown};
use crate::limits;
use crate::mode::Mode;
use crate::params::Params;
use crate::prompt::{Prompt, Selector};
use crate::retry::Policy;
use crate::tool::{ResponseFormat, Tool, ToolChoice};

pub use crate::json::canonical;

/// The environment of a request that has none.
pub const DEFAULT_ENVIRONMENT: &str = "dev";

/// A request to execute, as sent. Its fields are not checked yet: the prompt's mode and the idempotency key are looked
/// at first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// Required; [`Spec::name`] checks it.
    pub prompt_name: String,
    /// Absent means the active version.
    pub selector: Option<SpecSelector>,
    /// Empty means [`DEFAULT_ENVIRONMENT`].
    pub environment: String,
    /// The values to render the template with, by top-level name.
    pub variables: Map<String, Value>,
    /// Size of the variables on the wire, at most [`limits::VARIABLES_BYTES`].
    pub variables_bytes: usize,
    /// Ready messages, sent instead of a rendered template; tracking mode only, without variables.
    pub messages: Vec<ChatMessage>,
    /// What it names instead of the version's config.
    pub overrides: Overrides,
    /// The caller's id for related executions, at most 255 bytes; empty means none.
    pub correlation_id: String,
    /// The caller's, to find executions by: at most 16 entries of 64 and 256 bytes.
    pub metadata: BTreeMap<String, String>,
    /// At most 255 bytes, unique within the prompt; empty means none.
    pub idempotency_key: String,
    /// The limit of each provider call, above 0 and at most 1 h; absent means 120 s.
    pub timeout: Option<Duration>,
    /// The limit from recording to the end, queue and retries included; above 0, at most 30 days. Absent means none.
    pub expire_after: Option<Duration>,
    /// 0 to [`Policy::most`]; absent means that maximum for an async execution, 0 for a sync one.
    pub max_retries: Option<i32>,
    /// Whether the provider is asked to stream, so that watchers get the text while it is written.
    pub stream_text: bool,
    /// Whether to execute again where the execution that has the key failed.
    pub retry_failed: bool,
    /// Minimum revision of the project at which the prompt is read; absent means any.
    pub min_revision: Option<i64>,
    /// Violations found while the request was converted: numbers that are not finite or exact, negative durations.
    pub violations: Violations,
}

/// The version that a request names, before a label is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecSelector {
    /// A version number, from 1.
    Number(i32),
    /// `active`, `latest`, or one of the prompt's own.
    Label(String),
    /// A content hash: sha-256, lower-case hex.
    Checksum(String),
}

impl SpecSelector {
    /// The label as it was sent; absent for another selector.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        if let Self::Label(label) = self { Some(label) } else { None }
    }

    /// LABEL_NOT_FOUND for a label that the prompt does not have.
    pub fn resolve(&self, prompt: &Prompt) -> Result<Selector> {
        Ok(match self {
            Self::Number(number) => Selector::Number(*number),
            Self::Label(label) => Selector::label(prompt, label)?,
            Self::Checksum(checksum) => Selector::Checksum(checksum.clone()),
        })
    }
}

/// Fields of a request after the checks, with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// [`DEFAULT_ENVIRONMENT`] where none was sent.
    pub environment: Name,
    /// Above 0, at most 1 h; the default where none was sent.
    pub timeout: CallTimeout,
    /// Above 0, at most 30 days; absent means none.
    pub expire_after: Option<Duration>,
    /// 0 to [`Policy::most`].
    pub max_retries: i32,
}

/// The form of a request that [`Spec::request_hash`] hashes.
#[derive(Serialize)]
struct HashedRequest<'a> {
    prompt_name: &'a str,
    selector: Option<Value>,
    environment: &'a str,
    variables: &'a Map<String, Value>,
    messages: &'a [ChatMessage],
    model: Option<[&'a str; 2]>,
    params: &'a Params,
    max_retries: Option<i32>,
    violations: Vec<[&'a str; 2]>,
    // Fields that earlier releases did not have are absent where they are empty: their hashes stay.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tools: &'a [Tool],
    #[serde(skip_serializing_if = "ToolChoice::is_absent")]
    tool_choice: &'a ToolChoice,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<&'a ResponseFormat>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    without: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
}

impl Spec {
    /// Two requests with one idempotency key are the same where their hashes are: sha-256 of the canonical form of the
    /// request as sent, without the key, the correlation id, the two time limits, `stream_text`, `retry_failed` and
    /// `min_revision`.
    pub fn request_hash(&self) -> Result<[u8; 32]> {
        let selector = self.selector.as_ref().map(|selector| match selector {
            SpecSelector::Number(number) => json!({ "version_number": number }),
            SpecSelector::Label(label) => json!({ "label": label }),
            SpecSelector::Checksum(checksum) => json!({ "checksum_hash": checksum }),
        });
        let Overrides { model, params, tools, tool_choice, response_format, without } = &self.overrides;
        let model = model.as_ref().map(|model| [&*model.provider, &*model.model_name]);
        let form = HashedRequest {
            prompt_name: &self.prompt_name,
            selector,
            environment: &self.environment,
            variables: &self.variables,
            messages: &self.messages,
            model,
            params,
            max_retries: self.max_retries,
            violations: self.violations.kept().iter().map(|v| [&*v.field, &*v.description]).collect(),
            tools,
            tool_choice,
            response_format: response_format.as_ref(),
            without,
            metadata: &self.metadata,
        };
        Ok(Sha256::digest(canonical(&form)?).into())
    }

    /// The idempotency key, checked; `None` where none was sent.
    pub fn key(&self) -> Result<Option<String>> {
        if self.idempotency_key.is_empty() {
            return Ok(None);
        }
        field::token("idempotency_key", self.idempotency_key.clone()).map(Some).map_err(Error::of_spec)
    }

    /// The prompt's name, checked.
    pub fn name(&self) -> Result<Name> {
        Name::parse("prompt_name", &self.prompt_name).map_err(Error::of_spec)
    }

    /// Checks everything that needs no access to the store, and fills in defaults. `prompt_mode` decides whether
    /// messages are allowed, `mode` the default of `max_retries`, `policy` its maximum.
    pub fn check(&self, prompt_mode: Mode, mode: ExecutionMode, policy: &Policy) -> Result<Checked> {
        self.check_fields(prompt_mode, mode, policy).map_err(Error::of_spec)
    }

    fn check_fields(&self, prompt_mode: Mode, mode: ExecutionMode, policy: &Policy) -> Result<Checked> {
        field::size("variables", self.variables_bytes, limits::VARIABLES_BYTES)?;
        chat::check_sizes("messages", &self.messages)?;

        let mut wrong = self.violations.clone();
        let name = if self.environment.is_empty() { DEFAULT_ENVIRONMENT } else { &self.environment };
        let environment = wrong.keep(Name::parse("environment", name))?;
        wrong.keep(field::text("correlation_id", self.correlation_id.clone(), limits::SHORT_TEXT_BYTES))?;
        wrong.keep(self.check_messages(prompt_mode))?;
        wrong.keep(self.overrides.check())?;
        wrong.keep(check_metadata("metadata", &self.metadata))?;
        let timeout = self.timeout.map_or_else(CallTimeout::default, CallTimeout::asked);
        wrong.keep(bounded("timeout", timeout.limit(), limits::TIMEOUT_MAX))?;
        if let Some(expire_after) = self.expire_after {
            wrong.keep(bounded("expire_after", expire_after, limits::EXPIRE_AFTER_MAX))?;
        }
        let max_retries = wrong.keep(self.check_retries(mode, policy))?;
        let (environment, max_retries) = wrong.finish(environment.zip(max_retries))?;
        Ok(Checked { environment, timeout, expire_after: self.expire_after, max_retries })
    }

    fn check_messages(&self, prompt_mode: Mode) -> Result<()> {
        if self.messages.is_empty() {
            return Ok(());
        }
        if prompt_mode == Mode::Full {
            let problem = "are for prompts in tracking mode; send variables, the ledger renders the template";
            return Err(Error::invalid("messages", problem));
        }
        if !self.variables.is_empty() {
            return Err(Error::invalid("messages", "and variables were both sent; send one of them"));
        }
        chat::check_messages("messages", &self.messages, Roles::Open)
    }

    /// As [`Overrides::blamed`], and what is wrong with ready messages at `spec.messages`.
    #[must_use]
    pub fn blamed(&self, error: Error) -> Error {
        let error = self.overrides.blamed(error);
        if self.messages.is_empty() || error.reason() != Reason::InvalidField {
            return error;
        }
        let own = |violation: &Violation| match violation.field.starts_with("messages[") {
            true => Violation { field: format!("spec.{}", violation.field), ..violation.clone() },
            false => violation.clone(),
        };
        Error::violations(Reason::InvalidField, error.parts().violations.iter().map(own).collect())
    }

    fn check_retries(&self, mode: ExecutionMode, policy: &Policy) -> Result<i32> {
        let most = policy.most();
        match (self.max_retries, mode) {
            (None, ExecutionMode::Sync) => Ok(0),
            (None, ExecutionMode::Async) => Ok(most),
            (Some(retries), _) if (0..=most).contains(&retries) => Ok(retries),
            (Some(retries), _) => {
                Err(Error::invalid("max_retries", format!("is {retries}; 0 to {most} are possible here")))
            }
        }
    }
}

fn bounded(name: &str, value: Duration, max: Duration) -> Result<()> {
    if value > Duration::ZERO && value <= max {
        return Ok(());
    }
    Err(Error::invalid(name, format!("is {value:?}; more than 0 and at most {} s are allowed", max.as_secs())))
}

/// Checks the metadata of an execution, or of a filter: at most [`limits::METADATA`] entries, keys of 1 to
/// [`limits::METADATA_KEY_BYTES`], values of at most [`limits::METADATA_VALUE_BYTES`], without NUL.
pub fn check_metadata(field: &str, metadata: &BTreeMap<String, String>) -> Result<()> {
    if metadata.len() > limits::METADATA {
        let problem = format!("holds {} entries; at most {} are allowed", metadata.len(), limits::METADATA);
        return Err(Error::invalid(field, problem));
    }
    for (key, value) in metadata {
        if key.is_empty() || key.len() > limits::METADATA_KEY_BYTES {
            let problem = format!("has a key of {} bytes; a key has 1 to {}", key.len(), limits::METADATA_KEY_BYTES);
            return Err(Error::invalid(field, problem));
        }
        field::no_nul(field, key)?;
        field::text(&format!("{field}.{}", shown(key)), value.clone(), limits::METADATA_VALUE_BYTES)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
