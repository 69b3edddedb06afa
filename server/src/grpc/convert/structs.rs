//! `google.protobuf.Struct` and JSON.

use prompt_ledger_domain::error::Violations;
use prompt_ledger_domain::template::value;
use prompt_ledger_domain::text;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value};

/// How much of a path is told, in bytes.
const PATH_BYTES: usize = 512;

/// JSON from a struct. A number that JSON or the rules cannot hold is noted as a violation at its path below `path`,
/// and stands in the result as its text, so that two such requests still differ.
pub fn json(path: &str, fields: Struct, violations: &mut Violations) -> Map<String, Value> {
    object(&mut path.to_owned(), fields, violations)
}

fn object(path: &mut String, fields: Struct, violations: &mut Violations) -> Map<String, Value> {
    let field = |(name, value): (String, _)| {
        let value = at(path, &format!(".{name}"), |path| json_value(path, value, violations));
        (name, value)
    };
    fields.fields.into_iter().map(field).collect()
}

fn json_value(path: &mut String, value: prost_types::Value, violations: &mut Violations) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::StringValue(value)) => Value::String(value),
        Some(Kind::NumberValue(number)) => match value::number(number) {
            Some(number) => Value::Number(number),
            None => {
                violations.note(value::not_a_number(text::cut(path, PATH_BYTES), number));
                // With an exponent: in full it may have 300 digits.
                Value::String(format!("{number:e}"))
            }
        },
        Some(Kind::ListValue(list)) => {
            let items = list.values.into_iter().enumerate();
            let item = |(i, item)| at(path, &format!("[{i}]"), |path| json_value(path, item, violations));
            Value::Array(items.map(item).collect())
        }
        Some(Kind::StructValue(fields)) => Value::Object(object(path, fields, violations)),
    }
}

/// Goes one step down a path and back: the path is kept once, however many values there are.
fn at<T>(path: &mut String, step: &str, visit: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    // A path that is cut when it is told need not be longer than that.
    if length <= PATH_BYTES {
        path.push_str(text::cut(step, PATH_BYTES));
    }
    let visited = visit(path);
    path.truncate(length);
    visited
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
    use prompt_ledger_domain::limits;
    use serde_json::json;

    #[test]
    fn json_survives_the_wire() {
        let Value::Object(sent) = json!({"a": [1, 2.5, "x", true, null], "b": {"c": -3}}) else { panic!() };
        let mut violations = Violations::default();
        assert_eq!(super::json("variables", from_json(sent.clone()), &mut violations), sent);
        assert_eq!(violations, Violations::default());
    }

    #[test]
    fn numbers_that_are_none_are_noted_at_their_path() {
        let value = |number| prost_types::Value { kind: Some(Kind::NumberValue(number)) };
        let list = Kind::ListValue(ListValue { values: vec![value(1.0), value(f64::NAN), value(1e300)] });
        let fields =
            [("n".to_owned(), prost_types::Value { kind: Some(list) }), ("none".to_owned(), Default::default())];
        let mut violations = Violations::default();
        let json = super::json("variables", Struct { fields: fields.into() }, &mut violations);
        assert_eq!(json["n"][1], "NaN");
        assert_eq!(json["none"], Value::Null);
        let paths: Vec<_> = violations.kept().iter().map(|v| &*v.field).collect();
        assert_eq!(paths, ["variables.n[1]", "variables.n[2]"]);
    }

    #[test]
    fn a_hostile_struct_costs_no_more_than_its_size() {
        let nan = prost_types::Value { kind: Some(Kind::NumberValue(f64::NAN)) };
        let list = Kind::ListValue(ListValue { values: vec![nan; 100_000] });
        let fields = [("k".repeat(1024 * 1024), prost_types::Value { kind: Some(list) })];
        let mut violations = Violations::default();
        super::json("variables", Struct { fields: fields.into() }, &mut violations);
        assert_eq!(violations.kept().len(), limits::VIOLATIONS);
        assert!(violations.kept().iter().all(|violation| violation.field.len() <= PATH_BYTES));
    }
}
