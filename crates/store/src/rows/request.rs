//! What an execution is sent with beside its messages: five parameters have columns of their own; all else is JSON, in
//! `executions.settings` where lists show it, in `execution_inputs.request` where only the FULL view does. Both are NULL for
//! an execution that has none of it.

use std::collections::BTreeMap;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::{NewExecution, Params};
use prompt_ledger_domain::tool::{AnswerRules, ResponseFormat, Tool, ToolChoice};
use serde::{Deserialize, Serialize};

use crate::rows as row;
use crate::rows::LedgerRow;

/// `executions.settings`.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct StoredSettings {
    /// All of them, once read; stored are those that have no column.
    #[serde(skip_serializing_if = "Params::is_empty")]
    pub(super) params: Params,
    #[serde(skip_serializing_if = "ToolChoice::is_absent")]
    pub(super) tool_choice: ToolChoice,
    /// The caller's; also in `execution_metadata`, where it is searched.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
}

/// `execution_inputs.request`.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct StoredRequest {
    /// The messages were rendered from a chat.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) rendered_chat: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tools: Vec<Tool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_format: Option<ResponseFormat>,
}

/// The JSON that `settings` reads; `None` for an execution that has nothing of it.
pub fn stored_settings(new: &NewExecution) -> Result<Option<String>> {
    let tool_choice = &new.rules.tool_choice;
    if crate::executions::has_columns(&new.params) && tool_choice.is_absent() && new.metadata.is_empty() {
        return Ok(None);
    }
    let params = Params {
        temperature: None,
        top_k: None,
        top_p: None,
        repetition_penalty: None,
        max_new_tokens: None,
        ..new.params.clone()
    };
    let (tool_choice, metadata) = (tool_choice.clone(), new.metadata.clone());
    row::to_json(&StoredSettings { params, tool_choice, metadata }).map(Some)
}

/// The JSON of `execution_inputs.request`; `None` for an execution that has nothing of it.
pub fn stored_request(new: &NewExecution) -> Result<Option<String>> {
    let AnswerRules { tools, response_format, .. } = &new.rules;
    if !new.is_rendered_chat && tools.is_empty() && response_format.is_none() {
        return Ok(None);
    }
    let stored = StoredRequest {
        rendered_chat: new.is_rendered_chat,
        tools: tools.clone(),
        response_format: response_format.clone(),
    };
    row::to_json(&stored).map(Some)
}

/// The metadata as [`stored_settings`] has it alone, for `execution_metadata`; `None` where there is none.
pub fn stored_metadata(metadata: &BTreeMap<String, String>) -> Result<Option<String>> {
    if metadata.is_empty() { Ok(None) } else { row::to_json(metadata).map(Some) }
}

/// The parameters, the tool choice and the metadata.
pub(super) fn settings<D, R: LedgerRow<D>>(row: &R) -> Result<StoredSettings> {
    let stored = match row.text("settings")? {
        None => StoredSettings::default(),
        Some(_) => row::json(row, "settings")?,
    };
    let params = Params {
        temperature: row::maybe(row, "temperature")?,
        top_k: row::maybe(row, "top_k")?,
        top_p: row::maybe(row, "top_p")?,
        repetition_penalty: row::maybe(row, "repetition_penalty")?,
        max_new_tokens: row::maybe(row, "max_new_tokens")?,
        ..stored.params
    };
    Ok(StoredSettings { params, ..stored })
}

/// What else was sent.
pub(super) fn request<D, R: LedgerRow<D>>(row: &R) -> Result<StoredRequest> {
    match row.text("request")? {
        None => Ok(StoredRequest::default()),
        Some(_) => row::json(row, "request"),
    }
}
