//! What every execution passes before anything is written: mode, idempotency key, version, fields, rendering, model.

use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::error::Error;
use prompt_ledger_domain::execution::{ExecutionMode, Input};
use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::model::{Price, Usage};
use prompt_ledger_domain::prompt::{Mode, Selector, Version};
use prompt_ledger_domain::spec::{self, Checked, Spec};
use prompt_ledger_domain::template::{Interrupted, Rendered, Template};
use prompt_ledger_providers::Provider;
use prompt_ledger_store::{ExecutionKey, Fence, KeyHolder, NewExecution};
use prompt_ledger_worker::Job;
use serde_json::{Map, Value};

use super::ExecutionService;
use super::ended::Begun;
use crate::service::cpu_pool::GoOn;
use crate::service::registry::{CachedPrompt, Resolved};
use crate::service::{Caller, registry};

/// How often a recording that found the registry changed under it resolves again.
const RESOLVE_TRIES: usize = 5;
/// What a message counts beside its texts when the cost of hashing it is estimated.
const MESSAGE_BYTES: usize = 16;

/// Everything that an execution needs, resolved and rendered.
pub(super) struct Prepared {
    pub(super) new: NewExecution,
    pub(super) begun: Begun,
    provider: Arc<dyn Provider>,
    price: Option<Price>,
}

impl Prepared {
    /// Its first attempt, for whoever drives it within the call.
    pub(super) fn job(&self) -> Job {
        let Self { new, provider, price, .. } = self;
        Job {
            fence: Fence { id: new.id, attempt: 1 },
            mode: ExecutionMode::Sync,
            handed_back: 0,
            input: new.input.clone(),
            prompt_truncated: new.prompt_truncated,
            model: new.model.clone(),
            provider: Arc::clone(provider),
            price: price.clone(),
            params: new.params,
            timeout: new.timeout,
            max_retries: new.max_retries,
            used: Usage::default(),
            stream_text: new.stream_text,
        }
    }
}

/// How an execution is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ExecuteKind {
    /// Run within the call.
    Run,
    /// Run within the call, and watched from the beginning.
    Stream,
    /// Put into the queue.
    Submit,
}

/// What recording a prepared execution came to.
pub(super) enum Tried<T> {
    /// It was recorded.
    New(T),
    /// Its idempotency key has an execution already.
    Existing(KeyHolder),
    /// The registry changed meanwhile: resolve again.
    Stale,
}

impl<T> Tried<T> {
    pub(super) fn map<U>(self, of: impl FnOnce(T) -> U) -> Tried<U> {
        match self {
            Self::New(new) => Tried::New(of(new)),
            Self::Existing(holder) => Tried::Existing(holder),
            Self::Stale => Tried::Stale,
        }
    }
}

/// The execution of a request.
pub(super) enum Found<T> {
    /// It was recorded by this call.
    New(T),
    /// Another call with the same key and the same request had recorded it.
    Reused(ExecutionId),
}

impl ExecutionService {
    /// Prepares what a request asks for and has it recorded by `try_it`, unless its idempotency key has an execution. Where
    /// the registry changes under it, again. `prompt_mode` is the mode that the RPC serves.
    pub(super) async fn record<T, F>(
        &self,
        caller: &Caller,
        spec: &Arc<Spec>,
        prompt_mode: Mode,
        how: ExecuteKind,
        try_it: impl Fn(Prepared) -> F,
    ) -> Result<Found<T>>
    where
        F: Future<Output = Result<Tried<T>>>,
    {
        let project = caller.project.id;
        let name = Name::parse("spec.prompt_name", &spec.prompt_name)?;
        let mut entry = self.registry.entry(project, name.as_str(), spec.min_revision).await?;
        for _ in 0..RESOLVE_TRIES {
            entry.found.prompt.check_mode(prompt_mode, execute_rpc(entry.found.prompt.mode, how))?;
            let key = match spec.key()? {
                None => None,
                Some(key) => match self.reader.by_key(entry.found.prompt.id, &key).await? {
                    Some(holder) => return self.reused(project, spec, holder).await,
                    None => Some(ExecutionKey { key, request_hash: self.request_hash(project, spec).await? }),
                },
            };
            entry.check_revision(spec.min_revision)?;
            let _place = (how == ExecuteKind::Submit).then(|| self.backpressure.admit()).transpose()?;
            match try_it(self.prepare(caller, spec, &entry, key, how).await?).await? {
                Tried::New(new) => return Ok(Found::New(new)),
                Tried::Existing(holder) => return self.reused(project, spec, holder).await,
                Tried::Stale => entry = Arc::new(self.registry.read(project, name.as_str()).await?),
            }
        }
        Err(Error::internal("the registry changed under every try to record an execution"))
    }

    /// MODE_MISMATCH where the prompt that a request names is not of the mode that the RPC serves: looked at before
    /// anything else is said of the request.
    pub async fn check_mode(&self, caller: &Caller, spec: &Spec, prompt_mode: Mode) -> Result<()> {
        let name = Name::parse("spec.prompt_name", &spec.prompt_name)?;
        let entry = self.registry.entry(caller.project.id, name.as_str(), None).await?;
        let prompt = &entry.found.prompt;
        prompt.check_mode(prompt_mode, execute_rpc(prompt.mode, ExecuteKind::Run))
    }

    /// Resolves the version, checks every field, renders, and finds the model: nothing is written so far.
    async fn prepare(
        &self,
        caller: &Caller,
        spec: &Arc<Spec>,
        entry: &CachedPrompt,
        key: Option<ExecutionKey>,
        how: ExecuteKind,
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
                (active.ok_or_else(|| Selector::Active.missing(&prompt.name))?, entry.template.as_ref())
            }
            Some(selector) => {
                selected = self.registry.version(caller.project.id, &prompt.name, &selector, None).await?;
                let Resolved { found, template } = &selected;
                (&found.version, template.as_ref())
            }
        };
        let mode = if how == ExecuteKind::Submit { ExecutionMode::Async } else { ExecutionMode::Sync };
        let checked: Checked = spec.check(prompt.mode, mode, &self.runner.policy)?;
        let template = match spec.messages.as_slice() {
            [] => Some(Arc::clone(template.ok_or_else(|| prompt.opaque(version.number))?)),
            _ => None,
        };
        let bytes = spec.variables_bytes + version.template_source.len();
        let sent = Arc::clone(spec);
        let render = move |go_on: GoOn<'_>| rendered(template.as_deref(), &sent.variables, go_on);
        let (rendered, variables) = self.cpu.run_inline_if_short(caller.project.id, bytes, render).await??;
        let (input, prompt_truncated) = match rendered {
            Some(rendered) => (Input::Prompt(rendered.text), rendered.truncated),
            None => (Input::Messages(spec.messages.clone()), false),
        };
        let model_ref = spec.model.clone().or_else(|| self.default_model.clone()).ok_or_else(|| {
            Error::invalid("spec.model", "is absent, and this server has no DEFAULT_MODEL; name a provider and a model")
        })?;
        let provider = self.providers.get(&model_ref.provider)?;
        provider.check(&spec.params)?;
        let model = self.models.resolve(&model_ref, &*provider).await?;
        let price = model.price_at(prompt_ledger_runtime::now()).cloned();
        let new = NewExecution {
            id: ExecutionId(prompt_ledger_runtime::new_id()),
            project_id: caller.project.id,
            prompt_id: prompt.id,
            version_id: version.id,
            prompt_mode: prompt.mode,
            must_be_active: by_pointer,
            environment: checked.environment.into_string(),
            input,
            prompt_truncated,
            variables,
            model: model_ref,
            price_id: price.as_ref().map(|price| price.id),
            params: spec.params,
            correlation_id: spec.correlation_id.clone(),
            key,
            timeout: checked.timeout,
            expire_after: checked.expire_after,
            max_retries: checked.max_retries,
            stream_text: spec.stream_text || how == ExecuteKind::Stream,
        };
        let begun = Begun::new(&new, prompt, version);
        Ok(Prepared { new, begun, provider, price })
    }

    /// IDEMPOTENCY_KEY_REUSED, unless the key's execution was made by the same request.
    async fn reused<T>(&self, project: ProjectId, spec: &Arc<Spec>, holder: KeyHolder) -> Result<Found<T>> {
        if holder.request_hash != self.request_hash(project, spec).await? {
            return Err(spec::key_reused(&spec.idempotency_key, holder.id));
        }
        Ok(Found::Reused(holder.id))
    }

    async fn request_hash(&self, project: ProjectId, spec: &Arc<Spec>) -> Result<[u8; 32]> {
        let messages: usize = spec.messages.iter().map(|m| MESSAGE_BYTES + m.role.len() + m.content.len()).sum();
        let sent = Arc::clone(spec);
        let hash = move |_: GoOn<'_>| Ok(sent.request_hash());
        self.cpu.run(project, spec.variables_bytes + messages, hash).await?
    }
}

/// The text of a template, where there is one, and the variables as they are stored.
fn rendered(
    template: Option<&Template>,
    variables: &Map<String, Value>,
    go_on: GoOn<'_>,
) -> Result<Result<(Option<Rendered>, String)>, Interrupted> {
    let rendered = match template.map(|template| registry::render(template, variables, go_on)).transpose()? {
        Some(Err(error)) => return Ok(Err(error)),
        rendered => rendered.and_then(Result::ok),
    };
    Ok(spec::canonical(variables).map(|stored| (rendered, stored)))
}

/// What executes the prompts of this mode in this way.
fn execute_rpc(mode: Mode, how: ExecuteKind) -> &'static str {
    match (mode, how) {
        (Mode::Full, ExecuteKind::Run) => "ExecutionService.RunExecution",
        (Mode::Full, ExecuteKind::Stream) => "ExecutionService.StreamExecution",
        (Mode::Full, ExecuteKind::Submit) => "ExecutionService.SubmitExecution",
        (Mode::Tracking, ExecuteKind::Stream) => "CodeRegistrationService.StreamCodePrompt",
        (Mode::Tracking, ExecuteKind::Run | ExecuteKind::Submit) => "CodeRegistrationService.ExecuteCodePrompt",
    }
}
