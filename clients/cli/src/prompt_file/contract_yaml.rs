//! The contract's messages as people write them in YAML, and back.
//!
//! The keys are the names of the fields in `proto/`. Short forms: `provider/name` for a ModelRef, a list for StopSequences, and a
//! mapping for a JSON Schema (`parameters_json` or `parameters`, `schema_json` or `schema`), which becomes a JSON text without blanks, its
//! keys in the order of the file.

use prompt_ledger_client::v1;
use prost::Message;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value;

use crate::contract_json;
use crate::prompt_file::fault::FileFault;
use crate::prompt_file::json_text;
use crate::prompt_file::yaml::{YamlNode, YamlValue};
use crate::variables;

/// Fields that hold a JSON text, and the other key for each.
const JSON_TEXTS: [(&str, &str); 2] = [("parameters_json", "parameters"), ("schema_json", "schema")];

/// The message of this type that the node at `key` says.
pub(crate) fn read<T: Message + Default>(name: &str, key: &str, node: &YamlNode) -> Result<T, FileFault> {
    let unknown = || FileFault::at(node.line, key, format!("is no {name}"));
    let value = message(&contract_json::descriptor(name).ok_or_else(unknown)?, key, node)?;
    contract_json::read(name, value).map_err(|wrong| FileFault::at(node.line, key, format!("cannot be read: {wrong}")))
}

/// The message as YAML, fields in the order of the contract.
pub(crate) fn write(name: &str, message: &impl Message) -> YamlValue {
    match contract_json::descriptor(name) {
        Some(descriptor) => written(&descriptor, contract_json::write(name, message)),
        None => YamlValue::Null,
    }
}

fn message(descriptor: &MessageDescriptor, key: &str, node: &YamlNode) -> Result<Value, FileFault> {
    match (descriptor.full_name(), &node.value) {
        ("google.protobuf.Struct", YamlValue::Mapping(_)) => {
            exact(key, node)?;
            return Ok(json_text::value(&node.value));
        }
        ("promptledger.v1.ModelRef", YamlValue::Text(text)) => {
            return match text.split_once('/') {
                Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                    Ok(serde_json::json!({"provider": provider, "model_name": model}))
                }
                _ => Err(FileFault::at(
                    node.line,
                    key,
                    "names no provider: write `provider/name`, such as `openai/gpt-4o-mini`",
                )),
            };
        }
        ("promptledger.v1.StopSequences", YamlValue::List(_)) => {
            let values = descriptor.get_field_by_name("values").map(|values| list(&values, key, node)).transpose()?;
            return Ok(serde_json::json!({"values": values}));
        }
        _ => {}
    }
    let YamlValue::Mapping(entries) = &node.value else { return Err(odd(key, node, "a mapping")) };
    let mut value = serde_json::Map::new();
    for (name, node) in entries {
        let key = format!("{key}.{name}");
        let canonical = JSON_TEXTS.iter().find(|(_, short)| short == name).map_or(name.as_str(), |(long, _)| long);
        let Some(field) = descriptor.get_field_by_name(canonical) else {
            let known: Vec<String> = descriptor.fields().map(|field| format!("`{}`", field.name())).collect();
            return Err(FileFault::at(node.line, &key, format!("is not known here: known are {}", known.join(", "))));
        };
        let read = if field.is_list() { list(&field, &key, node)? } else { single(&field, &key, node)? };
        if value.insert(canonical.to_owned(), read).is_some() {
            return Err(FileFault::at(node.line, &key, format!("stands beside `{canonical}`: leave out one of them")));
        }
    }
    Ok(value.into())
}

/// Refuses whole numbers that the doubles of a Struct would change.
fn exact(key: &str, node: &YamlNode) -> Result<(), FileFault> {
    match &node.value {
        YamlValue::Mapping(entries) => {
            entries.iter().try_for_each(|(name, node)| exact(&format!("{key}.{name}"), node))
        }
        YamlValue::List(entries) => {
            entries.iter().enumerate().try_for_each(|(index, node)| exact(&format!("{key}[{index}]"), node))
        }
        YamlValue::Number(number) if !variables::is_exact(number) => {
            let wrong = format!("is {number}, of which digits would be lost: numbers are exact up to 2^53 here");
            Err(FileFault::at(node.line, key, wrong))
        }
        _ => Ok(()),
    }
}

fn list(field: &FieldDescriptor, key: &str, node: &YamlNode) -> Result<Value, FileFault> {
    let YamlValue::List(entries) = &node.value else { return Err(odd(key, node, "a list")) };
    entries.iter().enumerate().map(|(index, entry)| single(field, &format!("{key}[{index}]"), entry)).collect()
}

fn single(field: &FieldDescriptor, key: &str, node: &YamlNode) -> Result<Value, FileFault> {
    let wanted = match (field.kind(), &node.value) {
        (Kind::Message(descriptor), _) => return message(&descriptor, key, node),
        (Kind::String, YamlValue::Mapping(_)) if JSON_TEXTS.iter().any(|(name, _)| *name == field.name()) => {
            return Ok(json_text::compact(&node.value).into());
        }
        (Kind::String | Kind::Bytes, YamlValue::Text(text)) => return Ok(text.as_str().into()),
        (Kind::Bool, YamlValue::Bool(value)) => return Ok((*value).into()),
        (Kind::Enum(kind), YamlValue::Text(word)) => return enum_word(&kind, word, key, node),
        (Kind::Double | Kind::Float, YamlValue::Number(number)) => return Ok(number.clone().into()),
        (Kind::Int64 | Kind::Sint64, YamlValue::Number(number)) if number.is_i64() => return Ok(number.clone().into()),
        // As ProtoJSON writes it.
        (Kind::Int64 | Kind::Sint64, YamlValue::Text(text)) if text.parse::<i64>().is_ok() => {
            return Ok(text.as_str().into());
        }
        (Kind::Int32 | Kind::Sint32, YamlValue::Number(number))
            if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) =>
        {
            return Ok(number.clone().into());
        }
        (Kind::String, _) => "a text, in quotes where it looks like something else",
        (Kind::Bytes, _) => "a text in base64",
        (Kind::Bool, _) => "`true` or `false`",
        (Kind::Enum(_), _) => "a word",
        (Kind::Double | Kind::Float, _) => "a number",
        _ => "a whole number",
    };
    Err(odd(key, node, wanted))
}

fn enum_word(kind: &EnumDescriptor, word: &str, key: &str, node: &YamlNode) -> Result<Value, FileFault> {
    let words = contract_json::words(kind);
    if words.iter().any(|known| known == word) || kind.get_value_by_name(word).is_some_and(|value| value.number() != 0)
    {
        return Ok(word.into());
    }
    Err(FileFault::at(node.line, key, format!("is `{word}`: write one of {}", words.join(", "))))
}

/// A value of another kind than `wanted`.
pub(crate) fn odd(key: &str, node: &YamlNode, wanted: &str) -> FileFault {
    FileFault::at(node.line, key, format!("is {}: write {wanted}, or leave the key out", node.value.kind()))
}

fn written(descriptor: &MessageDescriptor, value: Value) -> YamlValue {
    let Value::Object(mut fields) = value else { return json_text::node(value) };
    match descriptor.full_name() {
        name if name.starts_with("google.protobuf.") => return json_text::node(fields.into()),
        "promptledger.v1.ModelRef" => {
            let part = |name| fields.get(name).and_then(Value::as_str).unwrap_or_default();
            let (provider, model) = (part("provider"), part("model_name"));
            if !provider.is_empty() && !model.is_empty() && !provider.contains('/') {
                return YamlValue::Text(format!("{provider}/{model}"));
            }
        }
        "promptledger.v1.StopSequences" => {
            return fields.remove("values").map_or(YamlValue::List(Vec::new()), json_text::node);
        }
        _ => {}
    }
    let mut entries = Vec::new();
    for field in descriptor.fields() {
        let Some(value) = fields.remove(field.name()) else { continue };
        let (mut name, below) = (field.name(), field.kind());
        let value = match (below, value) {
            (Kind::Message(descriptor), Value::Array(values)) => {
                YamlValue::List(values.into_iter().map(|value| unplaced(written(&descriptor, value))).collect())
            }
            (Kind::Message(descriptor), value) => written(&descriptor, value),
            (_, Value::String(text)) => match JSON_TEXTS.iter().find(|(long, _)| *long == name) {
                Some((_, short)) => match json_text::mapping(&text) {
                    Some(mapping) => {
                        name = short;
                        mapping
                    }
                    None => YamlValue::Text(text),
                },
                None => YamlValue::Text(text),
            },
            (_, value) => json_text::node(value),
        };
        entries.push((name.to_owned(), unplaced(value)));
    }
    YamlValue::Mapping(entries)
}

/// A node of no file.
pub(crate) fn unplaced(value: YamlValue) -> YamlNode {
    YamlNode { line: 0, value }
}

/// A chat of messages and placeholders.
pub(crate) fn read_chat(key: &str, node: &YamlNode) -> Result<v1::ChatTemplate, FileFault> {
    use v1::chat_template_entry::Entry;
    let YamlValue::List(entries) = &node.value else { return Err(odd(key, node, "a list of messages")) };
    let read = |(index, node): (usize, &YamlNode)| {
        let key = format!("{key}[{index}]");
        let placeholder = match &node.value {
            YamlValue::Mapping(fields) => fields.iter().find(|(name, _)| name == "placeholder"),
            _ => None,
        };
        let entry = match (placeholder, &node.value) {
            (None, _) => Entry::Message(read("ChatMessage", &key, node)?),
            (Some((_, YamlNode { value: YamlValue::Text(name), .. })), YamlValue::Mapping(fields))
                if fields.len() == 1 =>
            {
                Entry::Placeholder(name.clone())
            }
            (Some(_), _) => {
                let wrong = "stands alone in its entry, with the name of a variable: `- placeholder: history`";
                return Err(FileFault::at(node.line, &format!("{key}.placeholder"), wrong));
            }
        };
        Ok(v1::ChatTemplateEntry { entry: Some(entry) })
    };
    Ok(v1::ChatTemplate { entries: entries.iter().enumerate().map(read).collect::<Result<_, FileFault>>()? })
}

/// The same chat as YAML.
pub(crate) fn write_chat(chat: &v1::ChatTemplate) -> YamlValue {
    use v1::chat_template_entry::Entry;
    let entries = chat.entries.iter().filter_map(|entry| match entry.entry.as_ref()? {
        Entry::Message(message) => Some(write("ChatMessage", message)),
        Entry::Placeholder(name) => {
            Some(YamlValue::Mapping(vec![("placeholder".to_owned(), unplaced(YamlValue::Text(name.clone())))]))
        }
    });
    YamlValue::List(entries.map(unplaced).collect())
}

#[cfg(test)]
mod tests;
