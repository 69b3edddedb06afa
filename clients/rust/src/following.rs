//! The I/O of a watch: opens streams, reads them and waits, as its machine decides.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use futures::{TryStreamExt as _, future};
use prompt_ledger_proto::v1;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Response, Status};

use crate::LOG;
use crate::call_preparation::Connection;
use crate::error::WatchError;
use crate::machine::{Machine, NextStep, StreamReader};
use crate::retry::{RetryMoment, RetryWindow, StreamFailure};
use crate::trace_context::CallerSpan;

pub(crate) type MessageStream<M> = BoxStream<'static, Result<M, Status>>;

/// Opens the stream that a reader needs next.
pub(crate) trait OpenStream: StreamReader {
    /// The name of the call that opens it, for the log.
    fn call(&self) -> &'static str;

    fn open(&self, connection: Connection) -> BoxFuture<'static, Result<MessageStream<Self::Message>, Status>>;
}

/// For how long a watch retries, and how long a stream may be silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WatchTimeouts {
    pub(crate) patience: Duration,
    pub(crate) silence: Duration,
}

struct Following<R: StreamReader> {
    connection: Connection,
    machine: Machine<R>,
    silence: Duration,
    /// The span that its streams are opened for.
    caller: CallerSpan,
    began: Instant,
    messages: Option<MessageStream<R::Message>>,
    /// When the next stream may be opened; absent while there is one.
    opens_at: Option<Instant>,
    over: bool,
}

/// The updates of a reader, until its end or the first error. All its streams are opened for the span that is current now.
pub(crate) fn follow<R>(
    connection: Connection,
    reader: R,
    pace: WatchTimeouts,
) -> BoxStream<'static, Result<R::Update, WatchError>>
where
    R: OpenStream + Send + 'static,
    R::Update: Send,
    R::Message: Send + 'static,
{
    let following = Following {
        connection,
        machine: Machine::new(reader, RetryWindow::new(pace.patience)),
        silence: pace.silence,
        caller: CallerSpan::current(),
        began: Instant::now(),
        messages: None,
        opens_at: None,
        over: false,
    };
    let updates = stream::unfold(following, |mut following| async move {
        let update = following.next().await?;
        Some((update, following))
    });
    updates.boxed()
}

impl<R: OpenStream> Following<R> {
    async fn next(&mut self) -> Option<Result<R::Update, WatchError>> {
        loop {
            if let Some(update) = self.machine.updates.pop_front() {
                return Some(Ok(update));
            }
            if self.over {
                return None;
            }
            if let Some(opens_at) = self.opens_at {
                sleep_until(opens_at).await;
                self.opens_at = None;
            }
            let heard = self.hear().await;
            let moment = RetryMoment { now: self.began.elapsed(), chance: chance() };
            let next = match heard {
                Ok(None) => Ok(NextStep::Read),
                Ok(Some(message)) => self.machine.took(message, moment),
                Err(failure) => self.machine.failed(failure, moment),
            };
            match next {
                Ok(NextStep::Read) => {}
                Ok(NextStep::OpenStream(delay)) => {
                    let call = self.machine.reader.call();
                    tracing::info!(target: LOG, call, ?delay, "a stream broke, and another is opened");
                    (self.messages, self.opens_at) = (None, Some(Instant::now() + delay));
                }
                Ok(NextStep::Over) => (self.messages, self.over) = (None, true),
                Err(error) => {
                    (self.messages, self.over) = (None, true);
                    return Some(Err(error));
                }
            }
        }
    }

    /// The next message; absent where a stream has just been opened.
    async fn hear(&mut self) -> Result<Option<R::Message>, StreamFailure> {
        let Some(messages) = &mut self.messages else {
            let opening = self.caller.around(self.machine.reader.open(self.connection.clone()));
            self.messages = Some(timeout(self.silence, opening).await.map_err(|_| StreamFailure::Silent)??);
            self.machine.opened();
            return Ok(None);
        };
        let message = timeout(self.silence, messages.next()).await.map_err(|_| StreamFailure::Silent)?;
        Ok(Some(message.ok_or(StreamFailure::Cut)??))
    }
}

/// The events in the messages of a stream.
pub(crate) fn events<M: Send + 'static>(
    answer: Response<tonic::Streaming<M>>,
    event: impl Fn(M) -> Option<v1::ExecutionEvent> + Send + 'static,
) -> MessageStream<v1::ExecutionEvent> {
    answer.into_inner().try_filter_map(move |message| future::ready(Ok(event(message)))).boxed()
}

/// A random number from 0 to 1. Where the system provides none it is 0: retries are then not spread.
pub(crate) fn chance() -> f64 {
    f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX)
}
