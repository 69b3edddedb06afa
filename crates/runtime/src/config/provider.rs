//! Settings of the model providers.

use prompt_ledger_domain::secret::Secret;
use url::Url;

use super::env::{Env, Setting};
use super::settings::{ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL, OPENAI_API_KEY, OPENAI_BASE_URL};

#[derive(Clone, Debug)]
pub struct ProviderConfig {
    pub openai: ProviderEndpoint,
    pub anthropic: ProviderEndpoint,
}

#[derive(Clone, Debug, Default)]
pub struct ProviderEndpoint {
    /// Absent where it is not set; a configured base URL needs none.
    pub api_key: Option<Secret>,
    /// Absent: the vendor's own server.
    pub base_url: Option<Url>,
}

impl ProviderEndpoint {
    /// A key or a base URL is enough.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.api_key.is_some() || self.base_url.is_some()
    }
}

impl ProviderConfig {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        let mut endpoint = |key: &Setting, url: &Setting| ProviderEndpoint {
            api_key: env.text(key).map(Secret::new),
            base_url: env.read(url, |value| match Url::parse(value) {
                Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                    Err(format!("holds a user name or a password; what a server is to be shown goes into {}", key.name))
                }
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
                _ => Err("is no http or https URL, e.g. http://127.0.0.1:11434/v1".into()),
            }),
        };
        Self {
            openai: endpoint(&OPENAI_API_KEY, &OPENAI_BASE_URL),
            anthropic: endpoint(&ANTHROPIC_API_KEY, &ANTHROPIC_BASE_URL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_or_a_place_configures_a_provider() {
        let lookup = |name: &str| match name {
            "OPENAI_BASE_URL" => Some("http://127.0.0.1:11434/v1".to_owned()),
            "ANTHROPIC_API_KEY" => Some("sk-hunter2".to_owned()),
            _ => None,
        };
        let config = ProviderConfig::read(&mut Env::new(&lookup));
        assert!(config.openai.is_configured() && config.anthropic.is_configured());
        assert!(!ProviderEndpoint::default().is_configured());
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_place_with_a_user_or_a_password_is_a_mistake() {
        for place in ["https://user:hunter2@gateway/v1", "https://hunter2@gateway/v1", "https://:hunter2@gateway/v1"] {
            let lookup = |name: &str| (name == "ANTHROPIC_BASE_URL").then(|| place.to_owned());
            let mut env = Env::new(&lookup);
            ProviderConfig::read(&mut env);
            let said = env.finish(()).unwrap_err().to_string();
            assert!(said.contains("ANTHROPIC_BASE_URL") && said.contains("ANTHROPIC_API_KEY"), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn other_schemes_are_mistakes() {
        let lookup = |name: &str| (name == "OPENAI_BASE_URL").then(|| "ftp://host/".to_owned());
        let mut env = Env::new(&lookup);
        ProviderConfig::read(&mut env);
        assert!(env.finish(()).unwrap_err().to_string().contains("http"));
    }
}
