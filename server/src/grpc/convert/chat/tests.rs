use prost::Message as _;

use super::*;
use prompt_ledger_domain::limits;

pub(crate) fn every_field() -> Vec<ChatMessage> {
    let image = |source, media_type: &str, detail: &str| {
        ContentPart::Image(ImagePart { source, media_type: media_type.into(), detail: detail.into() })
    };
    let call = |id: &str| ToolCall { id: id.into(), name: "weather".into(), arguments: r#"{"a": 1}"#.into() };
    vec![
        ChatMessage::text("system", "Be kind."),
        ChatMessage {
            parts: vec![
                ContentPart::Text(String::new()),
                image(ImageSource::Url("https://example.com/a.png".into()), "", "low"),
                image(ImageSource::Data(ImageData(vec![0, 255].into())), "image/png", ""),
            ],
            name: "ada".into(),
            ..ChatMessage::text("user", "")
        },
        ChatMessage { tool_calls: vec![call("a"), call("b")], ..ChatMessage::text("assistant", "") },
        ChatMessage { tool_call_id: "a".into(), ..ChatMessage::text("tool", "Sunny") },
    ]
}

fn to_messages(messages: Vec<ChatMessage>) -> Vec<v1::ChatMessage> {
    messages.into_iter().map(to_message).collect()
}

#[test]
fn messages_survive_the_wire() {
    let mut violations = Violations::default();
    let read = messages("messages", to_messages(every_field()), &mut violations);
    assert_eq!((read, violations), (every_field(), Violations::default()));
}

#[test]
fn a_chat_template_survives_the_wire() {
    let mut entries: Vec<_> = every_field().into_iter().map(ChatTemplateEntry::Message).collect();
    entries.push(ChatTemplateEntry::Placeholder("history".into()));
    let (chat, mut violations) = (ChatTemplate { entries }, Violations::default());
    let read = template("chat_template", to_template(chat.clone()), &mut violations);
    assert_eq!((read, violations), (chat, Violations::default()));
}

#[test]
fn what_is_not_set_is_noted_at_its_path() {
    let part = |part| v1::ContentPart { part };
    let image = content_part::Part::Image(v1::ImagePart::default());
    let empty = v1::ChatMessage { parts: vec![part(None), part(Some(image))], ..Default::default() };
    let mut violations = Violations::default();
    messages("messages", vec![v1::ChatMessage::default(), empty.clone()], &mut violations);
    let entry = |entry| v1::ChatTemplateEntry { entry };
    let entries = vec![entry(None), entry(Some(chat_template_entry::Entry::Message(empty)))];
    template("prompts[2].chat_template", v1::ChatTemplate { entries }, &mut violations);
    let paths: Vec<_> = violations.kept().iter().map(|v| &*v.field).collect();
    let expected = [
        "messages[1].parts[0]",
        "messages[1].parts[1].image",
        "prompts[2].chat_template.entries[0]",
        "prompts[2].chat_template.entries[1].message.parts[0]",
        "prompts[2].chat_template.entries[1].message.parts[1].image",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn the_largest_chat_with_the_largest_answer_encodes_under_3_mib() {
    let image = ImageSource::Data(ImageData(vec![0; limits::IMAGES_BYTES].into()));
    let image = ContentPart::Image(ImagePart { source: image, media_type: "image/png".into(), detail: String::new() });
    let text = "x".repeat((limits::PROMPT_BYTES - "image/png".len()) / limits::MESSAGES - "assistant".len());
    let mut chat = vec![ChatMessage::text("assistant", text); limits::MESSAGES - 1];
    chat.push(ChatMessage { parts: vec![image], ..ChatMessage::text("user", "") });
    prompt_ledger_domain::chat::check_messages("messages", &chat, prompt_ledger_domain::chat::Roles::Known).unwrap();
    let value = |bytes| prost_types::Value { kind: Some(prost_types::value::Kind::StringValue("x".repeat(bytes))) };
    let fields = [("v".to_owned(), value(limits::VARIABLES_BYTES - 32))];
    let tool = |size: usize| v1::Tool { name: "t".into(), description: "x".repeat(size), ..Default::default() };
    let call = |size: usize| v1::ToolCall { id: "c".into(), name: "t".into(), arguments: "x".repeat(size) };
    let execution = v1::Execution {
        messages: to_messages(chat),
        variables: Some(prost_types::Struct { fields: fields.into() }),
        tools: vec![tool(limits::CONFIG_BYTES)],
        response_tool_calls: vec![call(limits::RESPONSE_BYTES)],
        error_message: "x".repeat(limits::ERROR_MESSAGE_BYTES),
        metadata: (0..16).map(|i| (format!("{i:064}"), "v".repeat(256))).collect(),
        ..Default::default()
    };
    let bytes = execution.encoded_len();
    assert!(bytes > 2_500_000 && bytes < 3 * 1024 * 1024 - 64 * 1024, "{bytes}");
}
