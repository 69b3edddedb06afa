//! JSON Schemas of tools and answers: checked against their draft's meta-schema, and against nothing else.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::field::shown;
use crate::limits;

/// A draft's identifier without scheme and trailing `#`, and its meta-schema.
type Draft = (&'static str, fn(&Value) -> Result<(), jsonschema::ValidationError<'_>>);

/// The draft of a schema without `$schema`.
const LATEST: &str = "json-schema.org/draft/2020-12/schema";

const DRAFTS: [Draft; 5] = [
    (LATEST, jsonschema::draft202012::meta::validate),
    ("json-schema.org/draft/2019-09/schema", jsonschema::draft201909::meta::validate),
    ("json-schema.org/draft-07/schema", jsonschema::draft7::meta::validate),
    ("json-schema.org/draft-06/schema", jsonschema::draft6::meta::validate),
    ("json-schema.org/draft-04/schema", jsonschema::draft4::meta::validate),
];

/// Checks the JSON text of a JSON Schema: an object that its draft's meta-schema accepts, at most [`limits::SCHEMA_DEPTH`]
/// levels deep. No `$ref` is followed, and nothing is fetched. INVALID_FIELD at `field`.
pub fn check(field: &str, json: &str) -> Result<()> {
    let levels = depth(json);
    if levels > limits::SCHEMA_DEPTH {
        let problem = format!("nests {levels} levels deep; at most {} are allowed", limits::SCHEMA_DEPTH);
        return Err(Error::invalid(field, problem));
    }
    let schema: Value = serde_json::from_str(json)
        .map_err(|error| Error::invalid(field, format!("is no JSON text: {error}; send a JSON Schema")))?;
    let Value::Object(fields) = &schema else {
        return Err(Error::invalid(field, "is no object; send a JSON Schema, such as {\"type\": \"object\"}"));
    };
    let named = match fields.get("$schema") {
        None => LATEST,
        Some(Value::String(uri)) => bare(uri),
        Some(_) => "",
    };
    let Some((_, validate)) = DRAFTS.iter().find(|(draft, _)| *draft == named) else {
        let problem = "has a $schema that is none of the drafts 4, 6, 7, 2019-09 and 2020-12; leave it out for 2020-12";
        return Err(Error::invalid(field, problem));
    };
    if let Some(length) = longest_pattern(&schema).filter(|length| *length > limits::PATTERN_BYTES) {
        let problem = format!("has a pattern of {length} bytes; at most {} are allowed", limits::PATTERN_BYTES);
        return Err(Error::invalid(field, problem));
    }
    validate(&schema).map_err(|error| {
        let (place, why) = (error.instance_path().to_string(), error.to_string());
        let place = if place.is_empty() { "its root" } else { &place };
        Error::invalid(field, format!("is no JSON Schema: at {}: {}", shown(place), shown(&why)))
    })
}

/// The length of the longest regular expression, in bytes; absent where there is none. Meta-schemas parse them, which may
/// take the square of their length.
fn longest_pattern(value: &Value) -> Option<usize> {
    match value {
        Value::Array(values) => values.iter().filter_map(longest_pattern).max(),
        Value::Object(fields) => {
            let own = fields.iter().filter_map(|(name, value)| match (name.as_str(), value) {
                ("pattern", Value::String(pattern)) => Some(pattern.len()),
                ("patternProperties", Value::Object(patterns)) => patterns.keys().map(String::len).max(),
                _ => None,
            });
            own.chain(fields.values().filter_map(longest_pattern)).max()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// An identifier of a draft without scheme and trailing `#`.
fn bare(uri: &str) -> &str {
    let uri = uri.strip_suffix('#').unwrap_or(uri);
    uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://")).unwrap_or(uri)
}

/// How deep objects and lists nest in a JSON text.
fn depth(json: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let (mut text, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            _ if text => {}
            b'{' | b'[' => {
                open += 1;
                most = most.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
#[allow(clippy::disallowed_types, reason = "a test listens where nothing must arrive")]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn problem(json: &str) -> String {
        let error = check("tools[0].parameters_json", json).unwrap_err();
        let violation = &error.parts().violations[0];
        assert_eq!(violation.field, "tools[0].parameters_json");
        violation.description.clone()
    }

    fn nested(levels: usize) -> String {
        format!("{}{}", r#"{"not":"#.repeat(levels - 1) + "{}", "}".repeat(levels - 1))
    }

    #[test]
    fn schemas_of_every_draft_are_taken() {
        for json in [
            "{}",
            r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}"#,
            r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}"#,
            r#"{"$schema":"https://json-schema.org/draft/2019-09/schema","type":"object"}"#,
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}"#,
            r#"{"$schema":"http://json-schema.org/draft-06/schema#","type":"object"}"#,
            r#"{"$schema":"http://json-schema.org/draft-04/schema#","exclusiveMaximum":true,"maximum":1}"#,
            r#"{"x-of-mine":[{"a":"}{"}]}"#,
        ] {
            check("f", json).unwrap();
        }
    }

    #[test]
    fn what_is_no_schema_is_refused_with_its_place() {
        for (json, expected) in [
            ("", "no JSON text"),
            ("{", "no JSON text"),
            ("{} {}", "no JSON text"),
            ("[]", "no object"),
            ("true", "no object"),
            (r#""{}""#, "no object"),
            (r#"{"type":"objekt"}"#, "/type"),
            (r#"{"properties":{"a":{"minimum":"1"}}}"#, "/properties/a/minimum"),
            (r#"{"properties":[]}"#, "/properties"),
            (r#"{"$schema":"https://example.com/mine"}"#, "drafts 4, 6, 7"),
            (r#"{"$schema":7}"#, "drafts 4, 6, 7"),
        ] {
            let said = problem(json);
            assert!(said.contains(expected), "{json}: {said}");
        }
    }

    #[test]
    fn a_schema_nests_a_hundred_levels_deep_and_no_more() {
        check("f", &nested(100)).unwrap();
        assert!(problem(&nested(101)).contains("101 levels"));
        assert!(problem(&"[".repeat(200_000)).contains("200000 levels"));
        assert_eq!(depth(r#"{"a":"[[\"[[","b":[{}]}]]"#), 3);
    }

    #[test]
    fn a_regular_expression_is_short() {
        let pattern = |escapes: usize| "\\\\cA".repeat(escapes);
        for schema in [
            format!(r#"{{"$schema":"http://json-schema.org/draft-07/schema#","pattern":"{}"}}"#, pattern(400_000)),
            format!(r#"{{"properties":{{"a":{{"anyOf":[{{"pattern":"{}"}}]}}}}}}"#, pattern(400)),
            format!(r#"{{"patternProperties":{{"{}":{{}}}}}}"#, pattern(400)),
        ] {
            assert!(problem(&schema).contains("has a pattern of"), "{schema:.60}");
        }
        check("f", &format!(r#"{{"pattern":"{}"}}"#, "a".repeat(limits::PATTERN_BYTES))).unwrap();
    }

    #[test]
    fn nothing_that_a_schema_names_is_contacted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/schema.json", listener.local_addr().unwrap());
        check("f", &format!(r#"{{"$ref":"{url}"}}"#)).unwrap();
        check("f", &format!(r#"{{"$id":"{url}","$dynamicRef":"{url}#a","properties":{{"a":{{"$ref":"{url}"}}}}}}"#))
            .unwrap();
        assert!(problem(&format!(r#"{{"$schema":"{url}"}}"#)).contains("drafts"));
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}
