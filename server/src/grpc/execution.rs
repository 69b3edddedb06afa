//! ExecutionService.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use prompt_ledger_domain::execution as domain;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Error, Result, Timestamp, page};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_server::ExecutionService as Api;
use prompt_ledger_store::{ListPosition, Walked};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::convert::time::{length, timestamp};
use super::convert::{event, execution, known, spec};
use super::deadline::Deadline;
use super::inline_call::{inline_call, told};
use super::streaming::{ResponseStream, about_all, about_one, messages};
use super::{into_parts, respond, status};
use crate::front::answers::Turn;
use crate::service::{Caller, ExecutionService, PageReader};

/// The longest that GetExecution waits for an end.
const MOST_WAIT: Duration = Duration::from_secs(60);

pub struct ExecutionApi {
    pub service: Arc<ExecutionService>,
}

impl ExecutionApi {
    /// `deadline` is the caller's own, `turn` that of the call as a large read.
    pub(crate) async fn get(
        &self,
        caller: &Caller,
        sent: v1::GetExecutionRequest,
        deadline: Option<Deadline>,
        turn: &Turn,
    ) -> Result<v1::GetExecutionResponse> {
        let id = ExecutionId::parse("execution_id", &sent.execution_id)?;
        let wait = sent.wait.map(|wait| length("wait", wait)).transpose()?.unwrap_or_default();
        if wait > MOST_WAIT {
            return Err(Error::invalid("wait", format!("is {wait:?}; at most {} s are allowed", MOST_WAIT.as_secs())));
        }
        if !wait.is_zero() {
            let until = Instant::now() + wait;
            let until = deadline.map_or(until, |deadline| until.min(deadline.stop_by));
            turn.given_away(self.service.wait_for_end(caller.project.id, id, until)).await?;
        }
        // With the turn: no more executions are in memory than there are turns.
        let mut found = self.service.reader.get(caller.project.id, id).await?;
        if known::<v1::ExecutionView>("view", sent.view)? == v1::ExecutionView::Basic {
            found.texts = None;
        }
        let execution = self.converted(caller, vec![found]).await?.pop();
        Ok(v1::GetExecutionResponse { execution })
    }

    pub(crate) async fn list(
        &self,
        caller: &Caller,
        sent: v1::ListExecutionsRequest,
    ) -> Result<v1::ListExecutionsResponse> {
        let full = known::<v1::ExecutionView>("view", sent.view)? == v1::ExecutionView::Full;
        let filter = execution::filter(&sent)?;
        let shape = format!("{filter:?}");
        let scope = ["executions", &caller.project.name, &shape];
        let asked = PageReader::new(&scope, sent.page_size, &sent.page_token)?;
        let fetch = async |after: Option<String>, limit| {
            let before = after.as_deref().map(|key| cursor(key).ok_or_else(page::foreign)).transpose()?;
            let found = self.service.list(caller, &filter, before, limit, full).await?;
            let key = |(at, id): ListPosition| format!("{} {id}", at.0);
            let keys: Vec<_> = found.rows.iter().map(|row| key((row.created_at, row.id))).collect();
            let rows = self.converted(caller, found.rows).await?.into_iter().zip(keys).collect();
            Ok(Walked { rows, stopped: found.stopped.map(key) })
        };
        let bytes = |(row, _): &(v1::Execution, String)| prost::Message::encoded_len(row);
        let (rows, next_page_token) = asked.walk(fetch, bytes, |(_, key)| key.clone()).await?;
        Ok(v1::ListExecutionsResponse { executions: rows.into_iter().map(|(row, _)| row).collect(), next_page_token })
    }
}

impl ExecutionApi {
    /// Puts an execution of a prompt of this mode into the queue.
    pub(crate) async fn submit(
        &self,
        caller: &Caller,
        sent: Option<v1::ExecutionSpec>,
        mode: Mode,
    ) -> Result<v1::SubmitExecutionResponse> {
        let spec = spec::spec(&self.service.cpu, caller, sent).await?;
        let submitted = self.service.submit(caller, spec, mode).await?;
        Ok(v1::SubmitExecutionResponse {
            execution_id: submitted.execution.id.to_string(),
            status: execution::status(submitted.execution.status).into(),
            reused: submitted.reused,
            prompt_name: submitted.execution.prompt_name,
            version_number: submitted.execution.version_number,
            created_at: Some(timestamp(submitted.execution.created_at)),
        })
    }

    pub(crate) async fn cancel(
        &self,
        caller: &Caller,
        sent: v1::CancelExecutionRequest,
    ) -> Result<v1::CancelExecutionResponse> {
        let id = ExecutionId::parse("execution_id", &sent.execution_id)?;
        let found = self.service.cancel(caller, id, sent.reason).await?;
        Ok(v1::CancelExecutionResponse { execution: Some(execution::execution(found)) })
    }

    pub(crate) async fn verify(
        &self,
        caller: &Caller,
        sent: v1::VerifyExecutionRequest,
    ) -> Result<v1::VerifyExecutionResponse> {
        let id = ExecutionId::parse("execution_id", &sent.execution_id)?;
        let (found, version, came_out) = self.service.verify(caller, id).await?;
        Ok(execution::verified(found.id, version, came_out))
    }

    pub(crate) async fn watch(
        &self,
        caller: &Caller,
        sent: &v1::WatchExecutionRequest,
        deadline: Option<Deadline>,
        connection: Option<SocketAddr>,
    ) -> Result<impl Stream<Item = Result<v1::ExecutionEvent>> + Send + use<>> {
        let id = ExecutionId::parse("execution_id", &sent.execution_id)?;
        let watch = self.service.watch(caller, id, event::cursor(sent.after_sequence)?, connection).await?;
        Ok(about_one(watch, (), false, deadline))
    }

    pub(crate) async fn watch_all(
        &self,
        caller: &Caller,
        sent: v1::WatchExecutionsRequest,
        deadline: Option<Deadline>,
        connection: Option<SocketAddr>,
    ) -> Result<impl Stream<Item = Result<v1::ExecutionEvent>> + Send + use<>> {
        let feed = self.service.watch_all(caller, event::wanted(caller, sent)?, connection).await?;
        Ok(about_all(feed, deadline))
    }

    /// Executions as messages; off the runtime where there is much to convert, because variables are parsed from JSON.
    async fn converted(&self, caller: &Caller, found: Vec<domain::Execution>) -> Result<Vec<v1::Execution>> {
        let bytes = found.iter().filter_map(|row| row.texts.as_ref()).map(|texts| texts.variables.len()).sum();
        let convert = || found.into_iter().map(execution::execution).collect();
        self.service.cpu.read(caller.project.id, bytes, convert).await
    }
}

/// The position in a list that a page token's key names, newest first; absent where the key is malformed.
fn cursor(key: &str) -> Option<ListPosition> {
    let (at, id) = key.split_once(' ')?;
    Some((Timestamp(at.parse().ok()?), ExecutionId::parse("page_token", id).ok()?))
}

#[tonic::async_trait]
impl Api for ExecutionApi {
    async fn run_execution(
        &self,
        request: Request<v1::RunExecutionRequest>,
    ) -> Result<Response<v1::RunExecutionResponse>, Status> {
        let (call, sent) = inline_call(request)?;
        let ran = call.run(&self.service, sent.spec, Mode::Full).await.map_err(status::status)?;
        Ok(told(ran, |execution, reused| v1::RunExecutionResponse { execution, reused }))
    }

    type StreamExecutionStream = ResponseStream<v1::StreamExecutionResponse>;

    async fn stream_execution(
        &self,
        request: Request<v1::StreamExecutionRequest>,
    ) -> Result<Response<Self::StreamExecutionStream>, Status> {
        let (call, sent) = inline_call(request)?;
        let message = |event| v1::StreamExecutionResponse { event: Some(event) };
        respond(call.stream(&self.service, sent.spec, Mode::Full).await.map(|events| messages(events, message)))
    }

    async fn submit_execution(
        &self,
        request: Request<v1::SubmitExecutionRequest>,
    ) -> Result<Response<v1::SubmitExecutionResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.submit(&caller, sent.spec, Mode::Full).await)
    }

    async fn get_execution(
        &self,
        request: Request<v1::GetExecutionRequest>,
    ) -> Result<Response<v1::GetExecutionResponse>, Status> {
        let deadline = request.extensions().get::<Deadline>().copied();
        let turn = request.extensions().get::<Turn>().cloned().unwrap_or_default();
        let (caller, sent) = into_parts(request)?;
        respond(self.get(&caller, sent, deadline, &turn).await)
    }

    async fn list_executions(
        &self,
        request: Request<v1::ListExecutionsRequest>,
    ) -> Result<Response<v1::ListExecutionsResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.list(&caller, sent).await)
    }

    async fn cancel_execution(
        &self,
        request: Request<v1::CancelExecutionRequest>,
    ) -> Result<Response<v1::CancelExecutionResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.cancel(&caller, sent).await)
    }

    type WatchExecutionStream = ResponseStream<v1::WatchExecutionResponse>;

    async fn watch_execution(
        &self,
        request: Request<v1::WatchExecutionRequest>,
    ) -> Result<Response<Self::WatchExecutionStream>, Status> {
        let (deadline, connection) = (request.extensions().get::<Deadline>().copied(), request.remote_addr());
        let (caller, sent) = into_parts(request)?;
        let events = self.watch(&caller, &sent, deadline, connection).await;
        let message = |event| v1::WatchExecutionResponse { event: Some(event) };
        respond(events.map(|events| messages(events, message)))
    }

    type WatchExecutionsStream = ResponseStream<v1::WatchExecutionsResponse>;

    async fn watch_executions(
        &self,
        request: Request<v1::WatchExecutionsRequest>,
    ) -> Result<Response<Self::WatchExecutionsStream>, Status> {
        let (deadline, connection) = (request.extensions().get::<Deadline>().copied(), request.remote_addr());
        let (caller, sent) = into_parts(request)?;
        let events = self.watch_all(&caller, sent, deadline, connection).await;
        let message = |event| v1::WatchExecutionsResponse { event: Some(event) };
        respond(events.map(|events| messages(events, message)))
    }

    async fn verify_execution(
        &self,
        request: Request<v1::VerifyExecutionRequest>,
    ) -> Result<Response<v1::VerifyExecutionResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.verify(&caller, sent).await)
    }
}
