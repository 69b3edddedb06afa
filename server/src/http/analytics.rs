//! Figures.

use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_proto::v1;

use super::Api;
use super::call::{HttpCall, Reply, bounded};
use super::types::usage::{AnalyticsJson, AnalyticsQuery, UsagePageJson, UsageQuery};

pub(super) async fn prompts(api: Arc<Api>, call: HttpCall, query: AnalyticsQuery) -> Result<Reply<AnalyticsJson>> {
    let sent = v1::GetPromptAnalyticsRequest {
        mode: query.mode.wire(),
        start_time: query.start.map(|at| at.0),
        end_time: query.end.map(|at| at.0),
    };
    let overview = api.analytics.overview(&call.caller, &sent).await.map_err(|error| error.renamed(NAMES))?;
    Ok(AnalyticsJson::from(overview).into())
}

pub(super) async fn usage(api: Arc<Api>, call: HttpCall, query: UsageQuery) -> Result<Reply<UsagePageJson>> {
    let sent = bounded("/promptledger.v1.AnalyticsService/QueryUsage", query.wire()?)?;
    let page = api.analytics.usage(&call.caller, sent).await.map_err(|error| error.renamed(NAMES))?;
    Ok(UsagePageJson::from(page).into())
}

/// The names that the fields of the contract have in a query.
const NAMES: &[(&str, &str)] = &[
    ("filters.model", ""),
    ("filters.start_time", "start"),
    ("filters.end_time", "end"),
    ("filters", ""),
    ("start_time", "start"),
    ("end_time", "end"),
    ("utc_offset", "utc_offset_minutes"),
];
