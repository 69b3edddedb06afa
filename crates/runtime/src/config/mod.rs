//! Configuration by environment: read once, at start, every mistake reported together. One file per subsystem.

mod backend;
mod env;
mod execution;
mod provider;
mod server;
mod watch;

pub use backend::{BackendConfig, ServiceUrl};
pub use env::Mistakes;
pub use execution::ExecutionConfig;
pub use provider::{ProviderConfig, ProviderEndpoint};
pub use server::{DEVELOPMENT_KEY, Reflection, ServerConfig, Tls};
pub use watch::WatchConfig;

use self::env::{Env, Setting};

/// Everything that a process reads from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// How it serves.
    pub server: ServerConfig,
    /// How watching streams are bounded.
    pub watch: WatchConfig,
    /// How executions run.
    pub execution: ExecutionConfig,
    /// Which model providers it knows.
    pub providers: ProviderConfig,
    /// Where everything is kept.
    pub backends: BackendConfig,
}

impl Config {
    /// Reads the environment. All mistakes are answered at once, a line each; none shows a secret.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Mistakes> {
        let mut env = Env::new(&lookup);
        let config = Self {
            server: ServerConfig::read(&mut env),
            watch: WatchConfig::read(&mut env),
            execution: ExecutionConfig::read(&mut env),
            providers: ProviderConfig::read(&mut env),
            backends: BackendConfig::read(&mut env),
        };
        env.finish(config)
    }

    /// Every variable that is read, with its default and what it means: for `--help`.
    #[must_use]
    pub fn help() -> String {
        let settings =
            [server::SETTINGS, watch::SETTINGS, backend::SETTINGS, execution::SETTINGS, provider::SETTINGS].concat();
        let width = settings.iter().map(|setting| setting.name.len()).max().unwrap_or(0);
        let line = |Setting { name, default, meaning }: &Setting| format!("  {name:width$}  {meaning} [{default}]\n");
        settings.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_is_a_good_one() {
        let config = Config::read(|_| None).unwrap();
        assert_eq!(config.execution.lease.as_secs(), 30);
        assert_eq!(config.server.shutdown_grace.as_secs(), 10);
    }

    #[test]
    fn every_mistake_is_reported_at_once_and_no_secret() {
        let read = |name: &str| match name {
            "LEASE" => Some("soon".to_owned()),
            "REFLECTION" => Some("maybe".to_owned()),
            "OPENAI_BASE_URL" => Some("https://user:hunter2@:x".to_owned()),
            _ => None,
        };
        let said = Config::read(read).unwrap_err().to_string();
        for name in ["LEASE", "REFLECTION", "OPENAI_BASE_URL"] {
            assert!(said.contains(name), "{said}");
        }
        assert_eq!(said.lines().count(), 3);
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn help_names_every_variable_that_is_read() {
        let seen = std::cell::RefCell::new(Vec::new());
        Config::read(|name| {
            seen.borrow_mut().push(name.to_owned());
            None
        })
        .unwrap();
        let help = Config::help();
        for name in seen.into_inner() {
            assert!(help.contains(&format!("  {name} ")), "{name} is not in the help");
        }
        assert!(help.contains("  DATA_DIR "), "nor is what an option reads");
    }
}
