//! What is refused of contents and of what executions name, with the field that is wrong.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::chat_template_entry::Entry;
use prompt_ledger_proto::v1::{content_part, image_part};
use prompt_ledger_testkit::ledger::{Ledger, spec};
use prompt_ledger_testkit::values::variables;
use serde_json::{Value, json};
use tonic::Code;

use super::contents::{chat, config, conversation, message, put_chat, tool, written};
use super::{ledger, ledger_with_model, refused, wrong_fields};

fn image(source: image_part::Source, media_type: &str) -> v1::ContentPart {
    let image = v1::ImagePart { source: Some(source), media_type: media_type.into(), detail: String::new() };
    v1::ContentPart { part: Some(content_part::Part::Image(image)) }
}

fn at(url: &str) -> v1::ContentPart {
    image(image_part::Source::Url(url.into()), "")
}

/// A chat of one message.
fn one(message: v1::ChatMessage) -> v1::ChatTemplate {
    chat(vec![Entry::Message(message)])
}

fn of_parts(parts: Vec<v1::ContentPart>) -> v1::ChatTemplate {
    one(v1::ChatMessage { parts, ..message("user", "") })
}

async fn put(
    ledger: &Ledger,
    chat: v1::ChatTemplate,
    config: Option<v1::VersionConfig>,
) -> Result<tonic::Response<v1::PutPromptResponse>, tonic::Status> {
    ledger.registry().put_prompt(put_chat("ask", chat, config)).await
}

#[tokio::test]
async fn a_chat_that_is_none_is_refused_where_it_is_wrong() {
    let ledger = ledger().start().await;
    let text = |text: &str| v1::ContentPart { part: Some(content_part::Part::Text(text.into())) };
    let answer = v1::ChatMessage { tool_call_id: "c".into(), ..message("user", "x") };
    let call = v1::ToolCall { id: "c".into(), name: "weather".into(), arguments: "{{x}}".into() };
    for (chat, field) in [
        (chat(vec![]), "chat_template.entries"),
        (chat((0..101).map(|_| Entry::Message(message("user", "x"))).collect()), "chat_template.entries"),
        (one(message("bot", "x")), "chat_template.entries[0].message.role"),
        (
            one(v1::ChatMessage { parts: vec![text("a")], ..message("user", "b") }),
            "chat_template.entries[0].message.parts",
        ),
        (one(message("tool", "x")), "chat_template.entries[0].message.tool_call_id"),
        (one(answer), "chat_template.entries[0].message.tool_call_id"),
        (
            one(v1::ChatMessage { tool_calls: vec![call], ..message("user", "x") }),
            "chat_template.entries[0].message.tool_calls",
        ),
        (chat(vec![Entry::Placeholder("two words".into())]), "chat_template.entries[0].placeholder"),
    ] {
        assert_eq!(wrong_fields(put(&ledger, chat, None).await), [field]);
    }
    let both = chat(vec![Entry::Message(message("user", "{{x}}")), Entry::Placeholder("x".into())]);
    let info = refused(put(&ledger, both, None).await, Code::InvalidArgument, "TEMPLATE_INVALID");
    assert_eq!(info.metadata.get("entry").map(String::as_str), Some("1"));
    let unparsed = one(message("user", "a\n{{#if}}"));
    let info = refused(put(&ledger, unparsed, None).await, Code::InvalidArgument, "TEMPLATE_INVALID");
    assert_eq!(info.metadata.get("line").map(String::as_str), Some("2"));
    let large = of_parts(vec![image(image_part::Source::Data(vec![0; 1024 * 1024]), "image/png")]);
    refused(put(&ledger, large, None).await, Code::ResourceExhausted, "TOO_LARGE");
    let long = one(message("user", &"x".repeat(200 * 1024)));
    refused(put(&ledger, long, None).await, Code::ResourceExhausted, "TOO_LARGE");
}

#[tokio::test]
async fn the_address_of_an_image_is_checked_once_it_is_rendered() {
    let ledger = ledger().start().await;
    written(&ledger, put_chat("ask", of_parts(vec![at("{{address}}")]), None)).await;
    let run = async |address: &str| {
        let spec = Some(spec("ask", &[("address", address)]));
        ledger.executions().run_execution(v1::RunExecutionRequest { spec }).await
    };
    for address in ["file:///etc/passwd", "data:image/png;base64,AA==", "ftp://example.com/a.png", "a.png", ""] {
        assert_eq!(wrong_fields(run(address).await), ["chat_template.entries[0].message.parts[0].image.url"]);
    }
    let ran = run("https://example.com/a.png").await.unwrap().into_inner().execution.unwrap();
    assert_eq!(ran.messages[0].parts, [at("https://example.com/a.png")]);
}

#[tokio::test]
async fn a_config_that_is_none_is_refused_where_it_is_wrong() {
    let ledger = ledger().start().await;
    let tools = |tools: Vec<v1::Tool>| v1::VersionConfig { tools, ..v1::VersionConfig::default() };
    let schema = |text: String| tools(vec![v1::Tool { parameters_json: text, ..tool("weather") }]);
    let deep = format!("{}{{}}{}", r#"{"not":"#.repeat(100), "}".repeat(100));
    let params = |params| v1::VersionConfig { params: Some(params), ..v1::VersionConfig::default() };
    let extra = |json: Value| params(v1::ModelParams { extra: Some(variables(&json)), ..v1::ModelParams::default() });
    let choice = |choice| v1::VersionConfig {
        tool_choice: Some(v1::ToolChoice { choice: Some(choice), parallel: None }),
        ..tools(vec![tool("weather")])
    };
    let stops = v1::StopSequences { values: vec!["x".into(); 5] };
    for (config, field) in [
        (tools(vec![tool("")]), "config.tools[0].name"),
        (tools(vec![tool("a b")]), "config.tools[0].name"),
        (tools(vec![tool("a"), tool("a")]), "config.tools[1].name"),
        (tools(vec![tool("a"); 129]), "config.tools"),
        (schema("{".into()), "config.tools[0].parameters_json"),
        (schema(r#"{"type": "objekt"}"#.into()), "config.tools[0].parameters_json"),
        (schema("[]".into()), "config.tools[0].parameters_json"),
        (schema(deep), "config.tools[0].parameters_json"),
        (choice(v1::tool_choice::Choice::Name("time".into())), "config.tool_choice.name"),
        (choice(v1::tool_choice::Choice::Mode(77)), "config.tool_choice.mode"),
        (extra(json!({"temperature": 1})), "config.params.extra.temperature"),
        (extra(json!({"n": 2})), "config.params.extra.n"),
        (params(v1::ModelParams { temperature: Some(f64::NAN), ..Default::default() }), "config.params.temperature"),
        (
            params(v1::ModelParams { presence_penalty: Some(2.1), ..Default::default() }),
            "config.params.presence_penalty",
        ),
        (params(v1::ModelParams { stop: Some(stops), ..Default::default() }), "config.params.stop"),
        (
            params(v1::ModelParams { reasoning_effort: Some("a b".into()), ..Default::default() }),
            "config.params.reasoning_effort",
        ),
    ] {
        assert_eq!(wrong_fields(put(&ledger, conversation(), Some(config)).await), [field]);
    }
    let large = v1::VersionConfig { custom: Some(variables(&json!({"x": "x".repeat(128 * 1024)}))), ..config() };
    refused(put(&ledger, conversation(), Some(large)).await, Code::ResourceExhausted, "TOO_LARGE");
    let listed = ledger.registry().list_prompts(v1::ListPromptsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.prompts, [], "nothing was written");
}

#[tokio::test]
async fn a_schema_is_never_fetched() {
    let ledger = ledger().start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let reference = format!(r#"{{"$ref": "http://{}/schema.json"}}"#, listener.local_addr().unwrap());
    let tools = vec![v1::Tool { parameters_json: reference, ..tool("weather") }];
    let config = v1::VersionConfig { tools, ..v1::VersionConfig::default() };
    put(&ledger, conversation(), Some(config)).await.unwrap();
    let contacted = listener.accept().map(|(_, from)| from);
    assert!(contacted.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}

#[tokio::test]
async fn a_placeholder_takes_messages_and_nothing_else() {
    let ledger = ledger().start().await;
    written(&ledger, put_chat("ask", conversation(), None)).await;
    let run = async |history: Option<Value>| {
        let mut values = json!({"style": "s", "question": "q"});
        if let Some(history) = history {
            values["history"] = history;
        }
        let spec = Some(v1::ExecutionSpec { variables: Some(variables(&values)), ..spec("ask", &[]) });
        ledger.executions().run_execution(v1::RunExecutionRequest { spec }).await
    };
    refused(run(None).await, Code::InvalidArgument, "VARIABLES_MISSING");
    let many = |count: usize| Value::Array(vec![json!({"role": "user", "content": "x"}); count]);
    for (history, field) in [
        (json!("a text"), "variables.history"),
        (json!([{"role": "user", "text": "x"}]), "variables.history[0].text"),
        (json!([{"role": "user", "content": "x"}, {"role": "bot", "content": "x"}]), "variables.history[1].role"),
        (
            json!([{"role": "user", "parts": [{"image": {"url": "file:///x"}}]}]),
            "variables.history[0].parts[0].image.url",
        ),
    ] {
        assert_eq!(wrong_fields(run(Some(history)).await), [field]);
    }
    refused(run(Some(many(1_000))).await, Code::ResourceExhausted, "TOO_LARGE");
    let ran = run(Some(json!([{"role": "user", "content": "{{style}} {{x}}"}]))).await.unwrap().into_inner();
    assert_eq!(ran.execution.unwrap().messages[1].content, "{{style}} {{x}}", "it is never rendered again");
    assert_eq!(run(Some(json!([]))).await.unwrap().into_inner().execution.unwrap().messages.len(), 2);
}

#[tokio::test]
async fn a_model_that_cannot_do_it_is_named_at_the_field_that_caused_it() {
    let (ledger, _fake) = ledger_with_model().await;
    let openai = |name: &str| v1::ModelRef { provider: "openai".into(), model_name: name.into() };
    let can = |tools, sampling| {
        Some(v1::ModelCapabilities { tools: Some(tools), sampling: Some(sampling), ..Default::default() })
    };
    for (name, capabilities) in [("able", can(true, true)), ("plain", can(false, true)), ("cold", can(true, false))] {
        let put = v1::PutModelRequest {
            provider: "openai".into(),
            model_name: name.into(),
            capabilities,
            ..v1::PutModelRequest::default()
        };
        let model = ledger.registry().put_model(put).await.unwrap().into_inner().model.unwrap();
        assert_eq!(model.capabilities, capabilities);
    }
    let tuned = v1::VersionConfig { model: Some(openai("able")), ..config() };
    written(&ledger, put_chat("ask", conversation(), Some(tuned))).await;
    let values = variables(&json!({"style": "s", "question": "q", "history": []}));
    let run = async |spec: v1::ExecutionSpec| {
        let spec = Some(v1::ExecutionSpec { prompt_name: "ask".into(), variables: Some(values.clone()), ..spec });
        ledger.executions().run_execution(v1::RunExecutionRequest { spec }).await
    };
    let to = |name: &str, without: &[&str]| v1::ExecutionSpec {
        model: Some(openai(name)),
        without: without.iter().map(|path| (*path).to_owned()).collect(),
        ..v1::ExecutionSpec::default()
    };
    run(to("able", &[])).await.unwrap();
    assert_eq!(wrong_fields(run(to("plain", &[])).await), ["spec.model"]);
    run(to("plain", &["tools"])).await.unwrap();
    assert_eq!(wrong_fields(run(to("cold", &[])).await), ["spec.model"]);
    run(to("cold", &["params.temperature"])).await.unwrap();
    let hot = v1::ModelParams { temperature: Some(1.0), ..v1::ModelParams::default() };
    let named = v1::ExecutionSpec { params: Some(hot), ..to("cold", &["params"]) };
    assert_eq!(wrong_fields(run(named).await), ["spec.params.temperature"]);
    let unknown = wrong_fields(run(to("able", &["params.heat"])).await);
    assert_eq!(unknown, ["spec.without[0]"]);
    let lost = v1::ExecutionSpec {
        tool_choice: Some(v1::ToolChoice { choice: None, parallel: Some(true) }),
        ..to("able", &["tools"])
    };
    assert_eq!(wrong_fields(run(lost).await), ["spec.tool_choice"]);
}

#[tokio::test]
async fn the_largest_chat_with_its_answer_is_still_one_message() {
    let ledger = ledger().start().await;
    let data = image(image_part::Source::Data(vec![7; 768 * 1024]), "image/png");
    let long = v1::ContentPart { part: Some(content_part::Part::Text("x".repeat(200 * 1024 - 64))) };
    written(&ledger, put_chat("ask", of_parts(vec![data, long]), Some(config()))).await;
    let ran = ledger.run(spec("ask", &[])).await;
    let encoded = prost::Message::encoded_len(&ran);
    assert!(encoded > 1_000_000 && encoded < 3 * 1024 * 1024, "{encoded}");
    assert_eq!(ran.response_text.len(), 200 * 1024 - 64);
}
