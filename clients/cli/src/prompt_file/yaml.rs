//! YAML as it stands in a file: with the order of its keys, and the line of each value.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{NonFiniteFloatPolicy, Options, Spanned};

use crate::prompt_file::fault::FileFault;

/// Levels of lists and mappings. A JSON Schema with more is written as a text.
pub(crate) const MAX_DEPTH: usize = 40;
/// Values, lists and mappings of a file together, those that aliases repeat included.
const MAX_NODES: usize = 100_000;

/// A value, and the line (from 1) on which it begins; 0: not known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct YamlNode {
    pub(crate) line: u64,
    pub(crate) value: YamlValue,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum YamlValue {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<YamlNode>),
    /// In the order of the file; each key once.
    Mapping(Vec<(String, YamlNode)>),
}

impl YamlValue {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// Reads one document. The YAML is that of version 1.2: `yes`, `no`, `007` and `1_000` are texts.
///
/// # Errors
///
/// The first fault, with its line.
pub(crate) fn parse(text: &str) -> Result<YamlNode, FileFault> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_documents: 1,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
            max_recorded_anchor_events: MAX_NODES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Merge,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
    };
    let node = read(text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let said = error.without_snippet().to_string();
        let is_bound = said.starts_with("budget breached") || said.starts_with("recursion limit");
        let wrong = if is_bound && said.contains("ocuments") {
            "begins a second document: leave out the line `---`".to_owned()
        } else if is_bound {
            format!("holds more than {MAX_DEPTH} levels or {MAX_NODES} values, repeated ones included: is it a prompt?")
        } else if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
            let key = key.as_deref().map_or_else(|| "a key".to_owned(), |key| format!("the key `{key}`"));
            format!("has {key} twice: leave out one of them")
        } else {
            format!("is no YAML that can be read: {said}")
        };
        FileFault::at(line, "", wrong)
    })?;
    match rounded(&node, text) {
        Some(line) => Err(FileFault::at(line, "", "holds a whole number with more digits than a double keeps of it")),
        None => Ok(node),
    }
}

fn read(text: &str, options: Options) -> Result<YamlNode, serde_saphyr::Error> {
    let read: Option<YamlNode> = serde_saphyr::from_str_with_options(text, options)?;
    Ok(read.unwrap_or(YamlNode { line: 1, value: YamlValue::Mapping(Vec::new()) }))
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Spanned::<YamlValue>::deserialize(deserializer)?;
        Ok(Self { line: read.referenced.line(), value: read.value })
    }
}

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = YamlValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false, null, a list or a mapping with texts as keys")
    }

    fn visit_unit<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_none<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlValue, D::Error> {
        YamlValue::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<YamlValue, E> {
        Ok(YamlValue::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<YamlValue, E> {
        Ok(YamlValue::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<YamlValue, E> {
        Ok(YamlValue::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<YamlValue, E> {
        Number::from_f64(value).map(YamlValue::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<YamlValue, E> {
        Ok(YamlValue::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<YamlValue, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            list.push(entry);
        }
        Ok(YamlValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<YamlValue, A::Error> {
        let mut mapping = Vec::new();
        while let Some((key, mut node)) = entries.next_entry::<Spanned<String>, YamlNode>()? {
            // The key's line: a mapping below it begins on the next one.
            node.line = key.referenced.line();
            mapping.push((key.value, node));
        }
        if mapping.len() > MAX_NODES {
            return Err(A::Error::custom("too many keys"));
        }
        Ok(YamlValue::Mapping(mapping))
    }
}

/// The line of a whole number beyond those of 64 bits, of which a double keeps the first digits alone.
fn rounded(node: &YamlNode, text: &str) -> Option<u64> {
    match &node.value {
        YamlValue::List(below) => below.iter().find_map(|node| rounded(node, text)),
        YamlValue::Mapping(below) => below.iter().find_map(|(_, node)| rounded(node, text)),
        YamlValue::Number(number) if number.is_f64() => {
            let value = number.as_f64().filter(|value| value.abs() >= 2f64.powi(63))?;
            // With a fraction or an exponent it is a double as it was written.
            let mut numbers = text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '+' | '-'));
            let is_whole = |number: &str| number.trim_start_matches(['+', '-']).bytes().all(|c| c.is_ascii_digit());
            numbers.any(|number| is_whole(number) && number.parse() == Ok(value)).then_some(node.line)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(text: &str) -> Vec<(String, YamlNode)> {
        match parse(text).unwrap().value {
            YamlValue::Mapping(mapping) => mapping,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_stand_in_the_order_of_the_file_with_their_lines() {
        let read = mapping("b: 1\n# a comment\na:\n  - x\n  - {y: 2.5}\n");
        let lines: Vec<_> = read.iter().map(|(key, node)| (key.as_str(), node.line)).collect();
        assert_eq!(lines, [("b", 1), ("a", 3)]);
        let YamlValue::List(list) = &read[1].1.value else { panic!("{read:?}") };
        assert_eq!(list.iter().map(|node| node.line).collect::<Vec<_>>(), [4, 5]);
    }

    #[test]
    fn values_are_those_of_yaml_1_2() {
        for (written, value) in [
            ("yes", YamlValue::Text("yes".into())),
            ("true", YamlValue::Bool(true)),
            ("007", YamlValue::Text("007".into())),
            ("1_000", YamlValue::Text("1_000".into())),
            ("'12'", YamlValue::Text("12".into())),
            ("12", YamlValue::Number(12.into())),
            ("-3", YamlValue::Number((-3).into())),
            ("0.5", YamlValue::Number(Number::from_f64(0.5).unwrap())),
            ("1e30", YamlValue::Number(Number::from_f64(1e30).unwrap())),
            ("18446744073709551615", YamlValue::Number(u64::MAX.into())),
            ("~", YamlValue::Null),
            ("2026-01-31", YamlValue::Text("2026-01-31".into())),
            ("|\n  a\n   b\n\n", YamlValue::Text("a\n b\n".into())),
        ] {
            assert_eq!(mapping(&format!("key: {written}"))[0].1.value, value, "{written}");
        }
        assert_eq!(mapping(""), []);
        assert_eq!(mapping("# nothing\n"), []);
        assert_eq!(mapping("a: &x {b: 1}\nc: *x")[1].1.value, mapping("\na: {b: 1}")[0].1.value);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line, said) in [
            ("a: 1\na: 2\n", 2, "has the key `a` twice: leave out"),
            ("a: [1, 2\nb: 3\n", 2, ""),
            ("a: .nan\n", 1, "finite"),
            ("a: !secret x\n", 1, "tag"),
            ("a: *nobody\n", 1, "anchor"),
            ("a: 1\n---\nb: 2\n", 2, "document"),
            ("a:\n  - 18446744073709551617\n", 2, "more digits"),
            ("a: -9223372036854775809\n", 1, "more digits"),
        ] {
            let fault = parse(text).unwrap_err();
            let shown = fault.to_string();
            assert_eq!(fault.line, line, "{text}: {shown}");
            assert!(shown.contains(said) && !shown.contains('\n'), "{text}: {shown}");
        }
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
        }
        let deep = format!("a: {}", "[".repeat(100_000));
        let long = format!("a: [{}]", "1, ".repeat(MAX_NODES + 1));
        let nested: String = (0..200).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        for text in [bomb, deep, long, nested] {
            let shown = parse(&text).unwrap_err().to_string();
            assert!(shown.contains("40 levels or 100000 values"), "{shown}");
        }
        let schema = format!("a: {}1{}", "{\"a\": ".repeat(MAX_DEPTH - 1), "}".repeat(MAX_DEPTH - 1));
        assert_eq!(mapping(&schema).len(), 1);
    }
}
