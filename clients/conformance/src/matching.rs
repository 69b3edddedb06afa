//! Compares what was seen with what was expected.

use std::collections::BTreeMap;

use serde_json::Value;

/// What the names `$NAME` stand for so far.
#[derive(Debug, Default)]
pub(crate) struct Bindings(BTreeMap<String, Value>);

impl Bindings {
    /// Compares a value; what is absent is null. `at` says where, for the message.
    pub(crate) fn check(&mut self, expected: &Value, found: &Value, at: &str) -> Result<(), String> {
        let differs = || Err(format!("{at}: {found} instead of {expected}"));
        if is_empty(expected) && !expected.is_object() {
            return if is_empty(found) { Ok(()) } else { differs() };
        }
        match expected {
            Value::String(text) if text == "*" && is_empty(found) => differs(),
            Value::String(text) if text == "*" => Ok(()),
            Value::String(text) if text.starts_with('$') => match self.0.get(text) {
                Some(bound) if bound == found => Ok(()),
                Some(bound) => Err(format!("{at}: {found} instead of {bound}, which {text} was before")),
                None if is_empty(found) => differs(),
                None => {
                    self.0.insert(text.clone(), found.clone());
                    Ok(())
                }
            },
            Value::String(text) if text.starts_with('~') => {
                let contains = found.as_str().is_some_and(|found| found.contains(text.trim_start_matches('~')));
                if contains { Ok(()) } else { differs() }
            }
            Value::String(text) if text.starts_with('!') => {
                let lacks = found.as_str().is_some_and(|found| !found.contains(text.trim_start_matches('!')));
                if lacks { Ok(()) } else { differs() }
            }
            Value::Number(number) if number.as_f64().is_some() && number.as_f64() == found.as_f64() => Ok(()),
            Value::Array(items) => {
                let Some(others) = found.as_array().filter(|others| others.len() == items.len()) else {
                    return differs();
                };
                let mut pairs = items.iter().zip(others).enumerate();
                pairs.try_for_each(|(index, (item, other))| self.check(item, other, &format!("{at}[{index}]")))
            }
            Value::Object(object) => object.iter().try_for_each(|(key, value)| {
                self.check(value, found.get(key).unwrap_or(&Value::Null), &format!("{at}.{key}"))
            }),
            _ if expected == found => Ok(()),
            _ => differs(),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn is_equal(expected: &Value, found: &Value) -> bool {
        Bindings::default().check(expected, found, "it").is_ok()
    }

    #[test]
    fn what_is_named_must_be_equal_and_nothing_else_is_looked_at() {
        for (expected, found) in [
            (json!({"a": 1}), json!({"a": 1, "b": 2})),
            (json!({"a": 1.0}), json!({"a": 1})),
            (json!({"a": null, "b": 0, "c": ""}), json!({})),
            (json!({"a": null}), json!({"a": []})),
            (json!({"a": "*", "b": "~ell", "c": "!ell"}), json!({"a": 7, "b": "hello", "c": "help"})),
            (json!({"a": {"b": ["x", {}]}}), json!({"a": {"b": ["x", {"c": 1}]}})),
        ] {
            assert!(is_equal(&expected, &found), "{expected} {found}");
        }
        for (expected, found) in [
            (json!({"a": 1}), json!({"a": 2})),
            (json!({"a": 1}), json!({"a": "1"})),
            (json!({"a": null}), json!({"a": 1})),
            (json!({"a": "*"}), json!({"a": ""})),
            (json!({"a": "~x"}), json!({"a": "hello"})),
            (json!({"a": "!ell"}), json!({"a": "hello"})),
            (json!({"a": "!ell"}), json!({})),
            (json!({"a": []}), json!({"a": [1]})),
            (json!({"a": [1]}), json!({"a": [1, 2]})),
            (json!({"a": {"b": 1}}), json!({})),
        ] {
            assert!(!is_equal(&expected, &found), "{expected} {found}");
        }
    }

    #[test]
    fn a_name_stands_for_one_value() {
        let mut bindings = Bindings::default();
        bindings.check(&json!("$id"), &json!("e1"), "it").unwrap();
        bindings.check(&json!(["$id", "$other"]), &json!(["e1", "e2"]), "it").unwrap();
        let said = bindings.check(&json!({"id": "$id"}), &json!({"id": "e2"}), "it").unwrap_err();
        assert_eq!(said, r#"it.id: "e2" instead of "e1", which $id was before"#);
        assert!(bindings.check(&json!("$new"), &Value::Null, "it").is_err());
    }
}
