//! `prompt-ledger dev`.

use std::convert::Infallible;
use std::net::SocketAddr;

use clap::Args;
use prompt_ledger_backends::StartError;
use prompt_ledger_runtime::config::{Config, DEVELOPMENT_KEY, ListenAddr};

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
    /// For programs that start a server of their own, such as tests: listen on free ports of this machine, whatever the
    /// environment says (but for --addr), and print one line once it serves, {"grpc", "http", "metrics", "key"}
    ///
    /// The first three are URLs; what is off is null.
    #[arg(long, conflicts_with = "demo")]
    ready_json: bool,
    /// End when standard input is closed: with the program that started it, however that ends
    #[arg(long)]
    exit_with_stdin: bool,
}

impl Dev {
    pub(super) async fn run(self, config: &Config) -> Result<(), StartError> {
        let mut config = config.clone();
        if self.ready_json {
            free_ports(&mut config);
        }
        let config = &config;
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
        if self.ready_json {
            tell!("{}", ready(&app, tls, loopback));
            return self.until_end(app).await;
        }
        let http = app.http_url().map(|url| format!(", HTTP on {url}")).unwrap_or_default();
        tell!("Prompt Ledger is listening on {addr}{http}, and keeps everything in {}", self.data.data_dir.display());
        if let Some(addr) = app.metrics_addr {
            tell!("Metrics are on http://{addr}/metrics");
        }
        if let Some(model) = app.default_model() {
            tell!("Executions that name no model use {model}");
        }
        match loopback {
            true => tell!("{}\n", first_steps(addr, tls, app.http_url().as_deref()).trim_end()),
            false => tell!("Make a key: prompt-ledger keys create --data-dir {}", self.data.data_dir.display()),
        }
        let draining = app.draining();
        let shows = async {
            let shown = match self.demo {
                true => draining.run_until_cancelled(demo::run(addr)).await,
                false => Some(Ok(())),
            };
            if let Some(Err(error)) = &shown {
                tell!("The demo ended early: {error}\n");
            }
            if shown.is_some() {
                tell!("Ctrl-C ends it.");
            }
            std::future::pending::<Infallible>().await
        };
        // Signals are heard while the demo runs.
        tokio::select! {
            ended = self.until_end(app) => ended,
            never = shows => match never {},
        }
    }

    /// Serves until a signal, or the end of standard input where that is asked for.
    async fn until_end(&self, app: App) -> Result<(), StartError> {
        match self.exit_with_stdin {
            true => app.until(stdin_closed()).await,
            false => app.until_signal().await,
        }
    }
}

/// Lets the system choose the ports, so that no two servers meet on a machine. What is off stays off.
fn free_ports(config: &mut Config) {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.listen_addr = free;
    for addr in [&mut config.http.addr, &mut config.observe.metrics_addr] {
        if addr.addr().is_some() {
            *addr = ListenAddr::Configured(free);
        }
    }
    config.health_addr = config.health_addr.map(|_| free);
}

/// The line that tells a program where the server is, and the key for it; null off this machine, where it is not accepted.
fn ready(app: &App, tls: bool, loopback: bool) -> serde_json::Value {
    let scheme = if tls { "https" } else { "http" };
    serde_json::json!({
        "grpc": format!("{scheme}://{}", app.addr),
        "http": app.http_url(),
        "metrics": app.metrics_addr.map(|addr| format!("http://{addr}/metrics")),
        "key": loopback.then_some(DEVELOPMENT_KEY),
    })
}

/// Reads standard input to its end, in a thread of its own: tokio's would keep the process from ending.
async fn stdin_closed() {
    let (closed, told) = tokio::sync::oneshot::channel();
    let reading = std::thread::Builder::new().name("stdin".into()).spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = closed.send(());
    });
    match reading {
        Ok(_) => drop(told.await),
        // Without the thread nothing tells its end: signals end the process all the same.
        Err(error) => {
            tracing::warn!(%error, "standard input is not watched");
            std::future::pending::<()>().await;
        }
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
    use prompt_ledger_runtime::config::Process;

    #[test]
    fn free_ports_are_taken_for_all_that_is_not_off() {
        let off = |name: &str| (name == "METRICS_ADDR").then(|| "off".to_owned());
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        for health in [None, Some("0.0.0.0:50052")] {
            let set = |name: &str| off(name).or(health.filter(|_| name == "HEALTH_ADDR").map(str::to_owned));
            let mut config = Config::read(Process::Server, [], set).unwrap();
            free_ports(&mut config);
            assert_eq!((config.server.listen_addr, config.http.addr.addr()), (free, Some(free)));
            assert_eq!(config.observe.metrics_addr, ListenAddr::Off);
            assert_eq!(config.health_addr, health.map(|_| free));
        }
    }

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
