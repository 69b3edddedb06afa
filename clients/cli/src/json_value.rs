//! JSON as users write it. A key twice in an object is refused: readers of JSON differ in which of the two counts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The most characters of a key that an error quotes.
const QUOTED: usize = 100;

/// The value of a text.
///
/// # Errors
///
/// The text is no JSON, or an object of it has a key twice: the key and its place are named.
pub(crate) fn from_str(text: &str) -> serde_json::Result<Value> {
    read(serde_json::Deserializer::from_str(text))
}

/// As [`from_str`].
pub(crate) fn from_slice(bytes: &[u8]) -> serde_json::Result<Value> {
    read(serde_json::Deserializer::from_slice(bytes))
}

fn read<'de>(mut deserializer: serde_json::Deserializer<impl serde_json::de::Read<'de>>) -> serde_json::Result<Value> {
    let value = DistinctKeys.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Reads a value whose objects have each key once.
struct DistinctKeys;

impl<'de> DeserializeSeed<'de> for DistinctKeys {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DistinctKeys {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = entries.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            if object.contains_key(&key) {
                let quoted: String = key.chars().take(QUOTED).collect();
                return Err(A::Error::custom(format_args!(
                    "an object has the key {quoted:?} twice: leave out one of them"
                )));
            }
            object.insert(key, fields.next_value_seed(Self)?);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_twice_is_refused_wherever_it_stands() {
        for (text, key) in [
            (r#"{"a": 1, "b": 2, "a": 1}"#, r#""a""#),
            (r#"[{"x": {"role": "user", "\u0072ole": "user"}}]"#, r#""role""#),
            (r#"{"": 1, "": 2}"#, r#""""#),
            ("{\"gr\u{202e}\": 1, \"gr\u{202e}\": 2}", r#""gr\u{202e}""#),
        ] {
            let said = from_str(text).unwrap_err().to_string();
            assert!(said.contains(&format!("the key {key} twice")) && said.contains("line 1 column"), "{said}");
            assert!(from_slice(text.as_bytes()).is_err());
        }
        let long = "k".repeat(1 << 20);
        assert!(from_str(&format!(r#"{{"{long}": 1, "{long}": 2}}"#)).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn all_other_json_is_read_as_it_is() {
        for text in [
            "null",
            "true",
            "-1",
            "18446744073709551615",
            "1.5e300",
            "\"a\\ud83d\\ude00\"",
            "[]",
            "{}",
            r#"{"b": [1, {"b": {"b": null}}, {"b": 1}], "a": ""}"#,
        ] {
            assert_eq!(from_str(text).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        for text in ["", "{", "1 2", "{\"a\": 1} x", "1e999", "\"\\ud800\"", "[1,]", "{1: 2}", "\u{feff}{}"] {
            assert!(from_str(text).is_err(), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(from_str(&deep).unwrap_err().to_string().contains("recursion limit"));
    }
}
