//! What every execution passes before anything is written: mode, idempotency key, version, fields, rendering, model.

use std::sync::Arc;

use prompt_ledger_domain::error::Error;
use prompt_ledger_domain::execution::{Execution, ExecutionMode, Input};
use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::model::Usage;
use prompt_ledger_domain::prompt::{Mode, Selector, Version};
use prompt_ledger_domain::spec::{self, Checked, Spec};
use prompt_ledger_domain::{Result, template};
use prompt_ledger_store::{ExecutionKey, Fence, KeyHolder, NewExecution};
use prompt_ledger_worker::Job;

use super::ended::Begun;
use super::{ExecutionService, Patience};
use crate::service::registry::{Entry, Resolved};
use crate::service::{Caller, registry};
use crate::watch::Watcher;

/// How often a recording that found the registry changed under it resolves again.
const RESOLVE_TRIES: usize = 5;

/// Everything that an execution needs, resolved and rendered.
pub(super) struct Prepared {
    pub(super) new: NewExecution,
    pub(super) job: Job,
    pub(super) begun: Begun,
}

/// How an execution is to be recorded.
#[derive(Clone, Copy)]
pub(super) enum How<'a> {
    /// Run within the call.
    Run(&'a Patience),
    /// Run within the call, and watched from the beginning.
    Stream(&'a Patience),
    /// Put into the queue.
    Submit,
}

/// What recording a prepared execution came to.
pub(super) enum Tried {
    /// It was recorded, and reads as told: as it ended where it runs within the call, else as it was put into the queue.
    /// Where that takes a look at the store, nothing is told.
    New(ExecutionId, Option<Box<Execution>>),
    /// It was recorded, runs, and is watched.
    Watched(Box<Watcher>),
    /// Its idempotency key has an execution already.
    Existing(KeyHolder),
    /// The registry changed meanwhile: resolve again.
    Stale,
}

/// The execution of a request.
pub(super) enum Found {
    /// It was recorded by this call, as [`Tried::New`].
    New(ExecutionId, Option<Box<Execution>>),
    /// As [`Tried::Watched`].
    Watched(Box<Watcher>),
    /// Another call with the same key and the same request had recorded it.
    Reused(ExecutionId),
}

impl ExecutionService {
    /// Prepares what a request asks for and records it, unless its idempotency key has an execution. Where the registry
    /// changes under it, again. `prompt_mode` is the mode that the RPC serves.
    pub(super) async fn record(&self, caller: &Caller, spec: &Spec, prompt_mode: Mode, how: How<'_>) -> Result<Found> {
        let mode = match how {
            How::Run(_) | How::Stream(_) => ExecutionMode::Sync,
            How::Submit => ExecutionMode::Async,
        };
        let project = caller.project.id;
        let name = Name::parse("spec.prompt_name", &spec.prompt_name)?;
        let mut entry = self.registry.entry(project, name.as_str(), spec.min_revision).await?;
        for _ in 0..RESOLVE_TRIES {
            entry.found.prompt.check_mode(prompt_mode, execute_rpc(entry.found.prompt.mode, how))?;
            let key = match spec.key()? {
                None => None,
                Some(key) => match self.store.by_key(entry.found.prompt.id, &key).await? {
                    Some(holder) => return reused(spec, holder),
                    None => Some(ExecutionKey { key, request_hash: spec.request_hash()? }),
                },
            };
            let _place = match how {
                How::Submit => Some(self.backpressure.admit()?),
                How::Run(_) | How::Stream(_) => None,
            };
            let streams = spec.stream_text || matches!(how, How::Stream(_));
            let prepared = self.prepare(caller, spec, &entry, key, mode, streams).await?;
            let tried = match how {
                How::Run(patience) => self.drive(prepared, patience).await?,
                How::Stream(patience) => self.drive_watched(prepared, patience).await?,
                How::Submit => self.enqueue(prepared).await?,
            };
            match tried {
                Tried::New(id, execution) => return Ok(Found::New(id, execution)),
                Tried::Watched(watcher) => return Ok(Found::Watched(watcher)),
                Tried::Existing(holder) => return reused(spec, holder),
                Tried::Stale => entry = Arc::new(self.registry.read(project, name.as_str()).await?),
            }
        }
        Err(Error::internal("the registry changed under every try to record an execution"))
    }

    /// MODE_MISMATCH where the prompt that a request names is not of the mode that the RPC serves: looked at before
    /// anything else is said of the request.
    pub async fn check_mode(&self, caller: &Caller, spec: &Spec, prompt_mode: Mode) -> Result<()> {
        let name = Name::parse("spec.prompt_name", &spec.prompt_name)?;
        let entry = self.registry.entry(caller.project.id, name.as_str(), spec.min_revision).await?;
        let prompt = &entry.found.prompt;
        prompt.check_mode(prompt_mode, execute_rpc(prompt.mode, How::Run(&Patience::default())))
    }

    /// Resolves the version, checks every field, renders, and finds the model: nothing is written so far.
    async fn prepare(
        &self,
        caller: &Caller,
        spec: &Spec,
        entry: &Entry,
        key: Option<ExecutionKey>,
        mode: ExecutionMode,
        stream_text: bool,
    ) -> Result<Prepared> {
        let prompt = &entry.found.prompt;
        prompt.check_not_archived()?;
        let selector = spec.selector.as_ref().map(|s| s.resolve(&prompt.name)).transpose()?;
        let by_pointer = matches!(selector, None | Some(Selector::Active));
        let active = entry.found.active.as_ref();
        // Code executes by the hash of the text that it carries: mostly that is the active version's.
        let is_active = |hash: &str| active.is_some_and(|active| active.checksum == hash);
        let selector = selector.filter(|s| !matches!(s, Selector::Checksum(hash) if is_active(hash)));
        let selected;
        let (version, template): (&Version, _) = match selector {
            None | Some(Selector::Active) => {
                (active.ok_or_else(|| Selector::Active.missing(&prompt.name))?, entry.template.as_deref())
            }
            Some(selector) => {
                selected = self.registry.version(caller.project.id, &prompt.name, &selector, None).await?;
                let Resolved { found, template } = &selected;
                (&found.version, template.as_deref())
            }
        };
        let checked: Checked = spec.check(prompt.mode, mode, &self.runner.policy)?;
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
            fence: Fence { id, attempt: 1 },
            mode,
            handed_back: 0,
            input: input.clone(),
            prompt_truncated,
            model: model_ref.clone(),
            provider,
            price: price.clone(),
            params: spec.params,
            timeout: checked.timeout,
            max_retries: checked.max_retries,
            used: Usage::default(),
            stream_text,
        };
        let new = NewExecution {
            id,
            project_id: caller.project.id,
            prompt_id: prompt.id,
            version_id: version.id,
            prompt_mode: prompt.mode,
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
            stream_text,
        };
        let begun = Begun::new(&new, prompt, version);
        Ok(Prepared { new, job, begun })
    }
}

/// IDEMPOTENCY_KEY_REUSED, unless the key's execution was made by the same request.
fn reused(spec: &Spec, holder: KeyHolder) -> Result<Found> {
    if holder.request_hash != spec.request_hash()? {
        return Err(spec::key_reused(&spec.idempotency_key, holder.id));
    }
    Ok(Found::Reused(holder.id))
}

/// What executes the prompts of this mode in this way.
fn execute_rpc(mode: Mode, how: How<'_>) -> &'static str {
    match (mode, how) {
        (Mode::Full, How::Run(_)) => "ExecutionService.RunExecution",
        (Mode::Full, How::Stream(_)) => "ExecutionService.StreamExecution",
        (Mode::Full, How::Submit) => "ExecutionService.SubmitExecution",
        (Mode::Tracking, How::Stream(_)) => "CodeRegistrationService.StreamCodePrompt",
        (Mode::Tracking, How::Run(_) | How::Submit) => "CodeRegistrationService.ExecuteCodePrompt",
    }
}
