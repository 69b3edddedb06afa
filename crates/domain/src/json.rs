//! Free JSON of a request, and its canonical form.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use crate::error::{Error, Result};
use crate::field::shown;
use crate::limits;

/// 2^53: up to here every whole number has a double of its own.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Serializes as canonical JSON (RFC 8785). A number that is not finite is written as null.
pub fn canonical(value: &impl Serialize) -> Result<String> {
    serde_json_canonicalizer::to_string(value).map_err(Error::internal)
}

/// The JSON number of a double: a whole number within 2^53 as an integer (-0 as 0), so that 3 prints as `3`. `None` for
/// NaN and infinity.
#[must_use]
pub fn number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() <= WHOLE {
        // The cast is exact: the value is whole and within 2^53.
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

/// Deserializes an object that holds doubles, as a protobuf `Struct` does: each number in the form of [`number`], however
/// it is written. Canonical JSON writes 2e17 as an integer, which is not to be read as one.
pub(crate) fn doubles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let mut object = Map::deserialize(deserializer)?;
    object.values_mut().for_each(as_double);
    Ok(object)
}

fn as_double(value: &mut Value) {
    match value {
        Value::Number(held) => *value = held.as_f64().and_then(number).map_or(Value::Null, Value::Number),
        Value::Array(items) => items.iter_mut().for_each(as_double),
        Value::Object(object) => object.values_mut().for_each(as_double),
        _ => {}
    }
}

/// Checks an object of a request: at most [`limits::VARIABLES_DEPTH`] levels of objects and lists, itself the first, and
/// no NUL in texts and keys. INVALID_FIELD has the path of the first fault below `field`.
pub fn check_object(field: &str, object: &Map<String, Value>) -> Result<()> {
    match in_object(object, limits::VARIABLES_DEPTH - 1) {
        None => Ok(()),
        Some((path, why)) => Err(Error::invalid(format!("{field}{path}"), why)),
    }
}

/// The path of a fault below where it is looked for, and what it is.
type JsonFault = (String, String);

fn in_object(object: &Map<String, Value>, deeper: usize) -> Option<JsonFault> {
    object.iter().find_map(|(key, value)| {
        let (path, why) = match key.contains('\0') {
            true => (String::new(), "has a name with a NUL character; leave it out".to_owned()),
            false => in_value(value, deeper)?,
        };
        Some((format!(".{}{path}", shown(key)), why))
    })
}

fn in_value(value: &Value, deeper: usize) -> Option<JsonFault> {
    let levels = || {
        let most = limits::VARIABLES_DEPTH;
        Some((String::new(), format!("is more than {most} levels of objects and lists deep; send a flatter value")))
    };
    match value {
        Value::String(text) if text.contains('\0') => {
            Some((String::new(), "holds a NUL character; leave it out".to_owned()))
        }
        Value::Array(_) | Value::Object(_) if deeper == 0 => levels(),
        Value::Array(items) => items.iter().enumerate().find_map(|(i, item)| {
            let (path, why) = in_value(item, deeper - 1)?;
            Some((format!("[{i}]{path}"), why))
        }),
        Value::Object(object) => in_object(object, deeper - 1),
        _ => None,
    }
}

/// Approximate length in memory of an object, in bytes.
pub(crate) fn object_bytes(object: &Map<String, Value>) -> usize {
    object.iter().map(|(key, value)| size_of::<String>() + key.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(value_bytes).sum(),
            Value::Object(object) => object_bytes(object),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_json_sorts_keys_and_writes_numbers_shortest() {
        assert_eq!(canonical(&json!({"b": 1.0, "a": [1e21, "é\n"]})).unwrap(), r#"{"a":[1e+21,"é\n"],"b":1}"#);
    }

    #[test]
    fn a_number_is_a_whole_one_where_it_can_be() {
        for (value, expected) in [
            (3.0, "3"),
            (-0.0, "0"),
            (0.5, "0.5"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1e21, "1e+21"),
            (1e300, "1e+300"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(canonical(&number(value).unwrap()).unwrap(), expected);
        }
        assert!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().all(|value| number(value).is_none()));
    }

    #[test]
    fn numbers_are_doubles_however_they_are_written() {
        let mut value = json!({"a": [1.0, -0.0, 268_244_467_394_281_470_u64], "b": {"c": 3, "d": "1.0", "e": null}});
        as_double(&mut value);
        assert_eq!(value, json!({"a": [1, 0, 2.682_444_673_942_814_7e17], "b": {"c": 3, "d": "1.0", "e": null}}));
    }

    #[test]
    fn an_objects_length_counts_all_that_it_holds() {
        let bytes = |value: Value| object_bytes(value.as_object().unwrap());
        let flat = bytes(json!({"a": 1}));
        assert!(flat > size_of::<Value>());
        assert_eq!(bytes(json!({"a": "four"})), flat + 4);
        assert_eq!(bytes(json!({"a": [null, "four"]})), flat + 2 * size_of::<Value>() + 4);
        assert_eq!(bytes(json!({"a": {"a": 1}})), 2 * flat);
    }

    #[test]
    fn an_object_is_bounded_and_holds_no_nul() {
        fn deep(levels: usize) -> Value {
            (1..levels).fold(json!({}), |inner, _| json!([inner]))
        }
        for (value, path) in [
            (json!({"a": 1, "b": [null, true, "x"]}), None),
            (json!({"a": deep(31)}), None),
            (json!({"a": deep(32)}), Some(format!("custom.a{}", "[0]".repeat(31)))),
            (json!({"a": {"b": [1, "\0"]}}), Some("custom.a.b[1]".to_owned())),
            (json!({"a": {"b\0": 1}}), Some("custom.a.b\u{fffd}".to_owned())),
            (json!({"\0": 1}), Some("custom.\u{fffd}".to_owned())),
        ] {
            let checked = check_object("custom", value.as_object().unwrap());
            assert_eq!(checked.err().map(|error| error.parts().violations[0].field.clone()), path, "{value}");
        }
    }
}
