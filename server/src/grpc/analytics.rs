//! AnalyticsService.

use std::sync::Arc;

use prompt_ledger_domain::{Result, page};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_server::AnalyticsService as Api;
use tonic::{Request, Response, Status};

use super::convert::usage;
use super::{into_parts, respond};
use crate::service::{AnalyticsService, Caller, PageReader};

pub struct AnalyticsApi {
    pub service: Arc<AnalyticsService>,
}

impl AnalyticsApi {
    pub(crate) async fn overview(
        &self,
        caller: &Caller,
        sent: &v1::GetPromptAnalyticsRequest,
    ) -> Result<v1::GetPromptAnalyticsResponse> {
        let overview = self.service.overview(caller, &usage::overview_filter(sent)?).await?;
        Ok(usage::overview(&overview))
    }

    pub(crate) async fn usage(&self, caller: &Caller, sent: v1::QueryUsageRequest) -> Result<v1::QueryUsageResponse> {
        let split = usage::split(&sent.group_by, sent.bucket, sent.utc_offset)?;
        let filter = usage::filter(sent.filters.unwrap_or_default())?;
        let (shape, filtered) = (format!("{split:?}"), format!("{filter:?}"));
        let asked =
            PageReader::new(&["usage", &caller.project.name, &shape, &filtered], sent.page_size, &sent.page_token)?;
        let fetch = async |after: Option<String>, limit| {
            let after = after.map(|key| usage::place(&key, split).ok_or_else(page::foreign)).transpose()?;
            self.service.usage(caller, &filter, split, after.as_ref(), limit).await
        };
        let (rows, next_page_token) = asked.read_at_once(fetch, |row| usage::cursor(&row.key)).await?;
        let rows = rows.into_iter().map(|row| usage::row(row, &filter, split)).collect();
        Ok(v1::QueryUsageResponse { rows, next_page_token })
    }
}

#[tonic::async_trait]
impl Api for AnalyticsApi {
    async fn get_prompt_analytics(
        &self,
        request: Request<v1::GetPromptAnalyticsRequest>,
    ) -> Result<Response<v1::GetPromptAnalyticsResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.overview(&caller, &sent).await)
    }

    async fn query_usage(
        &self,
        request: Request<v1::QueryUsageRequest>,
    ) -> Result<Response<v1::QueryUsageResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.usage(&caller, sent).await)
    }
}
