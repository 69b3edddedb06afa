//! What a version was tuned with, and what a spec names instead: model, parameters, tools, form of the answer.

use prompt_ledger_domain::config::{Overrides, VersionConfig};
use prompt_ledger_domain::error::Violations;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::params::Params;
use prompt_ledger_domain::tool::{JsonSchema, ResponseFormat, Tool, ToolChoice, ToolRule};
use prompt_ledger_proto::v1::{self, response_format, tool_choice};

use super::structs;

/// A config at `field`; an absent one is empty. What cannot be converted is noted.
pub fn config(field: &str, sent: Option<v1::VersionConfig>, violations: &mut Violations) -> VersionConfig {
    let v1::VersionConfig { model, params, tools, tool_choice, response_format, custom } = sent.unwrap_or_default();
    let of = |name: &str| format!("{field}.{name}");
    VersionConfig {
        model: model.map(model_ref),
        params: self::params(&of("params"), params, violations),
        tools: tools.into_iter().map(tool).collect(),
        tool_choice: choice(&of("tool_choice"), tool_choice, violations),
        response_format: format(&of("response_format"), response_format, violations),
        custom: structs::free_json(&of("custom"), custom.unwrap_or_default(), violations),
    }
}

/// What a spec names instead of a config. What cannot be converted is noted, with its path in the spec.
pub fn overrides(sent: &mut v1::ExecutionSpec, violations: &mut Violations) -> Overrides {
    Overrides {
        model: sent.model.take().map(model_ref),
        params: params("params", sent.params.take(), violations),
        tools: std::mem::take(&mut sent.tools).into_iter().map(tool).collect(),
        tool_choice: choice("tool_choice", sent.tool_choice.take(), violations),
        response_format: format("response_format", sent.response_format.take(), violations),
        without: std::mem::take(&mut sent.without),
    }
}

fn model_ref(sent: v1::ModelRef) -> ModelRef {
    ModelRef { provider: sent.provider, model_name: sent.model_name }
}

fn params(field: &str, sent: Option<v1::ModelParams>, violations: &mut Violations) -> Params {
    let sent = sent.unwrap_or_default();
    Params {
        temperature: sent.temperature,
        top_k: sent.top_k,
        top_p: sent.top_p,
        repetition_penalty: sent.repetition_penalty,
        max_new_tokens: sent.max_new_tokens,
        stop: sent.stop.map(|stop| stop.values),
        seed: sent.seed,
        frequency_penalty: sent.frequency_penalty,
        presence_penalty: sent.presence_penalty,
        reasoning_effort: sent.reasoning_effort,
        extra: structs::free_json(&format!("{field}.extra"), sent.extra.unwrap_or_default(), violations),
    }
}

fn tool(sent: v1::Tool) -> Tool {
    let v1::Tool { name, description, parameters_json, strict } = sent;
    Tool { name, description, parameters_json, strict }
}

fn choice(field: &str, sent: Option<v1::ToolChoice>, violations: &mut Violations) -> ToolChoice {
    let v1::ToolChoice { choice, parallel } = sent.unwrap_or_default();
    let mut mode = |sent: i32| match v1::ToolChoiceMode::try_from(sent) {
        Ok(v1::ToolChoiceMode::Auto) => Some(ToolRule::Auto),
        Ok(v1::ToolChoiceMode::None) => Some(ToolRule::None),
        Ok(v1::ToolChoiceMode::Required) => Some(ToolRule::Required),
        Ok(v1::ToolChoiceMode::Unspecified) | Err(_) => {
            violations.add(format!("{field}.mode"), || format!("is {sent}; send AUTO, NONE or REQUIRED, or a name"));
            None
        }
    };
    let rule = match choice {
        None => None,
        Some(tool_choice::Choice::Mode(sent)) => mode(sent),
        Some(tool_choice::Choice::Name(name)) => Some(ToolRule::Tool(name)),
    };
    ToolChoice { rule, parallel }
}

fn format(field: &str, sent: Option<v1::ResponseFormat>, violations: &mut Violations) -> Option<ResponseFormat> {
    match sent?.format {
        Some(response_format::Format::JsonObject(v1::JsonObject {})) => Some(ResponseFormat::JsonObject {}),
        Some(response_format::Format::JsonSchema(v1::JsonSchema { name, schema_json, strict })) => {
            Some(ResponseFormat::JsonSchema(JsonSchema { name, schema_json, strict }))
        }
        None => {
            violations.add(field.to_owned(), || "names no form known here; send one, or leave it out".to_owned());
            None
        }
    }
}

/// A config; absent where it is empty.
#[must_use]
pub fn to_config(config: VersionConfig) -> Option<v1::VersionConfig> {
    if config.is_empty() {
        return None;
    }
    let VersionConfig { model, params, tools, tool_choice, response_format, custom } = config;
    Some(v1::VersionConfig {
        model: model.map(to_model_ref),
        params: (!params.is_empty()).then(|| to_params(params)),
        tools: tools.into_iter().map(to_tool).collect(),
        tool_choice: to_choice(tool_choice),
        response_format: response_format.map(to_format),
        custom: (!custom.is_empty()).then(|| structs::from_json(custom)),
    })
}

#[must_use]
pub fn to_model_ref(model: ModelRef) -> v1::ModelRef {
    v1::ModelRef { provider: model.provider, model_name: model.model_name }
}

#[must_use]
pub fn to_params(params: Params) -> v1::ModelParams {
    v1::ModelParams {
        temperature: params.temperature,
        top_k: params.top_k,
        top_p: params.top_p,
        repetition_penalty: params.repetition_penalty,
        max_new_tokens: params.max_new_tokens,
        stop: params.stop.map(|values| v1::StopSequences { values }),
        seed: params.seed,
        frequency_penalty: params.frequency_penalty,
        presence_penalty: params.presence_penalty,
        reasoning_effort: params.reasoning_effort,
        extra: (!params.extra.is_empty()).then(|| structs::from_json(params.extra)),
    }
}

#[must_use]
pub fn to_tool(tool: Tool) -> v1::Tool {
    let Tool { name, description, parameters_json, strict } = tool;
    v1::Tool { name, description, parameters_json, strict }
}

/// A tool choice; absent where it says nothing.
#[must_use]
pub fn to_choice(choice: ToolChoice) -> Option<v1::ToolChoice> {
    if choice.is_absent() {
        return None;
    }
    let choice_of = |rule| match rule {
        ToolRule::Auto => tool_choice::Choice::Mode(v1::ToolChoiceMode::Auto.into()),
        ToolRule::None => tool_choice::Choice::Mode(v1::ToolChoiceMode::None.into()),
        ToolRule::Required => tool_choice::Choice::Mode(v1::ToolChoiceMode::Required.into()),
        ToolRule::Tool(name) => tool_choice::Choice::Name(name),
    };
    Some(v1::ToolChoice { choice: choice.rule.map(choice_of), parallel: choice.parallel })
}

#[must_use]
pub fn to_format(format: ResponseFormat) -> v1::ResponseFormat {
    let format = match format {
        ResponseFormat::JsonObject {} => response_format::Format::JsonObject(v1::JsonObject {}),
        ResponseFormat::JsonSchema(JsonSchema { name, schema_json, strict }) => {
            response_format::Format::JsonSchema(v1::JsonSchema { name, schema_json, strict })
        }
    };
    v1::ResponseFormat { format: Some(format) }
}

#[cfg(test)]
pub(crate) mod tests;
