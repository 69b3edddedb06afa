//! `prompt-ledger serve`.

use prompt_ledger_backends::StartError;
use prompt_ledger_runtime::config::Config;

use crate::app::App;

pub(super) async fn run(config: &Config) -> Result<(), StartError> {
    let app = App::start_serving(config).await?;
    println!("Prompt Ledger is listening on {}", app.addr);
    app.until_signal().await
}
