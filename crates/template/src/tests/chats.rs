//! Chats: what is rendered of them, what is not, and their bounds.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::chat::ParsedChat;
use crate::{Interrupted, VariableKind};
use prompt_ledger_domain::chat::{
    ChatMessage, ChatTemplate, ChatTemplateEntry, ContentPart, ImageData, ImagePart, ImageSource, ToolCall,
};
use prompt_ledger_domain::error::{Error, Reason};
use prompt_ledger_domain::limits;

fn message(role: &str, content: &str) -> ChatTemplateEntry {
    ChatTemplateEntry::Message(ChatMessage::text(role, content))
}

fn placeholder(name: &str) -> ChatTemplateEntry {
    ChatTemplateEntry::Placeholder(name.into())
}

fn image(url: &str) -> ContentPart {
    let source = ImageSource::Url(url.into());
    ContentPart::Image(ImagePart { source, media_type: String::new(), detail: "{{literal}}".into() })
}

fn chat(entries: &[ChatTemplateEntry]) -> ChatTemplate {
    ChatTemplate { entries: entries.to_vec() }
}

fn parse(entries: &[ChatTemplateEntry]) -> Result<ParsedChat, Error> {
    let chat = chat(entries);
    chat.check("chat_template").unwrap();
    ParsedChat::parse(&chat)
}

fn render(entries: &[ChatTemplateEntry], variables: &Value) -> Result<Vec<ChatMessage>, Error> {
    parse(entries).unwrap().render(variables.as_object().unwrap(), &|| true).unwrap()
}

/// The reason, and the paths of the fields.
fn refusal(error: &Error) -> (Reason, Vec<&str>) {
    (error.reason(), error.parts().violations.iter().map(|v| &*v.field).collect())
}

#[test]
fn each_text_of_a_message_is_a_template_and_all_else_is_literal() {
    let told = ChatMessage {
        role: "assistant".into(),
        content: "{{a}}".into(),
        name: "{{name}}".into(),
        tool_calls: vec![ToolCall { id: "{{id}}".into(), name: "n".into(), arguments: "{{#if}}{{x".into() }],
        ..ChatMessage::default()
    };
    let bytes = ContentPart::Image(ImagePart {
        source: ImageSource::Data(ImageData(b"{{a}}".to_vec().into())),
        media_type: "image/png".into(),
        detail: String::new(),
    });
    let seen = ChatMessage {
        parts: vec![
            ContentPart::Text("Look, {{user.name}}".into()),
            image("https://example.com/{{a}}.png"),
            bytes.clone(),
            ContentPart::Text(String::new()),
        ],
        ..ChatMessage::text("user", "")
    };
    let answer = ChatMessage { tool_call_id: "{{id}}".into(), ..ChatMessage::text("tool", "") };
    let entries = [told.clone(), seen.clone(), answer.clone()].map(ChatTemplateEntry::Message);
    let parsed = parse(&entries).unwrap();
    let names: Vec<_> = parsed.variables().iter().map(|v| (&*v.name, v.required, v.kind)).collect();
    assert_eq!(names, [("a", true, VariableKind::Text), ("user", true, VariableKind::Text)]);
    let rendered = render(&entries, &json!({"a": "A", "user": {"name": "Ada"}})).unwrap();
    let looked = ContentPart::Text("Look, Ada".into());
    let expected = [
        ChatMessage { content: "A".into(), ..told },
        ChatMessage {
            parts: vec![looked, image("https://example.com/A.png"), bytes, ContentPart::Text(String::new())],
            ..seen
        },
        answer,
    ];
    assert_eq!(rendered, expected);
}

#[test]
fn values_and_inserted_messages_are_never_rendered_again() {
    let history = json!([
        {"role": "user", "content": "{{secret}}"},
        {"role": "assistant", "tool_calls": [{"id": "c", "name": "n", "arguments": "{\"a\": \"{{secret}}\"}"}]},
        {"role": "tool", "tool_call_id": "c", "parts": [{"text": "{{{{raw}}}}"}]},
    ]);
    let variables = json!({"history": history, "question": "{{secret}} {{#each", "secret": "s"});
    let entries = [message("system", "{{question}}"), placeholder("history"), message("user", "{{question}}!")];
    let rendered = render(&entries, &variables).unwrap();
    assert_eq!(rendered.len(), 5);
    let texts: Vec<_> = rendered.iter().map(|m| &*m.content).collect();
    assert_eq!(texts, ["{{secret}} {{#each", "{{secret}}", "", "", "{{secret}} {{#each!"]);
    assert_eq!(rendered[2].tool_calls[0].arguments, r#"{"a": "{{secret}}"}"#);
    assert_eq!(rendered[3].parts, [ContentPart::Text("{{{{raw}}}}".into())]);
}

#[test]
fn a_placeholder_takes_any_number_of_messages() {
    let entries = [message("system", "Be kind."), placeholder("history")];
    let history = |count: usize| json!({"history": vec![json!({"role": "user"}); count]});
    assert_eq!(render(&entries, &history(0)).unwrap().len(), 1);
    assert_eq!(render(&entries, &history(999)).unwrap().len(), 1_000);
    for count in [1_000, 10_000] {
        assert_eq!(refusal(&render(&entries, &history(count)).unwrap_err()).0, Reason::TooLarge, "{count}");
    }
    let twice = [placeholder("history"), placeholder("history")];
    assert_eq!(render(&twice, &history(2)).unwrap().len(), 4);
    let kinds: Vec<_> = parse(&twice).unwrap().variables().iter().map(|v| (v.name.clone(), v.kind)).collect();
    assert_eq!(kinds, [("history".to_owned(), VariableKind::Messages)]);
    // A chat that is empty after all is told before a provider says so.
    let error = render(&[placeholder("history")], &history(0)).unwrap_err();
    assert_eq!(refusal(&error), (Reason::InvalidField, vec!["variables"]));
}

#[test]
fn a_placeholder_takes_nothing_but_messages() {
    let entries = [placeholder("history")];
    for (history, expected) in [
        (json!("text"), "variables.history"),
        (json!(null), "variables.history"),
        (json!({"role": "user"}), "variables.history"),
        (json!([{"role": "user"}, {"role": "user"}, {"role": "critic"}]), "variables.history[2].role"),
        (json!([{"role": "user", "Content": "a"}]), "variables.history[0].Content"),
        (
            json!([{"role": "user", "parts": [{"image": {"url": "file:///etc/passwd"}}]}]),
            "variables.history[0].parts[0].image.url",
        ),
    ] {
        let error = render(&entries, &json!({ "history": history })).unwrap_err();
        assert_eq!(refusal(&error), (Reason::InvalidField, vec![expected]));
    }
}

#[test]
fn what_is_missing_in_any_entry_is_told_at_once() {
    let seen = ChatMessage { parts: vec![image("{{url}}")], ..ChatMessage::text("user", "") };
    let entries = [
        message("user", "{{user.name}}"),
        placeholder("history"),
        ChatTemplateEntry::Message(seen),
        message("user", "{{q}}"),
    ];
    let error = render(&entries, &json!({"user": {}, "History": [], "q": [1]})).unwrap_err();
    let missing = vec!["variables.user.name", "variables.history", "variables.url"];
    assert_eq!(refusal(&error), (Reason::VariablesMissing, missing));
    assert!(error.parts().violations[1].description.contains("`History` was given"), "{error}");
    // A wrong shape is told once nothing is missing.
    let error = render(&entries, &json!({"user": {"name": "a"}, "history": 1, "url": "", "q": [1]})).unwrap_err();
    assert_eq!(refusal(&error), (Reason::InvalidField, vec!["variables.q"]));
}

#[test]
fn the_url_of_an_image_is_checked_once_it_is_rendered() {
    let seen = ChatMessage { parts: vec![image("{{url}}")], ..ChatMessage::text("user", "") };
    let entries = [message("system", "a"), ChatTemplateEntry::Message(seen)];
    render(&entries, &json!({"url": "https://example.com"})).unwrap();
    for url in ["", "data:image/png;base64,AA==", "file:///a", "javascript:alert(1)", "https://"] {
        let error = render(&entries, &json!({ "url": url })).unwrap_err();
        let at = "chat_template.entries[1].message.parts[0].image.url";
        assert_eq!(refusal(&error), (Reason::InvalidField, vec![at]), "{url}");
    }
}

#[test]
fn what_is_no_template_is_told_with_its_entry() {
    let seen =
        ChatMessage { parts: vec![ContentPart::Text("a".into()), image("\n {{")], ..ChatMessage::text("user", "") };
    for (entries, entry, place, line) in [
        (vec![message("user", "a"), message("user", "{{#if}}")], "1", "entries[1].message.content", "1"),
        (vec![ChatTemplateEntry::Message(seen)], "0", "entries[0].message.parts[1].image.url", "2"),
        (vec![message("user", "{{h}}"), placeholder("h")], "1", "entries[1].placeholder", ""),
        (
            vec![placeholder("h"), message("user", ""), message("user", "{{h.a}}")],
            "2",
            "entries[2].message.content",
            "",
        ),
    ] {
        let error = parse(&entries).unwrap_err();
        assert_eq!(error.reason(), Reason::TemplateInvalid);
        assert!(error.to_string().contains(place), "{error}");
        let metadata = &error.parts().metadata;
        let told = |key: &str| metadata.iter().find(|(of, _)| *of == key).map_or("", |(_, value)| &**value);
        assert_eq!((told("entry"), told("line")), (entry, line), "{error}");
    }
}

#[test]
fn all_entries_together_name_at_most_256_variables() {
    let names = |from: usize, to: usize| (from..to).map(|i| format!("{{{{v{i}}}}}")).collect::<String>();
    let full = [message("user", &names(0, 200)), message("user", &names(100, 255)), placeholder("h")];
    assert_eq!(parse(&full).unwrap().variables().len(), 256);
    let error = parse(&[&full[..], &[message("user", &names(0, 256))]].concat()).unwrap_err();
    assert!(error.to_string().contains("entries[3]") && error.to_string().contains("256 variables"), "{error}");
    assert!(error.parts().metadata.contains(&("entry", "3".to_owned())));
}

#[test]
fn a_chat_is_never_cut() {
    let entries = [message("user", "{{a}}"), message("user", "{{a}}")];
    let value = |bytes: usize| json!({"a": "x".repeat(bytes)});
    let room = (limits::PROMPT_BYTES - 2 * "user".len()) / 2;
    assert_eq!(render(&entries, &value(room)).unwrap().len(), 2);
    for bytes in [room + 1, limits::PROMPT_BYTES, 1_000_000] {
        assert_eq!(refusal(&render(&entries, &value(bytes)).unwrap_err()).0, Reason::TooLarge, "{bytes}");
    }
    let long = [message("user", "{{json a}}"), placeholder("h")];
    let variables = json!({"a": "x".repeat(300_000), "h": []});
    assert_eq!(refusal(&render(&long, &variables).unwrap_err()).0, Reason::TooLarge);
    let said = json!({"role": "user", "content": "x".repeat(limits::PROMPT_BYTES)});
    assert_eq!(refusal(&render(&[placeholder("h")], &json!({"h": [said]})).unwrap_err()).0, Reason::TooLarge);
}

#[test]
fn all_entries_together_have_one_budget_of_steps() {
    let list = vec![1; 700];
    let nested = "{{#each a}}{{#each ../a}}{{/each}}{{/each}}";
    let one = [message("user", nested)];
    render(&one, &json!({ "a": list })).unwrap();
    let two = [message("user", nested), message("user", nested), message("user", nested)];
    assert_eq!(refusal(&render(&two, &json!({ "a": list })).unwrap_err()).0, Reason::TooLarge);
    let parsed = parse(&two).unwrap();
    let stopped = parsed.render(json!({ "a": list }).as_object().unwrap(), &|| false);
    assert!(matches!(stopped, Err(Interrupted)));
}

#[test]
fn a_parsed_chat_knows_its_size_and_prints_none_of_its_text() {
    let small = parse(&[message("user", "secret")]).unwrap();
    assert_eq!(format!("{small:?}"), "ParsedChat { entries: 1, .. }");
    let large = parse(&[message("user", &"{{a}}".repeat(10_000)), placeholder("h")]).unwrap();
    assert!(large.bytes() > 10_000 * 16 && small.bytes() < 2_000, "{} {}", large.bytes(), small.bytes());
}

#[test]
fn a_chat_is_warned_about_as_its_texts_are() {
    let seen = ChatMessage { parts: vec![ContentPart::Text("{% if %}".into())], ..ChatMessage::text("user", "") };
    let entries = [message("system", "{% if %}"), ChatTemplateEntry::Message(seen), message("user", "")];
    assert_eq!(ParsedChat::warnings(&chat(&entries)).len(), 1);
    assert_eq!(ParsedChat::warnings(&chat(&[message("user", "{{a}}"), placeholder("h")])), Vec::<String>::new());
}

proptest! {
    #[test]
    fn a_chat_without_tags_renders_to_itself(texts in proptest::collection::vec("[a-z }é\"]{0,20}", 1..6)) {
        let entries: Vec<_> = texts.iter().map(|text| message("user", text)).collect();
        let rendered = render(&entries, &json!({})).unwrap();
        let expected: Vec<_> = texts.iter().map(|text| ChatMessage::text("user", text)).collect();
        prop_assert_eq!(rendered, expected);
    }

    #[test]
    fn a_value_stands_in_a_chat_byte_for_byte(value in "\\PC{0,40}") {
        let entries = [message("system", "{{v}}"), placeholder("h"), message("user", "<{{v}}>")];
        let mut variables = Map::new();
        variables.insert("v".into(), json!(value));
        variables.insert("h".into(), json!([{"role": "user", "content": value}]));
        let rendered = parse(&entries).unwrap().render(&variables, &|| true).unwrap().unwrap();
        let texts: Vec<_> = rendered.into_iter().map(|message| message.content).collect();
        prop_assert_eq!(texts, [value.clone(), value.clone(), format!("<{value}>")]);
    }
}
