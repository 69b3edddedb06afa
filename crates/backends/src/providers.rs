use std::sync::Arc;

use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::echo::Echo;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{BodyBudget, Endpoint, Providers};
use prompt_ledger_runtime::config::{Config, ProviderConfig, ProviderEndpoint};

use crate::StartError;

/// The configured providers. The others are registered with the name of the setting that they lack, for the error text.
pub(crate) fn configured(config: &Config) -> Result<Providers, StartError> {
    let ProviderConfig { openai, anthropic } = &config.providers;
    let bodies = BodyBudget::default();
    let endpoint = |configured: &ProviderEndpoint| Endpoint {
        api_key: configured.api_key.clone(),
        base_url: configured.base_url.clone(),
        bodies: bodies.clone(),
        ..Endpoint::default()
    };
    let known = Providers::new().with("echo", Arc::new(Echo));
    let known = match openai.is_configured() {
        true => known.with("openai", Arc::new(OpenAi::new(endpoint(openai))?)),
        false => known.without("openai", "set OPENAI_API_KEY or OPENAI_BASE_URL"),
    };
    Ok(match anthropic.is_configured() {
        true => known.with("anthropic", Arc::new(Anthropic::new(endpoint(anthropic))?)),
        false => known.without("anthropic", "set ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL"),
    })
}
