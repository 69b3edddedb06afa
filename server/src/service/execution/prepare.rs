//! What precedes the recording of every execution: version, fields, rendering, model. Nothing is written.

use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::capabilities::{ModelCapabilities, ModelRequest};
use prompt_ledger_domain::config::EffectiveConfig;
use prompt_ledger_domain::error::Error;
use prompt_ledger_domain::execution::{ExecutedVersion, ExecutionMode, Input};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::label;
use prompt_ledger_domain::model::{Price, Usage};
use prompt_ledger_domain::prompt::{Selector, Version};
use prompt_ledger_domain::spec::{self, Checked, Spec, SpecSelector};
use prompt_ledger_domain::tool::AnswerRules;
use prompt_ledger_engine::Job;
use prompt_ledger_providers::Provider;
use prompt_ledger_store::{ExecutionKey, Fence, NewExecution, Subject};
use prompt_ledger_template::Interrupted;
use prompt_ledger_template::content::{ParsedTemplate, RenderedTemplate};
use serde_json::{Map, Value};

use super::ExecutionService;
use super::execute_kind::ExecuteKind;
use crate::service::cpu_pool::GoOn;
use crate::service::registry::{CachedPrompt, Resolved};
use crate::service::{Caller, registry};

/// What a message counts beside its texts where the cost of hashing it is estimated, in bytes.
const MESSAGE_BYTES: usize = 16;

/// A new execution, resolved and rendered.
pub(super) struct Prepared {
    pub(super) new: NewExecution,
    pub(super) version: ExecutedVersion,
    provider: Arc<dyn Provider>,
    price: Option<Price>,
    /// The model does not stream.
    whole: bool,
}

impl Prepared {
    /// Its first attempt, for a call that drives it.
    pub(super) fn job(&self) -> Job {
        let Self { new, version, provider, price, whole } = self;
        Job {
            fence: Fence { id: new.id, attempt: 1 },
            subject: Subject {
                project: version.project.clone(),
                prompt_name: version.prompt_name.clone(),
                version_number: version.number,
                correlation_id: new.correlation_id.clone(),
                trace: new.trace,
            },
            created_at: None,
            mode: ExecutionMode::Sync,
            handed_back: 0,
            input: new.input.clone(),
            prompt_truncated: new.prompt_truncated,
            model: new.model.clone(),
            provider: Arc::clone(provider),
            price: price.clone(),
            params: new.params.clone(),
            rules: new.rules.clone(),
            timeout: new.timeout,
            max_retries: new.max_retries,
            used: Usage::default(),
            stream_text: new.stream_text,
            whole: *whole,
        }
    }
}

impl ExecutionService {
    /// Resolves the version, checks every field, renders, and finds the model and its price.
    pub(super) async fn prepare(
        &self,
        caller: &Caller,
        spec: &Arc<Spec>,
        entry: &CachedPrompt,
        key: Option<ExecutionKey>,
        kind: ExecuteKind<'_>,
    ) -> Result<Prepared> {
        let prompt = &entry.found.prompt;
        prompt.check_not_archived()?;
        let selector = spec.selector.as_ref().map(|s| s.resolve(prompt)).transpose()?;
        let label = spec.selector.as_ref().and_then(SpecSelector::label).unwrap_or_default();
        let must_be_labelled = !label.is_empty() && !label::BUILT_IN.contains(&label);
        let by_pointer = matches!(selector, None | Some(Selector::Active));
        let active = entry.found.active.as_ref();
        // Code executes by the hash of the text that it carries, which mostly is the active version's.
        let is_active = |hash: &str| active.is_some_and(|active| active.checksum_hash == hash);
        let selector = selector.filter(|selector| match selector {
            Selector::Checksum(hash) => !is_active(hash),
            Selector::Number(number) => active.is_none_or(|active| active.number != *number),
            Selector::Active | Selector::Latest => true,
        });
        let (latest, fixed);
        let (version, template): (&Version, _) = match selector {
            None | Some(Selector::Active) => (
                active.ok_or_else(|| Error::version_not_found(&prompt.name, &Selector::Active))?,
                entry.template.as_ref(),
            ),
            Some(Selector::Latest) => {
                latest = self.registry.resolved(caller.project.id, &prompt.name, &Selector::Latest, None).await?;
                let Resolved { found, template } = &latest;
                (&found.version, template.as_ref())
            }
            Some(selector) => {
                fixed = self.registry.fixed(caller.project.id, prompt, selector).await?;
                (&fixed.version, fixed.template.as_ref())
            }
        };
        let checked: Checked = spec.check(prompt.mode, kind.mode(), &self.runner.policy)?;
        let template = match spec.messages.as_slice() {
            [] => Some(Arc::clone(template.ok_or_else(|| prompt.opaque(version.number))?)),
            _ => None,
        };
        let bytes = spec.variables_bytes + version.content.bytes();
        let sent = Arc::clone(spec);
        let render = move |go_on: GoOn<'_>| rendered(template.as_deref(), &sent.variables, go_on);
        let (rendered, variables) = self.cpu.run_inline_if_short(caller.project.id, bytes, render).await??;
        let is_rendered_chat = matches!(rendered, Some(RenderedTemplate::Chat(_)));
        let (input, prompt_truncated) = match rendered {
            Some(RenderedTemplate::Text(rendered)) => (Input::Prompt(rendered.text), rendered.truncated),
            Some(RenderedTemplate::Chat(messages)) => (Input::Messages(messages), false),
            None => (Input::Messages(spec.messages.clone()), false),
        };
        let effective = EffectiveConfig::merge(&version.content.config, &spec.overrides, self.default_model.as_ref())?;
        let EffectiveConfig { model: model_ref, params, tools, tool_choice, response_format } = effective;
        let rules = AnswerRules { tools, tool_choice, response_format };
        // For a key that may have been revoked nothing is written, and the store is not asked.
        let is_confirmed = caller.unconfirmed.is_none();
        let provider = match kind {
            ExecuteKind::Run(_) | ExecuteKind::Stream(_) => {
                self.providers.inline(&model_ref.provider, is_confirmed).await?
            }
            ExecuteKind::Submit => self.providers.queued(&model_ref.provider, is_confirmed).await?,
        };
        let traits = provider.traits();
        let request = ModelRequest::new(&input, &params, &rules);
        traits.check_call(&request).map_err(|error| spec.blamed(error))?;
        let model = self.models.resolve(&model_ref, traits, is_confirmed).await?;
        if model.capabilities != ModelCapabilities::default() || params.reasoning_effort.is_some() {
            traits.check(&request, &model.capabilities).map_err(|error| spec.blamed(error))?;
        }
        let price = model.price_at(prompt_ledger_runtime::now()).cloned();
        let new = NewExecution {
            id: ExecutionId(prompt_ledger_runtime::new_id()),
            project_id: caller.project.id,
            prompt_id: prompt.id,
            version_id: version.id,
            prompt_mode: prompt.mode,
            must_be_active: by_pointer,
            label: label.to_owned(),
            must_be_labelled,
            resolved_at: None,
            environment: checked.environment.into_string(),
            input,
            is_rendered_chat,
            prompt_truncated,
            variables,
            model: model_ref,
            price_id: price.as_ref().map(|price| price.id),
            params: traits.completed(params, model.max_tokens),
            rules,
            correlation_id: spec.correlation_id.clone(),
            metadata: spec.metadata.clone(),
            key,
            retry_of: None,
            timeout: checked.timeout,
            expire_after: checked.expire_after,
            max_retries: checked.max_retries,
            stream_text: spec.stream_text || matches!(kind, ExecuteKind::Stream(_)),
            trace: prompt_ledger_runtime::telemetry::current(),
        };
        let version = ExecutedVersion::of(prompt, version);
        Ok(Prepared { new, version, provider, price, whole: !model.supports_streaming })
    }

    pub(super) async fn request_hash(&self, project: ProjectId, spec: &Arc<Spec>) -> Result<[u8; 32]> {
        let messages: usize = spec.messages.iter().map(|m| MESSAGE_BYTES + m.text_bytes() + m.image_bytes()).sum();
        let sent = Arc::clone(spec);
        let hash = move |_: GoOn<'_>| Ok(sent.request_hash());
        self.cpu.run(project, spec.variables_bytes + messages, hash).await?
    }
}

/// The rendered text or chat, where there is a template, and the variables in the form in which they are stored.
fn rendered(
    template: Option<&ParsedTemplate>,
    variables: &Map<String, Value>,
    go_on: GoOn<'_>,
) -> Result<Result<(Option<RenderedTemplate>, String)>, Interrupted> {
    let rendered = match template.map(|template| registry::render(template, variables, go_on)).transpose()? {
        Some(Err(error)) => return Ok(Err(error)),
        rendered => rendered.and_then(Result::ok),
    };
    Ok(spec::canonical(variables).map(|stored| (rendered, stored)))
}
