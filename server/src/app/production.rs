//! Production: Postgres, Redis with RabbitMQ behind it, any number of servers and workers.

use prompt_ledger_backends::{Brokers, production_store, providers};
use prompt_ledger_runtime::config::Config;
use prompt_ledger_runtime::process_name;

use super::{App, AppParts, Hangup, StartError, check_exposure, listen};

impl App {
    /// Starts one server of many.
    pub async fn start_serving(config: &Config) -> Result<Self, StartError> {
        let addr = config.server.listen_addr;
        check_exposure(config, addr)?;
        let store = production_store(config).await?;
        let name = process_name("server");
        let brokers = Brokers::connect(config, &name)?;
        let parts = AppParts {
            name,
            listener: listen(addr).await?,
            store,
            brokers,
            providers: providers(config)?,
            default_model: config.execution.default_model.clone(),
            shared: true,
            development_key: false,
            works: false,
            hangup: Hangup::Reloads,
            lock: None,
        };
        Self::start(config, parts).await
    }
}
