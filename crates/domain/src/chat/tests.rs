use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::error::{Error, Reason};
use crate::limits;

mod reading;

fn image(source: ImageSource, media_type: &str) -> ContentPart {
    ContentPart::Image(ImagePart { source, media_type: media_type.into(), detail: String::new() })
}

fn by_url(url: &str) -> ContentPart {
    image(ImageSource::Url(url.into()), "")
}

fn by_bytes(bytes: usize, media_type: &str) -> ContentPart {
    image(ImageSource::Data(ImageData(vec![7; bytes].into())), media_type)
}

fn parts(parts: Vec<ContentPart>) -> ChatMessage {
    ChatMessage { parts, ..ChatMessage::text("user", "") }
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: name.into(), arguments: arguments.into() }
}

fn calling(calls: Vec<ToolCall>) -> ChatMessage {
    ChatMessage { tool_calls: calls, ..ChatMessage::text("assistant", "") }
}

fn answering(id: &str) -> ChatMessage {
    ChatMessage { tool_call_id: id.into(), ..ChatMessage::text("tool", "Sunny") }
}

fn template(entries: Vec<ChatTemplateEntry>) -> ChatTemplate {
    ChatTemplate { entries }
}

fn of(messages: Vec<ChatMessage>) -> ChatTemplate {
    template(messages.into_iter().map(ChatTemplateEntry::Message).collect())
}

/// The paths of an INVALID_FIELD, or the reason of another error.
fn faults(error: &Error) -> Vec<String> {
    match error.reason() {
        Reason::InvalidField => error.parts().violations.iter().map(|v| v.field.clone()).collect(),
        reason => vec![reason.as_str().to_owned()],
    }
}

fn good() -> Vec<ChatMessage> {
    vec![
        ChatMessage::text("system", "Be kind. {{rules}}"),
        ChatMessage::text("developer", ""),
        parts(vec![
            ContentPart::Text("What is this?".into()),
            by_url("https://example.com/a.png"),
            by_url("HTTP://127.0.0.1:8080/a.png"),
            by_bytes(3, "image/svg+xml"),
        ]),
        calling(vec![call("c1", "weather", r#"{"city":"{{city}}"}"#), call("c2", "clock", "")]),
        answering("c1"),
        ChatMessage { name: "ada".into(), ..ChatMessage::text("user", "hi") },
    ]
}

#[test]
fn good_messages_are_taken_in_requests_and_templates() {
    check_messages("messages", &good(), Roles::Known).unwrap();
    check_messages("messages", &[ChatMessage::text("critic", "no")], Roles::Open).unwrap();
    of(good()).check("chat_template").unwrap();
    check_messages("messages", &[], Roles::Known).unwrap();
}

#[test]
fn what_a_message_may_not_hold_is_named_by_its_path() {
    let both = ChatMessage { parts: vec![ContentPart::Text("a".into())], ..ChatMessage::text("user", "a") };
    let detailed = ContentPart::Image(ImagePart {
        source: ImageSource::Url("https://example.com".into()),
        media_type: "image/PNG".into(),
        detail: "d".repeat(65),
    });
    for (message, expected) in [
        (ChatMessage::text("critic", ""), vec!["role"]),
        (ChatMessage::text("", ""), vec!["role"]),
        (ChatMessage::text("User", ""), vec!["role"]),
        (ChatMessage::text("user", "\0"), vec!["content"]),
        (both, vec!["parts"]),
        (parts(vec![ContentPart::Text("\0".into()), ContentPart::Text(String::new())]), vec!["parts[0].text"]),
        (parts(vec![by_bytes(0, "")]), vec!["parts[0].image.data", "parts[0].image.media_type"]),
        (parts(vec![by_bytes(1, "text/html")]), vec!["parts[0].image.media_type"]),
        (parts(vec![by_bytes(1, "image/")]), vec!["parts[0].image.media_type"]),
        (parts(vec![by_bytes(1, &format!("image/{}", "x".repeat(59)))]), vec!["parts[0].image.media_type"]),
        (parts(vec![detailed]), vec!["parts[0].image.media_type", "parts[0].image.detail"]),
        (ChatMessage { name: "n".repeat(256), ..ChatMessage::text("user", "") }, vec!["name"]),
        (ChatMessage { tool_calls: vec![call("a", "b", "")], ..ChatMessage::text("user", "") }, vec!["tool_calls"]),
        (ChatMessage { tool_call_id: "a".into(), ..ChatMessage::text("user", "") }, vec!["tool_call_id"]),
        (ChatMessage::text("tool", "Sunny"), vec!["tool_call_id"]),
        (answering(&"a".repeat(256)), vec!["tool_call_id"]),
        (
            calling(vec![call("", "", ""), call("a", "b c", "\0"), call("a", "b", "")]),
            vec![
                "tool_calls[0].id",
                "tool_calls[0].name",
                "tool_calls[1].name",
                "tool_calls[1].arguments",
                "tool_calls[2].id",
            ],
        ),
    ] {
        let at = |place: &str| expected.iter().map(|path| format!("{place}.{path}")).collect::<Vec<_>>();
        let messages = [ChatMessage::text("user", ""), message.clone()];
        let error = check_messages("messages", &messages, Roles::Known).unwrap_err();
        assert_eq!(faults(&error), at("messages[1]"), "{message:?}");
        let error = of(messages.to_vec()).check("chat_template").unwrap_err();
        assert_eq!(faults(&error), at("chat_template.entries[1].message"), "{message:?}");
    }
}

#[test]
fn open_roles_are_passed_on_and_only_those_of_ours_have_rules() {
    let mut other = ChatMessage { tool_call_id: "a".into(), ..calling(vec![call("a", "b", "")]) };
    other.role = "function".into();
    check_messages("messages", &[other], Roles::Open).unwrap();
    for role in ["", &"r".repeat(256), "\0"] {
        let error = check_messages("messages", &[ChatMessage::text(role, "")], Roles::Open).unwrap_err();
        assert_eq!(faults(&error), ["messages[0].role"], "{role:?}");
    }
}

#[test]
fn the_url_of_an_image_is_one_that_a_provider_fetches() {
    for url in ["https://example.com/a.png", "HTTPS://e", "http://10.0.0.1/a?b=c#d", "https://[::1]/é"] {
        check_url("url", url).unwrap();
    }
    for (url, expected) in [
        ("", "is empty"),
        ("data:image/png;base64,iVBORw0KGgo=", "send the bytes in `data`"),
        ("DATA:,", "send the bytes in `data`"),
        ("file:///etc/passwd", "not an https address"),
        ("ftp://example.com/a", "not an https address"),
        ("example.com/a.png", "not an https address"),
        ("//example.com/a.png", "not an https address"),
        ("https:/a", "not an https address"),
        ("https://", "not an https address"),
        ("https:///a", "not an https address"),
        ("https://:80/a", "not an https address"),
        ("https://a b", "a blank"),
        (" https://a", "a blank"),
        ("https://a\u{200b}", "cannot be seen"),
        ("https://a\n", "cannot be seen"),
    ] {
        let error = check_url("url", url).unwrap_err();
        assert!(error.parts().violations[0].description.contains(expected), "{url}: {error}");
    }
    assert!(is_plain_http("HTTP://a") && is_plain_http("http://a") && !is_plain_http("https://a"));
    assert!(!is_plain_http("é"));
    let error = check_messages("messages", &[parts(vec![by_url("file:///a")])], Roles::Known).unwrap_err();
    assert_eq!(faults(&error), ["messages[0].parts[0].image.url"]);
    // In a template it is one itself.
    of(vec![parts(vec![by_url("{{url}}")])]).check("chat_template").unwrap();
}

#[test]
fn messages_are_bounded_in_number_and_size() {
    let many = |count| vec![ChatMessage::text("user", ""); count];
    let check = |messages: &[ChatMessage]| check_messages("messages", messages, Roles::Known);
    check(&many(1_000)).unwrap();
    assert_eq!(faults(&check(&many(1_001)).unwrap_err()), ["messages"]);
    let long = |bytes| [ChatMessage::text("user", "x".repeat(bytes))];
    check(&long(limits::PROMPT_BYTES - 4)).unwrap();
    assert_eq!(faults(&check(&long(limits::PROMPT_BYTES - 3)).unwrap_err()), ["TOO_LARGE"]);
    let pictures = |bytes| [parts(vec![by_bytes(bytes / 2, "image/png"), by_bytes(bytes - bytes / 2, "image/png")])];
    check(&pictures(limits::IMAGES_BYTES)).unwrap();
    assert_eq!(faults(&check(&pictures(limits::IMAGES_BYTES + 1)).unwrap_err()), ["TOO_LARGE"]);
    assert_eq!(faults(&check(&pictures(1024 * 1024)).unwrap_err()), ["TOO_LARGE"]);
    let split =
        [parts(vec![ContentPart::Text(String::new()); 501]), parts(vec![ContentPart::Text(String::new()); 500])];
    assert_eq!(faults(&check(&split).unwrap_err()), ["messages"]);
    let calls = (0..1_001).map(|i| call(&i.to_string(), "a", "")).collect();
    assert_eq!(faults(&check(&[calling(calls)]).unwrap_err()), ["messages"]);
}

#[test]
fn a_chat_template_has_a_few_entries_with_text_and_placeholders() {
    let placeholder = |name: &str| ChatTemplateEntry::Placeholder(name.into());
    let check = |chat: &ChatTemplate| chat.check("chat_template");
    check(&template(vec![placeholder("history"); 100])).unwrap();
    check(&template(vec![placeholder(&"é".repeat(32)), placeholder("a-b_c$:9")])).unwrap();
    for chat in [template(vec![]), template(vec![placeholder("a"); 101])] {
        assert_eq!(faults(&check(&chat).unwrap_err()), ["chat_template.entries"]);
    }
    for name in ["", &"x".repeat(65), "a b", "a.b", "{{a}}", "a\0", "a\u{200b}", "@root", "this/a"] {
        let error = check(&template(vec![placeholder("a"), placeholder(name)])).unwrap_err();
        assert_eq!(faults(&error), ["chat_template.entries[1].placeholder"], "{name}");
    }
    for (chat, expected) in [
        (of(vec![ChatMessage::text("user", "x".repeat(limits::TEMPLATE_BYTES - 3))]), "TOO_LARGE"),
        (of(vec![parts(vec![by_bytes(1024 * 1024, "image/png")])]), "TOO_LARGE"),
        (of(vec![parts(vec![ContentPart::Text(String::new()); 1_001])]), "chat_template.entries"),
    ] {
        assert_eq!(faults(&check(&chat).unwrap_err()), [expected]);
    }
    check(&of(vec![ChatMessage::text("user", "x".repeat(limits::TEMPLATE_BYTES - 4))])).unwrap();
    let mixed = template(vec![placeholder("ab"), ChatTemplateEntry::Message(ChatMessage::text("user", "x"))]);
    assert_eq!((mixed.text_bytes(), mixed.image_bytes()), (7, 0));
    assert_eq!((mixed.messages().count(), mixed.placeholders().collect::<Vec<_>>()), (1, vec!["ab"]));
}

#[test]
fn a_chat_is_built_within_its_limits() {
    let built = |messages: Vec<ChatMessage>| {
        let mut chat = ChatBuilder::default();
        for (i, message) in messages.into_iter().enumerate() {
            chat.push(|| format!("at[{i}]"), message)?;
        }
        chat.finish()
    };
    assert_eq!(built(good()).unwrap(), good());
    for (messages, expected) in [
        (vec![], "variables"),
        (vec![ChatMessage::text("user", ""); 1_001], "TOO_LARGE"),
        (vec![ChatMessage::text("user", "x".repeat(limits::PROMPT_BYTES / 2)); 2], "TOO_LARGE"),
        (vec![parts(vec![by_bytes(limits::IMAGES_BYTES / 2 + 1, "image/png")]); 2], "TOO_LARGE"),
        (vec![ChatMessage::text("user", ""), parts(vec![by_url("file:a")])], "at[1].parts[0].image.url"),
    ] {
        assert_eq!(faults(&built(messages).unwrap_err()), [expected]);
    }
}

#[test]
fn a_plain_message_is_stored_as_it_always_was() {
    let stored = serde_json::to_string(&[ChatMessage::text("user", ""), ChatMessage::text("system", "é")]).unwrap();
    assert_eq!(stored, r#"[{"role":"user","content":""},{"role":"system","content":"é"}]"#);
    let canonical = canonical_messages(&[ChatMessage::text("user", ""), ChatMessage::text("system", "é")]).unwrap();
    assert_eq!(canonical, r#"[{"role":"user"},{"content":"é","role":"system"}]"#);
}

#[test]
fn what_is_stored_by_another_release_is_not_half_read() {
    for stored in [
        r#"{"role":"assistant","thinking":"x"}"#,
        r#"{"role":"user","parts":[{"audio":{}}]}"#,
        r#"{"role":"user","parts":[{"image":{}}]}"#,
        r#"{"role":"user","parts":[{"image":{"url":"https://e","data":"BwcH"}}]}"#,
        r#"{"role":"user","parts":[{"image":{"data":"?"}}]}"#,
        r#"{"role":"user","tool_calls":[{"type":"x"}]}"#,
    ] {
        assert!(serde_json::from_str::<ChatMessage>(stored).is_err(), "{stored}");
    }
    assert!(serde_json::from_str::<ChatTemplateEntry>(r#"{"include":"x"}"#).is_err());
}

#[test]
fn an_image_is_shared_and_not_printed() {
    let data = ImageData(vec![1, 2, 3].into());
    assert_eq!(format!("{data:?}"), "ImageData(3 bytes)");
    assert_eq!((data.base64(), ImageData::from_base64("AQID")), ("AQID".to_owned(), Some(data.clone())));
    assert_eq!(ImageData::from_base64("AQI"), None);
    assert!(Arc::ptr_eq(&data.0, &data.clone().0));
    assert_eq!(parts(vec![by_bytes(3, "image/png"), by_url("https://e")]).image_bytes(), 3);
}

fn any_text() -> impl Strategy<Value = String> {
    "[a-z{}\"\\\\é😀 ]{0,12}"
}

fn any_part() -> impl Strategy<Value = ContentPart> {
    let bytes = proptest::collection::vec(any::<u8>(), 1..40);
    let detail = prop_oneof![Just(String::new()), Just("low".to_owned())];
    let picture = |source, media_type: &str, detail| {
        ContentPart::Image(ImagePart { source, media_type: media_type.to_owned(), detail })
    };
    prop_oneof![
        any_text().prop_map(ContentPart::Text),
        ("[a-z]{1,9}", detail.clone()).prop_map(move |(host, detail)| picture(
            ImageSource::Url(format!("https://{host}")),
            "",
            detail
        )),
        (bytes, detail).prop_map(move |(data, detail)| picture(
            ImageSource::Data(ImageData(data.into())),
            "image/png",
            detail
        )),
    ]
}

/// Any message that templates and placeholders take.
pub(crate) fn any_message() -> impl Strategy<Value = ChatMessage> {
    let calls = proptest::collection::vec(("[a-z]{1,9}", any_text()), 0..3);
    let calls = calls.prop_map(|calls| {
        let call = |(i, (name, arguments))| ToolCall { id: format!("call_{i}"), name, arguments };
        calls.into_iter().enumerate().map(call).collect::<Vec<_>>()
    });
    let role = proptest::sample::select(ROLES.to_vec());
    let parts = proptest::collection::vec(any_part(), 0..4);
    (role, any_text(), parts, "[a-z]{0,5}", calls).prop_map(|(role, content, parts, name, calls)| ChatMessage {
        role: role.to_owned(),
        content: if parts.is_empty() { content } else { String::new() },
        parts,
        name,
        tool_calls: if role == "assistant" { calls } else { vec![] },
        tool_call_id: if role == "tool" { "call_0".to_owned() } else { String::new() },
    })
}

proptest! {
    #[test]
    fn messages_survive_their_stored_and_their_canonical_form(messages in proptest::collection::vec(any_message(), 0..5)) {
        check_messages("messages", &messages, Roles::Known).unwrap();
        let stored = serde_json::to_string(&messages).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Vec<ChatMessage>>(&stored).unwrap(), &messages);
        let canonical = canonical_messages(&messages).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Vec<ChatMessage>>(&canonical).unwrap(), &messages);
        let value: Value = serde_json::from_str(&canonical).unwrap();
        prop_assert_eq!(&read_messages("variables.history", &value).unwrap(), &messages);
    }
}
