//! The command that asks a process for its health, for the probes of containers and for a person.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hyper_util::rt::TokioIo;
use prompt_ledger_runtime::config::{ProbeConfig, Process};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::any_certificate;

/// Bounds the question, its connection included.
const LIMIT: Duration = Duration::from_secs(3);

/// What the command is asked for.
#[derive(Debug, Default, Args)]
pub struct HealthArgs {
    /// Whom to ask: IP:PORT, or a URL, with https for TLS; absent: the process that has this environment
    #[arg(long, value_name = "ADDRESS")]
    addr: Option<String>,
    /// The file of the certificates, in PEM form, that vouch for the server's; absent: the system's. On this machine any
    /// certificate is taken without it, since nothing secret is sent
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Whom to ask, and how its certificate is verified.
#[derive(Debug)]
struct Probed {
    url: Uri,
    ca: Option<PathBuf>,
    /// Whether it is on this machine.
    is_here: bool,
}

impl HealthArgs {
    /// Asks whether the process takes calls. Either way the answer is a sentence; an error where it does not, or does not
    /// answer within three seconds. `process` is the program that this command belongs to.
    pub async fn run(self, process: Process) -> Result<String, String> {
        self.run_within(process, LIMIT).await
    }

    async fn run_within(self, process: Process, limit: Duration) -> Result<String, String> {
        let probed = self.probed(process)?;
        let url = probed.url.clone();
        match tokio::time::timeout(limit, probed.ask()).await {
            Ok(Ok(ServingStatus::Serving)) => Ok(format!("{url} says SERVING")),
            Ok(Ok(status)) => Err(format!(
                "{url} says {}: it is shutting down, or its database takes no writes; its log says which",
                status.as_str_name()
            )),
            Ok(Err(why)) => Err(format!("{url} does not tell its health: {why}")),
            Err(_) => Err(format!("{url} does not tell its health: no answer within {} s", limit.as_secs())),
        }
    }

    fn probed(self, process: Process) -> Result<Probed, String> {
        let of = |scheme: &str, addr: SocketAddr| format!("{scheme}://{addr}");
        let (url, own) = match self.addr {
            Some(addr) if addr.contains("://") => (addr, false),
            Some(addr) => {
                let parsed: Result<SocketAddr, _> = addr.parse();
                (of("http", parsed.map_err(|_| format!("--addr: `{addr}` is no address; {FORMS}"))?), false)
            }
            None => {
                let ProbeConfig { addr, tls } =
                    ProbeConfig::from_env(process).map_err(|mistakes| mistakes.to_string())?;
                let addr = addr.ok_or(
                    "HEALTH_ADDR is not set, so that this process tells its health nowhere; set it, or add --addr",
                )?;
                (of(if tls { "https" } else { "http" }, addr), true)
            }
        };
        let wrong = || format!("--addr: `{url}` is no address; {FORMS}");
        let parsed: Uri = url.parse().map_err(|_| wrong())?;
        let host = parsed.host().unwrap_or_default().trim_matches(['[', ']']);
        if host.is_empty() || parsed.port_u16().is_none() || !matches!(parsed.scheme_str(), Some("http" | "https")) {
            return Err(wrong());
        }
        let is_loopback = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        Ok(Probed { is_here: own || is_loopback, ca: self.ca, url: parsed })
    }
}

const FORMS: &str = "write IP:PORT, http://HOST:PORT or https://HOST:PORT";

impl Probed {
    async fn ask(self) -> Result<ServingStatus, String> {
        let mut health = HealthClient::new(self.connected().await?);
        let answer = health.check(HealthCheckRequest { service: String::new() }).await;
        Ok(answer.map_err(|status| format!("{}: {}", status.code(), status.message()))?.into_inner().status())
    }

    async fn connected(&self) -> Result<Channel, String> {
        let is_tls = self.url.scheme_str() == Some("https");
        if is_tls && self.is_here && self.ca.is_none() {
            return self.unverified().await;
        }
        let mut endpoint = Endpoint::from(self.url.clone());
        if is_tls {
            let tls = match &self.ca {
                Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(
                    std::fs::read(path).map_err(|error| format!("--ca: cannot read {}: {error}", path.display()))?,
                )),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            endpoint = endpoint.tls_config(tls).map_err(|error| causes(&error))?;
        }
        endpoint.connect().await.map_err(|error| self.with_advice(causes(&error)))
    }

    /// Names the file of a CA that does not fit, or the argument that is missing.
    fn with_advice(&self, said: String) -> String {
        match &self.ca {
            _ if !said.contains("invalid peer certificate") => said,
            Some(path) => format!("{said}; --ca: {} does not vouch for the certificate", path.display()),
            None => format!("{said}; name the file of the CA that vouches for the certificate by --ca"),
        }
    }

    /// Over TLS, whichever certificate is shown.
    async fn unverified(&self) -> Result<Channel, String> {
        let tls = any_certificate::connector().map_err(|error| causes(&error))?;
        let host = self.url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = self.url.port_u16().unwrap_or_default();
        let name = ServerName::try_from(host.clone()).map_err(|error| causes(&error))?;
        let connect = tower::service_fn(move |_: Uri| {
            let (tls, host, name) = (tls.clone(), host.clone(), name.clone());
            async move {
                let stream = TcpStream::connect((&*host, port)).await?;
                std::io::Result::Ok(TokioIo::new(tls.connect(name, stream).await?))
            }
        });
        // TLS is the connector's.
        let endpoint = Endpoint::from_static("http://this-machine");
        endpoint.connect_with_connector(connect).await.map_err(|error| causes(&error))
    }
}

/// An error with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use tonic_health::server::health_reporter;

    use super::*;

    fn of(addr: &str) -> Result<Probed, String> {
        HealthArgs { addr: Some(addr.into()), ca: None }.probed(Process::Server)
    }

    #[test]
    fn an_address_or_a_url_is_asked_and_anything_else_is_told_with_the_forms() {
        for (addr, url, is_here) in [
            ("127.0.0.1:1", "http://127.0.0.1:1/", true),
            ("[::1]:1", "http://[::1]:1/", true),
            ("10.1.2.3:1", "http://10.1.2.3:1/", false),
            ("https://localhost:1", "https://localhost:1/", true),
            ("https://[::1]:1", "https://[::1]:1/", true),
            ("https://ledger.example.com:1", "https://ledger.example.com:1/", false),
        ] {
            let probed = of(addr).unwrap();
            assert_eq!((&*probed.url.to_string(), probed.is_here), (url, is_here));
        }
        for addr in ["", "here", "localhost:1", "127.0.0.1", "ftp://host:1", "http://host", "http://:1", "http://"] {
            let said = of(addr).unwrap_err();
            assert!(said.contains(&format!("`{addr}`")) && said.contains("https://HOST:PORT"), "{said}");
        }
    }

    #[tokio::test]
    async fn what_a_process_says_or_does_not_say_is_a_sentence() {
        let (reporter, service) = health_reporter();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let serving =
            tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        let limit = Duration::from_secs(60);
        let ask = |url: String| HealthArgs { addr: Some(url), ca: None }.run_within(Process::Worker, limit);
        assert!(ask(addr.to_string()).await.unwrap().contains("says SERVING"));
        reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        let said = ask(format!("http://{addr}")).await.unwrap_err();
        assert!(said.contains("NOT_SERVING") && said.contains("database"), "{said}");
        let said = ask(format!("https://{addr}")).await.unwrap_err();
        assert!(said.contains("does not tell its health: "), "{said}");
        serving.abort();
        assert!(serving.await.is_err());
        let said = ask("127.0.0.1:1".into()).await.unwrap_err();
        assert!(said.contains("127.0.0.1:1") && said.to_lowercase().contains("refused"), "{said}");
    }
}
