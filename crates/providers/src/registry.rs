//! The provider instances of a process, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prompt_ledger_domain::error::{Error, Result};
use prompt_ledger_domain::provider::{ProviderKind, ProviderTraits};

use crate::Provider;

/// The provider instances of a process, by name: those that can be called, and those that lack configuration.
#[derive(Clone, Default)]
pub struct Providers(BTreeMap<String, KnownProvider>);

#[derive(Clone)]
enum KnownProvider {
    Ready(Arc<dyn Provider>),
    Unconfigured { kind: ProviderKind, remedy: String },
}

impl Providers {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a provider that can be called, in place of one of the same name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, provider: Arc<dyn Provider>) -> Self {
        self.0.insert(name.into(), KnownProvider::Ready(provider));
        self
    }

    /// Adds a provider of this protocol that lacks configuration; `remedy` says what to do, such as `set OPENAI_API_KEY or
    /// OPENAI_BASE_URL`.
    #[must_use]
    pub fn without(mut self, name: impl Into<String>, kind: ProviderKind, remedy: impl Into<String>) -> Self {
        self.0.insert(name.into(), KnownProvider::Unconfigured { kind, remedy: remedy.into() });
        self
    }

    /// The provider of that name. PROVIDER_NOT_FOUND lists the known names; PROVIDER_NOT_CONFIGURED contains the
    /// remedy.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Provider>> {
        match self.0.get(name) {
            Some(KnownProvider::Ready(provider)) => Ok(Arc::clone(provider)),
            Some(KnownProvider::Unconfigured { remedy, .. }) => Err(Error::provider_not_configured(name, remedy)),
            None => Err(Error::provider_not_found(name, self.names())),
        }
    }

    /// What a request may ask of the provider of that name, and whether it can be called. One that lacks configuration has
    /// no place of its own.
    pub fn traits(&self, name: &str) -> Option<(ProviderTraits, bool)> {
        match self.0.get(name)? {
            KnownProvider::Ready(provider) => Some((provider.traits(), true)),
            KnownProvider::Unconfigured { kind, .. } => {
                Some((ProviderTraits { kind: Some(*kind), is_own_place: false }, false))
            }
        }
    }

    /// Those that can be called, sorted by name, with what a request may ask of them.
    pub fn ready(&self) -> impl Iterator<Item = (&str, ProviderTraits)> {
        self.0.iter().filter_map(|(name, known)| match known {
            KnownProvider::Ready(provider) => Some((name.as_str(), provider.traits())),
            KnownProvider::Unconfigured { .. } => None,
        })
    }

    /// All names, sorted, configured or not.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
