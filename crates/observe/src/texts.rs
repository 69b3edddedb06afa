//! Prompts and answers as spans tell them: messages in the JSON form of the conventions (`gen_ai.input.messages`,
//! `gen_ai.output.messages`), of which no more is told than a bound.

use prompt_ledger_domain::chat::{ChatMessage, ContentPart, ImagePart, ImageSource, ToolCall};
use prompt_ledger_domain::execution::{FinishReason, Input};
use prompt_ledger_domain::text::cut;
use serde::Serialize;

/// The most bytes of a prompt or an answer, before JSON escapes them.
const TEXT_BYTES: usize = 64 * 1024;
/// What a message or a part counts besides its texts, in bytes, so that their number is bounded too.
const PART_BYTES: usize = 64;
const IMAGE: &str = "image";

#[derive(Serialize)]
struct TracedMessage<'t> {
    role: &'t str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'t str,
    parts: Vec<TracedPart<'t>>,
    /// Of an answer only.
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TracedPart<'t> {
    Text {
        content: &'t str,
    },
    ToolCall {
        id: &'t str,
        name: &'t str,
        arguments: &'t str,
    },
    ToolCallResponse {
        id: &'t str,
        response: &'t str,
    },
    Uri {
        modality: &'static str,
        #[serde(skip_serializing_if = "str::is_empty")]
        mime_type: &'t str,
        uri: &'t str,
    },
    /// An image that was sent itself; its bytes are not told.
    Blob {
        modality: &'static str,
        mime_type: &'t str,
    },
}

/// How many bytes may still be told.
struct TextRoom(usize);

impl TextRoom {
    /// As much of a text as there is room for.
    fn text<'t>(&mut self, text: &'t str) -> &'t str {
        let fits = cut(text, self.0);
        self.0 -= fits.len();
        fits
    }

    /// Takes the room of a further message or part; absent where there is none left.
    fn part(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(PART_BYTES)?;
        Some(())
    }

    fn message<'t>(&mut self, message: &'t ChatMessage) -> Option<TracedMessage<'t>> {
        let ChatMessage { role, content, parts, name, tool_calls, tool_call_id } = message;
        self.part()?;
        let (role, name) = (self.text(role), self.text(name));
        let mut told = Vec::new();
        if !tool_call_id.is_empty() {
            let (id, response) = (self.text(tool_call_id), self.text(content));
            told.push(TracedPart::ToolCallResponse { id, response });
        } else if !content.is_empty() {
            told.push(TracedPart::Text { content: self.text(content) });
        }
        told.extend(parts.iter().map_while(|part| self.content(part)));
        told.extend(tool_calls.iter().map_while(|call| self.call(call)));
        Some(TracedMessage { role, name, parts: told, finish_reason: None })
    }

    fn content<'t>(&mut self, part: &'t ContentPart) -> Option<TracedPart<'t>> {
        self.part()?;
        Some(match part {
            ContentPart::Text(text) => TracedPart::Text { content: self.text(text) },
            ContentPart::Image(ImagePart { source, media_type, detail: _ }) => {
                let mime_type = self.text(media_type);
                match source {
                    ImageSource::Url(url) => TracedPart::Uri { modality: IMAGE, mime_type, uri: self.text(url) },
                    ImageSource::Data(_) => TracedPart::Blob { modality: IMAGE, mime_type },
                }
            }
        })
    }

    fn call<'t>(&mut self, call: &'t ToolCall) -> Option<TracedPart<'t>> {
        self.part()?;
        let ToolCall { id, name, arguments } = call;
        let (id, name, arguments) = (self.text(id), self.text(name), self.text(arguments));
        Some(TracedPart::ToolCall { id, name, arguments })
    }
}

/// What a model is sent.
pub(crate) fn input(input: &Input) -> String {
    let mut room = TextRoom(TEXT_BYTES);
    let messages = match input {
        Input::Prompt(prompt) => {
            let parts = vec![TracedPart::Text { content: room.text(prompt) }];
            vec![TracedMessage { role: "user", name: "", parts, finish_reason: None }]
        }
        Input::Messages(messages) => messages.iter().map_while(|message| room.message(message)).collect(),
    };
    json(&messages)
}

/// What a model wrote before its call ended so; absent where it wrote nothing.
pub(crate) fn output(
    text: &str,
    tool_calls: &[ToolCall],
    finish_reason: Option<FinishReason>,
    has_failed: bool,
) -> Option<String> {
    let mut room = TextRoom(TEXT_BYTES);
    let mut parts = Vec::new();
    if !text.is_empty() {
        parts.push(TracedPart::Text { content: room.text(text) });
    }
    parts.extend(tool_calls.iter().map_while(|call| room.call(call)));
    let finish_reason = match finish_reason {
        // In the words of the conventions.
        Some(FinishReason::ToolCalls) => "tool_call",
        Some(reason) => reason.into(),
        None if has_failed => "error",
        None => "unknown",
    };
    let message = TracedMessage { role: "assistant", name: "", parts, finish_reason: Some(finish_reason) };
    (!message.parts.is_empty()).then(|| json(&[message]))
}

fn json(messages: &[TracedMessage<'_>]) -> String {
    // Texts in lists: nothing that JSON has no form for.
    serde_json::to_string(messages).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use prompt_ledger_domain::chat::ImageData;

    use super::*;

    #[test]
    fn a_prompt_is_one_message_of_the_user() {
        let told = input(&Input::Prompt("say \"hi\"".into()));
        assert_eq!(told, r#"[{"role":"user","parts":[{"type":"text","content":"say \"hi\""}]}]"#);
    }

    #[test]
    fn parts_and_tool_calls_stand_in_their_messages_and_no_image_does() {
        let image =
            |source| ContentPart::Image(ImagePart { source, media_type: "image/png".into(), detail: String::new() });
        let weather = ToolCall { id: "c1".into(), name: "weather".into(), arguments: "{\"at\":\"Rome\"}".into() };
        let messages = vec![
            ChatMessage { name: "Ada".into(), ..ChatMessage::text("user", "look") },
            ChatMessage {
                parts: vec![
                    ContentPart::Text("here".into()),
                    image(ImageSource::Url("https://a.example/b.png".into())),
                    image(ImageSource::Data(ImageData(b"secret".as_slice().into()))),
                ],
                ..ChatMessage::text("user", "")
            },
            ChatMessage { tool_calls: vec![weather], ..ChatMessage::text("assistant", "") },
            ChatMessage { tool_call_id: "c1".into(), ..ChatMessage::text("tool", "warm") },
        ];
        let expected = [
            r#"{"role":"user","name":"Ada","parts":[{"type":"text","content":"look"}]}"#,
            r#"{"role":"user","parts":[{"type":"text","content":"here"},{"type":"uri","modality":"image","mime_type":"image/png","uri":"https://a.example/b.png"},{"type":"blob","modality":"image","mime_type":"image/png"}]}"#,
            r#"{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"weather","arguments":"{\"at\":\"Rome\"}"}]}"#,
            r#"{"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"warm"}]}"#,
        ];
        assert_eq!(input(&Input::Messages(messages)), format!("[{}]", expected.join(",")));
    }

    #[test]
    fn an_answer_tells_its_text_its_calls_and_why_it_ended() {
        let call = ToolCall { id: "c1".into(), name: "weather".into(), arguments: "{}".into() };
        let called = output("well", std::slice::from_ref(&call), Some(FinishReason::ToolCalls), false).unwrap();
        assert_eq!(
            called,
            r#"[{"role":"assistant","parts":[{"type":"text","content":"well"},{"type":"tool_call","id":"c1","name":"weather","arguments":"{}"}],"finish_reason":"tool_call"}]"#
        );
        for (reason, has_failed, word) in
            [(Some(FinishReason::Length), false, "length"), (None, true, "error"), (None, false, "unknown")]
        {
            let told = output("a", &[], reason, has_failed).unwrap();
            assert!(told.ends_with(&format!("\"finish_reason\":\"{word}\"}}]")), "{told}");
        }
        assert_eq!(output("", &[], None, true), None);
    }

    #[test]
    fn what_is_told_is_bounded_and_stays_json() {
        let long = || "é\n".repeat(TEXT_BYTES);
        let call = ToolCall { id: "c".into(), name: "n".into(), arguments: long() };
        let many = vec![ChatMessage { tool_calls: vec![call.clone(); 3], ..ChatMessage::text("user", long()) }; 9];
        let empty = vec![ChatMessage::text("user", ""); 100_000];
        for told in [
            input(&Input::Prompt(long())),
            input(&Input::Messages(many)),
            input(&Input::Messages(empty)),
            output(&long(), &[call], None, false).unwrap(),
        ] {
            assert!(told.len() < 2 * TEXT_BYTES, "{}", told.len());
            assert!(serde_json::from_str::<serde_json::Value>(&told).is_ok_and(|told| told.is_array()));
        }
    }
}
