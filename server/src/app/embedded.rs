//! The embedded default: everything in one process, kept in one folder.

use std::net::SocketAddr;
use std::path::Path;

use prompt_ledger_backends::{Brokers, DataDirLock, embedded_store, providers};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_runtime::config::Config;
use prompt_ledger_runtime::process_name;

use super::{App, AppParts, Hangup, StartError, check_exposure, listen};

impl App {
    /// Starts the embedded default.
    pub async fn start_embedded(config: &Config, addr: SocketAddr, data_dir: &Path) -> Result<Self, StartError> {
        check_exposure(config, addr)?;
        let lock = DataDirLock::take(data_dir)?;
        let store = embedded_store(data_dir).await?;
        let parts = AppParts {
            name: process_name("server"),
            listener: listen(addr).await?,
            store,
            brokers: Brokers::memory(),
            providers: providers(config)?,
            default_model: Some(default_model(config)),
            shared: false,
            development_key: true,
            works: true,
            hangup: hangup(),
            lock: Some(lock),
        };
        Self::start(config, parts).await
    }
}

/// A terminal that is closed ends what was started in it, unless that was asked not to hear of it, as `nohup` does.
fn hangup() -> Hangup {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok()).unwrap_or_default();
    // SIGHUP is the first signal.
    if ignored & 1 == 1 { Hangup::Reloads } else { Hangup::Ends }
}

/// What an execution without a model uses: as configured, or OpenAI where it can be called, or the built-in echo.
fn default_model(config: &Config) -> ModelRef {
    let built_in = match config.providers.openai.is_configured() {
        true => ("openai", "gpt-4o-mini"),
        false => ("echo", "echo"),
    };
    let built_in = || ModelRef { provider: built_in.0.into(), model: built_in.1.into() };
    config.execution.default_model.clone().unwrap_or_else(built_in)
}
