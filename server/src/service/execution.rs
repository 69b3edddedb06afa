//! What ExecutionService does: checks, resolves, renders, records, runs, and reads back.

use std::sync::Arc;

use prompt_ledger_domain::error::Error;
use prompt_ledger_domain::execution::{Execution, ExecutionMode, Input};
use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::{Mode, Selector, Version};
use prompt_ledger_domain::spec::{self, Checked, Spec};
use prompt_ledger_domain::{Result, Timestamp, template};
use prompt_ledger_providers::Providers;
use prompt_ledger_store::{ExecutionFilter, ExecutionKey, Executions, KeyHolder, NewExecution, Recorded};
use prompt_ledger_worker::{Bounds, Job, Runner};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::registry::{Entry, Resolved, execute_rpc};
use super::{Caller, ModelService, RegistryService, registry};
use crate::watch::finished::Finished;

/// How often a recording that found the registry changed under it resolves again.
const RESOLVE_TRIES: usize = 5;

/// Runs executions and reads them.
pub struct ExecutionService {
    /// Finds prompts.
    pub registry: Arc<RegistryService>,
    /// Finds models.
    pub models: Arc<ModelService>,
    /// Calls them.
    pub providers: Providers,
    /// Where executions are recorded.
    pub store: Arc<dyn Executions>,
    /// Drives them to their end.
    pub runner: Runner,
    /// Who waits for their end.
    pub finished: Finished,
    /// The executions that are being driven.
    pub running: TaskTracker,
    /// Of a request that names none.
    pub default_model: Option<ModelRef>,
}

/// An execution that a caller asked for.
#[derive(Debug)]
pub struct Ran {
    /// As it ended.
    pub execution: Execution,
    /// Another call with the same idempotency key made it.
    pub reused: bool,
}

/// How long a caller waits, and whether it still does.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    /// When the caller must have its answer.
    pub deadline: Option<Instant>,
    /// Fires when the caller hung up.
    pub hung_up: CancellationToken,
}

/// Everything that an execution needs, resolved and rendered.
struct Prepared {
    new: NewExecution,
    job: Job,
}

impl ExecutionService {
    /// Runs an execution and answers it as it ended. `prompt_mode` is the mode that the RPC serves.
    pub async fn run(&self, caller: &Caller, spec: Spec, prompt_mode: Mode, patience: Patience) -> Result<Ran> {
        let project = caller.project.id;
        let name = Name::parse("spec.prompt_name", &spec.prompt_name)?;
        let mut entry = self.registry.entry(project, name.as_str(), spec.min_revision).await?;
        for _ in 0..RESOLVE_TRIES {
            entry.found.prompt.check_mode(prompt_mode, execute_rpc(entry.found.prompt.mode))?;
            let key = self.key(&spec, &entry).await?;
            if let Some((key, Some(holder))) = &key {
                return self.join(caller, key, *holder).await;
            }
            let key = key.map(|(key, _)| key);
            let prepared = self.prepare(caller, &spec, &entry, key.clone()).await?;
            match (self.drive(prepared, &patience).await?, key) {
                (Driven::Ended(execution), _) => return Ok(Ran { execution: *execution, reused: false }),
                (Driven::Existing(holder), Some(key)) => return self.join(caller, &key, holder).await,
                (Driven::Existing(holder), None) => {
                    return Err(Error::internal(format!(
                        "an execution without a key met {}, which has one",
                        holder.id
                    )));
                }
                (Driven::Stale, _) => entry = Arc::new(self.registry.read(project, name.as_str()).await?),
            }
        }
        Err(Error::internal("the registry changed under every try to record an execution"))
    }

    /// The execution of that id.
    pub async fn get(&self, caller: &Caller, id: ExecutionId) -> Result<Execution> {
        self.store.get(caller.project.id, id).await
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
        self.store.list(caller.project.id, filter, before, limit, texts).await
    }

    /// The request's idempotency key, and who has it already.
    async fn key(&self, spec: &Spec, entry: &Entry) -> Result<Option<(ExecutionKey, Option<KeyHolder>)>> {
        let Some(key) = spec.key()? else { return Ok(None) };
        let holder = self.store.by_key(entry.found.prompt.id, &key).await?;
        Ok(Some((ExecutionKey { key, request_hash: spec.request_hash()? }, holder)))
    }

    /// Answers the execution that another call with the same key made, once it has ended.
    async fn join(&self, caller: &Caller, key: &ExecutionKey, holder: KeyHolder) -> Result<Ran> {
        if holder.request_hash != key.request_hash {
            return Err(spec::key_reused(&key.key, holder.id));
        }
        let execution = self.finished.wait(&*self.store, caller.project.id, holder.id).await?;
        Ok(Ran { execution, reused: true })
    }

    /// Resolves the version, checks every field, renders, and finds the model: nothing is written so far.
    async fn prepare(
        &self,
        caller: &Caller,
        spec: &Spec,
        entry: &Entry,
        key: Option<ExecutionKey>,
    ) -> Result<Prepared> {
        let prompt = &entry.found.prompt;
        prompt.check_not_archived()?;
        let selector = spec.selector.as_ref().map(|s| s.resolve(&prompt.name)).transpose()?;
        let by_pointer = matches!(selector, None | Some(Selector::Active));
        let selected;
        let (version, template): (&Version, _) = match selector {
            None | Some(Selector::Active) => {
                let active = entry.found.active.as_ref().ok_or_else(|| Selector::Active.missing(&prompt.name))?;
                (active, entry.template.as_deref())
            }
            Some(selector) => {
                selected = self.registry.version(caller.project.id, &prompt.name, &selector, None).await?;
                let Resolved { found, template } = &selected;
                (&found.version, template.as_deref())
            }
        };
        let checked: Checked = spec.check(prompt.mode, ExecutionMode::Sync, &self.runner.policy)?;
        let (input, prompt_truncated) = if spec.messages.is_empty() {
            template::value::check(&spec.variables)?;
            let rendered = registry::render(prompt, version, template, &spec.variables)?;
            (Input::Prompt(rendered.text), rendered.truncated)
        } else {
            (Input::Messages(spec.messages.clone()), false)
        };
        let model_ref = spec.model.clone().or_else(|| self.default_model.clone()).ok_or_else(|| {
            Error::invalid("spec.model", "is absent, and this server has no DEFAULT_MODEL; name a provider and a model")
        })?;
        let provider = self.providers.get(&model_ref.provider)?;
        provider.check(&spec.params)?;
        let model = self.models.resolve(&model_ref, &*provider).await?;
        let price = model.price_at(prompt_ledger_runtime::now()).cloned();
        let id = ExecutionId(prompt_ledger_runtime::new_id());
        let job = Job {
            id,
            input: input.clone(),
            prompt_truncated,
            model: model_ref.clone(),
            provider,
            price: price.clone(),
            params: spec.params,
            timeout: checked.timeout,
            max_retries: checked.max_retries,
        };
        let new = NewExecution {
            id,
            project_id: caller.project.id,
            prompt_id: prompt.id,
            version_id: version.id,
            must_be_active: by_pointer,
            environment: checked.environment.into_string(),
            input,
            prompt_truncated,
            variables: spec::canonical(&spec.variables)?,
            model: model_ref,
            price_id: price.map(|price| price.id),
            params: spec.params,
            correlation_id: spec.correlation_id.clone(),
            key,
            timeout: checked.timeout,
            expire_after: checked.expire_after,
            max_retries: checked.max_retries,
        };
        Ok(Prepared { new, job })
    }

    /// Records an execution and drives it to its end. With an idempotency key it goes on when the caller does not: the
    /// retry finds it. Without one, a caller that hangs up aborts the provider call.
    async fn drive(&self, Prepared { new, job }: Prepared, patience: &Patience) -> Result<Driven> {
        let sent = Instant::now();
        let ends_with_caller = new.key.is_none();
        let bounds = Bounds {
            sent,
            expire_at: new.expire_after.map(|after| sent + after),
            caller_deadline: patience.deadline.filter(|_| ends_with_caller),
            hung_up: if ends_with_caller { patience.hung_up.clone() } else { CancellationToken::new() },
        };
        let (store, runner, finished) = (Arc::clone(&self.store), self.runner.clone(), self.finished.clone());
        // A task of its own: when the caller goes away its future is dropped, at any await; but what is recorded must
        // be driven, and its end written.
        let driven = self.running.spawn(async move {
            match store.start(new, runner.holder()).await? {
                Recorded::New { .. } => {}
                Recorded::Existing(holder) => return Ok(Driven::Existing(holder)),
                Recorded::Stale => return Ok(Driven::Stale),
            }
            let id = job.id;
            let ended = runner.run(job, bounds).await;
            match &ended {
                Ok(execution) => log(execution),
                Err(error) => tracing::error!(execution_id = %id, %error, "the end could not be recorded"),
            }
            finished.announce(id);
            ended.map(|execution| Driven::Ended(Box::new(execution)))
        });
        driven.await.map_err(Error::internal)?
    }
}

/// What driving came to.
enum Driven {
    /// It was recorded, and has ended.
    Ended(Box<Execution>),
    /// Its idempotency key has an execution already.
    Existing(KeyHolder),
    /// The registry changed meanwhile: resolve again.
    Stale,
}

/// One line per execution: never a key, never a text.
fn log(execution: &Execution) {
    tracing::info!(
        execution_id = %execution.id,
        provider = execution.model.provider,
        model = execution.model.model,
        latency_ms = execution.latency_ms,
        prompt_tokens = execution.usage.prompt_tokens,
        response_tokens = execution.usage.response_tokens,
        status = %execution.status,
        error_type = execution.failure.as_ref().map(|failure| failure.error_type.as_str()),
        "execution ended"
    );
}
