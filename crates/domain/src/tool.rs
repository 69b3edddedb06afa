//! Tools that a model may ask to have called, which of them it is to call, and the form of its answer.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, Violations};
use crate::field::{self, shown};
use crate::{limits, schema};

/// A function that the model may ask to have called. Its serialized form is canonical ProtoJSON, as that of all types
/// here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tool {
    /// `[A-Za-z0-9_-]{1,64}`, once in the list.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it does and when to use it, for the model; empty where it is not told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The JSON text of the JSON Schema of the arguments, as it was written; empty means an object without properties.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parameters_json: String,
    /// Whether the provider makes sure that arguments match the schema.
    #[serde(skip_serializing_if = "is_false")]
    pub strict: bool,
}

/// What a model may or must do with tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolRule {
    /// The model decides.
    Auto,
    /// The model calls no tool.
    None,
    /// The model calls at least one tool.
    Required,
    /// The model calls the tool of this name.
    Tool(String),
}

/// Which tools a model is to call. The default one counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ToolChoiceForm", into = "ToolChoiceForm")]
pub struct ToolChoice {
    /// Absent means the provider's default.
    pub rule: Option<ToolRule>,
    /// Whether the model may call several tools at once; absent means the provider's default.
    pub parallel: Option<bool>,
}

impl ToolChoice {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        *self == Self::default()
    }
}

/// A tool choice in ProtoJSON; `name` is the last member of its oneof.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolChoiceForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<ModeWord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parallel: Option<bool>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum ModeWord {
    #[serde(rename = "TOOL_CHOICE_MODE_AUTO")]
    Auto,
    #[serde(rename = "TOOL_CHOICE_MODE_NONE")]
    None,
    #[serde(rename = "TOOL_CHOICE_MODE_REQUIRED")]
    Required,
}

impl From<ToolChoice> for ToolChoiceForm {
    fn from(choice: ToolChoice) -> Self {
        let (mode, name) = match choice.rule {
            None => (None, None),
            Some(ToolRule::Auto) => (Some(ModeWord::Auto), None),
            Some(ToolRule::None) => (Some(ModeWord::None), None),
            Some(ToolRule::Required) => (Some(ModeWord::Required), None),
            Some(ToolRule::Tool(name)) => (None, Some(name)),
        };
        Self { mode, name, parallel: choice.parallel }
    }
}

impl From<ToolChoiceForm> for ToolChoice {
    fn from(form: ToolChoiceForm) -> Self {
        let mode = form.mode.map(|mode| match mode {
            ModeWord::Auto => ToolRule::Auto,
            ModeWord::None => ToolRule::None,
            ModeWord::Required => ToolRule::Required,
        });
        Self { rule: form.name.map(ToolRule::Tool).or(mode), parallel: form.parallel }
    }
}

/// The form that a model answers in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ResponseFormat {
    /// One JSON object, of any form.
    JsonObject {},
    /// JSON that matches a schema.
    JsonSchema(JsonSchema),
}

/// The JSON Schema of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JsonSchema {
    /// `[A-Za-z0-9_-]{1,64}`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The JSON text of the schema, as it was written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub schema_json: String,
    /// Whether the provider makes sure that the answer matches.
    #[serde(skip_serializing_if = "is_false")]
    pub strict: bool,
}

/// What a model is told of its answer: the tools that it may ask for, and the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerRules {
    /// Empty means none.
    pub tools: Vec<Tool>,
    /// Absent means that none is sent.
    pub tool_choice: ToolChoice,
    /// Absent means text.
    pub response_format: Option<ResponseFormat>,
}

impl AnswerRules {
    /// Whether nothing is told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.tool_choice.is_absent() && self.response_format.is_none()
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Checks the name of a tool or a schema: `[A-Za-z0-9_-]{1,64}`.
pub fn check_name(field: &str, name: &str) -> Result<()> {
    let most = limits::TOOL_NAME_BYTES;
    let problem = if name.is_empty() {
        format!("is empty; send 1 to {most} of A-Z a-z 0-9 _ -")
    } else if name.len() > most {
        format!("is {} bytes long; at most {most} are allowed", name.len())
    } else if let Some(bad) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"_-".contains(*c)) {
        format!("`{}` holds {bad:?}; letters, digits, `_` and `-` are allowed", shown(name))
    } else {
        return Ok(());
    };
    Err(Error::invalid(field, problem))
}

/// Checks the tools at `field`: at most [`limits::TOOLS`], each name once, each schema one.
pub fn check_tools(field: &str, tools: &[Tool]) -> Result<()> {
    if tools.len() > limits::TOOLS {
        return Err(Error::invalid(field, format!("are {}; at most {} are allowed", tools.len(), limits::TOOLS)));
    }
    let mut wrong = Violations::default();
    let mut names = HashSet::new();
    for (i, tool) in tools.iter().enumerate() {
        let of = |name: &str| format!("{field}[{i}].{name}");
        wrong.keep(check_name(&of("name"), &tool.name))?;
        if !names.insert(&tool.name) {
            wrong.add(of("name"), || format!("`{}` stands twice; a tool has a name of its own", shown(&tool.name)));
        }
        wrong.keep(field::no_nul(&of("description"), &tool.description))?;
        if !tool.parameters_json.is_empty() {
            wrong.keep(schema::check(&of("parameters_json"), &tool.parameters_json))?;
        }
    }
    wrong.finish(Some(()))
}

/// Checks a tool choice at `field` by itself: the name of a tool, where there is one.
pub fn check_choice(field: &str, choice: &ToolChoice) -> Result<()> {
    match &choice.rule {
        Some(ToolRule::Tool(name)) => check_name(&format!("{field}.name"), name),
        _ => Ok(()),
    }
}

/// What a tool choice lacks among the tools; `None` where it lacks nothing. The path is below the choice.
#[must_use]
pub fn lacking(choice: &ToolChoice, tools: &[Tool]) -> Option<(&'static str, String)> {
    match &choice.rule {
        _ if choice.is_absent() => None,
        Some(ToolRule::Tool(name)) if !tools.iter().any(|tool| tool.name == *name) => {
            Some((".name", format!("is `{}`, and there is no tool of that name", shown(name))))
        }
        _ if tools.is_empty() => Some(("", "is set, and there are no tools".to_owned())),
        _ => None,
    }
}

/// Checks the form of an answer at `field`.
pub fn check_format(field: &str, format: &ResponseFormat) -> Result<()> {
    let ResponseFormat::JsonSchema(of) = format else { return Ok(()) };
    let mut wrong = Violations::default();
    wrong.keep(check_name(&format!("{field}.json_schema.name"), &of.name))?;
    wrong.keep(schema::check(&format!("{field}.json_schema.schema_json"), &of.schema_json))?;
    wrong.finish(Some(()))
}

#[cfg(test)]
mod tests;
