//! The I/O of a watch: opens streams, reads them, waits, as its machine says.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;

use crate::client::Connection;
use crate::error::WatchError;
use crate::machine::{Machine, Next, Reader};
use crate::retry::{Failure, Moment, Patience};

/// A stream of events.
pub(crate) type Events = BoxStream<'static, Result<v1::ExecutionEvent, Status>>;

/// Opens the stream that a reader needs next.
pub(crate) trait Open: Reader {
    fn open(&self, executions: ExecutionServiceClient<Connection>) -> BoxFuture<'static, Result<Events, Status>>;
}

/// How patiently.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) patience: Duration,
    pub(crate) silence: Duration,
}

struct Following<R: Reader> {
    executions: ExecutionServiceClient<Connection>,
    machine: Machine<R>,
    silence: Duration,
    began: Instant,
    events: Option<Events>,
    over: bool,
}

/// What a reader makes of what happens, until its end, or the first error.
pub(crate) fn follow<R>(
    executions: ExecutionServiceClient<Connection>,
    reader: R,
    pace: Pace,
) -> BoxStream<'static, Result<R::Update, WatchError>>
where
    R: Open + Send + 'static,
    R::Update: Send,
{
    let following = Following {
        executions,
        machine: Machine::new(reader, Patience::new(pace.patience)),
        silence: pace.silence,
        began: Instant::now(),
        events: None,
        over: false,
    };
    let updates = stream::unfold(following, |mut following| async move {
        let update = following.next().await?;
        Some((update, following))
    });
    updates.boxed()
}

impl<R: Open> Following<R> {
    async fn next(&mut self) -> Option<Result<R::Update, WatchError>> {
        loop {
            if let Some(update) = self.machine.updates.pop_front() {
                return Some(Ok(update));
            }
            if self.over {
                return None;
            }
            let heard = self.hear().await;
            let moment = Moment { now: self.began.elapsed(), chance: chance() };
            let next = match heard {
                Ok(None) => Ok(Next::Read),
                Ok(Some(event)) => self.machine.took(event, moment),
                Err(failure) => self.machine.failed(failure, moment),
            };
            match next {
                Ok(Next::Read) => {}
                Ok(Next::Open(delay)) => {
                    self.events = None;
                    sleep(delay).await;
                }
                Ok(Next::Over) => (self.events, self.over) = (None, true),
                Err(error) => {
                    (self.events, self.over) = (None, true);
                    return Some(Err(error));
                }
            }
        }
    }

    /// The next event; none where a stream has just been opened.
    async fn hear(&mut self) -> Result<Option<v1::ExecutionEvent>, Failure> {
        let Some(events) = &mut self.events else {
            let opening = self.machine.reader.open(self.executions.clone());
            self.events = Some(timeout(self.silence, opening).await.map_err(|_| Failure::Silent)??);
            self.machine.opened();
            return Ok(None);
        };
        let event = timeout(self.silence, events.next()).await.map_err(|_| Failure::Silent)?;
        Ok(Some(event.ok_or(Failure::Cut)??))
    }
}

/// A random number from 0 to 1. Where the system has none, all clients come back at once: no worse than that.
fn chance() -> f64 {
    f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX)
}
