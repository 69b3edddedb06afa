//! A bare tonic server, the yardstick of GetPrompt: no key, no cache, no limit; a small request, a response of the
//! given size.

use std::net::SocketAddr;
use std::process::ExitCode;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_server::{AnalyticsService, AnalyticsServiceServer};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use xtask::CommandOutcome;

struct EchoService {
    /// The response to every request.
    answer: v1::QueryUsageResponse,
}

#[tonic::async_trait]
impl AnalyticsService for EchoService {
    async fn get_prompt_analytics(
        &self,
        _: Request<v1::GetPromptAnalyticsRequest>,
    ) -> Result<Response<v1::GetPromptAnalyticsResponse>, Status> {
        Err(Status::unimplemented("the echo echoes QueryUsage"))
    }

    async fn query_usage(&self, _: Request<v1::QueryUsageRequest>) -> Result<Response<v1::QueryUsageResponse>, Status> {
        Ok(Response::new(self.answer.clone()))
    }
}

/// Serves until the process is ended; prints its address.
pub(super) async fn serve(bytes: usize) -> CommandOutcome {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let answer = v1::QueryUsageResponse { next_page_token: "x".repeat(bytes), ..v1::QueryUsageResponse::default() };
    Server::builder()
        .add_service(AnalyticsServiceServer::new(EchoService { answer }))
        .serve_with_incoming(incoming)
        .await?;
    Ok(ExitCode::SUCCESS)
}
