//! Builds variables from JSON.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value};

/// The members of a JSON object as variables; each number becomes a double.
///
/// # Panics
/// When it is no object.
#[must_use]
pub fn variables(json: &Value) -> Struct {
    fields(json.as_object().expect("variables are an object"))
}

fn fields(object: &Map<String, Value>) -> Struct {
    Struct { fields: object.iter().map(|(name, json)| (name.clone(), value(json))).collect() }
}

fn value(json: &Value) -> prost_types::Value {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().expect("a double")),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(value).collect() }),
        Value::Object(object) => Kind::StructValue(fields(object)),
    };
    prost_types::Value { kind: Some(kind) }
}
