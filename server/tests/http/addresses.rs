//! Where the HTTP front listens, and what is said of it; TLS.

use std::sync::Arc;

use http::Method;
use prompt_ledger_testkit::ledger::Ledger;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::client::Client;
use crate::ledger;

#[tokio::test]
async fn both_addresses_are_said_at_start_and_health_needs_no_key() {
    let ledger = ledger().start().await;
    let line = format!("Prompt Ledger is listening on {}, HTTP on {}, and keeps", ledger.addr, ledger.http);
    assert!(ledger.output().iter().any(|said| said.starts_with(&line)), "{:?}", ledger.output());
    let curl = format!("curl -H 'X-API-Key: {}' {}/v1/prompts/greet", ledger.key, ledger.http);
    ledger.process().says(|said| said.trim() == curl).await;
    for mut client in Client::both(&ledger).await {
        for (path, status) in [("/health", "healthy"), ("/ready", "ready")] {
            let answer = client.send(Method::GET, path, &[("x-api-key", "")], "").await;
            assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &status.into()));
        }
        assert_eq!(client.get("/v1/prompts/none").await.status, 404);
        let none = client.send(Method::GET, "/v1/prompts/none", &[("x-api-key", "")], "").await;
        assert_eq!((none.status.as_u16(), &*none.code()), (401, "KEY_MISSING"));
    }
}

#[tokio::test]
async fn a_taken_default_is_passed_over_and_a_configured_one_is_an_error() {
    // Whether or not the default is free on this machine: one of two servers finds it taken.
    let first = ledger().expects("the default is taken").without("HTTP_ADDR").start().await;
    let second = ledger().expects("the default is taken").without("HTTP_ADDR").start().await;
    let port = |ledger: &Ledger| ledger.http.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    for ledger in [&first, &second] {
        assert!((8_000..8_016).contains(&port(ledger)), "{}", ledger.http);
        assert_eq!(Client::http1(ledger).await.get("/health").await.status, 200);
    }
    assert_ne!(port(&first), port(&second));

    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = ledger().env("HTTP_ADDR", &*addr).command(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(&format!("HTTP_ADDR: cannot listen on {addr}")), "{said}");
}

#[tokio::test]
async fn off_is_off_and_off_loopback_needs_what_grpc_needs() {
    let silent = ledger().env("HTTP_ADDR", "off").start().await;
    assert!(silent.http.is_empty() && !silent.output().iter().any(|line| line.contains("HTTP on")));
    silent.active("greet", "hello").await;

    let folder = tempfile::tempdir().unwrap();
    let output = ledger().env("HTTP_ADDR", "0.0.0.0:0").command(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("0.0.0.0:0 can be reached from other machines"), "{said}");

    let open = ledger()
        .expects("serving plain text off loopback")
        .env("HTTP_ADDR", "0.0.0.0:0")
        .env("ALLOW_PLAINTEXT", "true")
        .start()
        .await;
    let port = open.http.rsplit_once(':').unwrap().1.to_owned();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
    // The development key opens nothing where another machine might send it.
    let request = format!(
        "GET /v1/prompts/a HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {}\r\nConnection: close\r\n\r\n",
        open.key
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("KEY_INVALID"), "{answer}");
}

/// The protocol that is agreed on at this address, where these are offered; and what is answered to a request of
/// HTTP/1.1 for health.
async fn over_tls(addr: &str, trusted: &str, offered: &[&str]) -> (Option<String>, String) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let agreed = stream.get_ref().1.alpn_protocol().map(|protocol| String::from_utf8(protocol.to_vec()).unwrap());
    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    (agreed, String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn one_certificate_serves_both_doors_and_each_offers_its_protocols() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let paths = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let ledger = ledger().env("TLS_CERT", paths.0).env("TLS_KEY", paths.1).start().await;
    let http = ledger.http.strip_prefix("https://").unwrap();
    let trusted = made.cert.pem();
    for (offered, agreed) in [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)] {
        let (found, answer) = over_tls(http, &trusted, offered).await;
        assert_eq!(found.as_deref(), agreed);
        if agreed != Some("h2") {
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        }
    }
    assert_eq!(over_tls(&ledger.addr, &trusted, &["h2", "http/1.1"]).await.0.as_deref(), Some("h2"));
}
