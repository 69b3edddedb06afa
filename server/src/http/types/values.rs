//! Free JSON: variables, and what a provider or an owner adds.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Number, Value};

/// An object of any fields.
pub(crate) type ObjectJson = Map<String, Value>;

/// Whole numbers up to this one are held by a double as they are.
const EXACT: u64 = 1 << 53;

/// The object as the contract has it, whose numbers are doubles.
pub(crate) fn wire(object: ObjectJson) -> Struct {
    Struct { fields: object.into_iter().map(|(name, value)| (name, wire_value(value))).collect() }
}

fn wire_value(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(double(&number)),
        Value::String(value) => Kind::StringValue(value),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.into_iter().map(wire_value).collect() }),
        Value::Object(fields) => Kind::StructValue(wire(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// A whole number that a double cannot hold becomes one beyond 2^53, so that it is refused where only exact numbers are
/// taken, and never rendered as its neighbour.
fn double(number: &Number) -> f64 {
    let double = number.as_f64().unwrap_or(f64::NAN);
    let whole = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    match whole {
        Some(whole) if whole > EXACT && double.abs() <= EXACT as f64 => (EXACT + 2) as f64 * double.signum(),
        _ => double,
    }
}

/// The object of a message.
pub(crate) fn object(sent: Struct) -> ObjectJson {
    sent.fields.into_iter().map(|(name, value)| (name, value_of(value))).collect()
}

fn value_of(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::StringValue(value)) => Value::String(value),
        Some(Kind::NumberValue(number)) => {
            prompt_ledger_domain::json::number(number).map_or(Value::Null, Value::Number)
        }
        Some(Kind::ListValue(list)) => Value::Array(list.values.into_iter().map(value_of).collect()),
        Some(Kind::StructValue(fields)) => Value::Object(object(fields)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_come_back() {
        let Value::Object(sent) =
            json!({"a": [1, 2.5, "x", true, null], "b": {"c": -3, "d": 9_007_199_254_740_992_i64}})
        else {
            panic!()
        };
        assert_eq!(object(wire(sent.clone())), sent);
    }

    #[test]
    fn a_whole_number_that_a_double_cannot_hold_is_beyond_those_it_can() {
        for (sent, expected) in [
            (json!(9_007_199_254_740_993_i64), 9_007_199_254_740_994.0),
            (json!(-9_007_199_254_740_993_i64), -9_007_199_254_740_994.0),
            (json!(9_007_199_254_740_992_i64), 9_007_199_254_740_992.0),
            (json!(u64::MAX), 18_446_744_073_709_551_615.0),
            (json!(1e300), 1e300),
        ] {
            assert_eq!(wire_value(sent).kind, Some(Kind::NumberValue(expected)));
        }
    }
}
