use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, Stream, StreamExt as _};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use tonic::Status;

use crate::call_preparation::Connection;
use crate::error::WatchError;
use crate::following::{MessageStream, OpenStream, WatchTimeouts, events, follow};
use crate::tailer::Tailer;
use crate::update::TailUpdate;

/// A stream of what happens to all executions that match; it ends only after an error. Broken connections and server
/// restarts cause a delay and no error; what changed meanwhile arrives as [`TailUpdate::Found`].
pub struct Tail(BoxStream<'static, Result<TailUpdate, WatchError>>);

impl Tail {
    pub(crate) fn of(connection: Connection, filter: v1::WatchExecutionsRequest, pace: WatchTimeouts) -> Self {
        Self(follow(connection, Tailer::new(filter), pace))
    }

    /// The next update; `None` after an error. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<TailUpdate, WatchError>> {
        self.0.next().await
    }
}

impl Stream for Tail {
    type Item = Result<TailUpdate, WatchError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tail")
    }
}

impl OpenStream for Tailer {
    fn call(&self) -> &'static str {
        "executions.watch_executions"
    }

    fn open(&self, connection: Connection) -> BoxFuture<'static, Result<MessageStream<v1::ExecutionEvent>, Status>> {
        let mut executions = ExecutionServiceClient::new(connection);
        let request = self.ask();
        async move { executions.watch_executions(request).await.map(|answer| events(answer, |message| message.event)) }
            .boxed()
    }
}
