use std::path::PathBuf;
use std::sync::Arc;

use prompt_ledger_domain::provider::ProviderKind;
use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::echo::Echo;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{BodyBudget, Endpoint, Provider, Providers};
use prompt_ledger_runtime::config::{Config, InstanceConfig};

use crate::StartError;

/// The configured instances. The others are registered with the settings that they lack, for the error text.
pub(crate) fn configured(config: &Config) -> Result<Providers, StartError> {
    let bodies = BodyBudget::default();
    let mut known = Providers::new();
    for (name, instance) in &config.providers.instances {
        known = if instance.is_configured() {
            let made = made(instance, &bodies).map_err(|error| format!("provider {name}: {error}"))?;
            known.with(name, made)
        } else {
            known.without(name, instance.kind, &instance.remedy)
        };
    }
    Ok(known)
}

fn made(instance: &InstanceConfig, bodies: &BodyBudget) -> Result<Arc<dyn Provider>, StartError> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    let endpoint = Endpoint {
        api_key: instance.api_key.clone(),
        key_header: instance.key_header.clone(),
        headers: instance.headers.clone(),
        base_url: instance.base_url.clone(),
        proxy: instance.proxy.clone(),
        no_proxy: instance.no_proxy.clone(),
        ca: instance.ca.as_ref().map(read).transpose()?,
        first_byte_timeout: instance.first_byte_timeout,
        idle_timeout: instance.idle_timeout,
        idle_connections: instance.idle_connections,
        bodies: bodies.clone(),
        ..Endpoint::default()
    };
    Ok(match instance.kind {
        ProviderKind::OpenAi => Arc::new(OpenAi::new(endpoint)?),
        ProviderKind::Anthropic => Arc::new(Anthropic::new(endpoint)?),
        ProviderKind::Echo => Arc::new(Echo),
    })
}
