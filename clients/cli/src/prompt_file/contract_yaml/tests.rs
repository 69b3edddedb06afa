use serde_json::json;

use super::*;
use crate::prompt_file::yaml;

fn config(text: &str) -> Result<v1::VersionConfig, FileFault> {
    read("VersionConfig", "config", &yaml::parse(text).unwrap())
}

const TUNED: &str = r#"
model: openai/gpt-4o-mini
params:
  temperature: 0
  seed: 9007199254740993
  stop: [END, "12"]
  extra: {verbosity: low, deep: {list: [1, null, true]}}
tools:
  - name: weather
    description: The weather of a city, now.
    parameters:
      type: object
      properties:
        unit: {enum: [c, f]}
        city: {type: string}
      required: [city]
    strict: true
  - {name: other, parameters_json: '{"type": "object"}'}
tool_choice: {mode: required, parallel: false}
response_format:
  json_schema: {name: answer, schema: {type: object}}
custom: {owner: search, since: 2026-01-31}
"#;

#[test]
fn a_config_reads_as_people_write_it() {
    let read = config(TUNED).unwrap();
    let expected = json!({
        "model": {"provider": "openai", "model_name": "gpt-4o-mini"},
        "params": {"temperature": 0.0, "seed": 9_007_199_254_740_993_i64, "stop": {"values": ["END", "12"]},
            "extra": {"verbosity": "low", "deep": {"list": [1.0, null, true]}}},
        "tools": [
            {"name": "weather", "description": "The weather of a city, now.", "strict": true, "parameters_json":
                r#"{"type":"object","properties":{"unit":{"enum":["c","f"]},"city":{"type":"string"}},"required":["city"]}"#},
            {"name": "other", "parameters_json": r#"{"type": "object"}"#},
        ],
        "tool_choice": {"mode": "required", "parallel": false},
        "response_format": {"json_schema": {"name": "answer", "schema_json": r#"{"type":"object"}"#}},
        "custom": {"owner": "search", "since": "2026-01-31"},
    });
    assert_eq!(contract_json::write("VersionConfig", &read), expected);
    let again: v1::VersionConfig =
        self::read("VersionConfig", "config", &unplaced(write("VersionConfig", &read))).unwrap();
    assert_eq!(again, read);
}

#[test]
fn what_is_wrong_is_told_at_its_key_and_line() {
    for (text, line, key, said) in [
        ("model: gpt-4o-mini", 1, "config.model", "provider/name"),
        ("params:\n  temprature: 1", 2, "config.params.temprature", "`temperature`"),
        ("params:\n  temperature: warm", 2, "config.params.temperature", "is a text: write a number"),
        ("params:\n  max_new_tokens: 1.5", 2, "config.params.max_new_tokens", "a whole number"),
        ("params:\n  max_new_tokens: 3000000000", 2, "config.params.max_new_tokens", "a whole number"),
        ("params:", 1, "config.params", "is nothing: write a mapping"),
        ("tools: {}", 1, "config.tools", "a list"),
        ("tools:\n- name: 12", 2, "config.tools[0].name", "in quotes"),
        ("tools:\n- {name: a, parameters: {}, parameters_json: ''}", 2, "config.tools[0].parameters_json", "beside"),
        ("tool_choice: {mode: must}", 1, "config.tool_choice.mode", "auto, none, required"),
        ("tool_choice: {parallel: yes}", 1, "config.tool_choice.parallel", "`true` or `false`"),
        ("custom: [1]", 1, "config.custom", "a mapping"),
        ("params:\n  extra: {a: [9007199254740993]}", 2, "config.params.extra.a[0]", "exact up to 2^53"),
        ("tool_choice: {mode: auto, name: x}", 1, "config", "cannot be read"),
    ] {
        let fault = config(text).unwrap_err();
        assert_eq!((fault.line, fault.key.as_str()), (line, key), "{text}: {fault}");
        assert!(fault.wrong.contains(said), "{text}: {fault}");
    }
}

#[test]
fn a_chat_has_messages_and_placeholders() {
    let text = r"
- {role: system, content: 'You answer for {{shop}}.'}
- placeholder: history
- role: user
  parts:
    - text: What is this?
    - image: {url: 'https://example.com/{{file}}', detail: low}
    - image: {data: iVBORw0KGgo=, media_type: image/png}
- {role: assistant, tool_calls: [{id: c1, name: weather, arguments: '{}'}]}
- {role: tool, tool_call_id: c1, content: sunny, name: w}
";
    let chat = read_chat("messages", &yaml::parse(text).unwrap()).unwrap();
    assert_eq!(chat.entries.len(), 5);
    assert_eq!(chat.entries[1].entry, Some(v1::chat_template_entry::Entry::Placeholder("history".into())));
    assert_eq!(read_chat("messages", &unplaced(write_chat(&chat))).unwrap(), chat);
    for (text, key) in [
        ("- {role: user, contnet: x}", "messages[0].contnet"),
        ("- {role: user, placeholder: x}", "messages[0].placeholder"),
        ("- hello", "messages[0]"),
        ("- {role: user, content: 7}", "messages[0].content"),
    ] {
        let fault = read_chat("messages", &yaml::parse(text).unwrap()).unwrap_err();
        assert_eq!((fault.line, fault.key.as_str()), (1, key), "{fault}");
    }
}
