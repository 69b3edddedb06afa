//! Messages in the value of a variable, for a placeholder.

use serde_json::{Map, Value};

use super::check::{Roles, counts, message as check_message, too_many};
use super::{ChatMessage, ContentPart, ImageData, ImagePart, ImageSource, ToolCall};
use crate::error::{Error, Result, Violations};
use crate::field::shown;
use crate::limits;

/// Reads the messages that a variable holds: a list of objects with the keys of [`ChatMessage`]; null counts as absent.
/// INVALID_FIELD with the paths of faults below `field`: of every wrong form, or else of every wrong value. TOO_LARGE for more than [`limits::MESSAGES`] messages.
pub fn messages(field: &str, value: &Value) -> Result<Vec<ChatMessage>> {
    let Value::Array(items) = value else {
        let problem = format!("is {}; a placeholder takes a list of messages", kind(value));
        return Err(Error::invalid(field, problem));
    };
    if items.len() > limits::MESSAGES {
        return Err(too_many(field, items.len()));
    }
    let mut reader = MessageReader { wrong: Violations::default() };
    let mut read = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let at = format!("{field}[{i}]");
        let message = reader.message(&at, item);
        // What could not be read was noted, and would be noted again.
        if reader.wrong.kept().is_empty() {
            check_message(&at, &message, Roles::Known, &mut reader.wrong)?;
        }
        read.push(message);
    }
    counts(field, read.iter())?;
    reader.wrong.finish(Some(read))
}

/// Reads values, and notes what has another form than it must.
struct MessageReader {
    wrong: Violations,
}

impl MessageReader {
    fn message(&mut self, at: &str, value: &Value) -> ChatMessage {
        let mut message = ChatMessage::default();
        self.fields(at, value, "a message", |reader, at, key, value| {
            match key {
                "role" => message.role = reader.text(at, value),
                "content" => message.content = reader.text(at, value),
                "name" => message.name = reader.text(at, value),
                "tool_call_id" => message.tool_call_id = reader.text(at, value),
                "parts" => message.parts = reader.list(at, value, Self::part),
                "tool_calls" => message.tool_calls = reader.list(at, value, |r, at, value| Some(r.call(at, value))),
                _ => return false,
            }
            true
        });
        message
    }

    fn part(&mut self, at: &str, value: &Value) -> Option<ContentPart> {
        let mut found = Vec::new();
        self.fields(at, value, "a part", |reader, at, key, value| {
            match key {
                "text" => found.push(ContentPart::Text(reader.text(at, value))),
                "image" => found.extend(reader.image(at, value).map(ContentPart::Image)),
                _ => return false,
            }
            true
        });
        self.one_of(at, found, "`text` or `image`")
    }

    fn image(&mut self, at: &str, value: &Value) -> Option<ImagePart> {
        let (mut sources, mut media_type, mut detail) = (Vec::new(), String::new(), String::new());
        self.fields(at, value, "an image", |reader, at, key, value| {
            match key {
                "url" => sources.push(ImageSource::Url(reader.text(at, value))),
                "data" => match ImageData::from_base64(&reader.text(at, value)) {
                    Some(data) => sources.push(ImageSource::Data(data)),
                    None => reader.wrong.add(at.to_owned(), || "is not base64 with padding".to_owned()),
                },
                "media_type" => media_type = reader.text(at, value),
                "detail" => detail = reader.text(at, value),
                _ => return false,
            }
            true
        });
        let source = self.one_of(at, sources, "`url` or `data`")?;
        Some(ImagePart { source, media_type, detail })
    }

    fn call(&mut self, at: &str, value: &Value) -> ToolCall {
        let mut call = ToolCall::default();
        self.fields(at, value, "a tool call", |reader, at, key, value| {
            match key {
                "id" => call.id = reader.text(at, value),
                "name" => call.name = reader.text(at, value),
                "arguments" => call.arguments = reader.text(at, value),
                _ => return false,
            }
            true
        });
        call
    }

    /// Calls `read` with each field that is not null; it answers whether it knows the key.
    fn fields(
        &mut self,
        at: &str,
        value: &Value,
        what: &str,
        mut read: impl FnMut(&mut Self, &str, &str, &Value) -> bool,
    ) {
        let none = Map::new();
        let object = value.as_object().unwrap_or_else(|| {
            self.wrong.add(at.to_owned(), || format!("is {}; {what} is an object", kind(value)));
            &none
        });
        for (key, value) in object.iter().filter(|(_, value)| !value.is_null()) {
            let at = format!("{at}.{}", shown(key));
            if !read(self, &at, key, value) {
                self.wrong.add(at, || format!("is no field of {what}; names are in snake_case, as in the contract"));
            }
        }
    }

    fn text(&mut self, at: &str, value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            other => {
                self.wrong.add(at.to_owned(), || format!("is {}; send a text", kind(other)));
                String::new()
            }
        }
    }

    fn list<T>(&mut self, at: &str, value: &Value, read: impl Fn(&mut Self, &str, &Value) -> Option<T>) -> Vec<T> {
        let Value::Array(items) = value else {
            self.wrong.add(at.to_owned(), || format!("is {}; send a list", kind(value)));
            return Vec::new();
        };
        items.iter().enumerate().filter_map(|(i, item)| read(self, &format!("{at}[{i}]"), item)).collect()
    }

    /// The only one found; what is missing or too much is noted, unless a fault was already.
    fn one_of<T>(&mut self, at: &str, mut found: Vec<T>, names: &str) -> Option<T> {
        if found.len() != 1 && self.wrong.kept().is_empty() {
            self.wrong.add(at.to_owned(), || format!("has {} of {names}; send one of them", found.len()));
        }
        found.pop()
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
