//! Fields of the contract that this server does not offer yet: a request that has one is refused, so that none is ignored.

use prompt_ledger_domain::error::{Error, Reason, Result};
use prompt_ledger_proto::v1::{self, code_prompt, put_prompt_request, render_prompt_request};

/// UNIMPLEMENTED, naming the first of the fields that is set.
fn refuse(fields: &[(&str, bool)]) -> Result<()> {
    match fields.iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((field, _)) => {
            Err(Error::new(Reason::Unimplemented, format!("{field} is not offered by this server yet; leave it out")))
        }
    }
}

pub(super) fn put(sent: &v1::PutPromptRequest) -> Result<()> {
    refuse(&[
        ("chat_template", matches!(sent.template, Some(put_prompt_request::Template::ChatTemplate(_)))),
        ("config", sent.config.is_some()),
        ("labels", !sent.labels.is_empty()),
        ("note", !sent.note.is_empty()),
    ])
}

pub(super) fn code(sent: &[v1::CodePrompt]) -> Result<()> {
    sent.iter().try_for_each(|prompt| {
        refuse(&[
            ("chat_template", matches!(prompt.template, Some(code_prompt::Template::ChatTemplate(_)))),
            ("config", prompt.config.is_some()),
            ("labels", !prompt.labels.is_empty()),
            ("note", !prompt.note.is_empty()),
        ])
    })
}

pub(super) fn render(sent: &v1::RenderPromptRequest) -> Result<()> {
    refuse(&[("draft", matches!(sent.selector, Some(render_prompt_request::Selector::Draft(_))))])
}

pub(super) fn list_prompts(sent: &v1::ListPromptsRequest) -> Result<()> {
    refuse(&[("tag", !sent.tag.is_empty()), ("query", !sent.query.is_empty()), ("label", !sent.label.is_empty())])
}

pub(super) fn list_executions(sent: &v1::ListExecutionsRequest) -> Result<()> {
    refuse(&[
        ("label", !sent.label.is_empty()),
        ("model", sent.model.is_some()),
        ("error_type", !sent.error_type.is_empty()),
        ("mode", sent.mode != 0),
        ("metadata", !sent.metadata.is_empty()),
    ])
}

pub(super) fn get_execution(sent: &v1::GetExecutionRequest) -> Result<()> {
    refuse(&[("wait", sent.wait.is_some())])
}

pub(super) fn put_model(sent: &v1::PutModelRequest) -> Result<()> {
    refuse(&[("capabilities", sent.capabilities.is_some())])
}

pub(super) fn spec(sent: &v1::ExecutionSpec) -> Result<()> {
    let params = sent.params.clone().unwrap_or_default();
    let is_rich = |message: &v1::ChatMessage| {
        let v1::ChatMessage { role: _, content: _, parts, name, tool_calls, tool_call_id } = message;
        !(parts.is_empty() && name.is_empty() && tool_calls.is_empty() && tool_call_id.is_empty())
    };
    refuse(&[
        ("spec.tools", !sent.tools.is_empty()),
        ("spec.tool_choice", sent.tool_choice.is_some()),
        ("spec.response_format", sent.response_format.is_some()),
        ("spec.metadata", !sent.metadata.is_empty()),
        ("spec.without", !sent.without.is_empty()),
        ("spec.params.stop", params.stop.is_some()),
        ("spec.params.seed", params.seed.is_some()),
        ("spec.params.frequency_penalty", params.frequency_penalty.is_some()),
        ("spec.params.presence_penalty", params.presence_penalty.is_some()),
        ("spec.params.reasoning_effort", params.reasoning_effort.is_some()),
        ("spec.params.extra", params.extra.is_some()),
        ("spec.messages beyond role and content", sent.messages.iter().any(is_rich)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_with_a_field_that_is_not_offered_is_refused_by_its_name() {
        let plain = v1::ExecutionSpec { params: Some(v1::ModelParams::default()), ..Default::default() };
        spec(&plain).unwrap();
        let named = v1::ChatMessage { name: "ada".into(), ..Default::default() };
        for (sent, field) in [
            (v1::ExecutionSpec { without: vec!["tools".into()], ..plain.clone() }, "spec.without"),
            (v1::ExecutionSpec { messages: vec![named], ..plain.clone() }, "spec.messages"),
            (
                v1::ExecutionSpec { params: Some(v1::ModelParams { seed: Some(0), ..Default::default() }), ..plain },
                "spec.params.seed",
            ),
        ] {
            let error = spec(&sent).unwrap_err();
            assert_eq!(error.reason(), Reason::Unimplemented);
            assert!(error.to_string().contains(field), "{error}");
        }
        assert!(code(&[v1::CodePrompt { note: "why".into(), ..Default::default() }]).is_err());
        assert!(
            put(&v1::PutPromptRequest { config: Some(v1::VersionConfig::default()), ..Default::default() }).is_err()
        );
    }
}
