//! Executions within a call: run to their end, or streamed. Two services do so, each for one mode.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use prompt_ledger_domain::Result;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_proto::v1;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Status};

use super::convert::{event, required, spec};
use super::deadline::Deadline;
use super::{status, taken};
use crate::service::execution::{Patience, Ran, Streamed};
use crate::service::{Caller, ExecutionService};
use crate::watch::Watcher;

/// What a stream about executions is to tonic.
pub(super) type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A call whose caller waits for the model.
pub(super) struct Waiting {
    caller: Arc<Caller>,
    patience: Patience,
    /// tonic drops what holds it when the caller goes away.
    guard: DropGuard,
}

/// A request's caller, as long as it waits, and its message.
pub(super) fn waiting<T>(request: Request<T>) -> Result<(Waiting, T), Status> {
    let deadline = request.extensions().get::<Deadline>().map(|deadline| deadline.stop_by);
    let (caller, sent) = taken(request)?;
    let hung_up = CancellationToken::new();
    let guard = hung_up.clone().drop_guard();
    Ok((Waiting { caller, patience: Patience { deadline, hung_up }, guard }, sent))
}

impl Waiting {
    /// Whose call it is.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Runs an execution of a prompt of this mode to its end.
    pub(super) async fn run(
        self,
        service: &ExecutionService,
        sent: Option<v1::ExecutionSpec>,
        mode: Mode,
    ) -> Result<Ran> {
        let Self { caller, patience, guard: _guard } = self;
        let spec = spec::spec(required("spec", sent)?);
        service.run(&caller, spec, mode, patience).await
    }

    /// Runs an execution of a prompt of this mode, and tells what happens to it.
    pub(super) async fn stream<T>(
        self,
        service: &ExecutionService,
        sent: Option<v1::ExecutionSpec>,
        mode: Mode,
        message: fn(v1::ExecutionEvent) -> T,
    ) -> Result<Events<T>>
    where
        T: 'static,
    {
        let Self { caller, patience, guard } = self;
        let spec = spec::spec(required("spec", sent)?);
        let Streamed { watcher, reused } = service.stream(&caller, spec, mode, &patience).await?;
        Ok(events(watcher, guard, reused, message))
    }
}

/// What a watcher sends, each as a `message`; `held` is dropped with the stream.
pub(super) fn events<T: 'static, H: Send + 'static>(
    watcher: Watcher,
    held: H,
    reused: bool,
    message: fn(v1::ExecutionEvent) -> T,
) -> Events<T> {
    let told = stream::unfold((watcher, held), move |(mut watcher, held)| async move {
        let next = watcher.next().await?;
        let event = next.map(|next| event::message(watcher.id(), next, reused)).map_err(status::status);
        Some((event, (watcher, held)))
    });
    told.map(move |event| event.map(message)).boxed()
}
