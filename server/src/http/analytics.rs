//! Figures.

use prompt_ledger_domain::Result;
use prompt_ledger_proto::v1;

use super::Api;
use super::call::{Call, Reply, bounded};
use super::types::usage::{AnalyticsJson, AnalyticsQuery, UsagePageJson, UsageQuery};

pub(super) async fn prompts(api: Api, call: Call, query: AnalyticsQuery) -> Result<Reply<AnalyticsJson>> {
    let sent = v1::GetPromptAnalyticsRequest {
        mode: query.mode.wire(),
        start_time: query.start.map(|at| at.0),
        end_time: query.end.map(|at| at.0),
    };
    Ok(AnalyticsJson::from(api.analytics.overview(&call.caller, &sent).await?).into())
}

pub(super) async fn usage(api: Api, call: Call, query: UsageQuery) -> Result<Reply<UsagePageJson>> {
    let sent = bounded("/promptledger.v1.AnalyticsService/QueryUsage", query.wire()?)?;
    Ok(UsagePageJson::from(api.analytics.usage(&call.caller, sent).await?).into())
}
