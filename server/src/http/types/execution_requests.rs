//! Queries and small bodies of the requests about executions.

use std::collections::BTreeMap;

use prompt_ledger_domain::{Error, Result};
use prompt_ledger_proto::v1;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::time::{TimeJson, length};
use super::words::{ExecutionModeWord, ExecutionStatusWord, ViewWord, WireWord};
use crate::http::query::Words;

/// How to read an execution.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExecutionQuery {
    /// How long to wait for its end, in milliseconds; at most 60,000.
    pub(crate) wait_ms: Option<u64>,
    /// Absent: full.
    #[param(inline)]
    pub(crate) view: Option<ViewWord>,
}

/// The longest that a read waits for an end, in milliseconds.
const MOST_WAIT: u64 = 60_000;

impl ExecutionQuery {
    pub(crate) fn wire(self, execution_id: String) -> Result<v1::GetExecutionRequest> {
        if let Some(wait) = self.wait_ms.filter(|wait| *wait > MOST_WAIT) {
            return Err(Error::invalid("wait_ms", format!("is {wait}; at most {MOST_WAIT} are allowed")));
        }
        Ok(v1::GetExecutionRequest {
            execution_id,
            view: self.view.map_or(v1::ExecutionView::Full.into(), ViewWord::wire),
            wait: self.wait_ms.map(length),
        })
    }
}

/// Which executions. `metadata.KEY=VALUE` filters by an entry of their metadata.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExecutionsQuery {
    pub(crate) prompt_name: String,
    /// Needs `prompt_name`.
    pub(crate) version_number: Option<i32>,
    /// Only executions that named this label.
    pub(crate) label: String,
    /// One or several, separated by commas.
    #[param(value_type = Option<String>)]
    pub(crate) status: Words<ExecutionStatusWord>,
    pub(crate) environment: String,
    pub(crate) correlation_id: String,
    pub(crate) provider: Option<String>,
    /// Needs `provider`.
    pub(crate) model_name: Option<String>,
    pub(crate) error_type: String,
    #[param(inline)]
    pub(crate) mode: Option<ExecutionModeWord>,
    /// Only executions created at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) since: Option<TimeJson>,
    /// Only executions created before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) until: Option<TimeJson>,
    /// Absent: basic.
    #[param(inline)]
    pub(crate) view: Option<ViewWord>,
    /// 1 to 500; 0: 50.
    pub(crate) page_size: i32,
    pub(crate) page_token: String,
    /// The parameters `metadata.KEY`.
    #[serde(skip)]
    #[param(style = DeepObject, value_type = Option<Object>)]
    pub(crate) metadata: BTreeMap<String, String>,
}

impl ExecutionsQuery {
    pub(crate) fn wire(self) -> Result<v1::ListExecutionsRequest> {
        Ok(v1::ListExecutionsRequest {
            prompt_name: self.prompt_name,
            version_number: self.version_number,
            statuses: self.status.0.into_iter().map(ExecutionStatusWord::wire).collect(),
            environment: self.environment,
            correlation_id: self.correlation_id,
            start_time: self.since.map(|at| at.0),
            end_time: self.until.map(|at| at.0),
            view: self.view.map_or(0, ViewWord::wire),
            page_size: self.page_size,
            page_token: self.page_token,
            label: self.label,
            model: model(self.provider, self.model_name)?,
            error_type: self.error_type,
            mode: self.mode.map_or(0, ExecutionModeWord::wire),
            metadata: self.metadata.into_iter().collect(),
        })
    }
}

/// The model to filter by; INVALID_FIELD for a model without its provider.
pub(crate) fn model(provider: Option<String>, model_name: Option<String>) -> Result<Option<v1::ModelRef>> {
    match (provider, model_name) {
        (None, None) => Ok(None),
        (Some(provider), model_name) => Ok(Some(v1::ModelRef { provider, model_name: model_name.unwrap_or_default() })),
        (None, Some(_)) => Err(Error::invalid("provider", "is missing; send it beside `model_name`")),
    }
}

/// Why to cancel.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CancelExecution)]
pub(crate) struct CancelBody {
    pub(crate) reason: Option<String>,
}
