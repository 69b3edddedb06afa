//! What ExecutionService does: checks, resolves, renders, records, runs or enqueues, cancels, and reads back.

mod backpressure;
mod ended;
mod prepare;
mod verify;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::error::Error;
use prompt_ledger_domain::execution::{Execution, Status};
use prompt_ledger_domain::field;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::spec::Spec;
use prompt_ledger_domain::{Result, Timestamp, limits};
use prompt_ledger_providers::Providers;
use prompt_ledger_queue::{Hint, Outbox};
use prompt_ledger_store::{ExecutionFilter, ExecutionReader, ExecutionWriter, Recorded};
use prompt_ledger_worker::{Bounds, Runner};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::backpressure::Backpressure;
use self::prepare::{ExecuteKind, Found, Prepared, Tried};
use super::{Caller, CpuPool, ModelService, RegistryService};
use crate::watch::{FilteredFeed, Hub, Streams, Wanted, Watcher};

/// Runs executions and reads them.
pub struct ExecutionService {
    /// Finds prompts.
    pub registry: Arc<RegistryService>,
    /// Renders and hashes.
    pub cpu: CpuPool,
    /// Finds models.
    pub models: Arc<ModelService>,
    /// Calls them.
    pub providers: Providers,
    /// Where executions are recorded.
    pub store: Arc<dyn ExecutionWriter>,
    /// Where they are read.
    pub reader: Arc<dyn ExecutionReader>,
    /// Drives sync executions to their end.
    pub runner: Runner,
    /// Where workers are told of queued ones.
    pub hints: Outbox<Hint>,
    /// When a queued execution may be taken without a hint.
    pub redispatch_after: Duration,
    /// Refuses what would only wait.
    pub backpressure: Arc<Backpressure>,
    /// Who watches them.
    pub hub: Hub,
    /// How many may.
    pub streams: Streams,
    /// The executions that are being driven or recorded.
    pub running: TaskTracker,
    /// Of a request that names none.
    pub default_model: Option<ModelRef>,
}

/// An execution that a caller asked for.
#[derive(Debug)]
pub struct Ran {
    /// As it ended; from the queue, as it stands.
    pub execution: Execution,
    /// Another call with the same idempotency key made it.
    pub reused: bool,
}

/// An execution that is watched within the call.
pub struct Streamed {
    /// What happens to it.
    pub watcher: Watcher,
    /// Another call with the same idempotency key made it.
    pub reused: bool,
}

/// An execution that was run within its call.
struct Driven {
    id: ExecutionId,
    /// As it ended; nothing where that takes a look at the store.
    execution: Option<Box<Execution>>,
}

/// How long a caller waits, and whether it still does.
#[derive(Clone, Debug, Default)]
pub struct CallContext {
    /// When the caller must have its answer.
    pub deadline: Option<Instant>,
    /// Fires when the caller hung up.
    pub hung_up: CancellationToken,
    /// What the call came over.
    pub connection: Option<SocketAddr>,
}

impl ExecutionService {
    /// Runs an execution and answers it as it ended. `prompt_mode` is the mode that the RPC serves.
    pub async fn run(&self, caller: &Caller, spec: Spec, prompt_mode: Mode, patience: CallContext) -> Result<Ran> {
        let drive = |prepared| self.drive(prepared, &patience);
        let found = self.record(caller, &Arc::new(spec), prompt_mode, ExecuteKind::Run, drive).await?;
        let project = caller.project.id;
        Ok(match found {
            Found::New(Driven { execution: Some(execution), .. }) => Ran { execution: *execution, reused: false },
            Found::New(Driven { id, .. }) => Ran { execution: self.reader.get(project, id).await?, reused: false },
            Found::Reused(id) => tokio::select! {
                ended = self.hub.end_of(project, id) => Ran { execution: Arc::unwrap_or_clone(ended?), reused: true },
                // The same call finds it again on another server.
                drained = self.streams.drained() => return Err(drained),
            },
        })
    }

    /// Runs an execution, watched from its beginning; or joins the one that its idempotency key has.
    pub async fn stream(
        &self,
        caller: &Caller,
        spec: Spec,
        prompt_mode: Mode,
        patience: &CallContext,
    ) -> Result<Streamed> {
        let drive = |prepared| self.drive_watched(prepared, patience);
        Ok(match self.record(caller, &Arc::new(spec), prompt_mode, ExecuteKind::Stream, drive).await? {
            Found::New(watcher) => Streamed { watcher, reused: false },
            Found::Reused(id) => {
                let pace = self.streams.within_call(patience.connection);
                Streamed { watcher: self.hub.watch(caller.project.id, id, 0, pace).await?, reused: true }
            }
        })
    }

    /// Watches an execution from a cursor on, over this connection.
    pub async fn watch(
        &self,
        caller: &Caller,
        id: ExecutionId,
        after: i64,
        connection: Option<SocketAddr>,
    ) -> Result<Watcher> {
        let pace = self.streams.admit(caller.key, connection)?;
        self.hub.watch(caller.project.id, id, after, pace).await
    }

    /// Watches all executions that match.
    pub fn watch_all(&self, caller: &Caller, wanted: Wanted, connection: Option<SocketAddr>) -> Result<FilteredFeed> {
        Ok(self.hub.filtered(wanted, self.streams.admit(caller.key, connection)?))
    }

    /// Records an execution for a worker, and answers once that is durable.
    pub async fn submit(&self, caller: &Caller, spec: Spec, prompt_mode: Mode) -> Result<Ran> {
        let enqueue = |prepared| self.enqueue(prepared);
        Ok(match self.record(caller, &Arc::new(spec), prompt_mode, ExecuteKind::Submit, enqueue).await? {
            // What is in the queue is answered whatever happens to the store now.
            Found::New(execution) => Ran { execution, reused: false },
            Found::Reused(id) => Ran { execution: self.reader.get(caller.project.id, id).await?, reused: true },
        })
    }

    /// Asks for an execution's end, and answers it once the wish is durable.
    pub async fn cancel(&self, caller: &Caller, id: ExecutionId, reason: String) -> Result<Execution> {
        let reason = field::text("reason", reason, limits::SHORT_TEXT_BYTES)?;
        let canceling = self.store.cancel(caller.project.id, id, &reason).await?;
        match canceling.event {
            Some(event) => self.runner.publisher.changed(id, event),
            None if canceling.execution.status == Status::Running => {
                self.runner.heartbeat.cancel(id);
                self.runner.publisher.cancel(id);
            }
            None => {}
        }
        Ok(canceling.execution)
    }

    /// The execution of that id.
    pub async fn get(&self, caller: &Caller, id: ExecutionId) -> Result<Execution> {
        self.reader.get(caller.project.id, id).await
    }

    /// Up to `limit` executions created before `before`, newest first.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &ExecutionFilter,
        before: Option<(Timestamp, ExecutionId)>,
        limit: usize,
        texts: bool,
    ) -> Result<Vec<Execution>> {
        self.reader.list(caller.project.id, filter, before, limit, texts).await
    }

    /// Records an execution as queued, and tells the workers.
    async fn enqueue(&self, Prepared { new, begun, .. }: Prepared) -> Result<Tried<Execution>> {
        let (store, available_in) = (Arc::clone(&self.store), self.redispatch_after);
        let (hints, publisher) = (self.hints.clone(), self.runner.publisher.clone());
        // A task of its own: when the caller goes away its future is dropped, at any await; but what is recorded must be
        // told.
        let recorded = self.running.spawn(async move {
            let id = new.id;
            let recorded = store.submit(new, available_in).await?;
            Ok(match recorded {
                Recorded::New(event) => {
                    hints.push(Hint { execution_id: id, attempt: 1 });
                    publisher.changed(id, event);
                    Tried::New(begun.queued(event))
                }
                Recorded::Existing(holder) => Tried::Existing(holder),
                Recorded::Stale => Tried::Stale,
            })
        });
        recorded.await.map_err(Error::internal)?
    }

    /// Records an execution and drives it to its end. With an idempotency key it goes on when the caller does not: the
    /// retry finds it. Without one, a caller that hangs up aborts the provider call.
    async fn drive(&self, prepared: Prepared, patience: &CallContext) -> Result<Tried<Driven>> {
        self.driving(prepared, patience, None).await.map_err(Error::internal)?
    }

    /// As [`Self::drive`], but answers once it is recorded, with what watches it from its beginning.
    async fn drive_watched(&self, prepared: Prepared, patience: &CallContext) -> Result<Tried<Watcher>> {
        // Registered before it exists: nothing that happens to it is missed.
        let pace = self.streams.within_call(patience.connection).outlasting_a_drain();
        let watcher = self.hub.expect(prepared.new.id, pace);
        let (recorded, is_recorded) = oneshot::channel();
        let driving = self.driving(prepared, patience, Some(recorded));
        match is_recorded.await {
            Ok(()) => Ok(Tried::New(watcher)),
            // It was not recorded, and says why.
            Err(_) => Ok(driving.await.map_err(Error::internal)??.map(|_| watcher)),
        }
    }

    /// A task of its own: when the caller goes away its future is dropped, at any await; but what is recorded must be
    /// driven, and its end written.
    fn driving(
        &self,
        prepared: Prepared,
        patience: &CallContext,
        recorded: Option<oneshot::Sender<()>>,
    ) -> JoinHandle<Result<Tried<Driven>>> {
        let (sent, job) = (Instant::now(), prepared.job());
        let Prepared { new, begun, .. } = prepared;
        let ends_with_caller = new.key.is_none();
        let bounds = Bounds {
            sent,
            expire_at: new.expire_after.map(|after| sent + after),
            caller_deadline: patience.deadline.filter(|_| ends_with_caller),
            hung_up: if ends_with_caller { patience.hung_up.clone() } else { CancellationToken::new() },
        };
        let (store, runner, hub) = (Arc::clone(&self.store), self.runner.clone(), self.hub.clone());
        self.running.spawn(async move {
            let id = new.id;
            let first = match store.start(new, runner.holder()).await? {
                Recorded::New(event) => event,
                Recorded::Existing(holder) => return Ok(Tried::Existing(holder)),
                Recorded::Stale => return Ok(Tried::Stale),
            };
            runner.publisher.changed(id, first);
            if let Some(recorded) = recorded {
                // Who waited for it may be gone.
                recorded.send(()).ok();
            }
            let ended = runner.run(job, bounds).await;
            let (execution, ended) = match ended {
                Ok(ending) => (ending.and_then(|ending| begun.ended(first, ending, &runner.worker)), Ok(())),
                Err(error) => (None, Err(error)),
            };
            hub.drove(id, execution.as_ref());
            ended.map(|()| Tried::New(Driven { id, execution: execution.map(Box::new) }))
        })
    }
}
