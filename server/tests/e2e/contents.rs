//! Chats and configs in the registry.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::chat_template_entry::Entry;
use prompt_ledger_proto::v1::{content_part, put_prompt_request, render_prompt_request};
use prompt_ledger_testkit::ledger::{Ledger, carried, put};
use prompt_ledger_testkit::values::variables;
use serde_json::json;
use tonic::Code;

use super::{ledger, refused};

pub(crate) fn message(role: &str, content: &str) -> v1::ChatMessage {
    v1::ChatMessage { role: role.into(), content: content.into(), ..v1::ChatMessage::default() }
}

pub(crate) fn chat(entries: Vec<Entry>) -> v1::ChatTemplate {
    let entries = entries.into_iter().map(|entry| v1::ChatTemplateEntry { entry: Some(entry) });
    v1::ChatTemplate { entries: entries.collect() }
}

/// An instruction, what was said before, and a question.
pub(crate) fn conversation() -> v1::ChatTemplate {
    chat(vec![
        Entry::Message(message("system", "Answer as {{style}}.")),
        Entry::Placeholder("history".into()),
        Entry::Message(message("user", "{{question}}")),
    ])
}

pub(crate) fn tool(name: &str) -> v1::Tool {
    let parameters_json = r#"{"type": "object", "properties": {"city": {"type": "string"}}}"#.to_owned();
    v1::Tool { name: name.into(), description: "looks it up".into(), parameters_json, strict: false }
}

pub(crate) fn config() -> v1::VersionConfig {
    v1::VersionConfig {
        params: Some(v1::ModelParams { temperature: Some(0.0), seed: Some(7), ..v1::ModelParams::default() }),
        tools: vec![tool("weather")],
        custom: Some(variables(&json!({"owner": "search", "budget": 3}))),
        ..v1::VersionConfig::default()
    }
}

/// A request that makes a chat with a config the active version.
pub(crate) fn put_chat(name: &str, chat: v1::ChatTemplate, config: Option<v1::VersionConfig>) -> v1::PutPromptRequest {
    let template = Some(put_prompt_request::Template::ChatTemplate(chat));
    v1::PutPromptRequest { name: name.into(), template, config, set_active: true, ..v1::PutPromptRequest::default() }
}

pub(crate) async fn written(ledger: &Ledger, request: v1::PutPromptRequest) -> v1::PutPromptResponse {
    ledger.registry().put_prompt(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_chat_with_its_config_is_shown_wherever_a_version_is() {
    let ledger = ledger().start().await;
    let request =
        v1::PutPromptRequest { note: "the first try".into(), ..put_chat("ask", conversation(), Some(config())) };
    let done = written(&ledger, request).await;
    let version = done.version.unwrap();
    let kinds: Vec<_> = version.variables.iter().map(|variable| (&*variable.name, variable.kind())).collect();
    let (text, messages) = (v1::TemplateVariableKind::Text, v1::TemplateVariableKind::Messages);
    assert_eq!(kinds, [("style", text), ("history", messages), ("question", text)]);
    assert_eq!(version.template, Some(v1::prompt_version::Template::ChatTemplate(conversation())));
    assert_eq!((version.config.clone(), &*version.note), (Some(config()), "the first try"));
    let mut registry = ledger.registry();
    let got = registry.get_prompt(v1::GetPromptRequest { name: "ask".into(), ..Default::default() }).await.unwrap();
    assert_eq!(got.into_inner().active_version.as_ref(), Some(&version));
    let listed = registry.list_prompts(v1::ListPromptsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.active_versions, std::slice::from_ref(&version));
    let versions = registry.list_versions(v1::ListVersionsRequest { name: "ask".into(), ..Default::default() });
    assert_eq!(versions.await.unwrap().into_inner().versions, std::slice::from_ref(&version));
    let history = v1::GetPromptHistoryRequest { name: "ask".into(), ..Default::default() };
    let history = registry.get_prompt_history(history).await.unwrap().into_inner();
    assert_eq!(history.versions, [v1::PromptVersion { execution_count: Some(0), ..version }]);
}

#[tokio::test]
async fn a_content_is_a_version_once_and_can_become_active_again() {
    let ledger = ledger().start().await;
    let plain = put_chat("ask", conversation(), None);
    let tuned = put_chat("ask", conversation(), Some(config()));
    let zero = v1::VersionConfig { params: Some(v1::ModelParams::default()), ..v1::VersionConfig::default() };
    for (request, number, changes) in [
        (plain.clone(), 1, true),
        (tuned.clone(), 2, true),
        (v1::PutPromptRequest { set_active: true, ..put("ask", "Hi {{name}}") }, 3, true),
        (put_chat("ask", conversation(), Some(zero)), 1, false),
        (tuned, 2, false),
        (plain, 1, false),
    ] {
        let done = written(&ledger, request).await;
        assert_eq!((done.version.unwrap().version_number, done.version_change), (number, changes));
        assert_eq!(done.prompt.unwrap().active_version_number, Some(number));
    }
    let back = v1::SetActiveVersionRequest { name: "ask".into(), version_number: 2, ..Default::default() };
    let back = ledger.registry().set_active_version(back).await.unwrap().into_inner();
    assert_eq!(back.active_version.unwrap().config, Some(config()));
}

#[tokio::test]
async fn a_preview_shows_exactly_what_would_be_sent() {
    let ledger = ledger().start().await;
    written(&ledger, put_chat("ask", conversation(), Some(config()))).await;
    let values = json!({"style": "a pirate", "question": "{{style}}?", "history": [
        {"role": "user", "content": "Ahoy {{x}}"},
        {"role": "assistant", "parts": [{"text": "Arr"}], "tool_calls": [{"id": "1", "name": "weather", "arguments": "{{"}]},
    ]});
    let request = |selector| v1::RenderPromptRequest {
        name: "ask".into(),
        selector,
        variables: Some(variables(&values)),
        ..Default::default()
    };
    let shown = ledger.registry().render_prompt(request(None)).await.unwrap().into_inner();
    let said = v1::ChatMessage {
        parts: vec![v1::ContentPart { part: Some(content_part::Part::Text("Arr".into())) }],
        tool_calls: vec![v1::ToolCall { id: "1".into(), name: "weather".into(), arguments: "{{".into() }],
        ..message("assistant", "")
    };
    let expected =
        [message("system", "Answer as a pirate."), message("user", "Ahoy {{x}}"), said, message("user", "{{style}}?")];
    assert_eq!((&shown.messages[..], &*shown.rendered_prompt), (&expected[..], ""));
    let sent_with = shown.config.unwrap();
    assert_eq!((sent_with.params, sent_with.tools), (config().params, config().tools));
    assert_eq!(sent_with.custom, None, "it is the owner's, and never sent");
    assert_eq!(sent_with.model.map(|model| model.provider), Some("echo".into()), "the server's default");
    let template = Some(v1::prompt_draft::Template::ChatTemplate(conversation()));
    let draft = v1::PromptDraft { template, config: Some(config()) };
    let draft = request(Some(render_prompt_request::Selector::Draft(draft)));
    let shown =
        ledger.registry().render_prompt(v1::RenderPromptRequest { name: String::new(), ..draft }).await.unwrap();
    let shown = shown.into_inner();
    assert_eq!((&shown.messages[..], shown.version), (&expected[..], None));
    let listed = v1::ListVersionsRequest { name: "ask".into(), ..Default::default() };
    let listed = ledger.registry().list_versions(listed).await.unwrap().into_inner();
    assert_eq!(listed.versions.len(), 1, "a draft is not stored");
}

#[tokio::test]
async fn a_preview_shows_the_limit_that_a_provider_requires() {
    let ledger = ledger().start().await;
    let put = v1::PutModelRequest {
        provider: "anthropic".into(),
        model_name: "short".into(),
        max_tokens: Some(99),
        ..v1::PutModelRequest::default()
    };
    ledger.registry().put_model(put).await.unwrap();
    for (provider, model, own, shown) in [
        ("anthropic", "short", None, Some(99)),
        ("anthropic", "short", Some(7), Some(7)),
        ("anthropic", "unregistered", None, Some(4096)),
        ("echo", "small", None, None),
        ("nobody", "unregistered", None, None),
    ] {
        let params = v1::ModelParams { max_new_tokens: own, temperature: Some(0.0), ..v1::ModelParams::default() };
        let model = Some(v1::ModelRef { provider: provider.into(), model_name: model.into() });
        let tuned = v1::VersionConfig { model, params: Some(params), ..v1::VersionConfig::default() };
        let template = Some(v1::prompt_draft::Template::TemplateSource("Hi".into()));
        let draft = v1::PromptDraft { template, config: Some(tuned) };
        let selector = Some(render_prompt_request::Selector::Draft(draft));
        let request = v1::RenderPromptRequest { selector, ..v1::RenderPromptRequest::default() };
        let sent_with = ledger.registry().render_prompt(request).await.unwrap().into_inner().config.unwrap();
        assert_eq!(sent_with.params.unwrap().max_new_tokens, shown, "{provider} {own:?}");
    }
}

#[tokio::test]
async fn what_nobody_may_have_meant_is_put_with_a_warning() {
    let ledger = ledger().start().await;
    let named = |model: &str| {
        let model = Some(v1::ModelRef { provider: "openai".into(), model_name: model.into() });
        Some(v1::VersionConfig { model, ..config() })
    };
    let warnings = async |config| written(&ledger, put_chat("ask", conversation(), config)).await.warnings;
    assert_eq!(warnings(named("gpt-4o")).await, [""; 0]);
    let unknown = warnings(named("gpt-zero")).await;
    assert!(unknown.len() == 1 && unknown[0].contains("openai/gpt-zero, which is not registered"), "{unknown:?}");
    let cannot = warnings(named("o3")).await;
    assert!(cannot.len() == 1 && cannot[0].starts_with("config.params.temperature"), "{cannot:?}");
    let carry = async |config| {
        let template = Some(v1::code_prompt::Template::ChatTemplate(conversation()));
        let told = ledger
            .carry(vec![carried("plain", "Hi"), v1::CodePrompt { template, config, ..carried("code", "") }])
            .await;
        assert_eq!(told[0].warnings, [""; 0]);
        told[1].warnings.clone()
    };
    assert_eq!(carry(named("gpt-4o")).await, [""; 0]);
    assert_eq!((carry(named("gpt-zero")).await, carry(named("o3")).await), (unknown, cannot));
    let claude = |form: v1::response_format::Format| {
        let model = Some(v1::ModelRef { provider: "anthropic".into(), model_name: "claude-sonnet-4-5".into() });
        let response_format = Some(v1::ResponseFormat { format: Some(form) });
        Some(v1::VersionConfig { model, params: None, response_format, ..config() })
    };
    let object = claude(v1::response_format::Format::JsonObject(v1::JsonObject {}));
    let inexpressible = warnings(object).await;
    assert!(
        inexpressible.len() == 1 && inexpressible[0].starts_with("config.response_format.json_object Anthropic"),
        "{inexpressible:?}"
    );
    let named = v1::ChatMessage { name: "ada".into(), ..message("user", "Hi") };
    let placed = chat(vec![Entry::Placeholder("history".into()), Entry::Message(named)]);
    let model = Some(v1::ModelRef { provider: "anthropic".into(), model_name: "claude-sonnet-4-5".into() });
    let tuned = v1::VersionConfig { model, ..v1::VersionConfig::default() };
    let named = written(&ledger, put_chat("named", placed, Some(tuned))).await.warnings;
    assert!(named.len() == 1 && named[0].starts_with("chat_template.entries[1].message.name"), "{named:?}");
    let lost = warnings(None).await;
    assert!(lost.len() == 1 && lost[0].contains("has a config and this one has none"), "{lost:?}");
}

#[tokio::test]
async fn code_carries_chats_and_configs() {
    let ledger = ledger().start().await;
    let chat = || v1::CodePrompt {
        template: Some(v1::code_prompt::Template::ChatTemplate(conversation())),
        config: Some(config()),
        note: "from the shop".into(),
        ..carried("ask", "")
    };
    let first = ledger.carry(vec![chat(), carried("other", "Hi")]).await;
    assert_eq!(first[0].action(), v1::RegistrationAction::New);
    let again = ledger.carry(vec![chat()]).await;
    assert_eq!(
        (again[0].action(), &again[0].checksum_hash),
        (v1::RegistrationAction::Unchanged, &first[0].checksum_hash)
    );
    let hashed = v1::CodePrompt { template_hash: first[0].checksum_hash.clone(), ..chat() };
    assert_eq!(ledger.carry(vec![hashed]).await[0].action(), v1::RegistrationAction::Unchanged);
    let other = v1::RegisterCodePromptsRequest {
        prompts: vec![v1::CodePrompt { template_hash: "00".into(), ..chat() }],
        ..Default::default()
    };
    refused(ledger.code().register_code_prompts(other).await, Code::InvalidArgument, "TEMPLATE_HASH_MISMATCH");
    assert_eq!(ledger.carry(vec![carried("ask", "Hi")]).await[0].action(), v1::RegistrationAction::Updated);
    assert_eq!(ledger.carry(vec![chat()]).await[0].action(), v1::RegistrationAction::Reactivated);
    let got = v1::GetPromptRequest { name: "ask".into(), ..Default::default() };
    let version = ledger.registry().get_prompt(got).await.unwrap().into_inner().active_version.unwrap();
    assert_eq!((version.version_number, version.config, &*version.note), (1, Some(config()), "from the shop"));
}
