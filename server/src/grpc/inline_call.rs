//! Executions within a call, run to their end or streamed, for the two services that offer this, each in its own
//! prompt mode.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::Stream;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_proto::v1;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status};

use super::convert::{execution, spec};
use super::deadline::Deadline;
use super::into_parts;
use super::streaming::about_one;
use crate::front::answers::Told;
use crate::service::execution::{CallContext, Ran, Streamed};
use crate::service::{Caller, ExecutionService};

/// The response about an execution. It carries the execution's id for [`Told`].
pub(super) fn told<T>(ran: Ran, message: impl FnOnce(Option<v1::Execution>, bool) -> T) -> Response<T> {
    let id = Told(ran.execution.id.to_string());
    let mut response = Response::new(message(Some(execution::execution(ran.execution)), ran.reused));
    response.extensions_mut().insert(id);
    response
}

pub(crate) struct InlineCall {
    caller: Arc<Caller>,
    deadline: Option<Deadline>,
    call: CallContext,
    /// Cancels `call.hung_up` when it is dropped.
    guard: DropGuard,
}

/// Splits a request into its call and its message.
pub(super) fn inline_call<T>(request: Request<T>) -> Result<(InlineCall, T), Status> {
    let (deadline, connection) = (request.extensions().get::<Deadline>().copied(), request.remote_addr());
    let (caller, sent) = into_parts(request)?;
    Ok((InlineCall::new(caller, deadline, connection), sent))
}

impl InlineCall {
    /// A call on this connection, which the peer's address names. Whoever serves the call drops it, and so cancels
    /// the provider call, when the caller hangs up.
    pub(crate) fn new(caller: Arc<Caller>, deadline: Option<Deadline>, connection: Option<SocketAddr>) -> Self {
        let hung_up = CancellationToken::new();
        let guard = hung_up.clone().drop_guard();
        let call = CallContext { deadline: deadline.map(|deadline| deadline.stop_by), hung_up, connection };
        Self { caller, deadline, call, guard }
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) async fn run(
        self,
        service: &ExecutionService,
        sent: Option<v1::ExecutionSpec>,
        mode: Mode,
    ) -> Result<Ran> {
        let Self { caller, call, guard: _guard, .. } = self;
        let spec = spec::spec(&service.cpu, &caller, sent).await?;
        service.run(&caller, spec, mode, &call).await
    }

    /// Runs an execution of a prompt of this mode, and streams its events and its text.
    pub(crate) async fn stream(
        self,
        service: &ExecutionService,
        sent: Option<v1::ExecutionSpec>,
        mode: Mode,
    ) -> Result<impl Stream<Item = Result<v1::ExecutionEvent>> + Send + use<>> {
        let Self { caller, deadline, call, guard } = self;
        let spec = spec::spec(&service.cpu, &caller, sent).await?;
        let Streamed { watch, reused } = service.stream(&caller, spec, mode, &call).await?;
        Ok(about_one(watch, guard, reused, deadline))
    }
}
