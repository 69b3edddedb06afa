//! What an execution is sent with, and which field is at fault where that cannot be.

use super::{Overrides, VersionConfig};
use crate::error::{Error, Reason, Result, Violation};
use crate::field::{self, shown};
use crate::json::canonical;
use crate::limits;
use crate::model::ModelRef;
use crate::params::Params;
use crate::tool::{self, ResponseFormat, Tool, ToolChoice};

/// What an execution is sent with beside its messages: the request's, over the version's config.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectiveConfig {
    /// The request's, the config's, or the server's default.
    pub model: ModelRef,
    /// The request's over the config's, field by field.
    pub params: Params,
    /// Empty means none.
    pub tools: Vec<Tool>,
    /// Absent means that none is sent.
    pub tool_choice: ToolChoice,
    /// Absent means text.
    pub response_format: Option<ResponseFormat>,
}

impl EffectiveConfig {
    /// Merges a config that passed [`VersionConfig::check`] with overrides that passed [`Overrides::check`]. `default` is
    /// the server's model. INVALID_FIELD where there is no model, or the tool choice has no tools any more, at the field
    /// that caused it; TOO_LARGE above [`limits::CONFIG_BYTES`] in canonical form.
    pub fn merge(config: &VersionConfig, overrides: &Overrides, default: Option<&ModelRef>) -> Result<Self> {
        let mut base = config.clone();
        for path in &overrides.without {
            base.remove(path);
        }
        let own = |tools: &[Tool]| if tools.is_empty() { None } else { Some(tools.to_vec()) };
        let merged = VersionConfig {
            model: overrides.model.clone().or(base.model).or_else(|| default.cloned()),
            params: overrides.params.over(base.params),
            tools: own(&overrides.tools).unwrap_or(base.tools),
            tool_choice: if overrides.tool_choice.is_absent() {
                base.tool_choice
            } else {
                overrides.tool_choice.clone()
            },
            response_format: overrides.response_format.clone().or(base.response_format),
            // It is not sent, and so does not count.
            custom: serde_json::Map::new(),
        };
        if let Some((path, why)) = tool::lacking(&merged.tool_choice, &merged.tools) {
            return Err(overrides.lacking(path, why));
        }
        // Either by itself is within the limit.
        if !config.is_empty() && !overrides.is_empty() {
            field::size("spec.tools", canonical(&merged)?.len(), limits::CONFIG_BYTES)?;
        }
        let VersionConfig { model, params, tools, tool_choice, response_format, custom: _ } = merged;
        let model = model.ok_or_else(|| {
            let problem = "is absent, and this server has no DEFAULT_MODEL; name a provider and a model";
            Error::invalid("model", problem).of_spec()
        })?;
        Ok(Self { model, params, tools, tool_choice, response_format })
    }
}

impl Overrides {
    /// The error for a tool choice that lacks tools: at the choice where the request names it, else at what took the tools.
    fn lacking(&self, path: &str, why: String) -> Error {
        let config = format!("the version's tool_choice{path} {why}; name `tool_choice` in `without` to leave it out");
        let violation = if !self.tool_choice.is_absent() {
            Violation { field: format!("spec.tool_choice{path}"), description: why }
        } else if !self.tools.is_empty() {
            Violation { field: "spec.tools".to_owned(), description: config }
        } else if let Some(i) = self.without.iter().position(|path| path == "tools") {
            Violation { field: format!("spec.without[{i}]"), description: config }
        } else {
            Violation { field: format!("config.tool_choice{path}"), description: why }
        };
        Error::violations(Reason::InvalidField, vec![violation])
    }

    /// An INVALID_FIELD about effective values (paths such as `params.top_k`, `tools[0].strict`, `messages[1].name`), at the
    /// fields that caused it: `spec...` for what the request names; `spec.model` where the request's model does not know
    /// what the version's config has; else `config...`, the version's. Other paths and errors stay as they are.
    #[must_use]
    pub fn blamed(&self, error: Error) -> Error {
        if error.reason() != Reason::InvalidField {
            return error;
        }
        let violations = error.parts().violations.iter().map(|violation| self.caused(violation)).collect();
        Error::violations(Reason::InvalidField, violations)
    }

    fn caused(&self, violation: &Violation) -> Violation {
        let Violation { field, description } = violation;
        let path = setting(field);
        let (field, description) = match self.names(path) {
            None => (field.clone(), description.clone()),
            Some(true) => (format!("spec.{field}"), description.clone()),
            Some(false) => match &self.model {
                None => (format!("config.{field}"), description.clone()),
                Some(model) => {
                    let of = shown(field);
                    let instead = format!("name `{path}` in `without` to leave it out");
                    ("spec.model".to_owned(), format!("is {model}, and the version's {of} {description}; {instead}"))
                }
            },
        };
        Violation { field, description }
    }

    /// Whether the request names what is at this path of a config; `None` where no config has it.
    fn names(&self, path: &str) -> Option<bool> {
        Some(match path {
            "model" => self.model.is_some(),
            "tools" => !self.tools.is_empty(),
            "tool_choice" => !self.tool_choice.is_absent(),
            "response_format" => self.response_format.is_some(),
            path => self.params.has(path.strip_prefix("params.")?),
        })
    }
}

/// The path of a config that the path of a field is at or below.
fn setting(field: &str) -> &str {
    let first = |path: &str| path.find(['.', '[']).unwrap_or(path.len());
    match field.strip_prefix("params.") {
        Some(name) if name.starts_with("extra.") => field,
        Some(name) => &field[.."params.".len() + first(name)],
        None => &field[..first(field)],
    }
}
