//! The start of an execution: prepared, recorded, and queued for a worker or driven within its call.

use std::sync::Arc;

use prompt_ledger_domain::error::{Error, Result};
use prompt_ledger_domain::execution::{Execution, ExecutionMode, ResolvedAt, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::spec::Spec;
use prompt_ledger_engine::{Bounds, RecordedEnd};
use prompt_ledger_observe::executions as observe;
use prompt_ledger_queue::Hint;
use prompt_ledger_store::{ExecutionKey, KeyHolder, Recorded};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ExecutionService;
use super::backpressure::SubmitPlace;
use super::execute_kind::{CallContext, ExecuteKind};
use super::prepare::Prepared;
use crate::service::Caller;
use crate::service::access::Unconfirmed;
use crate::watch::Watch;

/// How often a request is resolved in all, where the registry changes before it is recorded: more often than writers who
/// take turns change one prompt within a call.
const RESOLVE_TRIES: usize = 64;

pub(super) struct Started {
    pub(super) id: ExecutionId,
    /// As it ended within the call, or as it was queued; absent where it must be read from the store.
    pub(super) execution: Option<Execution>,
    /// Present where this call streams the execution that it recorded.
    pub(super) watch: Option<Watch>,
    /// Another call with the same idempotency key and the same request recorded it.
    pub(super) reused: bool,
}

impl Started {
    fn recorded(id: ExecutionId, execution: Option<Execution>) -> Self {
        Self { id, execution, watch: None, reused: false }
    }
}

impl ExecutionService {
    /// Prepares and records the execution of a request, unless its idempotency key has one already. One of kind `Run`
    /// that was recorded here has ended on return. Where the registry changes meanwhile, the request is resolved
    /// again.
    pub(super) async fn begin(
        &self,
        caller: &Caller,
        spec: Spec,
        prompt_mode: Mode,
        kind: ExecuteKind<'_>,
    ) -> Result<Started> {
        let spec = &Arc::new(spec);
        let Some(unconfirmed) = &caller.unconfirmed else {
            return Box::pin(self.begin_confirmed(caller, spec, prompt_mode, kind)).await;
        };
        // Prepared from the caches alone, and recorded only while they hold what the store has.
        if let Ok(place) = self.place(kind)
            && let Ok(prepared) = self.prepare_unconfirmed(caller, unconfirmed, spec, prompt_mode, kind).await
            && let Recorded::New(started) = self.record(prepared, kind, place).await?
        {
            return Ok(started);
        }
        // What was wrong may not be so any more: errors and replays are told after the store was asked.
        let caller = self.authenticator.confirm(unconfirmed).await?;
        // Apart, as above: most calls do not come here, and all would carry its state.
        Box::pin(self.begin_confirmed(&caller, spec, prompt_mode, kind)).await
    }

    async fn prepare_unconfirmed(
        &self,
        caller: &Caller,
        unconfirmed: &Unconfirmed,
        spec: &Arc<Spec>,
        prompt_mode: Mode,
        kind: ExecuteKind<'_>,
    ) -> Result<Prepared> {
        // Before the caches are read.
        let (models, project) = (self.models.revision(), self.registry.revision(caller.project.id));
        let entry = self.registry.entry(caller.project.id, spec.name()?.as_str(), spec.min_revision).await?;
        entry.found.prompt.check_mode(prompt_mode, kind.operation())?;
        entry.check_revision(spec.min_revision)?;
        let key = match spec.key()? {
            Some(key) => Some(ExecutionKey { key, request_hash: self.request_hash(caller.project.id, spec).await? }),
            None => None,
        };
        let mut prepared = self.prepare(caller, spec, &entry, key, kind).await?;
        let project = project.max(entry.found.revision);
        let resolved = ResolvedAt { keys: unconfirmed.keys, models, project };
        prepared.new.resolved_at = Some(resolved);
        Ok(prepared)
    }

    async fn begin_confirmed(
        &self,
        caller: &Caller,
        spec: &Arc<Spec>,
        prompt_mode: Mode,
        kind: ExecuteKind<'_>,
    ) -> Result<Started> {
        let (project, name) = (caller.project.id, spec.name()?);
        let is_retried = |holder: &KeyHolder| spec.retry_failed && holder.status == Status::Failed;
        let mut entry = self.registry.entry(project, name.as_str(), spec.min_revision).await?;
        for _ in 0..RESOLVE_TRIES {
            let prompt = &entry.found.prompt;
            prompt.check_mode(prompt_mode, kind.operation())?;
            let mut retry_of = None;
            let key = match spec.key()? {
                None => None,
                Some(key) => {
                    let holder = self.reader.by_key(prompt.id, &key).await?;
                    retry_of = match holder {
                        Some(holder) if !is_retried(&holder) => return self.reuse(project, spec, holder).await,
                        Some(holder) => Some(self.same_request(project, spec, holder).await?.id),
                        None => None,
                    };
                    Some(ExecutionKey { key, request_hash: self.request_hash(project, spec).await? })
                }
            };
            entry.check_revision(spec.min_revision)?;
            let place = self.place(kind)?;
            let mut prepared = self.prepare(caller, spec, &entry, key, kind).await?;
            prepared.new.retry_of = retry_of;
            match self.record(prepared, kind, place).await? {
                Recorded::New(started) => return Ok(started),
                // It failed since this call looked.
                Recorded::Existing(holder) if is_retried(&holder) => {}
                Recorded::Existing(holder) => return self.reuse(project, spec, holder).await,
                Recorded::Stale => entry = Arc::new(self.registry.read(project, name.as_str()).await?),
            }
        }
        Err(Error::internal("the registry or the holder of the key changed under every try to record an execution"))
    }

    /// The place of a submit among those under way; OVERLOADED where there is none.
    fn place(&self, kind: ExecuteKind<'_>) -> Result<Option<SubmitPlace>> {
        matches!(kind, ExecuteKind::Submit).then(|| self.backpressure.admit()).transpose()
    }

    async fn record(
        &self,
        prepared: Prepared,
        kind: ExecuteKind<'_>,
        place: Option<SubmitPlace>,
    ) -> Result<Recorded<Started>> {
        match kind {
            ExecuteKind::Run(call) => self.drive(prepared, call, None).await.map_err(Error::internal)?,
            ExecuteKind::Stream(call) => self.drive_watched(prepared, call).await,
            ExecuteKind::Submit => self.enqueue(prepared, place).await,
        }
    }

    /// The execution that has the key, whatever became of it.
    async fn reuse(&self, project: ProjectId, spec: &Arc<Spec>, holder: KeyHolder) -> Result<Started> {
        let KeyHolder { id, .. } = self.same_request(project, spec, holder).await?;
        Ok(Started { reused: true, ..Started::recorded(id, None) })
    }

    /// The holder of the key; IDEMPOTENCY_KEY_REUSED where a different request recorded it.
    async fn same_request(&self, project: ProjectId, spec: &Arc<Spec>, holder: KeyHolder) -> Result<KeyHolder> {
        if holder.request_hash != self.request_hash(project, spec).await? {
            return Err(Error::idempotency_key_reused(&spec.idempotency_key, holder.id));
        }
        Ok(holder)
    }

    /// Records an execution as queued, and sends workers a hint. Its place is held until then, whatever its caller does.
    async fn enqueue(
        &self,
        Prepared { new, version, .. }: Prepared,
        place: Option<SubmitPlace>,
    ) -> Result<Recorded<Started>> {
        let (store, available_in) = (Arc::clone(&self.store), self.redispatch_after);
        let (hints, publisher) = (self.hints.clone(), self.runner.publisher.clone());
        let providers = Arc::clone(&self.providers);
        // In a task of its own: when the caller goes away its future is dropped, at any await, but what is recorded
        // must be published.
        let recorded = self.running.spawn(async move {
            let (id, asked) = (new.id, new.clone());
            Ok(match store.submit(new, available_in).await? {
                Recorded::New(event) => {
                    if let Some(place) = place {
                        place.recorded();
                    }
                    observe::recorded(ExecutionMode::Async);
                    providers.note_queued(&asked.model.provider);
                    // Before the hint, so that no worker of this process tells first that it runs.
                    publisher.changed(id, event);
                    hints.push(Hint { execution_id: id, attempt: 1, provider: asked.model.provider.as_str().into() });
                    let queued = Execution::begun(asked, version, ExecutionMode::Async, event);
                    Recorded::New(Started::recorded(id, Some(queued)))
                }
                Recorded::Existing(holder) => Recorded::Existing(holder),
                Recorded::Stale => Recorded::Stale,
            })
        });
        recorded.await.map_err(Error::internal)?
    }

    /// Records an execution and drives it to its end; returns once it is recorded, with a watch from its first event.
    async fn drive_watched(&self, prepared: Prepared, call: &CallContext) -> Result<Recorded<Started>> {
        let id = prepared.new.id;
        // Subscribed before it exists, so that no event is missed.
        let slot = self.streams.within_call(call.connection).outlasting_a_drain();
        let watch = Some(self.hub.expect(id, slot));
        let (recorded, is_recorded) = oneshot::channel();
        let driving = self.drive(prepared, call, Some(recorded));
        if is_recorded.await.is_ok() {
            return Ok(Recorded::New(Started { watch, ..Started::recorded(id, None) }));
        }
        // It was not recorded: the task returns why.
        driving.await.map_err(Error::internal)?
    }

    /// Records an execution and drives it to its end; `recorded` fires in between. With an idempotency key it goes on
    /// when the caller hangs up, because a retry finds it. Without one, the hang-up aborts the provider call.
    ///
    /// In a task of its own: when the caller goes away its future is dropped, at any await, but what is recorded must
    /// be driven, and its end written.
    fn drive(
        &self,
        prepared: Prepared,
        call: &CallContext,
        recorded: Option<oneshot::Sender<()>>,
    ) -> JoinHandle<Result<Recorded<Started>>> {
        let (sent, job) = (Instant::now(), prepared.job());
        let Prepared { new, version, .. } = prepared;
        let ends_with_caller = new.key.is_none();
        let bounds = Bounds {
            sent,
            expire_at: new.expire_after.map(|after| sent + after),
            caller_deadline: call.deadline.filter(|_| ends_with_caller),
            hung_up: if ends_with_caller { call.hung_up.clone() } else { CancellationToken::new() },
        };
        let (store, runner, hub) = (Arc::clone(&self.store), self.runner.clone(), Arc::clone(&self.hub));
        self.running.spawn(async move {
            let (id, asked) = (new.id, new.clone());
            let first = match store.start(new, runner.holder()).await? {
                Recorded::New(event) => event,
                Recorded::Existing(holder) => return Ok(Recorded::Existing(holder)),
                Recorded::Stale => return Ok(Recorded::Stale),
            };
            observe::recorded(ExecutionMode::Sync);
            runner.publisher.changed(id, first);
            if let Some(recorded) = recorded {
                // The receiver may be gone.
                recorded.send(()).ok();
            }
            let ended = runner.run(job, bounds).await;
            let (execution, ended) = match ended {
                Ok(Some(RecordedEnd { finish, event })) => {
                    let begun = Execution::begun(asked, version, ExecutionMode::Sync, first);
                    (begun.finish(finish, event, &runner.worker), Ok(()))
                }
                Ok(None) => (None, Ok(())),
                Err(error) => (None, Err(error)),
            };
            hub.drove(id, execution.as_ref());
            ended.map(|()| Recorded::New(Started::recorded(id, execution)))
        })
    }

    /// MODE_MISMATCH where the prompt that a request names is not of the mode that the RPC serves. It takes precedence
    /// over whatever else is wrong with the request.
    pub async fn check_mode(&self, caller: &Caller, spec: &Spec, prompt_mode: Mode) -> Result<()> {
        let confirmed;
        let caller = match &caller.unconfirmed {
            Some(unconfirmed) => {
                confirmed = self.authenticator.confirm(unconfirmed).await?;
                &confirmed
            }
            None => caller,
        };
        let name = spec.name()?;
        let entry = self.registry.entry(caller.project.id, name.as_str(), None).await?;
        entry.found.prompt.check_mode(prompt_mode, Operation::Run)
    }
}
