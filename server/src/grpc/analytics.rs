//! AnalyticsService: in the contract, not offered yet.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_server::AnalyticsService as Api;
use tonic::{Request, Response, Status};

use super::status::unimplemented;

/// The service on the wire.
pub struct Analytics;

#[tonic::async_trait]
impl Api for Analytics {
    async fn get_prompt_analytics(
        &self,
        _: Request<v1::GetPromptAnalyticsRequest>,
    ) -> Result<Response<v1::GetPromptAnalyticsResponse>, Status> {
        Err(unimplemented("AnalyticsService.GetPromptAnalytics"))
    }

    async fn query_usage(&self, _: Request<v1::QueryUsageRequest>) -> Result<Response<v1::QueryUsageResponse>, Status> {
        Err(unimplemented("AnalyticsService.QueryUsage"))
    }
}
