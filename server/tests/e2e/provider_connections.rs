//! How the binary reaches its providers, by its settings: TLS, proxies, time limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Builder, spec};
use prompt_ledger_testkit::watch_record::WatchRecord;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::ledger;

/// What a proxy was told: the line of each request and its `proxy-authorization`.
type Told = tokio::sync::mpsc::UnboundedReceiver<(String, String)>;

/// Speaks TLS in front of a model, with a certificate of its own: the base URL, and the file of the certificate.
async fn behind_tls(model: &FakeModel, folder: &TempDir) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}/v1", listener.local_addr().unwrap().port());
    let place = url_host(&model.base_url());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, place) = (acceptor.clone(), place.clone());
            tokio::spawn(async move {
                let mut client = acceptor.accept(stream).await?;
                let mut model = TcpStream::connect(place).await?;
                copy_bidirectional(&mut client, &mut model).await
            });
        }
    });
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    (base, file.to_str().unwrap().to_owned())
}

/// A proxy that tunnels to whatever it is asked for, after it refused `refused` requests: its URL, and what it was told.
async fn tunnel(refused: usize) -> (String, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:secret@{}", listener.local_addr().unwrap());
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let seen = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tell, seen) = (tell.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut client = BufReader::new(stream);
                let (mut first, mut key) = (String::new(), String::new());
                client.read_line(&mut first).await?;
                loop {
                    let mut header = String::new();
                    client.read_line(&mut header).await?;
                    match header.split_once(':') {
                        Some((name, value)) if name.eq_ignore_ascii_case("proxy-authorization") => {
                            value.trim().clone_into(&mut key);
                        }
                        Some(_) => {}
                        None => break,
                    }
                }
                let place = first.split(' ').nth(1).unwrap().to_owned();
                tell.send((first, key)).unwrap();
                if seen.fetch_add(1, Ordering::Relaxed) < refused {
                    return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
                }
                let mut there = TcpStream::connect(place).await?;
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
                copy_bidirectional(&mut client, &mut there).await.map(drop)
            });
        }
    });
    (url, told)
}

fn url_host(base: &str) -> String {
    base.split('/').nth(2).unwrap().to_owned()
}

/// The binary with the instance `own` at this URL.
fn with_own(base: &str) -> Builder {
    ledger().env("PROVIDER_OWN_KIND", "openai").env("PROVIDER_OWN_BASE_URL", base)
}

/// The end of one execution on `own`, by a binary of these settings.
async fn ran(builder: Builder, stream_text: bool) -> v1::Execution {
    let ledger = builder.start().await;
    ledger.active("greet", "one two three four").await;
    let model = v1::ModelRef { provider: "own".into(), model_name: "small".into() };
    ledger.run(v1::ExecutionSpec { model: Some(model), stream_text: Some(stream_text), ..spec("greet", &[]) }).await
}

#[tokio::test]
async fn a_provider_is_trusted_by_the_certificate_of_its_setting_only() {
    let (model, folder) = (FakeModel::start().await, TempDir::new().unwrap());
    let (base, ca) = behind_tls(&model, &folder).await;
    assert_eq!(ran(with_own(&base).env("PROVIDER_OWN_CA", &ca), false).await.response_text, "one two three four");
    let failed = ran(with_own(&base), false).await;
    assert_eq!((&*failed.error_type, model.calls()), ("connection", 1), "{failed:?}");
    assert!(failed.error_message.contains("certificate"), "{failed:?}");
}

#[tokio::test]
async fn providers_behind_tls_are_reached_through_a_tunnel() {
    let (model, folder) = (FakeModel::start().await, TempDir::new().unwrap());
    let (base, ca) = behind_tls(&model, &folder).await;
    for name in ["HTTPS_PROXY", "https_proxy", "PROVIDER_OWN_PROXY"] {
        let (proxy, mut told) = tunnel(0).await;
        let builder = with_own(&base).env("PROVIDER_OWN_CA", &ca).env(name, proxy);
        assert_eq!(ran(builder, true).await.response_text, "one two three four");
        let (line, key) = told.recv().await.unwrap();
        assert_eq!(line, format!("CONNECT {} HTTP/1.1\r\n", url_host(&base)), "{name}");
        assert_eq!(key, "Basic dXNlcjpzZWNyZXQ=", "{name}");
        // The key of the provider and the prompt go through the tunnel, not to the proxy.
        assert!(told.try_recv().is_err(), "{name}");
    }
    let (proxy, mut told) = tunnel(0).await;
    let builder = with_own(&base).env("PROVIDER_OWN_CA", &ca).env("HTTPS_PROXY", proxy).env("NO_PROXY", "localhost");
    assert_eq!(ran(builder, false).await.response_text, "one two three four");
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let (model, folder) = (FakeModel::start().await, TempDir::new().unwrap());
    let (base, ca) = behind_tls(&model, &folder).await;
    let (proxy, _told) = tunnel(usize::MAX).await;
    let failed = ran(with_own(&base).env("PROVIDER_OWN_CA", &ca).env("HTTPS_PROXY", proxy), false).await;
    assert_eq!((&*failed.error_type, model.calls()), ("connection", 0), "{failed:?}");
    assert!(failed.error_message.contains("proxy") && !failed.error_message.contains("secret"), "{failed:?}");
}

#[tokio::test]
async fn silence_before_and_within_an_answer_is_bounded_by_the_settings() {
    let model = FakeModel::start().await;
    let gate = Gate::new();
    let with = |name: &str| with_own(&model.base_url()).env(name, "2s");
    model.next(Reply::echo().held(&gate));
    let failed = ran(with("PROVIDER_OWN_TIMEOUT_FIRST"), true).await;
    assert_eq!(&*failed.error_type, "timeout");
    assert!(failed.error_message.contains("had not begun to answer after 2s"), "{failed:?}");
    model.next(Reply::echo().held_after(2, &gate));
    let failed = ran(with("PROVIDER_OWN_TIMEOUT_IDLE"), true).await;
    assert_eq!((&*failed.error_type, &*failed.response_text), ("timeout", "one two "));
    assert!(failed.error_message.contains("nothing came for 2s"), "{failed:?}");
}

#[tokio::test]
async fn a_timeout_that_was_asked_for_is_the_only_bound_of_silence() {
    let model = FakeModel::start().await;
    let bounds = ["PROVIDER_OWN_TIMEOUT_FIRST", "PROVIDER_OWN_TIMEOUT_IDLE"];
    let builder = bounds.iter().fold(with_own(&model.base_url()), |builder, name| builder.env(name, "100ms"));
    let ledger = builder.start().await;
    ledger.active("greet", "one two").await;
    let own = v1::ModelRef { provider: "own".into(), model_name: "small".into() };
    let timeout = Some(prost_types::Duration { seconds: 20, nanos: 0 });
    let spec = v1::ExecutionSpec { model: Some(own), stream_text: Some(true), timeout, ..spec("greet", &[]) };
    let slow = || Reply::echo().delay(Duration::from_millis(300)).paced(Duration::from_millis(300));
    model.next(slow());
    let record = WatchRecord::whole(&mut ledger.stream(spec.clone()).await).await;
    assert_eq!(record.ended.unwrap().response_text, "one two");
    model.next(slow());
    let id = ledger.submit(spec).await;
    let record = WatchRecord::whole(&mut ledger.watch(&id, 0).await.unwrap()).await;
    assert_eq!(record.ended.unwrap().response_text, "one two");
}

#[tokio::test]
async fn connections_are_kept_as_long_as_the_setting_says() {
    for (kept, connections) in [("0s", 3), ("1m", 1)] {
        let model = FakeModel::start().await;
        let ledger = with_own(&model.base_url()).env("PROVIDER_OWN_IDLE_CONNECTIONS", kept).start().await;
        ledger.active("greet", "hi").await;
        let own = v1::ModelRef { provider: "own".into(), model_name: "small".into() };
        for _ in 0..3 {
            ledger.run(v1::ExecutionSpec { model: Some(own.clone()), ..spec("greet", &[]) }).await;
        }
        // A connection is given back a moment after its answer: one call may have come before.
        let most = if connections == 1 { 2 } else { connections };
        assert!((connections..=most).contains(&model.connections()), "{kept}: {}", model.connections());
    }
}
