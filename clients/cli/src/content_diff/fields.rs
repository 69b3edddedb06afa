//! Two JSON values compared field by field.

use serde_json::{Map, Value};

use super::json_text::indented;
use super::line_diff::LineDiff;

/// A field that differs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FieldDiff {
    /// As `params.temperature`, `tools.weather.description` or `parts[0].text`: entries of a list stand by their `name` or `id` where
    /// each has one of its own, else by their place, from 0.
    pub(super) path: String,
    /// Absent: it is added.
    pub(super) before: Option<Value>,
    /// Absent: it is removed.
    pub(super) after: Option<Value>,
    /// The comparison by line, of what people read by line.
    pub(super) lines: Option<LineDiff>,
}

impl FieldDiff {
    /// A text, compared by line.
    pub(super) fn text(path: &str, before: Option<&str>, after: Option<&str>) -> Self {
        let lines = LineDiff::between(before.unwrap_or_default(), after.unwrap_or_default());
        let value = |text: Option<&str>| text.map(Value::from);
        Self { path: path.to_owned(), before: value(before), after: value(after), lines: Some(lines) }
    }
}

/// What differs below `path`; in order of names.
pub(super) fn compare_fields(path: &str, before: Option<&Value>, after: Option<&Value>) -> Vec<FieldDiff> {
    let mut found = Vec::new();
    compare_values(path, before, after, &mut found);
    found
}

fn compare_values(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<FieldDiff>) {
    if before == after {
        return;
    }
    if let Some((old, new)) = both(before, after, Value::as_object) {
        return compare_children(path, &old, &new, found);
    }
    if let Some((old, new)) = both(before, after, Value::as_array) {
        for key in ["name", "id"] {
            if let (Some(old), Some(new)) = (by_key(&old, key), by_key(&new, key)) {
                compare_order(path, &old, &new, found);
                let fields = |entries: Vec<(String, &Value)>| -> Map<String, Value> {
                    entries.into_iter().map(|(key, entry)| (key, entry.clone())).collect()
                };
                return compare_children(path, &fields(old), &fields(new), found);
            }
        }
        if old.iter().chain(&new).any(Value::is_object) {
            for index in 0..old.len().max(new.len()) {
                compare_values(&format!("{path}[{index}]"), old.get(index), new.get(index), found);
            }
            return;
        }
    }
    found.push(leaf(path, before, after));
}

/// Both as `T`, an absent one empty; absent where one is something else, or what there is of them is empty.
fn both<T: Default + Clone + PartialEq>(
    before: Option<&Value>,
    after: Option<&Value>,
    read: fn(&Value) -> Option<&T>,
) -> Option<(T, T)> {
    let old = before.map(read).map_or(Some(T::default()), |read| read.cloned())?;
    let new = after.map(read).map_or(Some(T::default()), |read| read.cloned())?;
    (old != new).then_some((old, new))
}

fn compare_children(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, found: &mut Vec<FieldDiff>) {
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        compare_values(&below(path, name), old.get(name), new.get(name), found);
    }
}

/// The path of a field; a name that is no word stands in brackets.
fn below(path: &str, name: &str) -> String {
    let is_word = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    match (is_word, path) {
        (true, "") => name.to_owned(),
        (true, path) => format!("{path}.{name}"),
        (false, path) => format!("{path}[{}]", Value::from(name)),
    }
}

/// The entries by what each has in `key`; absent where one has none, or two have the same.
fn by_key<'a>(entries: &'a [Value], key: &str) -> Option<Vec<(String, &'a Value)>> {
    let keyed = entries.iter().map(|entry| Some((entry.get(key)?.as_str()?.to_owned(), entry)));
    let keyed: Vec<(String, &Value)> = keyed.collect::<Option<_>>()?;
    let distinct: std::collections::BTreeSet<&String> = keyed.iter().map(|(key, _)| key).collect();
    (distinct.len() == keyed.len()).then_some(keyed)
}

/// Tells of entries in another order; those that are only in one of both do not count.
fn compare_order(path: &str, old: &[(String, &Value)], new: &[(String, &Value)], found: &mut Vec<FieldDiff>) {
    let common = |of: &[(String, &Value)], other: &[(String, &Value)]| -> Vec<String> {
        let keys = of.iter().map(|(key, _)| key);
        keys.filter(|key| other.iter().any(|(other, _)| other == *key)).cloned().collect()
    };
    let (before, after) = (common(old, new), common(new, old));
    if before != after {
        let path = format!("{path} (order)");
        found.push(FieldDiff { path, before: Some(before.into()), after: Some(after.into()), lines: None });
    }
}

fn leaf(path: &str, before: Option<&Value>, after: Option<&Value>) -> FieldDiff {
    let (old, new) = (before.and_then(Value::as_str), after.and_then(Value::as_str));
    let is_text = before.is_none_or(Value::is_string) && after.is_none_or(Value::is_string);
    let has_lines = |text: Option<&str>| text.is_some_and(|text| text.contains('\n'));
    let name = path.rsplit('.').next().unwrap_or(path);
    let lines = if !is_text || name == "data" {
        None
    } else if name.ends_with("_json") {
        Some(schema(old, new))
    } else if matches!(name, "content" | "text") || has_lines(old) || has_lines(new) {
        Some(LineDiff::between(old.unwrap_or_default(), new.unwrap_or_default()))
    } else {
        None
    };
    FieldDiff { path: path.to_owned(), before: before.cloned(), after: after.cloned(), lines }
}

/// Schemas in a layout of their own, since many are written in one line; as they are where only their layout differs.
fn schema(old: Option<&str>, new: Option<&str>) -> LineDiff {
    let laid_out = |text: Option<&str>| text.map_or(Some(String::new()), indented);
    match (laid_out(old), laid_out(new)) {
        (Some(old), Some(new)) if old != new => LineDiff::between(&old, &new),
        _ => LineDiff::between(old.unwrap_or_default(), new.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Each difference as `path: before -> after`, with `-` for an absent one.
    fn told(before: &Value, after: &Value) -> Vec<String> {
        let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
        let fields = compare_fields("", Some(before), Some(after));
        fields
            .iter()
            .map(|field| format!("{}: {} -> {}", field.path, value(&field.before), value(&field.after)))
            .collect()
    }

    #[test]
    fn values_are_compared_by_path() {
        for (before, after, expected) in [
            (
                json!({"params": {"temperature": 0.2}}),
                json!({"params": {"temperature": 0.7}}),
                &["params.temperature: 0.2 -> 0.7"][..],
            ),
            (json!({}), json!({"a": {"b": 1, "c": {}}}), &["a.b: - -> 1", "a.c: - -> {}"]),
            (json!({"a": {"b": [1, 2]}}), json!({}), &["a.b: [1,2] -> -"]),
            (json!({"a": [1, 2]}), json!({"a": [1]}), &["a: [1,2] -> [1]"]),
            (json!({"a": 1}), json!({"a": {"b": 1}}), &[r#"a: 1 -> {"b":1}"#]),
            (json!({"a b": {"": 1}}), json!({"a b": {"": 2}}), &[r#"["a b"][""]: 1 -> 2"#]),
            (json!({"p": [{"x": 1}]}), json!({"p": [{"x": 2}, {"y": 3}]}), &["p[0].x: 1 -> 2", "p[1].y: - -> 3"]),
            (json!({"a": null}), json!({}), &["a: null -> -"]),
        ] {
            assert_eq!(told(&before, &after), expected, "{before} {after}");
        }
    }

    #[test]
    fn tools_are_compared_by_name_and_their_order_counts() {
        let tools =
            |names: &[&str]| json!({"tools": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
        assert_eq!(told(&tools(&["a", "b"]), &tools(&["b", "a"])), [r#"tools (order): ["a","b"] -> ["b","a"]"#]);
        assert_eq!(told(&tools(&["a", "b"]), &tools(&["a", "c", "b"])), [r#"tools.c.name: - -> "c""#]);
        let calls = |arguments: &str| json!({"tool_calls": [{"id": "call 1", "arguments": arguments}]});
        assert_eq!(told(&calls("{}"), &calls("[]")), [r#"tool_calls["call 1"].arguments: "{}" -> "[]""#]);
        let twice = json!({"tools": [{"name": "a"}, {"name": "a"}]});
        assert_eq!(told(&tools(&["a"]), &twice), [r#"tools[1].name: - -> "a""#]);
    }

    #[test]
    fn schemas_and_texts_are_compared_by_line() {
        let lines = |before: Value, after: Value| {
            let fields = compare_fields("", Some(&before), Some(&after));
            fields[0].lines.as_ref().map(|lines| lines.lines.len())
        };
        let schema = |text: &str| json!({"parameters_json": text});
        assert_eq!(lines(schema(r#"{"a":1,"b":2}"#), schema(r#"{"a":1,"b":3}"#)), Some(5));
        assert_eq!(lines(schema(r#"{"a":1}"#), schema(r#"{"a": 1}"#)), Some(2));
        assert_eq!(lines(schema("{"), schema("{}")), Some(2));
        assert_eq!(lines(json!({"content": "a"}), json!({"content": "b"})), Some(2));
        assert_eq!(lines(json!({"name": "a"}), json!({"name": "b"})), None);
        assert_eq!(lines(json!({"name": "a\nb"}), json!({"name": "b"})), Some(2));
        assert_eq!(lines(json!({"content": 1}), json!({"content": "b"})), None);
    }
}
