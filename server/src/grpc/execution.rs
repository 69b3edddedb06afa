//! ExecutionService.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use futures::{Stream, stream};
use prompt_ledger_domain::execution as domain;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_server::ExecutionService as Api;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::convert::{event, execution, known, required, spec};
use super::deadline::Deadline;
use super::{Page, answer, status, taken};
use crate::service::execution::{Patience, Streamed};
use crate::service::{Caller, ExecutionService};
use crate::watch::{FilteredFeed, Read, Watcher};

/// The service on the wire.
pub struct Execution {
    /// What it does.
    pub service: Arc<ExecutionService>,
}

impl Execution {
    async fn get(&self, caller: &Caller, sent: v1::GetExecutionRequest) -> Result<v1::GetExecutionResponse> {
        let id = ExecutionId::parse("execution_id", &sent.execution_id)?;
        let mut found = self.service.get(caller, id).await?;
        if known::<v1::ExecutionView>("view", sent.view)? == v1::ExecutionView::Basic {
            found.texts = None;
        }
        Ok(v1::GetExecutionResponse { execution: Some(execution::execution(found)) })
    }

    async fn list(&self, caller: &Caller, sent: v1::ListExecutionsRequest) -> Result<v1::ListExecutionsResponse> {
        let full = known::<v1::ExecutionView>("view", sent.view)? == v1::ExecutionView::Full;
        let filter = execution::filter(&sent)?;
        let shape = format!("{filter:?}");
        let scope = ["executions", &caller.project.name, &shape];
        let page = Page::new(&scope, sent.page_size, &sent.page_token)?;
        let fetch = async |after: Option<String>, limit| {
            let before = after.as_deref().map(cursor).transpose()?;
            let found = self.service.list(caller, &filter, before, limit, full).await?;
            let row = |found: domain::Execution| {
                let key = format!("{} {}", found.created_at.0, found.id);
                (execution::execution(found), key)
            };
            Ok(found.into_iter().map(row).collect())
        };
        let bytes = |(row, _): &(v1::Execution, String)| prost::Message::encoded_len(row);
        let (rows, next_page_token) = page.read(fetch, bytes, |(_, key)| key.clone()).await?;
        Ok(v1::ListExecutionsResponse { executions: rows.into_iter().map(|(row, _)| row).collect(), next_page_token })
    }
}

/// The place in a list that a token's key names.
fn cursor(key: &str) -> Result<(Timestamp, ExecutionId)> {
    let (at, id) = key.split_once(' ').ok_or_else(|| Error::internal("a page token's key has no id"))?;
    Ok((Timestamp(at.parse().map_err(Error::internal)?), ExecutionId::parse("page_token", id)?))
}

/// What a watcher sends; `held` is dropped with the stream.
fn events<T: Send>(
    watcher: Watcher,
    held: T,
    reused: bool,
) -> impl Stream<Item = Result<v1::ExecutionEvent, Status>> + Send {
    stream::unfold((watcher, held), move |(mut watcher, held)| async move {
        let message = watcher.next().await?;
        let event = message.map(|message| event::message(watcher.id(), message, reused)).map_err(status::status);
        Some((event, (watcher, held)))
    })
}

/// What a feed sends.
fn feed_events(feed: FilteredFeed) -> impl Stream<Item = Result<v1::ExecutionEvent, Status>> + Send {
    stream::unfold(feed, |mut feed| async move {
        let message = feed.next().await?;
        Some((message.map(event::feed).map_err(status::status), feed))
    })
}

/// The answers of a stream: it is noted when it is read, and it ends by the caller's deadline in our words.
fn answers<T>(
    read: Read,
    deadline: Option<Deadline>,
    events: impl Stream<Item = Result<v1::ExecutionEvent, Status>> + Send + 'static,
    answer: fn(v1::ExecutionEvent) -> T,
) -> Events<T>
where
    T: 'static,
{
    let mut events = Box::pin(events);
    let mut over = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline.answer_by)));
    let mut ended = false;
    Box::pin(stream::poll_fn(move |cx| {
        read.now();
        if ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(event) = events.as_mut().poll_next(cx) {
            return Poll::Ready(event.map(|event| event.map(answer)));
        }
        let Some(over) = &mut over else { return Poll::Pending };
        ready!(over.as_mut().poll(cx));
        ended = true;
        Poll::Ready(Some(Err(status::status(status::deadline_exceeded()))))
    }))
}

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Api for Execution {
    async fn run_execution(
        &self,
        request: Request<v1::RunExecutionRequest>,
    ) -> Result<Response<v1::RunExecutionResponse>, Status> {
        let deadline = request.extensions().get::<Deadline>().map(|deadline| deadline.stop_by);
        let (caller, sent) = taken(request)?;
        let hung_up = CancellationToken::new();
        // tonic drops this future when the caller goes away.
        let _guard = hung_up.clone().drop_guard();
        let run = async {
            let spec = spec::spec(required("spec", sent.spec)?);
            let patience = Patience { deadline, hung_up, connection: None };
            self.service.run(&caller, spec, Mode::Full, patience).await
        };
        answer(run.await.map(|ran| v1::RunExecutionResponse {
            execution: Some(execution::execution(ran.execution)),
            reused: ran.reused,
        }))
    }

    async fn get_execution(
        &self,
        request: Request<v1::GetExecutionRequest>,
    ) -> Result<Response<v1::GetExecutionResponse>, Status> {
        let (caller, sent) = taken(request)?;
        answer(self.get(&caller, sent).await)
    }

    async fn list_executions(
        &self,
        request: Request<v1::ListExecutionsRequest>,
    ) -> Result<Response<v1::ListExecutionsResponse>, Status> {
        let (caller, sent) = taken(request)?;
        answer(self.list(&caller, sent).await)
    }

    async fn submit_execution(
        &self,
        request: Request<v1::SubmitExecutionRequest>,
    ) -> Result<Response<v1::SubmitExecutionResponse>, Status> {
        let (caller, sent) = taken(request)?;
        let submit = async {
            let spec = spec::spec(required("spec", sent.spec)?);
            self.service.submit(&caller, spec, Mode::Full).await
        };
        answer(submit.await.map(|submitted| v1::SubmitExecutionResponse {
            execution_id: submitted.id.to_string(),
            status: execution::status(submitted.status).into(),
            reused: submitted.reused,
        }))
    }

    async fn cancel_execution(
        &self,
        request: Request<v1::CancelExecutionRequest>,
    ) -> Result<Response<v1::CancelExecutionResponse>, Status> {
        let (caller, sent) = taken(request)?;
        let cancel = async {
            let id = ExecutionId::parse("execution_id", &sent.execution_id)?;
            self.service.cancel(&caller, id, sent.reason).await
        };
        let canceled = cancel.await;
        answer(canceled.map(|found| v1::CancelExecutionResponse { execution: Some(execution::execution(found)) }))
    }

    async fn verify_execution(
        &self,
        _: Request<v1::VerifyExecutionRequest>,
    ) -> Result<Response<v1::VerifyExecutionResponse>, Status> {
        Err(status::unimplemented("ExecutionService.VerifyExecution"))
    }

    type StreamExecutionStream = Events<v1::StreamExecutionResponse>;

    async fn stream_execution(
        &self,
        request: Request<v1::StreamExecutionRequest>,
    ) -> Result<Response<Self::StreamExecutionStream>, Status> {
        let deadline = request.extensions().get::<Deadline>().copied();
        let connection = request.remote_addr();
        let (caller, sent) = taken(request)?;
        let hung_up = CancellationToken::new();
        // Moves into the stream, which tonic drops when the caller goes away.
        let guard = hung_up.clone().drop_guard();
        let stream = async {
            let spec = spec::spec(required("spec", sent.spec)?);
            let patience = Patience { deadline: deadline.map(|deadline| deadline.stop_by), hung_up, connection };
            self.service.stream(&caller, spec, Mode::Full, &patience).await
        };
        answer(stream.await.map(|Streamed { watcher, reused }| {
            let read = watcher.pace().read();
            let answer = |event| v1::StreamExecutionResponse { event: Some(event) };
            answers(read, deadline, events(watcher, guard, reused), answer)
        }))
    }

    type WatchExecutionStream = Events<v1::WatchExecutionResponse>;

    async fn watch_execution(
        &self,
        request: Request<v1::WatchExecutionRequest>,
    ) -> Result<Response<Self::WatchExecutionStream>, Status> {
        let (deadline, connection) = (request.extensions().get::<Deadline>().copied(), request.remote_addr());
        let (caller, sent) = taken(request)?;
        let watch = async {
            let id = ExecutionId::parse("execution_id", &sent.execution_id)?;
            self.service.watch(&caller, id, event::cursor(sent.after_sequence)?, connection).await
        };
        answer(watch.await.map(|watcher| {
            let read = watcher.pace().read();
            let answer = |event| v1::WatchExecutionResponse { event: Some(event) };
            answers(read, deadline, events(watcher, (), false), answer)
        }))
    }

    type WatchExecutionsStream = Events<v1::WatchExecutionsResponse>;

    async fn watch_executions(
        &self,
        request: Request<v1::WatchExecutionsRequest>,
    ) -> Result<Response<Self::WatchExecutionsStream>, Status> {
        let (deadline, connection) = (request.extensions().get::<Deadline>().copied(), request.remote_addr());
        let (caller, sent) = taken(request)?;
        let feed = event::wanted(&caller, sent).and_then(|wanted| self.service.watch_all(&caller, wanted, connection));
        answer(feed.map(|feed| {
            let read = feed.pace().read();
            let answer = |event| v1::WatchExecutionsResponse { event: Some(event) };
            answers(read, deadline, feed_events(feed), answer)
        }))
    }
}
