//! The watch of prompts.

use std::net::SocketAddr;

use futures::Stream;
use prompt_ledger_domain::Result;
use prompt_ledger_proto::v1;

use super::RegistryApi;
use crate::grpc::convert::prompt_event;
use crate::grpc::deadline::Deadline;
use crate::grpc::streaming::about_prompts;
use crate::service::Caller;

impl RegistryApi {
    pub(crate) async fn watch(
        &self,
        caller: &Caller,
        sent: v1::WatchPromptsRequest,
        deadline: Option<Deadline>,
        connection: Option<SocketAddr>,
    ) -> Result<impl Stream<Item = Result<v1::WatchPromptsResponse>> + Send + use<>> {
        let (filter, after) = prompt_event::wanted(sent)?;
        let project = caller.project.id;
        self.registry.follow(project);
        let watch = self.watches.watch(project, caller.key, filter, after, connection).await?;
        Ok(about_prompts(watch, deadline))
    }
}
