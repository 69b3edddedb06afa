//! TLS: with a certificate and its key a server speaks it, and nothing else.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::ledger::Metadata;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::kit::Deployment;

#[tokio::test]
async fn a_server_with_a_certificate_speaks_tls_and_no_plain_text() {
    let deployment = Deployment::new().await;
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let builder =
        || deployment.builder().env("TLS_CERT", certificate.to_str().unwrap()).env("TLS_KEY", key.to_str().unwrap());
    let server = builder().start().await;
    let port = server.addr.rsplit_once(':').unwrap().1;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(made.cert.pem())).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}")).unwrap().tls_config(tls).unwrap();
    let channel = InterceptedService::new(endpoint.connect().await.unwrap(), Metadata::key(&server.key));
    RegistryServiceClient::new(channel).list_models(v1::ListModelsRequest::default()).await.unwrap();
    server.registry().list_models(v1::ListModelsRequest::default()).await.unwrap_err();

    let (well, said) = builder().env("TLS_KEY", "/nowhere/key.pem").said(&["serve"]);
    assert!(!well && said.contains("TLS_KEY: cannot read /nowhere/key.pem"), "{said}");
    std::fs::write(&key, "no key").unwrap();
    let (well, _) = builder().said(&["serve"]);
    assert!(!well);
}
