//! The embedded server: one process, all data in one folder.

use std::net::SocketAddr;
use std::path::Path;

use prompt_ledger_backends::Backends;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_runtime::config::{Config, InstanceConfig};
use prompt_ledger_runtime::process_name;

use super::listener::check_exposure;
use super::role::Role;
use super::{App, StartError};

impl App {
    /// Serves on `addr`. Plain text off loopback is refused unless ALLOW_PLAINTEXT is set.
    pub async fn start_embedded(config: &Config, addr: SocketAddr, data_dir: &Path) -> Result<Self, StartError> {
        check_exposure(config, addr)?;
        let mut config = config.clone();
        config.execution.default_model = Some(default_model(&config));
        let backends = Backends::embedded(&config, data_dir).await?;
        Self::start(&config, Role::Embedded, process_name("server"), addr, backends).await
    }
}

/// The model of executions that name none: the configured one, else OpenAI's where it is configured, else the built-in
/// echo.
fn default_model(config: &Config) -> ModelRef {
    let built_in = match config.providers.instances.get("openai").is_some_and(InstanceConfig::is_configured) {
        true => ("openai", "gpt-4o-mini"),
        false => ("echo", "echo"),
    };
    let built_in = || ModelRef { provider: built_in.0.into(), model_name: built_in.1.into() };
    config.execution.default_model.clone().unwrap_or_else(built_in)
}
