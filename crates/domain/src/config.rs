//! What a version was tuned with, and what an execution is sent with: the config, and over it what the request names.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result, Violations};
use crate::field::{self, shown};
use crate::json::{canonical, check_object, doubles, object_bytes};
use crate::limits;
use crate::model::ModelRef;
use crate::params::Params;
use crate::tool::{self, ResponseFormat, Tool, ToolChoice};

mod effective;

pub use effective::EffectiveConfig;

/// What a version was tuned with. The default one counts as absent. The serialized form is canonical ProtoJSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VersionConfig {
    /// Absent means the request's, or the server's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
    /// The parameters.
    #[serde(skip_serializing_if = "Params::is_empty")]
    pub params: Params,
    /// At most 128.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Which tools the model is to call.
    #[serde(skip_serializing_if = "ToolChoice::is_absent")]
    pub tool_choice: ToolChoice,
    /// Absent means text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// The owner's: hashed and returned, never sent.
    #[serde(skip_serializing_if = "Map::is_empty", deserialize_with = "doubles")]
    pub custom: Map<String, Value>,
}

impl VersionConfig {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Approximate length in memory, in bytes; 0 where nothing is set.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tool =
            |tool: &Tool| size_of::<Tool>() + tool.name.len() + tool.description.len() + tool.parameters_json.len();
        let format = match &self.response_format {
            Some(ResponseFormat::JsonSchema(schema)) => schema.name.len() + schema.schema_json.len(),
            Some(ResponseFormat::JsonObject {}) | None => 0,
        };
        let tools: usize = self.tools.iter().map(tool).sum();
        tools + format + object_bytes(&self.custom) + object_bytes(&self.params.extra)
    }

    /// Length of the texts of tools and the form of the answer, in bytes; no more than in canonical form.
    fn text_bytes(&self) -> usize {
        let tools = self.tools.iter().map(|tool| tool.name.len() + tool.description.len() + tool.parameters_json.len());
        let format = match &self.response_format {
            Some(ResponseFormat::JsonSchema(schema)) => schema.name.len() + schema.schema_json.len(),
            Some(ResponseFormat::JsonObject {}) | None => 0,
        };
        tools.sum::<usize>() + format
    }

    /// Checks a config at `field`: TOO_LARGE above [`limits::CONFIG_BYTES`] in canonical form, INVALID_FIELD with every
    /// wrong field for all else. Whether its model can do what it asks for is not looked at.
    pub fn check(&self, field: &str) -> Result<()> {
        // First, whatever else is wrong: checking schemas takes time.
        field::size(field, self.text_bytes(), limits::CONFIG_BYTES)?;
        let of = |name: &str| format!("{field}.{name}");
        let mut wrong = Violations::default();
        wrong.keep(self.params.check(&of("params")))?;
        wrong.keep(check_object(&of("custom"), &self.custom))?;
        // A number that is not finite has no canonical form of its own.
        if wrong.kept().is_empty() {
            field::size(field, canonical(self)?.len(), limits::CONFIG_BYTES)?;
        }
        if let Some(model) = &self.model {
            wrong.keep(check_model(&of("model"), model))?;
        }
        let Self { tools, tool_choice, response_format, .. } = self;
        wrong.keep(check_answer(field, tools, tool_choice, response_format.as_ref()))?;
        if let Some((path, why)) = tool::lacking(tool_choice, tools) {
            wrong.add(format!("{field}.tool_choice{path}"), || why);
        }
        wrong.finish(Some(()))
    }

    /// Checks the paths of a config that a request leaves out, at `field`: [`limits::WITHOUT`] at most, each one that a
    /// config can have.
    pub fn check_without(field: &str, without: &[String]) -> Result<()> {
        if without.len() > limits::WITHOUT {
            return Err(Error::invalid(
                field,
                format!("has {} paths; at most {} are allowed", without.len(), limits::WITHOUT),
            ));
        }
        let mut wrong = Violations::default();
        let mut none = Self::default();
        for (i, path) in without.iter().enumerate() {
            if !none.remove(path) {
                let names = "model, params, params.NAME, params.extra.KEY, tools, tool_choice, response_format";
                wrong.add(format!("{field}[{i}]"), || format!("is `{}`; there are {names}", shown(path)));
            }
        }
        wrong.finish(Some(()))
    }

    /// Takes out what is at a path; false where a config has no such path.
    fn remove(&mut self, path: &str) -> bool {
        match path {
            "model" => self.model = None,
            "params" => self.params = Params::default(),
            "tools" => self.tools.clear(),
            "tool_choice" => self.tool_choice = ToolChoice::default(),
            "response_format" => self.response_format = None,
            _ => return path.strip_prefix("params.").is_some_and(|name| self.params.remove(name)),
        }
        true
    }
}

/// Checks the reference to a model at `field`.
pub fn check_model(field: &str, model: &ModelRef) -> Result<()> {
    let mut wrong = Violations::default();
    wrong.keep(field::Name::parse(&format!("{field}.provider"), &model.provider))?;
    wrong.keep(field::token(&format!("{field}.model_name"), model.model_name.clone()))?;
    wrong.finish(Some(()))
}

/// Checks tools, tool choice and the form of the answer, each by itself; `field` is the path of what holds them.
fn check_answer(field: &str, tools: &[Tool], choice: &ToolChoice, format: Option<&ResponseFormat>) -> Result<()> {
    let of = |name: &str| if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
    let mut wrong = Violations::default();
    wrong.keep(tool::check_tools(&of("tools"), tools))?;
    wrong.keep(tool::check_choice(&of("tool_choice"), choice))?;
    if let Some(format) = format {
        wrong.keep(tool::check_format(&of("response_format"), format))?;
    }
    wrong.finish(Some(()))
}

/// What a request names instead of its version's config.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Absent means the config's, or the server's default.
    pub model: Option<ModelRef>,
    /// They win field by field, in `extra` key by key, where null takes a key out.
    pub params: Params,
    /// Empty means the config's.
    pub tools: Vec<Tool>,
    /// Absent means the config's.
    pub tool_choice: ToolChoice,
    /// Absent means the config's.
    pub response_format: Option<ResponseFormat>,
    /// Paths of the config that are left out.
    pub without: Vec<String>,
}

impl Overrides {
    /// Checks each by itself; whether they go with the config, [`EffectiveConfig::merge`] says. INVALID_FIELD names every
    /// wrong field by its path in the spec; TOO_LARGE above [`limits::CONFIG_BYTES`] in canonical form.
    pub fn check(&self) -> Result<()> {
        if !(self.tools.is_empty() && self.response_format.is_none()) {
            field::size("tools", self.as_config().text_bytes(), limits::CONFIG_BYTES)?;
        }
        let mut wrong = Violations::default();
        wrong.keep(self.params.check("params"))?;
        let is_small = self.tools.is_empty() && self.response_format.is_none() && self.params.extra.is_empty();
        if !is_small && wrong.kept().is_empty() {
            field::size("tools", canonical(&self.as_config())?.len(), limits::CONFIG_BYTES)?;
        }
        wrong.keep(check_answer("", &self.tools, &self.tool_choice, self.response_format.as_ref()))?;
        wrong.keep(VersionConfig::check_without("without", &self.without))?;
        wrong.finish(Some(()))
    }

    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn as_config(&self) -> VersionConfig {
        VersionConfig {
            model: self.model.clone(),
            params: self.params.clone(),
            tools: self.tools.clone(),
            tool_choice: self.tool_choice.clone(),
            response_format: self.response_format.clone(),
            custom: Map::new(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
