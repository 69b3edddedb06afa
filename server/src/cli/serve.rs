//! `prompt-ledger serve`.

use prompt_ledger_backends::StartError;
use prompt_ledger_runtime::config::Config;

use crate::app::App;

pub(super) async fn run(config: &Config) -> Result<(), StartError> {
    let app = App::start_serving(config).await?;
    let http = app.http_url().map(|url| format!(", HTTP on {url}")).unwrap_or_default();
    let metrics = app.metrics_addr.map(|addr| format!(", metrics on http://{addr}/metrics")).unwrap_or_default();
    tell!("Prompt Ledger is listening on {}{http}{metrics}", app.addr);
    app.until_signal().await
}
