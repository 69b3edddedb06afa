//! The contract's messages as JSON, and back.
//!
//! One form for all commands: protobuf's JSON with the field names of `proto/`, 64-bit integers as numbers, and the values of enums as
//! lower-case words without the enum's name: `succeeded` for `EXECUTION_STATUS_SUCCEEDED`. What is at its default is left out. Read is
//! what is written; the long names of enums too.

#[allow(clippy::disallowed_types, reason = "a constant of the program, decoded once")]
use std::sync::LazyLock;

use prompt_ledger_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, EnumDescriptor, Kind, MessageDescriptor, SerializeOptions};
use serde_json::Value;

#[allow(clippy::disallowed_types, reason = "a constant of the program, decoded once")]
static CONTRACT: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok());

/// The message as JSON; `name` is its type's, such as `Execution`. Null where that is not its type, which tests of each command show.
pub(crate) fn write(name: &str, message: &impl Message) -> Value {
    let Some(descriptor) = descriptor(name) else { return Value::Null };
    let Ok(read) = DynamicMessage::decode(descriptor.clone(), message.encode_to_vec().as_slice()) else {
        return Value::Null;
    };
    let options = SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true);
    let mut value = read.serialize_with_options(serde_json::value::Serializer, &options).unwrap_or_default();
    rename_enums(&descriptor, &mut value, &short_name);
    value
}

/// The message of this type that the JSON says.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn read<T: Message + Default>(name: &str, mut value: Value) -> Result<T, String> {
    let descriptor = descriptor(name).ok_or_else(|| format!("the contract has no message {name}"))?;
    rename_enums(&descriptor, &mut value, &long_name);
    let read = DynamicMessage::deserialize(descriptor, value).map_err(|error| error.to_string())?;
    T::decode(read.encode_to_vec().as_slice()).map_err(|error| error.to_string())
}

/// A value in one line for people: a text without its quotes, whole numbers without a fraction.
pub(crate) fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            // The values of a Struct are doubles, also where they are whole.
            Some(double) if number.is_f64() && double.fract() == 0.0 && double.abs() < 1e15 => format!("{double:.0}"),
            _ => number.to_string(),
        },
        Value::Array(values) if !values.iter().any(|value| value.is_object() || value.is_array()) => {
            format!("[{}]", values.iter().map(quoted).collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    }
}

fn quoted(value: &Value) -> String {
    if value.is_string() { value.to_string() } else { short(value) }
}

/// The type of this name, such as `Execution`.
pub(crate) fn descriptor(name: &str) -> Option<MessageDescriptor> {
    CONTRACT.as_ref()?.get_message_by_name(&format!("promptledger.v1.{name}"))
}

/// `EXECUTION_STATUS_` of `ExecutionStatus`.
fn prefix(kind: &EnumDescriptor) -> String {
    let mut prefix = String::new();
    for c in kind.name().chars() {
        if c.is_ascii_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.push(c.to_ascii_uppercase());
    }
    prefix + "_"
}

fn short_name(kind: &EnumDescriptor, name: &str) -> String {
    name.strip_prefix(&prefix(kind)).unwrap_or(name).to_lowercase()
}

/// The words of an enum, without the unspecified one.
pub(crate) fn words(kind: &EnumDescriptor) -> Vec<String> {
    kind.values().filter(|value| value.number() != 0).map(|value| short_name(kind, value.name())).collect()
}

/// The word itself where it is none of the enum's, so that the error quotes what was written.
fn long_name(kind: &EnumDescriptor, word: &str) -> String {
    let long = prefix(kind) + &word.to_uppercase();
    if kind.get_value_by_name(&long).is_some() { long } else { word.to_owned() }
}

fn rename_enums(message: &MessageDescriptor, value: &mut Value, rename: &dyn Fn(&EnumDescriptor, &str) -> String) {
    // The well-known types have forms of their own.
    if message.full_name().starts_with("google.protobuf.") {
        return;
    }
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let field = message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name));
        let Some(field) = field else { continue };
        let kind = match field.kind() {
            Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
            kind => kind,
        };
        let values: Vec<&mut Value> = match value {
            Value::Array(values) if field.is_list() => values.iter_mut().collect(),
            Value::Object(values) if field.is_map() => values.values_mut().collect(),
            value => vec![value],
        };
        for value in values {
            match (&kind, &*value) {
                (Kind::Enum(kind), Value::String(word)) => *value = rename(kind, word).into(),
                (Kind::Message(message), Value::Object(_)) => rename_enums(message, value, rename),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_client::v1;
    use serde_json::json;

    #[test]
    fn a_message_is_written_in_the_contracts_names_and_read_again() {
        let mut execution = v1::Execution {
            execution_id: "e".into(),
            cost_nano_usd: Some(9_007_199_254_740_993),
            created_at: Some(prost_types::Timestamp { seconds: 5, nanos: 0 }),
            timeout: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
            metadata: [("status".to_owned(), "MODE".to_owned())].into(),
            ..Default::default()
        };
        execution.set_status(v1::ExecutionStatus::Succeeded);
        let written = write("Execution", &execution);
        let expected = json!({
            "execution_id": "e", "status": "succeeded", "cost_nano_usd": 9_007_199_254_740_993_i64,
            "created_at": "1970-01-01T00:00:05Z", "timeout": "1.500s", "metadata": {"status": "MODE"},
        });
        assert_eq!(written, expected);
        assert_eq!(read::<v1::Execution>("Execution", written).unwrap(), execution);
    }

    #[test]
    fn enums_in_lists_and_messages_are_words() {
        let request = v1::ListPromptChangesRequest {
            kinds: vec![v1::PromptChangeKind::LabelSet.into(), v1::PromptChangeKind::ModeMigrated.into()],
            ..Default::default()
        };
        assert_eq!(write("ListPromptChangesRequest", &request), json!({"kinds": ["label_set", "mode_migrated"]}));
        let config = json!({"tool_choice": {"mode": "required"}, "custom": {"mode": "required"}});
        let read: v1::VersionConfig = read("VersionConfig", config.clone()).unwrap();
        let choice = read.tool_choice.clone().unwrap().choice;
        assert_eq!(choice, Some(v1::tool_choice::Choice::Mode(v1::ToolChoiceMode::Required.into())));
        assert_eq!(write("VersionConfig", &read), config);
    }

    #[test]
    fn values_are_short_for_people() {
        for (value, text) in [
            (json!("a b"), "a b"),
            (json!(5.0), "5"),
            (json!(0.25), "0.25"),
            (json!(7), "7"),
            (json!(true), "true"),
            (json!(["a", 1.0]), r#"["a", 1]"#),
            (json!({"a": 1}), r#"{"a":1}"#),
        ] {
            assert_eq!(short(&value), text);
        }
    }

    #[test]
    fn what_is_no_such_message_is_told() {
        let wrong = |name, value| read::<v1::Execution>(name, value).unwrap_err();
        assert!(wrong("Execution", json!({"status": "done"})).contains("done"));
        assert!(wrong("Execution", json!({"nothing": 1})).contains("nothing"));
        assert!(wrong("Nothing", json!({})).contains("Nothing"));
    }
}
