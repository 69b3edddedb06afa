//! What a version was tuned with, and what a request names instead.

use prompt_ledger_domain::{Error, Result};
use prompt_ledger_proto::v1::{self, response_format, tool_choice};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::told;
use super::values::{self, ObjectJson};
use super::words::{ToolRuleWord, WireWord};

/// A model of a provider.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModelRef)]
pub(crate) struct ModelRefJson {
    /// The name of a configured provider: `openai`, `anthropic`, `echo`.
    pub(crate) provider: String,
    /// The model as the provider calls it.
    pub(crate) model_name: String,
}

/// Parameters of a model call. What is absent is not sent.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModelParams)]
pub(crate) struct ParamsJson {
    /// The sampling temperature; not negative.
    temperature: Option<f64>,
    /// Sample from that many of the likeliest tokens.
    top_k: Option<i32>,
    /// Sample from the likeliest tokens that hold this share of the probability.
    top_p: Option<f64>,
    /// Makes repetition less likely where it is above 1.
    repetition_penalty: Option<f64>,
    /// The most tokens that the model may write.
    max_new_tokens: Option<i32>,
    /// Texts at which the model stops writing, at most 4. Empty: the version's are not sent.
    stop: Option<Vec<String>>,
    /// Makes answers repeatable as far as the provider can.
    seed: Option<i64>,
    /// Makes tokens less likely the more often they were written; -2 to 2.
    frequency_penalty: Option<f64>,
    /// Makes tokens less likely that were written at all; -2 to 2.
    presence_penalty: Option<f64>,
    /// How much the model thinks before it answers, in the provider's own word.
    reasoning_effort: Option<String>,
    /// Anything else of the provider's request body, as it is.
    #[schema(value_type = Option<Object>)]
    extra: Option<ObjectJson>,
}

/// A function that the model may ask to have called.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Tool)]
pub(crate) struct ToolJson {
    /// `[A-Za-z0-9_-]{1,64}`, once in the list.
    name: String,
    /// What the tool does and when to use it.
    description: Option<String>,
    /// The JSON Schema of the arguments, kept byte for byte. Absent: no properties.
    #[schema(value_type = Option<Object>)]
    parameters: Option<Box<RawValue>>,
    /// Whether the provider makes sure that arguments match the schema.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    strict: bool,
}

/// Which tools the model is to call: a rule for all, or the name of one.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ToolChoice)]
pub(crate) struct ToolChoiceJson {
    /// A rule for all tools. At most one of `mode` and `name` is sent.
    mode: Option<ToolRuleWord>,
    /// Exactly this tool.
    name: Option<String>,
    /// Whether the model may call several tools at once.
    parallel: Option<bool>,
}

/// The form that the model answers in.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = ResponseFormat)]
pub(crate) enum ResponseFormatJson {
    /// JSON of any form.
    JsonObject(AnyObjectJson),
    /// JSON that matches a schema.
    JsonSchema(AnswerSchemaJson),
}

/// It holds nothing.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = JsonObject)]
pub(crate) struct AnyObjectJson {}

/// The schema of an answer.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = JsonSchema)]
pub(crate) struct AnswerSchemaJson {
    /// `[A-Za-z0-9_-]{1,64}`.
    name: String,
    /// The JSON Schema, kept byte for byte.
    #[schema(value_type = Object)]
    schema: Box<RawValue>,
    /// Whether the provider makes sure that the answer matches.
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    strict: bool,
}

/// What a prompt was tuned with: part of a version's content.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VersionConfig)]
pub(crate) struct ConfigJson {
    model: Option<ModelRefJson>,
    params: Option<ParamsJson>,
    #[serde(default, deserialize_with = "super::or_default")]
    #[schema(nullable)]
    tools: Vec<ToolJson>,
    tool_choice: Option<ToolChoiceJson>,
    response_format: Option<ResponseFormatJson>,
    /// The owner's own; the ledger keeps it and sends it nowhere.
    #[schema(value_type = Option<Object>)]
    custom: Option<ObjectJson>,
}

impl ModelRefJson {
    pub(crate) fn wire(self) -> v1::ModelRef {
        v1::ModelRef { provider: self.provider, model_name: self.model_name }
    }
}

impl From<v1::ModelRef> for ModelRefJson {
    fn from(v1::ModelRef { provider, model_name }: v1::ModelRef) -> Self {
        Self { provider, model_name }
    }
}

impl ParamsJson {
    pub(crate) fn wire(self) -> v1::ModelParams {
        v1::ModelParams {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            repetition_penalty: self.repetition_penalty,
            max_new_tokens: self.max_new_tokens,
            stop: self.stop.map(|values| v1::StopSequences { values }),
            seed: self.seed,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            reasoning_effort: self.reasoning_effort,
            extra: self.extra.map(values::wire),
        }
    }
}

impl From<v1::ModelParams> for ParamsJson {
    fn from(params: v1::ModelParams) -> Self {
        Self {
            temperature: params.temperature,
            top_k: params.top_k,
            top_p: params.top_p,
            repetition_penalty: params.repetition_penalty,
            max_new_tokens: params.max_new_tokens,
            stop: params.stop.map(|stop| stop.values),
            seed: params.seed,
            frequency_penalty: params.frequency_penalty,
            presence_penalty: params.presence_penalty,
            reasoning_effort: params.reasoning_effort,
            extra: params.extra.map(values::object),
        }
    }
}

impl ToolJson {
    pub(crate) fn wire(self) -> v1::Tool {
        v1::Tool {
            name: self.name,
            description: self.description.unwrap_or_default(),
            parameters_json: self.parameters.map(|schema| schema.get().to_owned()).unwrap_or_default(),
            strict: self.strict,
        }
    }
}

impl From<v1::Tool> for ToolJson {
    fn from(tool: v1::Tool) -> Self {
        let v1::Tool { name, description, parameters_json, strict } = tool;
        Self { name, description: told(description), parameters: RawValue::from_string(parameters_json).ok(), strict }
    }
}

impl ToolChoiceJson {
    /// INVALID_FIELD below `field` where it names a rule and a tool.
    pub(crate) fn wire(self, field: &str) -> Result<v1::ToolChoice> {
        let choice = match (self.mode, self.name) {
            (None, None) => None,
            (Some(rule), None) => Some(tool_choice::Choice::Mode(rule.wire())),
            (None, Some(name)) => Some(tool_choice::Choice::Name(name)),
            (Some(_), Some(_)) => {
                return Err(Error::invalid(format!("{field}.name"), "stands beside `mode`; send one of them"));
            }
        };
        Ok(v1::ToolChoice { choice, parallel: self.parallel })
    }
}

impl From<v1::ToolChoice> for ToolChoiceJson {
    fn from(sent: v1::ToolChoice) -> Self {
        let (mode, name) = match sent.choice {
            Some(tool_choice::Choice::Mode(mode)) => (ToolRuleWord::of(mode), None),
            Some(tool_choice::Choice::Name(name)) => (None, Some(name)),
            None => (None, None),
        };
        Self { mode, name, parallel: sent.parallel }
    }
}

impl ResponseFormatJson {
    pub(crate) fn wire(self) -> v1::ResponseFormat {
        let format = match self {
            Self::JsonObject(AnyObjectJson {}) => response_format::Format::JsonObject(v1::JsonObject {}),
            Self::JsonSchema(AnswerSchemaJson { name, schema, strict }) => {
                let schema_json = schema.get().to_owned();
                response_format::Format::JsonSchema(v1::JsonSchema { name, schema_json, strict })
            }
        };
        v1::ResponseFormat { format: Some(format) }
    }

    /// The form of a message; absent where it names none.
    pub(crate) fn of(sent: v1::ResponseFormat) -> Option<Self> {
        Some(match sent.format? {
            response_format::Format::JsonObject(v1::JsonObject {}) => Self::JsonObject(AnyObjectJson {}),
            response_format::Format::JsonSchema(v1::JsonSchema { name, schema_json, strict }) => {
                let schema = RawValue::from_string(schema_json).ok()?;
                Self::JsonSchema(AnswerSchemaJson { name, schema, strict })
            }
        })
    }
}

impl ConfigJson {
    /// INVALID_FIELD below `field` where it cannot be read in one way.
    pub(crate) fn wire(self, field: &str) -> Result<v1::VersionConfig> {
        let choice = self.tool_choice.map(|choice| choice.wire(&format!("{field}.tool_choice"))).transpose()?;
        Ok(v1::VersionConfig {
            model: self.model.map(ModelRefJson::wire),
            params: self.params.map(ParamsJson::wire),
            tools: self.tools.into_iter().map(ToolJson::wire).collect(),
            tool_choice: choice,
            response_format: self.response_format.map(ResponseFormatJson::wire),
            custom: self.custom.map(values::wire),
        })
    }
}

impl From<v1::VersionConfig> for ConfigJson {
    fn from(config: v1::VersionConfig) -> Self {
        Self {
            model: config.model.map(Into::into),
            params: config.params.map(Into::into),
            tools: config.tools.into_iter().map(Into::into).collect(),
            tool_choice: config.tool_choice.map(Into::into),
            response_format: config.response_format.and_then(ResponseFormatJson::of),
            custom: config.custom.map(values::object),
        }
    }
}
