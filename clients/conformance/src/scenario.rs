//! What a scenario says; `README.md` explains each key.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    #[serde(default)]
    pub options: Map<String, Value>,
    pub steps: Vec<Value>,
    /// Absent: the address and the key of the server.
    pub env: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    pub script: Option<Vec<ScriptEntry>>,
    pub dev: Option<RealServerSpec>,
    pub production: Option<RealServerSpec>,
    #[serde(default)]
    pub pauses: Vec<Vec<PauseAction>>,
    pub sees: Vec<Value>,
    /// Absent: what the server was asked is not looked at.
    pub calls: Option<Vec<ExpectedCall>>,
}

/// What the scripted server answers to calls of one method.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptEntry {
    pub on: String,
    #[serde(default = "once")]
    pub times: usize,
    /// In seconds.
    #[serde(default)]
    pub after: f64,
    pub answer: Option<Value>,
    #[serde(default)]
    pub send: Vec<Value>,
    #[serde(default)]
    pub end: ScriptedEnd,
}

fn once() -> usize {
    1
}

/// How a call ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum ScriptedEnd {
    Named(NamedEnd),
    Error(ScriptedError),
}

impl Default for ScriptedEnd {
    fn default() -> Self {
        Self::Named(NamedEnd::Ok)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedEnd {
    Ok,
    Reset,
    Drop,
    Hang,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedError {
    pub code: String,
    pub reason: Option<String>,
    /// In seconds.
    pub retry: Option<f64>,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    #[serde(default)]
    pub message: String,
}

/// A real server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RealServerSpec {
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Absent: `echo` answers.
    pub model: Option<Vec<Value>>,
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub before: Vec<PauseAction>,
}

/// What the suite does while the driver waits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseAction {
    pub call: Option<String>,
    #[serde(default)]
    pub with: Value,
    #[serde(default)]
    pub kill: bool,
    #[serde(default)]
    pub stop: bool,
    #[serde(default)]
    pub start: bool,
    #[serde(default)]
    pub release: bool,
    pub model_calls: Option<usize>,
}

/// What the scripted server must have been asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCall {
    pub method: String,
    #[serde(default = "anything")]
    pub request: Value,
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// Absent: it is not looked at. Null: there is none.
    #[serde(default = "anything")]
    pub deadline: Value,
    pub waited: Option<f64>,
    #[serde(default)]
    pub hung_up: bool,
}

/// Matches each object, and stands for what is not looked at.
fn anything() -> Value {
    Value::Object(Map::new())
}

/// All scenarios of a folder, in the order of the files' names.
///
/// # Panics
/// Where a file cannot be read, or two scenarios share a name.
#[must_use]
pub fn load(folder: &Path) -> Vec<Scenario> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut scenarios: Vec<Scenario> = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let read: Result<Vec<Scenario>, _> = serde_json::from_str(&text);
        for scenario in read.unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
            let (name, known) = (&scenario.name, scenarios.iter().any(|known| known.name == scenario.name));
            assert!(!known, "two scenarios are called {name}");
            let group = path.file_stem().unwrap().to_string_lossy().into_owned() + ".";
            assert!(name.starts_with(&group), "{name} stands in {}", path.display());
            let servers = [scenario.script.is_some(), scenario.dev.is_some(), scenario.production.is_some()];
            assert_eq!(servers.iter().filter(|given| **given).count(), 1, "{name} has one server");
            scenarios.push(scenario);
        }
    }
    scenarios
}

/// Puts values in the place of `{NAME}` in all texts of a JSON value.
pub fn fill(json: &mut Value, values: &BTreeMap<&str, String>) {
    match json {
        Value::String(text) => *text = filled(text, values),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, values)),
        Value::Object(object) => object.values_mut().for_each(|value| fill(value, values)),
        _ => {}
    }
}

#[must_use]
pub fn filled(text: &str, values: &BTreeMap<&str, String>) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_put_into_all_texts() {
        let mut json = json!({"a": ["{server}/x", 1], "b": "{key}{key}"});
        fill(&mut json, &BTreeMap::from([("server", "http://s".to_owned()), ("key", "k".to_owned())]));
        assert_eq!(json, json!({"a": ["http://s/x", 1], "b": "kk"}));
    }
}
