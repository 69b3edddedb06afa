//! Executions within a call, run to their end or streamed, for the two services that offer this, each in its own
//! prompt mode.

use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_proto::v1;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status};

use super::answers::Told;
use super::convert::{execution, spec};
use super::deadline::Deadline;
use super::into_parts;
use super::streaming::{ResponseStream, about_one};
use crate::service::execution::{CallContext, Ran, Streamed};
use crate::service::{Caller, ExecutionService};

/// The response about an execution. It carries the execution's id for [`Told`].
pub(super) fn told<T>(ran: Ran, message: impl FnOnce(Option<v1::Execution>, bool) -> T) -> Response<T> {
    let id = Told(ran.execution.id.to_string());
    let mut response = Response::new(message(Some(execution::execution(ran.execution)), ran.reused));
    response.extensions_mut().insert(id);
    response
}

pub(super) struct InlineCall {
    caller: Arc<Caller>,
    deadline: Option<Deadline>,
    call: CallContext,
    /// tonic drops its holder, and so cancels `call.hung_up`, when the caller hangs up.
    guard: DropGuard,
}

/// Splits a request into its call and its message.
pub(super) fn inline_call<T>(request: Request<T>) -> Result<(InlineCall, T), Status> {
    let (deadline, connection) = (request.extensions().get::<Deadline>().copied(), request.remote_addr());
    let (caller, sent) = into_parts(request)?;
    let hung_up = CancellationToken::new();
    let guard = hung_up.clone().drop_guard();
    let call = CallContext { deadline: deadline.map(|deadline| deadline.stop_by), hung_up, connection };
    Ok((InlineCall { caller, deadline, call, guard }, sent))
}

impl InlineCall {
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) async fn run(
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
    pub(super) async fn stream<T>(
        self,
        service: &ExecutionService,
        sent: Option<v1::ExecutionSpec>,
        mode: Mode,
        message: fn(v1::ExecutionEvent) -> T,
    ) -> Result<ResponseStream<T>>
    where
        T: 'static,
    {
        let Self { caller, deadline, call, guard } = self;
        let spec = spec::spec(&service.cpu, &caller, sent).await?;
        let Streamed { watch, reused } = service.stream(&caller, spec, mode, &call).await?;
        Ok(about_one(watch, guard, reused, deadline, message))
    }
}
