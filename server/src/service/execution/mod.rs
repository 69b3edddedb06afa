//! The use cases of ExecutionService: checks, resolves, renders, records, runs or enqueues, cancels, and reads back.

mod backpressure;
mod execute_kind;
mod prepare;
mod start;
mod verify;
mod wait;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::execution::{Execution, Status};
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::spec::Spec;
use prompt_ledger_domain::{Error, Result, limits};
use prompt_ledger_engine::Runner;
use prompt_ledger_observe::executions::{self as observe, EndedExecution};
use prompt_ledger_queue::{Hint, Outbox};
use prompt_ledger_store::{Canceling, ExecutionFilter, ExecutionReader, ExecutionWriter, ListPosition, Walked};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::backpressure::Backpressure;
pub use self::execute_kind::CallContext;
use self::execute_kind::ExecuteKind;
use super::{Authenticator, Caller, CpuPool, ModelService, ProviderDirectory, RegistryService};
use crate::watch::{FeedFilter, FilteredFeed, Hub, StreamLimits, Watch};

pub struct ExecutionService {
    pub authenticator: Arc<Authenticator>,
    pub registry: Arc<RegistryService>,
    /// Where rendering and hashing of large input run.
    pub cpu: CpuPool,
    pub models: Arc<ModelService>,
    pub providers: Arc<ProviderDirectory>,
    pub store: Arc<dyn ExecutionWriter>,
    pub reader: Arc<dyn ExecutionReader>,
    /// Drives inline executions to their end.
    pub runner: Runner,
    /// Hints workers that an execution is queued.
    pub hints: Outbox<Hint>,
    /// How long after it was recorded a queued execution may be claimed without a hint.
    pub redispatch_after: Duration,
    pub backpressure: Arc<Backpressure>,
    pub hub: Arc<Hub>,
    pub streams: Arc<StreamLimits>,
    /// The tasks that record and drive executions; a drain waits for them.
    pub running: TaskTracker,
    /// Fires when a drain begins.
    pub draining: CancellationToken,
    /// The model of requests that name none; absent where each must name one.
    pub default_model: Option<ModelRef>,
}

/// The answer to a run or a submit.
#[derive(Debug)]
pub struct Ran {
    /// As it ended; after a submit, as it stands.
    pub execution: Execution,
    /// Another call with the same idempotency key recorded it.
    pub reused: bool,
}

/// An execution that its call watches.
pub struct Streamed {
    pub watch: Watch,
    /// Another call with the same idempotency key recorded it.
    pub reused: bool,
}

impl ExecutionService {
    /// Runs an execution and returns it as it ended. `prompt_mode` is the mode that the RPC serves.
    pub async fn run(&self, caller: &Caller, spec: Spec, prompt_mode: Mode, call: &CallContext) -> Result<Ran> {
        let started = self.begin(caller, spec, prompt_mode, ExecuteKind::Run(call)).await?;
        let (project, reused) = (caller.project.id, started.reused);
        let execution = match started.execution {
            Some(execution) => execution,
            None => {
                if reused {
                    tokio::select! {
                        over = self.hub.over(project, started.id) => over?,
                        // Repeated on another server, the same call finds the execution by its key.
                        drained = self.streams.drained() => return Err(drained),
                    }
                }
                self.reader.get(project, started.id).await?
            }
        };
        Ok(Ran { execution, reused })
    }

    /// Runs an execution that is watched from its first event, or watches the one that its idempotency key has.
    pub async fn stream(&self, caller: &Caller, spec: Spec, prompt_mode: Mode, call: &CallContext) -> Result<Streamed> {
        let started = self.begin(caller, spec, prompt_mode, ExecuteKind::Stream(call)).await?;
        let watch = match started.watch {
            Some(watch) => watch,
            None => {
                let slot = self.streams.within_call(call.connection);
                self.hub.watch(caller.project.id, started.id, 0, slot).await?
            }
        };
        Ok(Streamed { watch, reused: started.reused })
    }

    /// Records an execution for a worker, and returns once that is durable.
    pub async fn submit(&self, caller: &Caller, spec: Spec, prompt_mode: Mode) -> Result<Ran> {
        let started = self.begin(caller, spec, prompt_mode, ExecuteKind::Submit).await?;
        let execution = match started.execution {
            // Known without a read, which could fail: it is in the queue.
            Some(execution) => execution,
            None => self.reader.get(caller.project.id, started.id).await?,
        };
        Ok(Ran { execution, reused: started.reused })
    }

    /// Watches an execution from the event after sequence `after`; TOO_MANY_WATCHERS beyond the limits on streams.
    pub async fn watch(
        &self,
        caller: &Caller,
        id: ExecutionId,
        after: i64,
        connection: Option<SocketAddr>,
    ) -> Result<Watch> {
        let slot = self.streams.admit(caller.key, connection)?;
        self.hub.watch(caller.project.id, id, after, slot).await
    }

    /// Watches all executions that match; TOO_MANY_WATCHERS beyond the limits on streams.
    pub async fn watch_all(
        &self,
        caller: &Caller,
        filter: FeedFilter,
        connection: Option<SocketAddr>,
    ) -> Result<FilteredFeed> {
        check_filter(&filter.prompt_name, &filter.environment, &filter.correlation_id)?;
        self.hub.filtered(filter, self.streams.admit(caller.key, connection)?).await
    }

    /// Requests an execution's cancellation, and returns the execution once the request is durable.
    pub async fn cancel(&self, caller: &Caller, id: ExecutionId, reason: String) -> Result<Execution> {
        let reason = field::text("reason", reason, limits::SHORT_TEXT_BYTES)?;
        let (store, runner, project) = (Arc::clone(&self.store), self.runner.clone(), caller.project.id);
        // In a task of its own: when the caller goes away its future is dropped, at any await, but what is recorded must be
        // counted and published.
        let canceled = self.running.spawn(async move {
            let Canceling { execution, event } = store.cancel(project, id, &reason).await?;
            match event {
                Some(event) => {
                    observe::ended(EndedExecution {
                        mode: Some(execution.mode),
                        status: event.to,
                        error_type: event.error_type,
                        prompt: &execution.prompt_name,
                        took: Some(event.at.since(execution.created_at)),
                    });
                    runner.publisher.changed(id, event);
                }
                None if execution.status == Status::Running => {
                    runner.heartbeat.cancel(id);
                    runner.publisher.cancel(id);
                }
                None => {}
            }
            Ok(execution)
        });
        canceled.await.map_err(Error::internal)?
    }

    /// Up to `limit` executions created before `before`, newest first; with their texts where `texts` is set.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &ExecutionFilter,
        before: Option<ListPosition>,
        limit: usize,
        texts: bool,
    ) -> Result<Walked<Execution, ListPosition>> {
        check_filter(&filter.prompt_name, &filter.environment, &filter.correlation_id)?;
        if filter.version_number.is_some() && filter.prompt_name.is_empty() {
            return Err(Error::invalid("version_number", "needs prompt_name: versions are numbered per prompt"));
        }
        self.reader.list(caller.project.id, filter, before, limit, texts).await
    }
}

/// INVALID_FIELD where one of these filters is no name, or no correlation id; empty ones match all.
fn check_filter(prompt_name: &str, environment: &str, correlation_id: &str) -> Result<()> {
    for (field, name) in [("prompt_name", prompt_name), ("environment", environment)] {
        if !name.is_empty() {
            Name::parse(field, name)?;
        }
    }
    field::text("correlation_id", correlation_id.to_owned(), limits::SHORT_TEXT_BYTES)?;
    Ok(())
}
