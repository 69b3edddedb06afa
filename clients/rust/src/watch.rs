use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, Stream, StreamExt as _};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::code_registration_service_client::CodeRegistrationServiceClient;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use tonic::Status;

use crate::call_preparation::Connection;
use crate::error::WatchError;
use crate::follower::{Ask, Follower};
use crate::following::{MessageStream, OpenStream, WatchTimeouts, events, follow};
use crate::machine::{StreamReader, Taken};
use crate::update::Update;

/// A stream of what happens to one execution; it ends after [`Update::Ended`] or after an error. Broken connections and
/// server restarts cause a delay and no error.
pub struct Updates(BoxStream<'static, Result<Update, WatchError>>);

impl Updates {
    pub(crate) fn of(connection: Connection, id: String, cursor: i64, pace: WatchTimeouts) -> Self {
        Self(follow(connection, Watched { follower: Follower::watching(id, cursor), begun: None }, pace))
    }

    pub(crate) fn begin(
        connection: Connection,
        spec: v1::ExecutionSpec,
        mode: v1::PromptMode,
        pace: WatchTimeouts,
    ) -> Self {
        Self(follow(connection, Watched { follower: Follower::streaming(&spec), begun: Some((spec, mode)) }, pace))
    }

    /// The next update; `None` after the end or an error. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Update, WatchError>> {
        self.0.next().await
    }
}

impl Stream for Updates {
    type Item = Result<Update, WatchError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Updates")
    }
}

/// A followed execution.
struct Watched {
    follower: Follower,
    /// The spec that creates it, and the mode of its prompt. Absent where it is known by its id.
    begun: Option<(v1::ExecutionSpec, v1::PromptMode)>,
}

impl StreamReader for Watched {
    type Message = v1::ExecutionEvent;
    type Update = Update;

    fn take(&mut self, event: v1::ExecutionEvent, updates: &mut std::collections::VecDeque<Update>) -> Taken {
        self.follower.take(event, updates)
    }

    fn resumes(&self) -> bool {
        self.follower.resumes()
    }
}

impl OpenStream for Watched {
    fn call(&self) -> &'static str {
        match (self.follower.ask(), &self.begun) {
            (Ask::Watch(..), _) => "executions.watch_execution",
            (Ask::Stream, Some((_, v1::PromptMode::Tracking))) => "code_registration.stream_code_prompt",
            (Ask::Stream, _) => "executions.stream_execution",
        }
    }

    fn open(&self, connection: Connection) -> BoxFuture<'static, Result<MessageStream<v1::ExecutionEvent>, Status>> {
        let mut executions = ExecutionServiceClient::new(connection.clone());
        match self.follower.ask() {
            Ask::Watch(execution_id, after_sequence) => async move {
                let request = v1::WatchExecutionRequest { execution_id, after_sequence };
                executions.watch_execution(request).await.map(|answer| events(answer, |message| message.event))
            }
            .boxed(),
            Ask::Stream => {
                let (spec, mode) = self.begun.clone().unzip();
                if mode == Some(v1::PromptMode::Tracking) {
                    let mut code = CodeRegistrationServiceClient::new(connection);
                    let request = v1::StreamCodePromptRequest { spec };
                    return async move {
                        code.stream_code_prompt(request).await.map(|answer| events(answer, |message| message.event))
                    }
                    .boxed();
                }
                let request = v1::StreamExecutionRequest { spec };
                async move {
                    executions.stream_execution(request).await.map(|answer| events(answer, |message| message.event))
                }
                .boxed()
            }
        }
    }
}
