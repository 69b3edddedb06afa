//! TLS: with a certificate and its key a server accepts nothing else; both may be replaced while it serves.

use std::path::PathBuf;
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::ledger::{Builder, Connection, Ledger, Metadata};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::kit::{Deployment, eventually};

struct Files {
    _folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem"), _folder: folder }
    }

    /// Makes a new self-signed certificate and its key, and returns the certificate.
    fn renew(&self) -> String {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&self.certificate, made.cert.pem()).unwrap();
        std::fs::write(&self.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.pem()
    }

    fn of(&self, builder: Builder) -> Builder {
        builder.env("TLS_CERT", self.certificate.to_str().unwrap()).env("TLS_KEY", self.key.to_str().unwrap())
    }
}

type Client = RegistryServiceClient<Connection>;

/// A client on a new connection that trusts only this certificate; absent where the server shows another.
async fn client(server: &Ledger, trusted: &str) -> Option<Client> {
    client_at(server, &server.addr, trusted).await
}

/// At the address of either front door.
async fn client_at(server: &Ledger, addr: &str, trusted: &str) -> Option<Client> {
    let port = addr.rsplit_once(':').unwrap().1;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(trusted)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}")).unwrap().tls_config(tls).unwrap();
    let channel = endpoint.connect().await.ok()?;
    Some(RegistryServiceClient::new(InterceptedService::new(channel, Metadata::key(&server.key))))
}

async fn call(client: &mut Client) {
    client.list_models(v1::ListModelsRequest::default()).await.unwrap();
}

fn has_said(server: &Ledger, what: &str) -> bool {
    server.output().iter().any(|line| line.contains(what))
}

#[tokio::test]
async fn a_server_with_a_certificate_speaks_tls_and_no_plain_text() {
    let deployment = Deployment::new().await;
    let files = Files::new();
    let certificate = files.renew();
    let server = files.of(deployment.builder()).start().await;
    call(&mut client(&server, &certificate).await.unwrap()).await;
    server.registry().list_models(v1::ListModelsRequest::default()).await.unwrap_err();

    let probe = |args: &[&str]| files.of(deployment.builder()).env("LISTEN_ADDR", &server.addr).said(args);
    let url = format!("https://localhost:{}", server.addr.rsplit_once(':').unwrap().1);
    let (own, other) = (files.certificate.to_str().unwrap(), Files::new());
    other.renew();
    for args in [&["health"][..], &["health", "--addr", &url], &["health", "--addr", &url, "--ca", own]] {
        let (well, said) = probe(args);
        assert!(well && said.contains("says SERVING"), "{said}");
    }
    let plain = format!("http://{}", server.addr);
    let other = other.certificate.to_str().unwrap();
    for args in [&["health", "--addr", &url, "--ca", other][..], &["health", "--addr", &plain]] {
        let (well, said) = probe(args);
        assert!(!well && said.contains("does not tell its health"), "{said}");
    }

    let (well, said) = files.of(deployment.builder()).env("TLS_KEY", "/nowhere/key.pem").said(&["serve"]);
    assert!(!well && said.contains("TLS_KEY: cannot read /nowhere/key.pem"), "{said}");
    let (well, said) = probe(&["health", "--addr", &url, "--ca", other]);
    assert!(!well && said.contains(&format!("--ca: {other} does not vouch for the certificate")), "{said}");
    let stranger = Files::new();
    stranger.renew();
    let (own, foreign) = (files.certificate.display(), stranger.key.display());
    let mixed = files.of(deployment.builder()).env("TLS_KEY", stranger.key.to_str().unwrap());
    let (well, said) = mixed.said(&["serve"]);
    assert!(!well && said.contains(&format!("the key in {foreign} is not that of the certificate in {own}")), "{said}");
    std::fs::write(&files.key, "no key").unwrap();
    let (well, said) = files.of(deployment.builder()).said(&["serve"]);
    assert!(!well && said.contains("TLS_KEY: ") && said.contains("no private key"), "{said}");
}

#[tokio::test]
async fn sighup_shows_a_new_certificate_to_new_connections_and_old_ones_go_on() {
    let deployment = Deployment::new().await;
    let files = Files::new();
    let first = files.renew();
    let server = files.of(deployment.builder()).env("TLS_RELOAD_INTERVAL", "1h").start().await;
    let mut old = client(&server, &first).await.unwrap();
    call(&mut old).await;
    let second = files.renew();
    assert!(client(&server, &second).await.is_none());
    server.signal("HUP");
    eventually("the new certificate", async || client(&server, &second).await.is_some()).await;
    assert!(client(&server, &first).await.is_none());
    // At the other door too, which has the same acceptor.
    let shown = [&first, &second].map(async |trusted| client_at(&server, &server.http, trusted).await.is_some());
    assert_eq!(futures::future::join_all(shown).await, [false, true]);
    call(&mut client(&server, &second).await.unwrap()).await;
    call(&mut old).await;
}

#[tokio::test]
async fn a_new_pair_is_found_without_a_signal_and_a_broken_one_leaves_the_old() {
    let deployment = Deployment::new().await.expects("the certificate cannot be reloaded");
    let files = Files::new();
    let first = files.renew();
    let server = files.of(deployment.builder()).env("TLS_RELOAD_INTERVAL", "100ms").start().await;
    let second = files.renew();
    eventually("the new certificate", async || client(&server, &second).await.is_some()).await;

    // The key stays the second's.
    let other = Files::new();
    other.renew();
    std::fs::copy(&other.certificate, &files.certificate).unwrap();
    eventually("the complaint", async || has_said(&server, "is not that of the certificate")).await;
    assert!(client(&server, &second).await.is_some() && client(&server, &first).await.is_none());
    server.signal("HUP");
    std::fs::remove_file(&files.certificate).unwrap();
    eventually("the other complaint", async || has_said(&server, "TLS_CERT: cannot read")).await;
    assert!(client(&server, &second).await.is_some());

    let third = files.renew();
    eventually("the certificate after it", async || client(&server, &third).await.is_some()).await;
}

#[tokio::test]
async fn handshakes_that_never_end_hold_nobody_up_and_are_ended() {
    let deployment = Deployment::new().await;
    let files = Files::new();
    let certificate = files.renew();
    let server = files.of(deployment.builder()).env("HANDSHAKE_TIMEOUT", "10s").start().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(&server.addr).await.unwrap());
    }
    call(&mut client(&server, &certificate).await.unwrap()).await;
    for mut stream in silent {
        let ended = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut [0; 64])).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    }
}
