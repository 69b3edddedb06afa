//! Configuration from the environment: read once, at start; all mistakes are reported together. One file per subsystem.

mod backend;
mod database_url;
mod env;
mod execution;
mod health;
mod http;
mod listen_addr;
mod observe;
mod provider;
mod secret_file;
mod server;
mod settings;
mod watch;

pub use backend::{BackendConfig, ServiceUrl};
pub use env::{Mistakes, Process, Range, Setting};
pub use execution::ExecutionConfig;
pub use health::ProbeConfig;
pub use http::HttpConfig;
pub use listen_addr::ListenAddr;
pub use observe::{ObserveConfig, OtlpConfig, TraceConfig};
pub use provider::{InstanceConfig, ProviderConfig};
pub use server::{DEVELOPMENT_KEY, Reflection, ServerConfig, Tls};
pub use settings::DATA_DIR;
pub use watch::WatchConfig;

use std::net::SocketAddr;

use self::env::{Env, IN_A_FILE};
use self::settings::{DEFAULT_MODEL, INSTANCE_SETTINGS, SETTINGS};

/// Everything that a process reads from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: ServerConfig,
    pub http: HttpConfig,
    pub watch: WatchConfig,
    pub execution: ExecutionConfig,
    pub providers: ProviderConfig,
    pub backends: BackendConfig,
    pub observe: ObserveConfig,
    /// The further address where health is told, in plain text; absent: none.
    pub health_addr: Option<SocketAddr>,
}

impl Config {
    /// Reads the environment of this process, which runs this program.
    pub fn from_env(process: Process) -> Result<Self, Mistakes> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        Self::read(process, names, variable)
    }

    /// Reads the settings of a program from an environment with these variables. All mistakes are returned at once, one
    /// line each; none shows a secret.
    pub fn read(
        process: Process,
        names: impl IntoIterator<Item = String>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Mistakes> {
        let mut env = Env::of(process, &lookup).with_names(names);
        let config = Self {
            server: ServerConfig::read(&mut env),
            http: HttpConfig::read(&mut env),
            watch: WatchConfig::read(&mut env),
            execution: ExecutionConfig::read(&mut env),
            providers: ProviderConfig::read(&mut env),
            backends: BackendConfig::read(&mut env),
            observe: ObserveConfig::read(&mut env),
            health_addr: health::addr(&mut env),
        };
        env.finish(config)
    }

    /// For the process that calls all providers itself, `dev`: a default that it cannot call would refuse each request
    /// that names no model. In production a worker may have the provider.
    pub fn check_default_model(&self) -> Result<(), Mistakes> {
        let Some(model) = &self.execution.default_model else { return Ok(()) };
        let instances = &self.providers.instances;
        let what = match instances.get(&model.provider) {
            None => {
                let known = instances.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                format!("no provider is called `{}`; known: {known}", model.provider)
            }
            Some(instance) if !instance.is_configured() => {
                format!("the provider `{}` cannot be called: {}", model.provider, instance.remedy)
            }
            Some(_) => return Ok(()),
        };
        let mut env = Env::new(&|_| None);
        env.mistake::<()>(&DEFAULT_MODEL, &what);
        env.finish(())
    }

    /// Every variable that a program reads, with its meaning, default and range: for `--help`.
    #[must_use]
    pub fn help(process: Process) -> String {
        let all = || all().filter(|setting| process.reads(setting.read_by));
        let width = all().map(|setting| setting.name.len()).max().unwrap_or(0);
        let line = |Setting { name, meaning, range, .. }: &Setting, default: &str| {
            format!("  {name:width$}  {meaning} [{default}; {range}]\n")
        };
        let lines: String = all().map(|setting| line(setting, setting.shown_default())).collect();
        format!(
            "{lines}\n  Lengths of time are written 300ms, 4s, 2m or 1h. A secret may stand in a file instead: \
             NAME{IN_A_FILE} is its path."
        )
    }
}

/// A variable of this process; bytes that are not UTF-8 become U+FFFD, which no setting holds.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(INSTANCE_SETTINGS).chain([&DATA_DIR])
}

#[cfg(test)]
mod tests {
    use super::env::IN_LOWER_CASE_TOO;
    use super::*;

    #[test]
    fn an_empty_environment_is_a_good_one() {
        let config = Config::read(Process::Both, [], |_| None).unwrap();
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
        let said = Config::read(Process::Both, [], read).unwrap_err().to_string();
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
        Config::read(Process::Both, [kind.to_owned()], |name| {
            seen.borrow_mut().insert(name.replace("_X_", "_<NAME>_"));
            (name == kind).then(|| "openai".to_owned())
        })
        .unwrap();
        // Those that are built in have the same settings.
        seen.borrow_mut().retain(|name| !["_OPENAI_", "_ANTHROPIC_", "_ECHO_"].iter().any(|own| name.contains(own)));
        let declared = SETTINGS.iter().chain(INSTANCE_SETTINGS).flat_map(|setting| {
            let in_a_file = setting.is_secret().then(|| format!("{}{IN_A_FILE}", setting.name));
            [setting.name.to_owned()].into_iter().chain(in_a_file)
        });
        let in_lower_case = IN_LOWER_CASE_TOO.map(str::to_ascii_lowercase);
        assert_eq!(seen.into_inner(), declared.chain(in_lower_case).collect());
        for process in [Process::Server, Process::Worker] {
            let help = Config::help(process);
            for setting in all() {
                let is_shown = help.contains(&format!("  {} ", setting.name));
                assert_eq!(is_shown, process.reads(setting.read_by), "{} in the help of {process:?}", setting.name);
            }
        }
    }

    #[test]
    fn the_example_environment_has_each_variable_once_with_its_default_or_another_value() {
        /// Those of compose.yaml itself.
        const OF_COMPOSE: [&str; 6] =
            ["POSTGRES_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD", "PUBLISH", "PUBLISH_HTTP", "IMAGE"];
        let example = include_str!("../../../../deploy/.env.example");
        let mut set = Vec::new();
        let lines = example.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("# ").unwrap_or(line).split_once('=')?;
            let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            (is_name && !OF_COMPOSE.contains(&name)).then(|| (line.starts_with('#'), name.to_owned(), value))
        });
        let mut found: Vec<_> = lines
            .inspect(|(is_default, name, value)| {
                let declared = all().find(|setting| setting.name.replace("<NAME>", "AZURE") == *name);
                let declared = declared.unwrap_or_else(|| panic!("{name} is read by no program"));
                match is_default {
                    true => assert_eq!(*value, declared.default, "{name}"),
                    false => set.push((name.clone(), (*value).to_owned())),
                }
            })
            .map(|(_, name, _)| name)
            .collect();
        let mut declared: Vec<_> = all().map(|setting| setting.name.replace("<NAME>", "AZURE")).collect();
        found.sort();
        declared.sort();
        assert_eq!(found, declared);
        let lookup = |name: &str| set.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        Config::read(Process::Both, [], lookup).unwrap();
    }

    #[test]
    fn a_default_model_that_cannot_be_called_is_a_mistake() {
        let read = |model: &str, key: &str| {
            let value = |name: &str| match name {
                "DEFAULT_MODEL" => Some(model.to_owned()),
                "OPENAI_API_KEY" => Some(key.to_owned()),
                _ => None,
            };
            let config = Config::read(Process::Server, [], value).unwrap();
            config.check_default_model().map_err(|mistakes| mistakes.to_string())
        };
        let said = read("opnai/gpt-4o-mini", "").unwrap_err();
        assert!(said.starts_with("DEFAULT_MODEL: ") && said.contains("anthropic, echo, openai"), "{said}");
        let said = read("openai/gpt-4o-mini", "").unwrap_err();
        assert!(said.starts_with("DEFAULT_MODEL: ") && said.contains("set OPENAI_API_KEY"), "{said}");
        assert!(read("openai/gpt-4o-mini", "a-key").is_ok() && read("echo/echo", "").is_ok());
    }

    #[test]
    fn a_worker_is_stopped_by_no_setting_of_the_server_and_each_by_its_own() {
        let odd = |name: &str| ["LISTEN_ADDR", "API_KEY", "DEFAULT_MODEL"].contains(&name).then(|| "odd".to_owned());
        assert!(Config::read(Process::Worker, [], odd).is_ok() && Config::read(Process::Server, [], odd).is_err());
        let shared = |name: &str| (name == "REDISPATCH_AFTER").then(|| "10m".to_owned());
        let worker = Config::read(Process::Worker, [], shared).unwrap();
        assert_eq!(worker.execution.redispatch_after.as_secs(), 600, "the age of the hints that it gives back");
        let odd = |name: &str| ["LOG", "HEALTH_ADDR", "LEASE"].contains(&name).then(|| "odd".to_owned());
        for process in [Process::Server, Process::Worker] {
            assert_eq!(Config::read(process, [], odd).unwrap_err().to_string().lines().count(), 3);
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
