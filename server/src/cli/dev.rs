//! `prompt-ledger dev`.

use std::net::SocketAddr;

use clap::Args;
use prompt_ledger_backends::StartError;
use prompt_ledger_runtime::config::{Config, DEVELOPMENT_KEY};

use super::{DataDir, demo};
use crate::app::App;

/// Starts the embedded server.
#[derive(Args)]
pub(super) struct Dev {
    /// Where it listens; the default is LISTEN_ADDR, or 127.0.0.1:50051
    #[arg(long, value_name = "IP:PORT")]
    addr: Option<SocketAddr>,
    #[command(flatten)]
    data: DataDir,
    /// Register a prompt, execute it and show its life; then go on serving
    #[arg(long)]
    demo: bool,
}

impl Dev {
    pub(super) async fn run(self, config: &Config) -> Result<(), StartError> {
        let addr = self.addr.unwrap_or(config.server.listen_addr);
        let tls = config.server.tls.is_some();
        if self.demo && (tls || !addr.ip().is_loopback()) {
            return Err(
                "--demo calls the server with the development key, over plain text, as this machine alone may: \
                        listen on 127.0.0.1 (--addr or LISTEN_ADDR) and set neither TLS_CERT nor TLS_KEY, or leave \
                        --demo out"
                    .into(),
            );
        }
        config.check_default_model()?;
        let app = App::start_embedded(config, addr, &self.data.data_dir).await?;
        let (addr, loopback) = (app.addr, app.addr.ip().is_loopback());
        let http = app.http_url().map(|url| format!(", HTTP on {url}")).unwrap_or_default();
        println!(
            "Prompt Ledger is listening on {addr}{http}, and keeps everything in {}",
            self.data.data_dir.display()
        );
        if let Some(addr) = app.metrics_addr {
            println!("Metrics are on http://{addr}/metrics");
        }
        if let Some(model) = app.default_model() {
            println!("Executions that name no model use {model}");
        }
        match loopback {
            true => print!("{}", first_steps(addr, tls, app.http_url().as_deref())),
            false => println!("Make a key: prompt-ledger keys create --data-dir {}", self.data.data_dir.display()),
        }
        if self.demo
            && let Err(error) = demo::run(addr).await
        {
            println!("The demo ended early: {error}\n");
        }
        println!("Ctrl-C ends it.");
        app.until_signal().await
    }
}

/// The development key, three `grpcurl` commands to copy, and where HTTP is served, a fourth with `curl`.
fn first_steps(addr: SocketAddr, tls: bool, http: Option<&str>) -> String {
    // The certificate need not name this address: the connection stays on this machine.
    let transport = if tls { "-insecure" } else { "-plaintext" };
    let call = |method: &str, message: &str| {
        format!(
            "  grpcurl {transport} -H 'x-api-key: {DEVELOPMENT_KEY}' -d '{message}' {addr} promptledger.v1.{method}\n"
        )
    };
    let insecure = if tls { "--insecure " } else { "" };
    let curl = http.map(|url| {
        format!("The same over HTTP:\n\n  curl {insecure}-H 'X-API-Key: {DEVELOPMENT_KEY}' {url}/v1/prompts/greet\n\n")
    });
    format!(
        "The key for this machine: {DEVELOPMENT_KEY}\n\nRegister a prompt, execute it, look it up:\n\n{}{}{}\n{}",
        call(
            "RegistryService/PutPrompt",
            r#"{"name": "greet", "template_source": "Say hello to {{name}}.", "set_active": true}"#
        ),
        call("ExecutionService/RunExecution", r#"{"spec": {"prompt_name": "greet", "variables": {"name": "Ada"}}}"#),
        call("ExecutionService/ListExecutions", r#"{"prompt_name": "greet"}"#),
        curl.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_speak_as_the_server_does() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 50051));
        let steps = |tls| first_steps(addr, tls, Some("https://127.0.0.1:8000"));
        assert_eq!(steps(false).matches("grpcurl -plaintext ").count(), 3);
        assert_eq!(steps(true).matches("grpcurl -insecure ").count(), 3);
        assert!(!steps(true).contains("-plaintext"));
        assert!(steps(true).contains("  curl --insecure -H 'X-API-Key: ") && steps(false).contains("  curl -H "));
        assert!(!first_steps(addr, false, None).contains("curl -H 'X"));
    }
}
