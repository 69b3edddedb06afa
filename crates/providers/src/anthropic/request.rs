//! Builds requests of the Messages API.

use prompt_ledger_domain::capabilities::ModelRequest;
use prompt_ledger_domain::execution::Input;
use prompt_ledger_domain::provider::ANTHROPIC_MAX_TOKENS;
use prompt_ledger_domain::tool::{ResponseFormat, Tool, ToolChoice, ToolRule};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::messages::{self, AnthropicMessage};
use crate::Call;

/// The schema of a tool without arguments: the API requires one.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// The body of a request. Absent parameters are not sent. The names are the API's, and OpenAI's for what only servers at a
/// place of one's own take.
#[derive(Serialize)]
pub(super) struct MessagesRequest<'a> {
    model: &'a str,
    max_tokens: i32,
    #[serde(skip_serializing_if = "String::is_empty")]
    system: String,
    messages: Vec<AnthropicMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repetition_penalty: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<AnthropicTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<AnthropicChoice<'a>>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    /// Always sent: some servers stream unless they are told not to.
    stream: bool,
    /// The caller's: none of the keys above is among them, but for `thinking`, which is the ledger's only beside an effort.
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct AnthropicTool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    input_schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct AnthropicChoice<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Default, Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OutputFormat<'a>>,
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none()
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "json_schema")]
struct OutputFormat<'a> {
    schema: &'a RawValue,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "adaptive")]
struct Thinking {}

/// Fails for a schema or arguments that are no JSON, which no checked request has.
pub(super) fn body<'a>(call: &Call<'a>, streams: bool) -> serde_json::Result<MessagesRequest<'a>> {
    let request: ModelRequest<'a> = call.request;
    let (system, messages) = match request.input {
        Input::Prompt(text) => (String::new(), vec![messages::prompt(text)]),
        Input::Messages(messages) => (messages::system(messages), messages::chat(messages)?),
    };
    let params = request.params;
    let effort = params.reasoning_effort.as_deref();
    Ok(MessagesRequest {
        model: call.model,
        max_tokens: params.max_new_tokens.unwrap_or(ANTHROPIC_MAX_TOKENS),
        system,
        messages,
        temperature: params.temperature,
        top_p: params.top_p,
        top_k: params.top_k,
        repetition_penalty: params.repetition_penalty,
        stop_sequences: params.stop.as_deref().unwrap_or_default(),
        seed: params.seed,
        frequency_penalty: params.frequency_penalty,
        presence_penalty: params.presence_penalty,
        tools: request.tools.iter().map(tool).collect::<serde_json::Result<_>>()?,
        tool_choice: request.tool_choice.and_then(choice),
        output_config: OutputConfig { effort, format: request.response_format.and_then(format).transpose()? },
        thinking: effort.map(|_| Thinking {}),
        stream: streams,
        extra: &params.extra,
    })
}

fn tool(tool: &Tool) -> serde_json::Result<AnthropicTool<'_>> {
    let Tool { name, description, parameters_json, strict } = tool;
    let schema = if parameters_json.is_empty() { NO_ARGUMENTS } else { parameters_json };
    let input_schema = serde_json::from_str(schema)?;
    Ok(AnthropicTool { name, description, input_schema, strict: strict.then_some(true) })
}

/// A choice that only says whether calls may be parallel needs a kind: the API's default one.
fn choice(choice: &ToolChoice) -> Option<AnthropicChoice<'_>> {
    let (kind, name) = match &choice.rule {
        None if choice.parallel.is_none() => return None,
        None | Some(ToolRule::Auto) => ("auto", None),
        Some(ToolRule::None) => ("none", None),
        Some(ToolRule::Required) => ("any", None),
        Some(ToolRule::Tool(name)) => ("tool", Some(name.as_str())),
    };
    Some(AnthropicChoice { kind, name, disable_parallel_tool_use: choice.parallel.map(|parallel| !parallel) })
}

fn format(format: &ResponseFormat) -> Option<serde_json::Result<OutputFormat<'_>>> {
    let ResponseFormat::JsonSchema(of) = format else { return None };
    Some(serde_json::from_str(&of.schema_json).map(|schema| OutputFormat { schema }))
}
