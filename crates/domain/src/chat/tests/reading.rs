//! Messages in the value of a variable.

use serde_json::{Value, json};

use super::{ChatMessage, ContentPart, ImagePart, ImageSource, answering, by_bytes, call, calling, faults};
use crate::chat::read_messages;

#[test]
fn messages_are_read_from_a_value_as_the_contract_names_their_fields() {
    let value = json!([
        {"role": "user", "content": "a {{b}}", "name": null},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "name": "n", "arguments": "{{"}]},
        {"role": "tool", "tool_call_id": "c", "parts": [
            {"text": "t"},
            {"image": {"url": "https://e", "detail": "low"}},
            {"image": {"data": "BwcH", "media_type": "image/png"}},
        ]},
    ]);
    let picture = ContentPart::Image(ImagePart {
        source: ImageSource::Url("https://e".into()),
        media_type: String::new(),
        detail: "low".into(),
    });
    let answer = ChatMessage {
        parts: vec![ContentPart::Text("t".into()), picture, by_bytes(3, "image/png")],
        content: String::new(),
        ..answering("c")
    };
    let expected = [ChatMessage::text("user", "a {{b}}"), calling(vec![call("c", "n", "{{")]), answer];
    assert_eq!(read_messages("variables.history", &value).unwrap(), expected);
    assert_eq!(read_messages("variables.history", &json!([])).unwrap(), []);
}

#[test]
fn a_value_of_the_wrong_shape_is_told_by_its_path() {
    for (value, expected) in [
        (json!("text"), vec![""]),
        (json!(null), vec![""]),
        (json!(1), vec![""]),
        (json!(true), vec![""]),
        (json!({"role": "user"}), vec![""]),
        (json!([1, "a"]), vec!["[0]", "[1]"]),
        (json!([{"role": "user"}, {}, {"role": "user"}]), vec!["[1].role"]),
        (json!([{}, {}, {"role": "critic"}]), vec!["[0].role"]),
        (
            json!([{"role": 1, "content": {}, "name": [], "tool_call_id": true}]),
            vec!["[0].content", "[0].name", "[0].role", "[0].tool_call_id"],
        ),
        (json!([{"role": "user", "toolCallId": "a", "x": 1}]), vec!["[0].toolCallId", "[0].x"]),
        (json!([{"role": "user", "parts": "a"}]), vec!["[0].parts"]),
        (json!([{"role": "user", "parts": [1]}]), vec!["[0].parts[0]"]),
        (json!([{"role": "user", "parts": [{}]}]), vec!["[0].parts[0]"]),
        (json!([{"role": "user", "parts": [{"text": "a", "image": {"url": "https://e"}}]}]), vec!["[0].parts[0]"]),
        (json!([{"role": "user", "parts": [{"audio": 1}]}]), vec!["[0].parts[0].audio"]),
        (json!([{"role": "user", "parts": [{"image": {}}]}]), vec!["[0].parts[0].image"]),
        (json!([{"role": "user", "parts": [{"image": 7}]}]), vec!["[0].parts[0].image"]),
        (
            json!([{"role": "user", "parts": [{"image": {"url": "https://e", "data": "BwcH"}}]}]),
            vec!["[0].parts[0].image"],
        ),
        (json!([{"role": "user", "parts": [{"image": {"data": "BwcH"}}]}]), vec!["[0].parts[0].image.media_type"]),
        (
            json!([{"role": "user", "parts": [{"image": {"data": "?", "media_type": "image/png"}}]}]),
            vec!["[0].parts[0].image.data"],
        ),
        (
            json!([{"role": "user", "parts": [{"image": {"url": "https://e", "size": 1}}]}]),
            vec!["[0].parts[0].image.size"],
        ),
        (
            json!([{"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}]),
            vec!["[0].tool_calls[0].function"],
        ),
        (json!([{"role": "assistant", "tool_calls": [{"id": "a"}]}]), vec!["[0].tool_calls[0].name"]),
        (
            json!([{"role": "assistant", "tool_calls": [{"id": "a", "name": "n", "arguments": {"x": 1}}]}]),
            vec!["[0].tool_calls[0].arguments"],
        ),
    ] {
        let error = read_messages("variables.history", &value).unwrap_err();
        let expected: Vec<_> = expected.iter().map(|path| format!("variables.history{path}")).collect();
        assert_eq!(faults(&error), expected, "{value}");
    }
    let many = Value::Array(vec![json!({"role": "user"}); 10_000]);
    assert_eq!(faults(&read_messages("variables.history", &many).unwrap_err()), ["TOO_LARGE"]);
    let parts = json!([{"role": "user", "parts": vec![json!({"text": ""}); 1_001]}]);
    assert_eq!(faults(&read_messages("variables.history", &parts).unwrap_err()), ["variables.history"]);
}
