//! What both protocols make of chats, tools, forms of answers and parameters, and what they refuse.

use prompt_ledger_domain::capabilities::ModelCapabilities;
use prompt_ledger_domain::chat::{ChatMessage, ContentPart, ImageData, ImagePart, ImageSource, ToolCall};
use prompt_ledger_domain::execution::{Input, Params};
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_domain::tool::{JsonSchema, ResponseFormat, Tool, ToolChoice, ToolRule};
use prompt_ledger_domain::trace::TraceParent;
use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Endpoint, Provider};
use prompt_ledger_testkit::fake_model::FakeModel;
use serde_json::{Value, json};

use crate::setup::{Ask, KEY, both, endpoint, prompt};

/// The schema's text, with its fields in an order of its own.
const SCHEMA: &str = r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"number"}}}"#;

fn image(source: ImageSource, media_type: &str, detail: &str) -> ContentPart {
    ContentPart::Image(ImagePart { source, media_type: media_type.into(), detail: detail.into() })
}

fn url(url: &str) -> ImageSource {
    ImageSource::Url(url.into())
}

fn bytes() -> ImageSource {
    ImageSource::Data(ImageData(vec![1, 2, 3].into()))
}

fn said(parts: Vec<ContentPart>) -> ChatMessage {
    ChatMessage { parts, ..ChatMessage::text("user", "") }
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "weather".into(), arguments: arguments.into() }
}

fn answered(id: &str, content: &str) -> ChatMessage {
    ChatMessage { tool_call_id: id.into(), ..ChatMessage::text("tool", content) }
}

fn choice(rule: Option<ToolRule>, parallel: Option<bool>) -> Option<ToolChoice> {
    Some(ToolChoice { rule, parallel })
}

fn schema(strict: bool) -> Option<ResponseFormat> {
    Some(ResponseFormat::JsonSchema(JsonSchema { name: "city".into(), schema_json: SCHEMA.into(), strict }))
}

fn tools() -> Vec<Tool> {
    let weather =
        Tool { name: "weather".into(), description: "Of a city".into(), parameters_json: SCHEMA.into(), strict: true };
    vec![weather, Tool { name: "clock".into(), ..Tool::default() }]
}

#[tokio::test]
async fn a_provider_is_told_the_trace_unless_the_settings_have_one() {
    let model = FakeModel::start().await;
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace: TraceParent = text.parse().unwrap();
    for provider in both(&model) {
        Ask::new(&*provider, prompt("hi")).traced(trace).answer().await;
        assert_eq!(model.last_request().header("traceparent"), Some(text));
        Ask::new(&*provider, prompt("hi")).answer().await;
        assert_eq!(model.last_request().header("traceparent"), None);
        assert!(provider.place().starts_with("127.0.0.1:"), "{}", provider.place());
    }
    let headers = vec![("traceparent".to_owned(), Secret::new("own"))];
    let own = OpenAi::new(Endpoint { headers, ..endpoint(&model.base_url()) }).unwrap();
    Ask::new(&own, prompt("hi")).traced(trace).answer().await;
    assert_eq!(model.last_request().header("traceparent"), Some("own"));
}

/// The bodies that OpenAI's and Anthropic's protocol make of it, at a place of one's own. A stream is asked for in the same
/// words.
async fn bodies(ask: impl for<'a> Fn(&'a dyn Provider) -> Ask<'a>) -> [Value; 2] {
    let model = FakeModel::start().await;
    let [openai, anthropic] = both(&model);
    let mut sent = Vec::new();
    for provider in [&*openai, &*anthropic] {
        ask(provider).answer().await;
        let whole = model.last_request().body;
        ask(provider).streamed().await;
        let mut streamed = model.last_request().body;
        assert_eq!(streamed["stream"].take(), true, "{streamed}");
        streamed["stream"] = json!(false);
        if let Some(options) = streamed.as_object_mut().unwrap().remove("stream_options") {
            assert_eq!(options, json!({"include_usage": true}));
        }
        assert_eq!(streamed, whole);
        sent.push(whole);
    }
    sent.try_into().unwrap()
}

fn vendors() -> [Box<dyn Provider>; 2] {
    let endpoint = || Endpoint { api_key: Some(Secret::new(KEY)), ..Endpoint::default() };
    [Box::new(OpenAi::new(endpoint()).unwrap()), Box::new(Anthropic::new(endpoint()).unwrap())]
}

/// The paths that a provider refuses.
fn refused(provider: &dyn Provider, ask: &Ask<'_>, model: ModelCapabilities) -> Vec<String> {
    match provider.traits().check(&ask.as_request(), &model) {
        Ok(()) => vec![],
        Err(error) => error.parts().violations.iter().map(|v| v.field.clone()).collect(),
    }
}

#[tokio::test]
async fn a_chat_goes_out_in_the_form_of_its_protocol() {
    let chat = vec![
        ChatMessage::text("system", "Be kind."),
        said(vec![
            ContentPart::Text("What is this?".into()),
            image(url("https://example.com/a.png"), "", ""),
            image(bytes(), "image/png", ""),
        ]),
        ChatMessage {
            tool_calls: vec![call("a", r#"{"z": "{{x}}"}"#), call("b", "")],
            ..ChatMessage::text("assistant", "")
        },
        answered("a", "Sunny"),
        ChatMessage { parts: vec![ContentPart::Text("12:00".into())], ..answered("b", "") },
        ChatMessage::text("user", "Thanks"),
        ChatMessage::text("developer", "Be short."),
        ChatMessage { tool_calls: vec![call("c", "{}")], ..ChatMessage::text("assistant", "Again") },
        answered("c", "Rain"),
    ];
    let [openai, anthropic] = bodies(|provider| Ask::new(provider, Input::Messages(chat.clone()))).await;
    let function = |arguments: &str| json!({"name": "weather", "arguments": arguments});
    let parts = json!([
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQID"}},
    ]);
    let expected = json!([
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": null, "tool_calls": [
            {"type": "function", "id": "a", "function": function(r#"{"z": "{{x}}"}"#)},
            {"type": "function", "id": "b", "function": function("")},
        ]},
        {"role": "tool", "content": "Sunny", "tool_call_id": "a"},
        {"role": "tool", "content": [{"type": "text", "text": "12:00"}], "tool_call_id": "b"},
        {"role": "user", "content": "Thanks"},
        {"role": "developer", "content": "Be short."},
        {"role": "assistant", "content": "Again", "tool_calls": [
            {"type": "function", "id": "c", "function": function("{}")},
        ]},
        {"role": "tool", "content": "Rain", "tool_call_id": "c"},
    ]);
    assert_eq!(openai["messages"], expected);
    assert_eq!(anthropic["system"], "Be kind.\n\nBe short.");
    let used = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "weather", "input": input});
    let expected = json!([
        {"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AQID"}},
        ]},
        {"role": "assistant", "content": [used("a", json!({"z": "{{x}}"})), used("b", json!({}))]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": "Sunny"},
            {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "12:00"}]},
            {"type": "text", "text": "Thanks"},
        ]},
        {"role": "assistant", "content": [{"type": "text", "text": "Again"}, used("c", json!({}))]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "Rain"}]},
    ]);
    assert_eq!(anthropic["messages"], expected);
}

#[tokio::test]
async fn tools_and_schemas_go_out_as_they_were_written() {
    let [openai, anthropic] = bodies(|provider| {
        let mut ask = Ask::new(provider, prompt("hi"));
        ask.tools = tools();
        ask.tool_choice = choice(Some(ToolRule::Tool("weather".into())), Some(false));
        ask.response_format = schema(true);
        ask
    })
    .await;
    let function = json!({"name": "weather", "description": "Of a city", "parameters": openai["tools"][0]["function"]["parameters"], "strict": true});
    let expected =
        json!([{"type": "function", "function": function}, {"type": "function", "function": {"name": "clock"}}]);
    assert_eq!(openai["tools"], expected);
    assert_eq!(openai["tool_choice"], json!({"type": "function", "function": {"name": "weather"}}));
    assert_eq!(openai["parallel_tool_calls"], false);
    assert_eq!(openai["response_format"]["json_schema"]["strict"], true);
    assert_eq!(openai["response_format"]["json_schema"]["name"], "city");
    assert_eq!(openai["response_format"]["type"], "json_schema");
    let none = json!({"type": "object", "properties": {}});
    assert_eq!(anthropic["tools"][1], json!({"name": "clock", "input_schema": none}));
    assert_eq!(
        (&anthropic["tools"][0]["strict"], &anthropic["tools"][0]["description"]),
        (&json!(true), &json!("Of a city"))
    );
    let expected = json!({"type": "tool", "name": "weather", "disable_parallel_tool_use": true});
    assert_eq!(anthropic["tool_choice"], expected);
    assert_eq!(anthropic["output_config"]["format"]["type"], "json_schema");
    assert_eq!(anthropic["output_config"]["format"].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn the_text_of_a_schema_is_sent_byte_for_byte() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        let mut ask = Ask::new(&*provider, prompt("hi"));
        ask.tools = tools();
        ask.response_format = schema(true);
        for streams in [false, true] {
            if streams {
                ask.streamed().await;
            } else {
                ask.answer().await;
            }
            let raw = String::from_utf8(model.last_request().raw.to_vec()).unwrap();
            assert_eq!(raw.matches(SCHEMA).count(), 2, "{raw}");
        }
    }
}

#[tokio::test]
async fn each_choice_has_its_word() {
    for (rule, openai_word, anthropic_word) in [
        (None, Value::Null, json!({"type": "auto", "disable_parallel_tool_use": false})),
        (Some(ToolRule::Auto), json!("auto"), json!({"type": "auto", "disable_parallel_tool_use": false})),
        (Some(ToolRule::Required), json!("required"), json!({"type": "any", "disable_parallel_tool_use": false})),
    ] {
        let [openai, anthropic] = bodies(|provider| {
            let mut ask = Ask::new(provider, prompt("hi"));
            ask.tools = tools();
            ask.tool_choice = choice(rule.clone(), Some(true));
            ask
        })
        .await;
        assert_eq!((&openai["tool_choice"], &openai["parallel_tool_calls"]), (&openai_word, &json!(true)));
        assert_eq!(anthropic["tool_choice"], anthropic_word);
    }
    let [openai, anthropic] = bodies(|provider| {
        let mut ask = Ask::new(provider, prompt("hi"));
        ask.tool_choice = choice(Some(ToolRule::None), None);
        ask
    })
    .await;
    assert_eq!((&openai["tool_choice"], &anthropic["tool_choice"]), (&json!("none"), &json!({"type": "none"})));
}

#[tokio::test]
async fn a_json_object_is_openais_alone() {
    let model = FakeModel::start().await;
    let [openai, anthropic] = both(&model);
    let mut ask = Ask::new(&*openai, prompt("hi"));
    ask.response_format = Some(ResponseFormat::JsonObject {});
    ask.answer().await;
    assert_eq!(model.last_request().body["response_format"], json!({"type": "json_object"}));
    let unknown = ModelCapabilities::default();
    assert_eq!(refused(&*anthropic, &ask, unknown), ["response_format.json_object"]);
    ask.provider = &*anthropic;
    let failure = ask.failure().await;
    assert_eq!((<&str>::from(failure.error_type), failure.latency), ("invalid_request", None));
    ask.response_format = schema(false);
    assert_eq!(refused(&*anthropic, &ask, unknown), ["response_format.json_schema.strict"]);
    assert_eq!(refused(&*openai, &ask, unknown), Vec::<String>::new());
}

#[tokio::test]
async fn parameters_go_out_under_the_names_of_their_protocol() {
    let params = Params {
        stop: Some(vec!["END".into()]),
        seed: Some(7),
        frequency_penalty: Some(0.0),
        presence_penalty: Some(-1.5),
        reasoning_effort: Some("low".into()),
        max_new_tokens: Some(9),
        extra: json!({"logit_bias": {"1": 2}, "user": null, "big": 3}).as_object().unwrap().clone(),
        ..Params::default()
    };
    let [mut openai, mut anthropic] = bodies(|provider| Ask::new(provider, prompt("hi")).params(params.clone())).await;
    for body in [&mut openai, &mut anthropic] {
        body.as_object_mut().unwrap().remove("messages");
    }
    let expected = json!({
        "model": "small", "max_tokens": 9, "stop": ["END"], "seed": 7, "frequency_penalty": 0.0, "presence_penalty": -1.5,
        "reasoning_effort": "low", "stream": false, "logit_bias": {"1": 2}, "user": null, "big": 3,
    });
    assert_eq!(openai, expected);
    let expected = json!({
        "model": "small", "max_tokens": 9, "stop_sequences": ["END"], "seed": 7, "frequency_penalty": 0.0,
        "presence_penalty": -1.5, "output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}, "stream": false,
        "logit_bias": {"1": 2}, "user": null, "big": 3,
    });
    assert_eq!(anthropic, expected);
    let [openai, anthropic] =
        bodies(|provider| Ask::new(provider, prompt("hi")).params(Params { stop: Some(vec![]), ..Params::default() }))
            .await;
    assert_eq!((openai.get("stop"), anthropic.get("stop_sequences")), (None, None));
}

#[test]
fn the_vendors_refuse_what_they_do_not_take() {
    let [openai, anthropic] = vendors();
    let chat = Input::Messages(vec![
        ChatMessage { parts: vec![image(url("https://e"), "", "")], ..ChatMessage::text("system", "") },
        said(vec![image(bytes(), "image/tiff", "low"), image(url("http://10.0.0.1/a"), "", "")]),
        ChatMessage {
            parts: vec![image(bytes(), "image/png", "")],
            tool_calls: vec![call("a", "[]"), call("b", "{"), call("c", "")],
            name: "ada".into(),
            ..ChatMessage::text("assistant", "")
        },
    ]);
    let params = Params {
        top_k: Some(1),
        repetition_penalty: Some(1.0),
        seed: Some(0),
        frequency_penalty: Some(0.0),
        presence_penalty: Some(0.0),
        stop: Some(vec!["a".into(), " \n".into()]),
        reasoning_effort: Some("low".into()),
        extra: json!({"thinking": {}}).as_object().unwrap().clone(),
        ..Params::default()
    };
    let mut ask = Ask::new(&*openai, chat).params(params);
    ask.tool_choice = choice(Some(ToolRule::None), Some(true));
    let images = [
        "messages[0].parts[0].image",
        "messages[1].parts[0].image.media_type",
        "messages[1].parts[1].image.url",
        "messages[2].parts[0].image",
    ];
    let expected = [&["params.top_k", "params.repetition_penalty"][..], &images].concat();
    assert_eq!(refused(&*openai, &ask, ModelCapabilities::default()), expected);
    let form = [
        "messages[0].parts",
        "messages[2].name",
        "messages[2].tool_calls[0].arguments",
        "messages[2].tool_calls[1].arguments",
        "messages[1].parts[0].image.detail",
        "tool_choice.parallel",
        "params.extra.thinking",
    ];
    let vendor = [
        "params.repetition_penalty",
        "params.seed",
        "params.frequency_penalty",
        "params.presence_penalty",
        "params.stop.values[1]",
        "params.reasoning_effort",
    ];
    let found = refused(&*anthropic, &ask, ModelCapabilities::default());
    let mut expected = [&form[..], &vendor, &images].concat();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    expected.sort_unstable();
    let mut found: Vec<_> = found.iter().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_model_that_is_known_for_it_takes_an_effort_and_one_that_is_known_not_to_takes_nothing() {
    let [openai, anthropic] = vendors();
    let effort = |word: &str| Params { reasoning_effort: Some(word.into()), ..Params::default() };
    let mut ask = Ask::new(&*anthropic, prompt("hi")).params(effort("low"));
    let knows = ModelCapabilities { reasoning: Some(true), ..ModelCapabilities::default() };
    assert_eq!(refused(&*anthropic, &ask, knows), Vec::<String>::new());
    let error = anthropic.traits().check(&ask.as_request(), &ModelCapabilities::default()).unwrap_err();
    assert!(error.to_string().contains("params.extra.thinking"), "{error}");
    ask.tools = tools();
    let only_without = ModelCapabilities { tools_need_effort_none: Some(true), ..ModelCapabilities::default() };
    assert_eq!(refused(&*openai, &ask, only_without), ["params.reasoning_effort"]);
    ask.params = effort("none");
    assert_eq!(refused(&*openai, &ask, only_without), Vec::<String>::new());
    let no_tools = ModelCapabilities { tools: Some(false), ..ModelCapabilities::default() };
    assert_eq!(refused(&*openai, &ask, no_tools), ["tools"]);
}
