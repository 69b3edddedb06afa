//! `google.protobuf.Struct` and JSON.

use prompt_ledger_domain::error::{Parts, Violation};
use prompt_ledger_domain::template::value;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value};

/// JSON from a struct. A number that JSON or the rules cannot hold is noted as a violation at its path below `path`,
/// and stands in the result as its text, so that two such requests still differ.
pub fn json(path: &str, fields: Struct, violations: &mut Vec<Violation>) -> Map<String, Value> {
    fields
        .fields
        .into_iter()
        .map(|(name, value)| {
            let at = format!("{path}.{name}");
            (name, json_value(&at, value, violations))
        })
        .collect()
}

fn json_value(path: &str, value: prost_types::Value, violations: &mut Vec<Violation>) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::StringValue(value)) => Value::String(value),
        Some(Kind::NumberValue(number)) => match value::number(path, number) {
            Ok(number) => Value::Number(number),
            Err(error) => {
                let Parts { violations: noted, .. } = error.parts();
                violations.extend_from_slice(noted);
                Value::String(number.to_string())
            }
        },
        Some(Kind::ListValue(list)) => {
            let items = list.values.into_iter().enumerate();
            Value::Array(items.map(|(i, item)| json_value(&format!("{path}[{i}]"), item, violations)).collect())
        }
        Some(Kind::StructValue(fields)) => Value::Object(json(path, fields, violations)),
    }
}

/// A struct from JSON.
#[must_use]
pub fn from_json(fields: Map<String, Value>) -> Struct {
    Struct { fields: fields.into_iter().map(|(name, value)| (name, from_value(value))).collect() }
}

fn from_value(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(value) => Kind::StringValue(value),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.into_iter().map(from_value).collect() }),
        Value::Object(fields) => Kind::StructValue(from_json(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_survives_the_wire() {
        let Value::Object(sent) = json!({"a": [1, 2.5, "x", true, null], "b": {"c": -3}}) else { panic!() };
        let mut violations = vec![];
        assert_eq!(super::json("variables", from_json(sent.clone()), &mut violations), sent);
        assert!(violations.is_empty());
    }

    #[test]
    fn numbers_that_are_none_are_noted_at_their_path() {
        let value = |number| prost_types::Value { kind: Some(Kind::NumberValue(number)) };
        let list = Kind::ListValue(ListValue { values: vec![value(1.0), value(f64::NAN), value(1e300)] });
        let fields =
            [("n".to_owned(), prost_types::Value { kind: Some(list) }), ("none".to_owned(), Default::default())];
        let mut violations = vec![];
        let json = super::json("variables", Struct { fields: fields.into() }, &mut violations);
        assert_eq!(json["n"][1], "NaN");
        assert_eq!(json["none"], Value::Null);
        let paths: Vec<_> = violations.iter().map(|v| &*v.field).collect();
        assert_eq!(paths, ["variables.n[1]", "variables.n[2]"]);
    }
}
