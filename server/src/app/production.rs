//! Production: Postgres, Redis with RabbitMQ behind it, any number of servers and workers.

use prompt_ledger_backends::Backends;
use prompt_ledger_runtime::config::Config;
use prompt_ledger_runtime::process_name;

use super::listener::check_exposure;
use super::role::Role;
use super::{App, StartError};

impl App {
    /// Serves on LISTEN_ADDR. Plain text off loopback is refused unless ALLOW_PLAINTEXT is set.
    pub async fn start_serving(config: &Config) -> Result<Self, StartError> {
        let addr = config.server.listen_addr;
        check_exposure(config, addr)?;
        let process = process_name("server");
        let backends = Backends::production(config, &process).await?;
        Self::start(config, Role::Production, process, addr, backends).await
    }
}
