//! Builds requests of chat completions.

use async_openai::types::chat::ChatCompletionStreamOptions;
use prompt_ledger_domain::chat::{ChatMessage, ContentPart, ImagePart, ImageSource, ToolCall};
use prompt_ledger_domain::execution::Input;
use prompt_ledger_domain::tool::{ResponseFormat, Tool, ToolChoice, ToolRule};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::Call;
use crate::http::RequestForm;

/// The body of a request. Absent parameters are not sent. async-openai's own type copies the texts, knows four roles,
/// has single precision and lacks the parameters of compatible servers.
#[derive(Serialize)]
pub(super) struct ChatRequest<'a> {
    model: &'a str,
    messages: Vec<OpenAiMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repetition_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<i32>,
    /// In place of `max_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<i32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<OpenAiTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<OpenAiChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<OpenAiFormat<'a>>,
    /// Always sent: some servers stream unless they are told not to.
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<ChatCompletionStreamOptions>,
    /// The caller's: none of the keys above is among them.
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct OpenAiMessage<'a> {
    role: &'a str,
    /// Null in a message that only calls tools.
    content: Option<OpenAiContent<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<OpenAiCall<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    tool_call_id: &'a str,
}

/// A text is a plain string: some compatible servers take no parts.
#[derive(Serialize)]
#[serde(untagged)]
enum OpenAiContent<'a> {
    Text(&'a str),
    Parts(Vec<OpenAiPart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OpenAiPart<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function")]
struct OpenAiCall<'a> {
    id: &'a str,
    function: CalledFunction<'a>,
}

#[derive(Serialize)]
struct CalledFunction<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function")]
struct OpenAiTool<'a> {
    function: OpenAiFunction<'a>,
}

#[derive(Serialize)]
struct OpenAiFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OpenAiChoice<'a> {
    Mode(&'static str),
    Function(NamedFunction<'a>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function")]
struct NamedFunction<'a> {
    function: FunctionName<'a>,
}

#[derive(Serialize)]
struct FunctionName<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OpenAiFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: OpenAiSchema<'a> },
}

#[derive(Serialize)]
struct OpenAiSchema<'a> {
    name: &'a str,
    schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// Fails for a schema that is no JSON, which no checked request has.
pub(super) fn body<'a>(call: &Call<'a>, form: RequestForm, streams: bool) -> serde_json::Result<ChatRequest<'a>> {
    let request = call.request;
    let messages = match request.input {
        Input::Prompt(text) => vec![plain("user", text)],
        Input::Messages(messages) => messages.iter().map(message).collect(),
    };
    let params = request.params;
    let options = ChatCompletionStreamOptions { include_usage: Some(true), ..ChatCompletionStreamOptions::default() };
    Ok(ChatRequest {
        model: call.model,
        messages,
        temperature: params.temperature,
        top_p: params.top_p,
        top_k: params.top_k,
        repetition_penalty: params.repetition_penalty,
        max_tokens: params.max_new_tokens.filter(|_| !form.is_completion_limit),
        max_completion_tokens: params.max_new_tokens.filter(|_| form.is_completion_limit),
        stop: params.stop.as_deref().unwrap_or_default(),
        seed: params.seed,
        frequency_penalty: params.frequency_penalty,
        presence_penalty: params.presence_penalty,
        reasoning_effort: params.reasoning_effort.as_deref(),
        tools: request.tools.iter().map(tool).collect::<serde_json::Result<_>>()?,
        tool_choice: request.tool_choice.and_then(choice),
        parallel_tool_calls: request.tool_choice.and_then(|choice| choice.parallel),
        response_format: request.response_format.map(format).transpose()?,
        stream: streams,
        stream_options: (streams && form.asks_for_usage).then_some(options),
        extra: &params.extra,
    })
}

fn plain<'a>(role: &'a str, text: &'a str) -> OpenAiMessage<'a> {
    let content = Some(OpenAiContent::Text(text));
    OpenAiMessage { role, content, name: "", tool_calls: Vec::new(), tool_call_id: "" }
}

fn message(message: &ChatMessage) -> OpenAiMessage<'_> {
    let ChatMessage { role, content, parts, name, tool_calls, tool_call_id } = message;
    let content = match parts.as_slice() {
        [] if content.is_empty() && !tool_calls.is_empty() => None,
        [] => Some(OpenAiContent::Text(content)),
        parts => Some(OpenAiContent::Parts(parts.iter().map(part).collect())),
    };
    OpenAiMessage { role, content, name, tool_calls: tool_calls.iter().map(called).collect(), tool_call_id }
}

fn part(part: &ContentPart) -> OpenAiPart<'_> {
    match part {
        ContentPart::Text(text) => OpenAiPart::Text { text },
        ContentPart::Image(ImagePart { source, media_type, detail }) => {
            let url = match source {
                ImageSource::Url(url) => url.clone(),
                ImageSource::Data(data) => format!("data:{media_type};base64,{}", data.base64()),
            };
            OpenAiPart::ImageUrl { image_url: ImageUrl { url, detail } }
        }
    }
}

fn called(call: &ToolCall) -> OpenAiCall<'_> {
    let ToolCall { id, name, arguments } = call;
    OpenAiCall { id, function: CalledFunction { name, arguments } }
}

fn tool(tool: &Tool) -> serde_json::Result<OpenAiTool<'_>> {
    let Tool { name, description, parameters_json, strict } = tool;
    let parameters = match parameters_json.as_str() {
        "" => None,
        json => Some(serde_json::from_str(json)?),
    };
    Ok(OpenAiTool { function: OpenAiFunction { name, description, parameters, strict: strict.then_some(true) } })
}

fn choice(choice: &ToolChoice) -> Option<OpenAiChoice<'_>> {
    Some(match choice.rule.as_ref()? {
        ToolRule::Auto => OpenAiChoice::Mode("auto"),
        ToolRule::None => OpenAiChoice::Mode("none"),
        ToolRule::Required => OpenAiChoice::Mode("required"),
        ToolRule::Tool(name) => OpenAiChoice::Function(NamedFunction { function: FunctionName { name } }),
    })
}

fn format(format: &ResponseFormat) -> serde_json::Result<OpenAiFormat<'_>> {
    let ResponseFormat::JsonSchema(of) = format else { return Ok(OpenAiFormat::JsonObject) };
    let schema = serde_json::from_str(&of.schema_json)?;
    let json_schema = OpenAiSchema { name: &of.name, schema, strict: of.strict.then_some(true) };
    Ok(OpenAiFormat::JsonSchema { json_schema })
}
