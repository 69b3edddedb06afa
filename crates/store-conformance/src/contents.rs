//! Contents that are more than one text, and what executions of them are sent with.

use prompt_ledger_domain::capabilities::ModelCapabilities;
use prompt_ledger_domain::chat::{
    ChatMessage, ChatTemplate, ChatTemplateEntry, ContentPart, ImageData, ImagePart, ImageSource, ToolCall,
};
use prompt_ledger_domain::config::VersionConfig;
use prompt_ledger_domain::content::{PromptTemplate, VersionContent};
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::execution::{Input, Params};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::{Selector, TemplateFormat};
use prompt_ledger_domain::tool::{AnswerRules, JsonSchema, ResponseFormat, Tool, ToolChoice, ToolRule};
use prompt_ledger_domain::versioning::Registration;
use prompt_ledger_store::{
    CAPABILITY, CodePrompt, ExecutionReader, ExecutionWriter, Finish, Models, NewExecution, PromptChange, PutModel,
    PutPrompt, Registry, needs,
};
use serde_json::json;

use crate::code::{batch, code};
use crate::kit::{
    Backend, ChangePrompt, a_new_execution, an_execution, claim, finish, get, holder, key, providers, put_active,
    reason, register, running, start, submit, success,
};

/// A chat with every kind of entry, and a config with every field.
fn rich() -> VersionContent {
    let image = ImagePart {
        source: ImageSource::Data(ImageData(vec![0, 1, 2].into())),
        media_type: "image/png".into(),
        detail: "low".into(),
    };
    let parts = vec![ContentPart::Text("Look, {{user.name}}:".into()), ContentPart::Image(image)];
    let entries = vec![
        ChatTemplateEntry::Message(ChatMessage::text("system", "Be brief.\u{1F600}")),
        ChatTemplateEntry::Placeholder("history".into()),
        ChatTemplateEntry::Message(ChatMessage { role: "user".into(), parts, ..ChatMessage::default() }),
    ];
    let json = json!({"team": "a", "n": [1, 0.5, null], "deep": {"x": true}});
    let config = VersionConfig {
        model: Some(ModelRef { provider: "openai".into(), model_name: "gpt-4o".into() }),
        params: params(),
        tools: rules().tools,
        tool_choice: rules().tool_choice,
        response_format: rules().response_format,
        custom: json.as_object().unwrap().clone(),
    };
    VersionContent { template: PromptTemplate::Chat(ChatTemplate { entries }), config }
}

/// Every parameter, zero ones among them.
fn params() -> Params {
    Params {
        temperature: Some(0.0),
        top_k: Some(40),
        top_p: Some(0.5),
        repetition_penalty: Some(1.5),
        max_new_tokens: Some(9),
        stop: Some(vec!["\n\n".into()]),
        seed: Some(-3),
        frequency_penalty: Some(-2.0),
        presence_penalty: Some(0.0),
        reasoning_effort: Some("low".into()),
        extra: json!({"logit_bias": {"50256": -100}}).as_object().unwrap().clone(),
    }
}

fn rules() -> AnswerRules {
    let schema = JsonSchema { name: "reply".into(), schema_json: "{\"type\" : \"object\"}".into(), strict: true };
    AnswerRules {
        tools: vec![Tool {
            name: "add".into(),
            description: "adds".into(),
            parameters_json: "{ \"type\":\"object\" }".into(),
            strict: true,
        }],
        tool_choice: ToolChoice { rule: Some(ToolRule::Tool("add".into())), parallel: Some(false) },
        response_format: Some(ResponseFormat::JsonSchema(schema)),
    }
}

fn put_content(name: &str, content: VersionContent) -> PutPrompt {
    PutPrompt {
        checksum_hash: content.checksum().unwrap(),
        content,
        variables: vec!["history".into(), "user".into()],
        note: "why it is".into(),
        ..put_active(name, "")
    }
}

/// A text with this temperature.
fn tuned(text: &str, temperature: f64) -> VersionContent {
    let params = Params { temperature: Some(temperature), ..Params::default() };
    VersionContent { config: VersionConfig { params, ..VersionConfig::default() }, ..VersionContent::text(text) }
}

pub async fn a_content_reads_back_whole_wherever_it_is_read<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    let done = register(backend, put_content("greet", rich())).await;
    assert_eq!((&done.version.content, &*done.version.note), (&rich(), "why it is"));
    assert_eq!(done.version.checksum_hash, rich().checksum().unwrap());
    let store = backend.store();
    assert_eq!(store.prompt(project, "greet").await.unwrap().active, Some(done.version.clone()));
    for selector in [Selector::Number(1), Selector::Latest, Selector::Checksum(done.version.checksum_hash.clone())] {
        assert_eq!(store.version(project, "greet", &selector).await.unwrap().version, done.version);
    }
    let (versions, _) = store.versions(project, "greet", None, 9).await.unwrap();
    assert_eq!(versions, std::slice::from_ref(&done.version));
    let (listed, _) = store.prompts(project, &Default::default(), None, 9).await.unwrap();
    assert_eq!(listed.rows[0].active, Some(done.version));
    // Releases that know no other content than a text find an empty one, which they refuse to render.
    assert_eq!(backend.count("SELECT count(*) FROM prompt_versions WHERE template_source = ''").await, 1);
}

pub async fn contents_are_told_apart_by_all_that_they_hold<B: Backend>(backend: &B) {
    let contents =
        [VersionContent::text("Hi"), tuned("Hi", 0.0), tuned("Hi", 0.5), rich(), VersionContent::text("Hi {{x}}")];
    for (number, content) in (1..).zip(&contents) {
        let done = register(backend, put_content("greet", content.clone())).await;
        assert_eq!((done.version.number, done.version_change, done.activated), (number, true, true));
    }
    for (number, content) in (1..).zip(&contents) {
        let again = register(backend, put_content("greet", content.clone())).await;
        assert_eq!((again.version.number, again.version_change, again.activated), (number, false, true));
        assert_eq!(again.version.content, *content);
    }
    let project = backend.default_project().await;
    let back = backend.store().change_prompt(project, "greet", None, PromptChange::Activate(4)).await.unwrap();
    assert_eq!(back.version.unwrap().content, rich());
}

pub async fn a_bare_text_is_stored_as_ever<B: Backend>(backend: &B) {
    register(backend, put_active("greet", "Hi {{user.name}}")).await;
    let text = "SELECT count(*) FROM prompt_versions WHERE template_source = 'Hi {{user.name}}' AND content IS NULL";
    assert_eq!(backend.count(text).await, 1);
    let new = an_execution(backend).await;
    submit(backend, &new).await;
    let plain = "SELECT count(*) FROM executions x JOIN execution_inputs i ON i.execution_id = x.id
                 WHERE x.settings IS NULL AND i.request IS NULL AND x.needs = 0";
    assert_eq!(backend.count(plain).await, 1);
}

pub async fn code_carries_any_content<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let carried = |content: VersionContent| CodePrompt {
        checksum_hash: content.checksum().unwrap(),
        content,
        note: "from code".into(),
        ..code("greet", "")
    };
    let sent = async |content| {
        let done = store.register_code(project, batch(vec![carried(content)])).await.unwrap();
        (done.prompts[0].action, done.prompts[0].version)
    };
    assert_eq!(sent(rich()).await, (Registration::New, 1));
    assert_eq!(sent(rich()).await, (Registration::Unchanged, 1));
    assert_eq!(sent(tuned("Hi", 0.0)).await, (Registration::Updated, 2));
    assert_eq!(sent(rich()).await, (Registration::Reactivated, 1));
    let active = store.prompt(project, "greet").await.unwrap().active.unwrap();
    assert_eq!((active.content, &*active.note), (rich(), "from code"));
    let opaque = CodePrompt { template_format: TemplateFormat::Opaque, ..carried(tuned("Hi", 0.0)) };
    assert_eq!(reason(store.register_code(project, batch(vec![opaque])).await), Reason::InvalidField);
}

/// An execution of a rendered chat with everything that one may be sent with.
async fn a_rich_execution<B: Backend>(backend: &B) -> NewExecution {
    let call = ToolCall { id: "c1".into(), name: "add".into(), arguments: "{\"a\": 1}".into() };
    let asked = ChatMessage { role: "assistant".into(), tool_calls: vec![call], ..ChatMessage::default() };
    let told = ChatMessage { tool_call_id: "c1".into(), ..ChatMessage::text("tool", "2") };
    let messages = vec![ChatMessage { name: "ada".into(), ..ChatMessage::text("user", "1 + 1?") }, asked, told];
    NewExecution {
        input: Input::Messages(messages),
        is_rendered_chat: true,
        params: params(),
        rules: rules(),
        key: key("k", 1),
        ..an_execution(backend).await
    }
}

pub async fn what_an_execution_is_sent_with_reads_back_and_is_claimed<B: Backend>(backend: &B) {
    let new = a_rich_execution(backend).await;
    submit(backend, &new).await;
    let read = get(backend, &new).await;
    assert_eq!((&read.params, &read.tool_choice), (&new.params, &new.rules.tool_choice));
    let texts = read.texts.unwrap();
    assert_eq!((&texts.input, texts.is_rendered_chat), (&new.input, true));
    assert_eq!((&texts.tools, &texts.response_format), (&new.rules.tools, &new.rules.response_format));
    let claimed = claim(backend, &new, 1, holder()).await.unwrap();
    assert_eq!(
        (claimed.input, claimed.params, claimed.rules),
        (new.input.clone(), new.params.clone(), new.rules.clone())
    );
    let project = backend.default_project().await;
    let listed = backend.store().list(project, &Default::default(), None, 9, false).await.unwrap().rows.remove(0);
    assert_eq!((listed.params, listed.tool_choice, listed.texts), (new.params, new.rules.tool_choice, None));
}

pub async fn calls_and_refusals_are_recorded<B: Backend>(backend: &B) {
    let calls: Vec<_> = [("c1", "{}"), ("c2", "{\"a\": \"\u{1F600}\"}"), ("c3", "no JSON")]
        .map(|(id, arguments)| ToolCall { id: id.into(), name: "add".into(), arguments: arguments.into() })
        .into();
    for (response, tool_calls, refused) in
        [("", calls.clone(), false), ("Let me see.", calls, false), ("I will not.", vec![], true), ("", vec![], false)]
    {
        let new = a_new_execution(&an_execution(backend).await);
        start(backend, &new).await;
        let end = Finish { response: response.into(), tool_calls: tool_calls.clone(), refused, ..success() };
        let done = finish(backend, &new, 1, end).await;
        let texts = done.texts.unwrap();
        assert_eq!((&*texts.response, texts.tool_calls, done.refused), (response, tool_calls, refused));
    }
    let queued = running(backend, holder()).await;
    let call = ToolCall { id: "c".into(), name: "add".into(), arguments: "{}".into() };
    let done = finish(backend, &queued, 1, Finish { tool_calls: vec![call.clone()], ..success() }).await;
    assert_eq!(done.texts.unwrap().tool_calls, [call]);
}

pub async fn a_worker_of_a_release_before_leaves_alone_what_it_cannot_run<B: Backend>(backend: &B) {
    let plain = an_execution(backend).await;
    let given = Input::Messages(vec![ChatMessage::text("user", "Hi")]);
    let named = Input::Messages(vec![ChatMessage { name: "ada".into(), ..ChatMessage::text("user", "Hi") }]);
    let seeded = Params { seed: Some(0), ..Params::default() };
    let choice = AnswerRules { tool_choice: rules().tool_choice, ..AnswerRules::default() };
    for (new, expected) in [
        (a_new_execution(&plain), 0),
        (NewExecution { input: given, is_rendered_chat: true, ..a_new_execution(&plain) }, 0),
        (NewExecution { params: Params { top_k: Some(1), ..Params::default() }, ..a_new_execution(&plain) }, 0),
        (NewExecution { input: named, ..a_new_execution(&plain) }, 1),
        (NewExecution { params: seeded, ..a_new_execution(&plain) }, 1),
        (NewExecution { rules: choice, ..a_new_execution(&plain) }, 1),
    ] {
        assert_eq!(needs(&new), expected);
        submit(backend, &new).await;
        // What the release before asks for: `needs` of at most 0.
        let left = format!("SELECT count(*) FROM executions WHERE id = '{}' AND needs > 0", new.id);
        assert_eq!(backend.count(&left).await, i64::from(expected));
    }
    backend.execute(format!("UPDATE executions SET needs = {}", CAPABILITY + 1)).await.unwrap();
    let store = backend.store();
    backend.execute("UPDATE executions SET available_at = created_at".into()).await.unwrap();
    assert_eq!(store.claim_due(9, providers(), holder()).await.unwrap(), []);
    backend.execute(format!("UPDATE executions SET needs = {CAPABILITY}")).await.unwrap();
    assert_eq!(store.claim_due(9, providers(), holder()).await.unwrap().len(), 6);
}

pub async fn what_a_model_can_do_is_kept_where_it_is_not_told_again<B: Backend>(backend: &B) {
    let store = backend.store();
    let id = ModelRef { provider: "echo".into(), model_name: "rich".into() };
    let put = |capabilities| PutModel {
        id: id.clone(),
        max_tokens: None,
        supports_streaming: None,
        capabilities,
        price: None,
    };
    let unknown = ModelCapabilities::default();
    assert_eq!(store.put_model(put(unknown)).await.unwrap().capabilities, unknown);
    let told = ModelCapabilities { tools: Some(true), images: Some(false), ..unknown };
    assert_eq!(store.put_model(put(told)).await.unwrap().capabilities, told);
    let more = ModelCapabilities { images: Some(true), stop: Some(false), ..unknown };
    store.put_model(put(more)).await.unwrap();
    let expected = ModelCapabilities { tools: Some(true), images: Some(true), stop: Some(false), ..unknown };
    assert_eq!(store.model(&id).await.unwrap().unwrap().capabilities, expected);
    let seeded = ModelRef { provider: "openai".into(), model_name: "gpt-4o".into() };
    let seeded = store.model(&seeded).await.unwrap().unwrap().capabilities;
    assert_eq!((seeded.tools, seeded.reasoning), (Some(true), Some(false)));
}
