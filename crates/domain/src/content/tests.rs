use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::chat::tests::any_message;
use crate::chat::{ChatMessage, ChatTemplateEntry};
use crate::config::tests::{any_config, tuned};
use crate::error::Reason;
use crate::params::Params;

#[derive(Deserialize)]
struct Vector {
    name: String,
    content: Value,
    canonical: Option<String>,
    checksum_hash: String,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../../../proto/testdata/content_hashes.json")).unwrap()
}

fn chat(messages: Vec<ChatMessage>) -> VersionContent {
    let entries = messages.into_iter().map(ChatTemplateEntry::Message).collect();
    VersionContent { template: PromptTemplate::Chat(ChatTemplate { entries }), config: VersionConfig::default() }
}

#[test]
fn contents_have_the_hashes_that_the_contract_promises() {
    let vectors = vectors();
    assert!(vectors.len() >= 30);
    for Vector { name, content, canonical, checksum_hash } in vectors {
        let content = VersionContent::read(&content.to_string()).unwrap();
        content.check(TemplateFormat::Handlebars).unwrap();
        assert_eq!(content.checksum().unwrap(), checksum_hash, "{name}");
        assert_eq!(content.bare_text().is_none(), canonical.is_some(), "{name}");
        if let Some(canonical) = canonical {
            assert_eq!(content.canonical().unwrap(), canonical, "{name}");
            assert_eq!(VersionContent::read(&canonical).unwrap(), content, "{name}");
        }
    }
}

#[test]
fn two_contents_have_one_hash_only_where_they_are_one() {
    let hash = |name: &str| vectors().into_iter().find(|vector| vector.name == name).unwrap().checksum_hash;
    for (one, other, same) in [
        ("a text", "an empty config counts as absent", true),
        ("a text", "what counts as absent within a config", true),
        ("a text", "a temperature of zero is not absent", false),
        ("a temperature of zero is not absent", "minus zero is zero", true),
        ("a temperature of one", "one with a point is one", true),
        ("stop present and empty is not absent", "stop with an empty list is the same", true),
        ("a text", "stop present and empty is not absent", false),
        ("tools", "the same tools in another order are another content", false),
        ("tools", "the same schema with keys in another order is another content", false),
        ("a text", "a chat of one message is not the text", false),
    ] {
        assert_eq!(hash(one) == hash(other), same, "{one}; {other}");
    }
}

#[test]
fn a_text_keeps_the_hash_of_its_bytes() {
    for source in ["", "Hi {{name}}", "é\r\n"] {
        let content = VersionContent::text(source);
        assert_eq!((content.checksum().unwrap(), content.bare_text()), (checksum(source), Some(source)));
        // Its canonical form is not what is hashed.
        assert_ne!(content.checksum().unwrap(), hashed(&content.canonical().unwrap()));
    }
    let tuned = VersionContent { config: tuned(), ..VersionContent::text("Hi") };
    assert_eq!((tuned.source(), tuned.bare_text()), (Some("Hi"), None));
    assert_eq!((chat(vec![]).source(), chat(vec![]).bare_text()), (None, None));
}

#[test]
fn a_content_is_checked_with_the_paths_of_its_request() {
    let good = VersionContent { config: tuned(), ..chat(vec![ChatMessage::text("user", "hi")]) };
    good.check(TemplateFormat::Handlebars).unwrap();
    VersionContent::text("{{").check(TemplateFormat::Opaque).unwrap();
    let params = Params { top_k: Some(-9), ..Params::default() };
    let config = VersionConfig { params, ..VersionConfig::default() };
    for (content, format, expected) in [
        (good.clone(), TemplateFormat::Opaque, "template_format"),
        (
            chat(vec![ChatMessage::text("critic", "")]),
            TemplateFormat::Handlebars,
            "chat_template.entries[0].message.role",
        ),
        (VersionContent { config, ..good }, TemplateFormat::Handlebars, "config.params.top_k"),
    ] {
        let error = content.check(format).unwrap_err();
        assert_eq!(error.parts().violations[0].field, expected);
    }
}

#[test]
fn a_content_that_this_release_does_not_know_is_not_half_read() {
    for stored in [
        "",
        "{}",
        r#"{"template_source":"a","chat_template":{"entries":[]}}"#,
        r#"{"template_source":"a","config":{"cache":true}}"#,
        r#"{"template_source":"a","config":{"tool_choice":{"mode":"TOOL_CHOICE_MODE_ANY"}}}"#,
        r#"{"chat_template":{"entries":[{"include":"other"}]}}"#,
        r#"{"chat_template":{"entries":[{"message":{"role":"user","audio":{}}}]}}"#,
        r#"{"chat_template":{"entries":[],"loops":1}}"#,
        r#"{"template_source":"a","language":"de"}"#,
    ] {
        assert_eq!(VersionContent::read(stored).unwrap_err().reason(), Reason::Internal, "{stored}");
    }
}

fn any_content() -> impl Strategy<Value = VersionContent> {
    let entry = prop_oneof![
        4 => any_message().prop_map(ChatTemplateEntry::Message),
        1 => "[a-z]{1,9}".prop_map(ChatTemplateEntry::Placeholder),
    ];
    let chat = proptest::collection::vec(entry, 1..5);
    let template = prop_oneof![
        "[a-z{} é]{0,20}".prop_map(PromptTemplate::Text),
        chat.prop_map(|entries| PromptTemplate::Chat(ChatTemplate { entries })),
    ];
    (template, any_config()).prop_map(|(template, config)| VersionContent { template, config })
}

proptest! {
    #[test]
    fn what_is_stored_is_read_as_it_was(content in any_content()) {
        content.check(TemplateFormat::Handlebars).unwrap();
        let stored = content.canonical().unwrap();
        let read = VersionContent::read(&stored).unwrap();
        prop_assert_eq!(&read, &content);
        prop_assert_eq!(read.checksum().unwrap(), content.checksum().unwrap());
        // The canonical form is that of any JSON with the same values.
        let value: Value = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(canonical(&value).unwrap(), stored);
    }

    #[test]
    fn different_contents_have_different_hashes(one in any_content(), other in any_content()) {
        let same = one.checksum().unwrap() == other.checksum().unwrap();
        prop_assert_eq!(same, one.canonical().unwrap() == other.canonical().unwrap());
    }
}
