//! Two contents of a prompt compared as people read them: texts by line with the changed words marked, chats entry by entry, configs by
//! path.

mod entries;
mod fields;
mod json_text;
mod line_diff;
mod show;
mod show_json;
mod stat;

use prompt_ledger_client::v1;
use serde_json::Value;

use crate::contract_json;
use crate::prompt_content::{ContentTemplate, PromptContent};
use fields::{FieldDiff, compare_fields};
pub(crate) use show_json::DIFF_FIELDS;

/// What differs between two contents; nothing where they are the same version.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ContentDiff {
    parts: Vec<PartDiff>,
}

/// A part of a content, with at least one difference.
#[derive(Clone, Debug, PartialEq)]
struct PartDiff {
    place: ContentPlace,
    /// Their paths are below the part's.
    fields: Vec<FieldDiff>,
}

#[derive(Clone, Debug, PartialEq)]
enum ContentPlace {
    /// The template that is one text.
    Text,
    /// An entry of a chat: its place from 0, and itself, in both.
    Entry {
        before: Option<(usize, Value)>,
        after: Option<(usize, Value)>,
    },
    Config,
}

/// Compares a content with an earlier one; absent: all is new.
pub(crate) fn compare(before: Option<&PromptContent>, after: &PromptContent) -> ContentDiff {
    let mut parts = Vec::new();
    let (old_text, new_text) = (before.and_then(text), text(after));
    if old_text != new_text {
        parts.push(PartDiff { place: ContentPlace::Text, fields: vec![FieldDiff::text("", old_text, new_text)] });
    }
    parts.extend(compare_chats(&before.map(chat).unwrap_or_default(), &chat(after)));
    let (old, new) = (before.and_then(config), config(after));
    let fields = compare_fields("", old.as_ref(), new.as_ref());
    if !fields.is_empty() {
        parts.push(PartDiff { place: ContentPlace::Config, fields });
    }
    ContentDiff { parts }
}

/// The values of a config by their paths, as `params.temperature`; schemas over several lines.
pub(crate) fn config_values(config: &v1::VersionConfig) -> Vec<(String, String)> {
    let Some(mut json) = written(config) else { return Vec::new() };
    if let Some(model) = &config.model {
        json["model"] = format!("{}/{}", model.provider, model.model_name).into();
    }
    let value = |field: FieldDiff| {
        let text = match &field.lines {
            Some(lines) => lines.after(),
            None => field.after.as_ref().map(contract_json::short).unwrap_or_default(),
        };
        (field.path, text)
    };
    compare_fields("", None, Some(&json)).into_iter().map(value).collect()
}

impl ContentDiff {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

fn text(content: &PromptContent) -> Option<&str> {
    match &content.template {
        ContentTemplate::Text(text) => Some(text),
        ContentTemplate::Chat(_) => None,
    }
}

/// The entries in the contract's JSON; none of a text.
fn chat(content: &PromptContent) -> Vec<Value> {
    let entry = |entry: &v1::ChatTemplateEntry| contract_json::write("ChatTemplateEntry", entry);
    match &content.template {
        ContentTemplate::Chat(chat) => chat.entries.iter().map(entry).collect(),
        ContentTemplate::Text(_) => Vec::new(),
    }
}

fn config(content: &PromptContent) -> Option<Value> {
    content.config.as_ref().and_then(written)
}

/// The config in the contract's JSON, without what counts as absent; absent where nothing is left.
fn written(config: &v1::VersionConfig) -> Option<Value> {
    let is_empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    let mut config = contract_json::write("VersionConfig", config);
    if let Some(params) = config.get_mut("params").and_then(Value::as_object_mut) {
        params.retain(|name, value| name != "extra" || !is_empty(value));
    }
    let counts = |name: &str, value: &Value| !(matches!(name, "params" | "tool_choice" | "custom") && is_empty(value));
    config.as_object_mut()?.retain(|name, value| counts(name, value));
    Some(config).filter(|config| !is_empty(config))
}

fn compare_chats(before: &[Value], after: &[Value]) -> Vec<PartDiff> {
    let mut parts = Vec::new();
    for (old, new) in entries::paired(before, after) {
        let at = |all: &[Value], index: Option<usize>| index.and_then(|index| Some((index, all.get(index)?.clone())));
        let (old, new) = (at(before, old), at(after, new));
        let fields = compare_fields("", old.as_ref().map(|(_, entry)| entry), new.as_ref().map(|(_, entry)| entry));
        if !fields.is_empty() {
            parts.push(PartDiff { place: ContentPlace::Entry { before: old, after: new }, fields });
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A chat of entries in the contract's JSON, with a config.
    #[allow(clippy::needless_pass_by_value, reason = "the tests state their contents in place")]
    pub(super) fn content(entries: Value, config: Value) -> PromptContent {
        let chat = contract_json::read("ChatTemplate", json!({"entries": entries})).unwrap();
        let config = contract_json::read("VersionConfig", config).unwrap();
        PromptContent { template: ContentTemplate::Chat(chat), config: Some(config) }
    }

    pub(super) fn message(role: &str, content: &str) -> Value {
        json!({"message": {"role": role, "content": content}})
    }

    fn paths(diff: &ContentDiff) -> Vec<String> {
        let part = |part: &PartDiff| {
            let place = match &part.place {
                ContentPlace::Text => "text".to_owned(),
                ContentPlace::Entry { before, after } => {
                    let place =
                        |at: &Option<(usize, Value)>| at.as_ref().map_or(-1, |(at, _)| i32::try_from(*at).unwrap());
                    format!("entry {} {}", place(before), place(after))
                }
                ContentPlace::Config => "config".to_owned(),
            };
            part.fields.iter().map(move |field| format!("{place}: {}", field.path)).collect::<Vec<_>>()
        };
        diff.parts.iter().flat_map(part).collect()
    }

    #[test]
    fn the_same_content_has_no_difference_and_a_first_one_is_all_new() {
        let chat = content(json!([message("user", "{{q}}")]), json!({"params": {"temperature": 0}}));
        assert!(compare(Some(&chat), &chat).is_empty());
        assert_eq!(
            paths(&compare(None, &chat)),
            ["entry -1 0: message.content", "entry -1 0: message.role", "config: params.temperature"]
        );
        assert_eq!(paths(&compare(None, &PromptContent::text(""))), ["text: "]);
    }

    #[test]
    fn chats_are_compared_entry_by_entry_and_configs_by_path() {
        let before = content(
            json!([message("system", "be brief"), message("user", "{{q}}")]),
            json!({"params": {"temperature": 0.5}, "tools": [{"name": "weather"}]}),
        );
        let after = content(
            json!([message("system", "be very brief"), {"placeholder": "history"}, message("user", "{{q}}")]),
            json!({"params": {"temperature": 0.5, "seed": 7}}),
        );
        assert_eq!(
            paths(&compare(Some(&before), &after)),
            [
                "entry 0 0: message.content",
                "entry -1 1: placeholder",
                "config: params.seed",
                "config: tools.weather.name"
            ]
        );
    }

    #[test]
    fn a_text_that_became_a_chat_is_removed_and_its_entries_are_added() {
        let chat = content(json!([message("user", "{{q}}")]), json!({}));
        let diff = compare(Some(&PromptContent::text("{{q}}")), &chat);
        assert_eq!(paths(&diff), ["text: ", "entry -1 0: message.content", "entry -1 0: message.role"]);
    }

    #[test]
    fn what_counts_as_absent_is_no_difference() {
        let empty = content(json!([]), json!({"params": {"extra": {}}, "tool_choice": {}, "custom": {}}));
        assert!(compare(Some(&PromptContent { config: None, ..empty.clone() }), &empty).is_empty());
        let format = content(json!([]), json!({"response_format": {"json_object": {}}}));
        assert_eq!(paths(&compare(Some(&empty), &format)), ["config: response_format.json_object"]);
    }
}
