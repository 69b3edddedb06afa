//! Models and their prices.

use std::collections::HashMap;
use std::sync::Arc;

use prompt_ledger_domain::capabilities::ModelRequest;
use prompt_ledger_domain::chat::{ChatMessage, ChatTemplateEntry};
use prompt_ledger_domain::config::VersionConfig;
use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::{Error, Violation, Violations};
use prompt_ledger_domain::execution::{Input, Params};
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::model::{Model, ModelRef};
use prompt_ledger_domain::provider::ProviderTraits;
use prompt_ledger_domain::tool::AnswerRules;
use prompt_ledger_domain::{Result, limits};
use prompt_ledger_store::{Models, PutModel};

use super::ProviderDirectory;
use super::cache::{Cache, Freshness};

/// The most models that the contents of one request are compared with.
const DOUBTED_MODELS: usize = 64;

/// Registers and resolves models. Caches those in use.
pub struct ModelService {
    store: Arc<dyn Models>,
    providers: Arc<ProviderDirectory>,
    cache: Cache<ModelRef, Model>,
}

impl ModelService {
    pub fn new(store: Arc<dyn Models>, providers: Arc<ProviderDirectory>, freshness: &Arc<Freshness>) -> Self {
        Self { store, providers, cache: Cache::new(Arc::clone(freshness)) }
    }

    /// Registers or changes a model. Its provider must be known here or told of by another process, but need not be
    /// configured.
    pub async fn put(&self, put: PutModel) -> Result<Model> {
        let mut wrong = Violations::default();
        wrong.keep(Name::parse("provider", &put.id.provider))?;
        wrong.keep(field::token("model_name", put.id.model_name.clone()))?;
        if let Some(max_tokens @ ..1) = put.max_tokens {
            wrong.keep::<()>(Err(Error::invalid("max_tokens", format!("is {max_tokens}; send 1 or more"))))?;
        }
        if let Some(price) = &put.price {
            for (name, value) in [
                ("price.input_nano_usd_per_million", price.input),
                ("price.cached_input_nano_usd_per_million", price.cached_input.unwrap_or(0)),
                ("price.cache_write_5m_nano_usd_per_million", price.cache_write_5m.unwrap_or(0)),
                ("price.cache_write_1h_nano_usd_per_million", price.cache_write_1h.unwrap_or(0)),
                ("price.output_nano_usd_per_million", price.output),
            ] {
                if value < 0 {
                    wrong.keep::<()>(Err(Error::invalid(name, format!("is {value}; a price is 0 or more"))))?;
                }
            }
        }
        wrong.finish(Some(()))?;
        self.providers.check_known(&put.id.provider).await?;
        let model = self.store.put_model(put).await?;
        self.cache.clear();
        Ok(model)
    }

    /// For each content, warnings about the model that its config names: one that is not registered, what it is known not to
    /// do, and what its provider does not take. After the first `DOUBTED_MODELS` models there are none.
    pub async fn doubts(&self, contents: &[Option<&VersionContent>]) -> Vec<Vec<String>> {
        let mut read: HashMap<&ModelRef, Option<Option<Arc<Model>>>> = HashMap::new();
        let mut doubts = Vec::with_capacity(contents.len());
        for content in contents {
            let Some((content, id)) = content.and_then(|content| Some((content, content.config.model.as_ref()?)))
            else {
                doubts.push(Vec::new());
                continue;
            };
            if !read.contains_key(id) && read.len() < DOUBTED_MODELS {
                // Without a warning where it cannot be read: the contents are registered already.
                read.insert(id, self.known(id).await.ok());
            }
            let known = read.get(id).and_then(Option::as_ref);
            let traits = self.providers.traits(&id.provider);
            doubts.push(known.map(|model| doubts_of(content, id, model.as_deref(), traits)).unwrap_or_default());
        }
        doubts
    }

    /// The parameters that are sent to a model in place of these, as far as its provider is known.
    pub async fn completed(&self, id: &ModelRef, params: Params) -> Result<Params> {
        let Some(traits) = self.providers.traits(&id.provider) else { return Ok(params) };
        let model = self.known(id).await?;
        Ok(traits.completed(params, model.and_then(|model| model.max_tokens)))
    }

    async fn known(&self, id: &ModelRef) -> Result<Option<Arc<Model>>> {
        self.cache.get_or_read(id.clone(), |_| 512, async { self.store.model(id).await }).await
    }

    /// Up to `limit` models after `after`, of `provider` or, where that is empty, of all.
    pub async fn list(&self, provider: &str, after: Option<&ModelRef>, limit: usize) -> Result<Vec<Model>> {
        self.store.models(provider, after, limit).await
    }

    /// The model that an execution names. One that is not registered is MODEL_NOT_FOUND, unless its provider is at a
    /// place that is not the maker's, which takes any model: then it is registered as discovered, without a price, while
    /// there are fewer than [`limits::DISCOVERED_MODELS`] of these, and `may_register`.
    pub async fn resolve(&self, id: &ModelRef, provider: ProviderTraits, may_register: bool) -> Result<Arc<Model>> {
        match self.known(id).await? {
            Some(model) => Ok(model),
            None if may_register && provider.is_own_place => {
                field::token("model.model_name", id.model_name.clone()).map_err(Error::of_spec)?;
                let most = limits::DISCOVERED_MODELS;
                let discovered = self.store.discover_model(id, most).await?;
                discovered.map(Arc::new).ok_or_else(|| Error::model_not_discovered(id, most))
            }
            None => Err(Error::model_not_found(id)),
        }
    }

    /// The latest revision of the models that is known here.
    pub fn revision(&self) -> i64 {
        self.cache.applied()
    }

    /// Drops what is cached from before `revision` of the models.
    pub fn apply(&self, revision: i64) {
        self.cache.apply(revision);
    }
}

/// What is wrong with a content for the model that its config names; `model` is absent where it is not registered, `traits`
/// where its provider is not known.
fn doubts_of(
    content: &VersionContent,
    id: &ModelRef,
    model: Option<&Model>,
    traits: Option<ProviderTraits>,
) -> Vec<String> {
    let unknown = model.is_none().then(|| {
        format!(
            "config.model is {id}, which is not registered; executions are refused unless its provider takes any model"
        )
    });
    // A message for each entry, so that both have the same numbers.
    let message = |entry: &ChatTemplateEntry| match entry {
        ChatTemplateEntry::Message(message) => message.clone(),
        ChatTemplateEntry::Placeholder(_) => ChatMessage::default(),
    };
    let messages = content.chat().map(|chat| chat.entries.iter().map(message).collect()).unwrap_or_default();
    let VersionConfig { params, tools, tool_choice, response_format, .. } = content.config.clone();
    let rules = AnswerRules { tools, tool_choice, response_format };
    let capabilities = model.map(|model| model.capabilities).unwrap_or_default();
    let input = Input::Messages(messages);
    let request = ModelRequest::new(&input, &params, &rules);
    // What a protocol is that nobody knows refuses nothing.
    let traits = traits.unwrap_or(ProviderTraits { kind: None, is_own_place: true });
    let violations = traits.check(&request, &capabilities).err().map(|error| error.parts().violations.clone());
    let doubt = |Violation { field, description }: Violation| match field.strip_prefix("messages[") {
        Some(place) => {
            let place = place.replacen(']', "].message", 1);
            format!("chat_template.entries[{place} {description}: {id}")
        }
        None => format!("config.{field} {description}: {id}"),
    };
    unknown.into_iter().chain(violations.into_iter().flatten().map(doubt)).collect()
}
