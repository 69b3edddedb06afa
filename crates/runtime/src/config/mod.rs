//! Configuration from the environment: read once, at start; all mistakes are reported together. One file per subsystem.

mod backend;
mod env;
mod execution;
mod provider;
mod server;
mod settings;
mod watch;

pub use backend::{BackendConfig, ServiceUrl};
pub use env::{Mistakes, Process, Range, Setting};
pub use execution::ExecutionConfig;
pub use provider::{InstanceConfig, ProviderConfig};
pub use server::{DEVELOPMENT_KEY, Reflection, ServerConfig, Tls};
pub use settings::DATA_DIR;
pub use watch::WatchConfig;

use self::env::Env;
use self::settings::{INSTANCE_SETTINGS, SETTINGS};

/// Everything that a process reads from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: ServerConfig,
    pub watch: WatchConfig,
    pub execution: ExecutionConfig,
    pub providers: ProviderConfig,
    pub backends: BackendConfig,
}

impl Config {
    /// Reads the environment of this process.
    pub fn from_env() -> Result<Self, Mistakes> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        Self::read(names, |name| std::env::var(name).ok())
    }

    /// Reads an environment with these variables. All mistakes are returned at once, one line each; none shows a secret.
    pub fn read(
        names: impl IntoIterator<Item = String>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Mistakes> {
        let mut env = Env::new(&lookup).with_names(names);
        let config = Self {
            server: ServerConfig::read(&mut env),
            watch: WatchConfig::read(&mut env),
            execution: ExecutionConfig::read(&mut env),
            providers: ProviderConfig::read(&mut env),
            backends: BackendConfig::read(&mut env),
        };
        env.finish(config)
    }

    /// Every variable with its meaning, default and range: for `--help`.
    #[must_use]
    pub fn help() -> String {
        let width = all().map(|setting| setting.name.len()).max().unwrap_or(0);
        let line = |Setting { name, meaning, range, .. }: &Setting, default: &str| {
            format!("  {name:width$}  {meaning} [{default}; {range}]\n")
        };
        let lines: String = all().map(|setting| line(setting, setting.shown_default())).collect();
        format!("{lines}\n  Lengths of time are written 300ms, 4s, 2m or 1h.")
    }
}

fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(INSTANCE_SETTINGS).chain([&DATA_DIR])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_is_a_good_one() {
        let config = Config::read([], |_| None).unwrap();
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
        let said = Config::read([], read).unwrap_err().to_string();
        for name in ["LEASE", "REFLECTION", "OPENAI_BASE_URL"] {
            assert!(said.contains(name), "{said}");
        }
        assert_eq!(said.lines().count(), 3);
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn each_variable_that_is_read_is_declared_and_each_declared_one_is_read() {
        let seen = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let kind = "PROVIDER_X_KIND";
        Config::read([kind.to_owned()], |name| {
            seen.borrow_mut().insert(name.replace("_X_", "_<NAME>_"));
            (name == kind).then(|| "openai".to_owned())
        })
        .unwrap();
        // Those that are built in have the same settings.
        seen.borrow_mut().retain(|name| !["_OPENAI_", "_ANTHROPIC_", "_ECHO_"].iter().any(|own| name.contains(own)));
        let declared = SETTINGS.iter().chain(INSTANCE_SETTINGS).map(|setting| setting.name.to_owned());
        assert_eq!(seen.into_inner(), declared.collect());
        let help = Config::help();
        for setting in all() {
            assert!(help.contains(&format!("  {} ", setting.name)), "{} is not in the help", setting.name);
        }
    }

    #[test]
    fn the_documented_table_is_that_of_the_declarations() {
        let row = |setting: &Setting| {
            let Setting { name, range, meaning, .. } = setting;
            let process = match setting.read_by {
                Process::Server => "server",
                Process::Worker => "worker",
                Process::Both => "both",
            };
            format!("| `{name}` | {process} | {} | {range} | {meaning} |\n", setting.shown_default())
        };
        let head = "| name | process | default | range | meaning |\n|---|---|---|---|---|\n";
        let table: String = [head.to_owned()].into_iter().chain(all().map(row)).collect();
        let page = include_str!("../../../../docs/CONFIGURATION.md");
        assert!(page.ends_with(&table), "the table of docs/CONFIGURATION.md is to be:\n{table}");
    }
}
