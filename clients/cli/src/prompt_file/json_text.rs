//! JSON that keeps the order of its keys.

use serde_json::{Map, Value};

use crate::prompt_file::contract_yaml::unplaced;
use crate::prompt_file::yaml::{self, MAX_DEPTH, YamlNode, YamlValue};

/// Levels above a schema in a file: the file, `config`, `tools`, a tool; one to spare.
const ABOVE: usize = 5;

/// The value as JSON, without the order of its keys.
pub(crate) fn value(yaml: &YamlValue) -> Value {
    match yaml {
        YamlValue::Null => Value::Null,
        YamlValue::Bool(value) => (*value).into(),
        YamlValue::Number(number) => number.clone().into(),
        YamlValue::Text(text) => text.as_str().into(),
        YamlValue::List(entries) => entries.iter().map(|entry| value(&entry.value)).collect(),
        YamlValue::Mapping(entries) => {
            let entries = entries.iter().map(|(key, entry)| (key.clone(), value(&entry.value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// The value as a JSON text without blanks, its keys in order.
pub(crate) fn compact(yaml: &YamlValue) -> String {
    let mut text = String::new();
    append(yaml, &mut text);
    text
}

fn append(yaml: &YamlValue, text: &mut String) {
    let quoted = |key: &str| Value::from(key).to_string();
    match yaml {
        YamlValue::List(entries) => {
            text.push('[');
            for (index, entry) in entries.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                append(&entry.value, text);
            }
            text.push(']');
        }
        YamlValue::Mapping(entries) => {
            text.push('{');
            for (index, (key, entry)) in entries.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                text.push_str(&quoted(key));
                text.push(':');
                append(&entry.value, text);
            }
            text.push('}');
        }
        scalar => text.push_str(&value(scalar).to_string()),
    }
}

/// The mapping that [`compact`] makes exactly this text of. Absent: there is none, or it is too deep for a file.
pub(crate) fn mapping(text: &str) -> Option<YamlValue> {
    // JSON is YAML, which keeps the order.
    let YamlNode { value, .. } = yaml::parse(text).ok()?;
    let exact = matches!(value, YamlValue::Mapping(_)) && compact(&value) == text && depth(&value) + ABOVE <= MAX_DEPTH;
    exact.then_some(value)
}

fn depth(yaml: &YamlValue) -> usize {
    match yaml {
        YamlValue::List(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
        YamlValue::Mapping(entries) => 1 + entries.iter().map(|(_, entry)| depth(&entry.value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// JSON as YAML, its keys by name.
pub(crate) fn node(value: Value) -> YamlValue {
    match value {
        Value::Null => YamlValue::Null,
        Value::Bool(value) => YamlValue::Bool(value),
        Value::Number(number) => YamlValue::Number(number),
        Value::String(text) => YamlValue::Text(text),
        Value::Array(values) => YamlValue::List(values.into_iter().map(|value| unplaced(node(value))).collect()),
        Value::Object(entries) => {
            let entries = entries.into_iter().map(|(key, value)| (key, unplaced(node(value))));
            YamlValue::Mapping(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_text_is_a_mapping_only_where_it_comes_back_byte_for_byte() {
        for text in [
            r#"{"type":"object","a":[1,2.5,"x\n",null,true]}"#,
            "{}",
            r#"{"<<":{"a":1}}"#,
            r##"{"<":1,"$ref":"#/a","é":"\"\\"}"##,
        ] {
            let read = mapping(text).unwrap();
            assert_eq!(compact(&read), text);
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(38), "}".repeat(38));
        for text in [r#"{"type": "object"}"#, r#"{"a":1e2}"#, r#"{"a":1,"a":2}"#, "[1]", "x", "", &deep] {
            assert_eq!(mapping(text), None, "{text}");
        }
    }
}
