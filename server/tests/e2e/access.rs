//! Authentication, and the project that a call acts in.

use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::ledger::{Connection, DEVELOPMENT_KEY, Ledger, Metadata, put};
use prompt_ledger_testkit::poll;
use tonic::{Code, Status};

use super::keys::create;
use super::{ledger, refused};

const SYSTEM_KEY: &str = "system-key-for-this-test";
/// An upper bound: a revocation is known after one poll.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// A connection with the system key of these tests, in this project, which is created where it does not exist.
pub(crate) async fn project(ledger: &Ledger, name: &str) -> Connection {
    create(ledger.data_dir(), &["--project", name]);
    ledger.connection_with(Metadata::key(SYSTEM_KEY).and("x-ledger-project", name))
}

async fn get(connection: Connection, name: &str) -> Result<v1::GetPromptResponse, Status> {
    let request = v1::GetPromptRequest { name: name.into(), min_revision: None };
    RegistryServiceClient::new(connection).get_prompt(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_key_is_needed_in_either_form() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    let with = |metadata| get(ledger.connection_with(metadata), "greet");
    assert!(with(Metadata::key(DEVELOPMENT_KEY)).await.is_ok());
    assert!(with(Metadata::none().and("authorization", &format!("Bearer {DEVELOPMENT_KEY}"))).await.is_ok());
    refused(with(Metadata::none()).await, Code::Unauthenticated, "KEY_MISSING");
    refused(with(Metadata::none().and("authorization", "Basic abc")).await, Code::Unauthenticated, "KEY_MISSING");
    refused(with(Metadata::key("wrong")).await, Code::Unauthenticated, "KEY_INVALID");
}

#[tokio::test]
async fn what_could_mean_two_callers_is_refused() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    let other = create(ledger.data_dir(), &["--project", "shop"]);
    let with = |metadata| get(ledger.connection_with(metadata), "greet");
    let key = || Metadata::key(DEVELOPMENT_KEY);
    let bearer = |key: &str| format!("Bearer {key}");
    assert!(with(key().and("authorization", &bearer(DEVELOPMENT_KEY))).await.is_ok());
    for twice in [
        key().and("x-api-key", &other),
        key().and("x-api-key", DEVELOPMENT_KEY),
        key().and("authorization", &bearer(&other)),
        Metadata::none().and("authorization", &bearer(&other)).and("authorization", &bearer(DEVELOPMENT_KEY)),
        key().and("x-ledger-project", "default").and("x-ledger-project", "shop"),
    ] {
        refused(with(twice).await, Code::Unauthenticated, "KEY_INVALID");
    }
}

#[tokio::test]
async fn the_development_key_does_not_come_through_a_proxy_and_others_do() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    let key = create(ledger.data_dir(), &[]);
    for (name, value) in [
        ("forwarded", "for=192.0.2.43"),
        ("x-forwarded-for", "192.0.2.43"),
        ("x-forwarded-proto", "https"),
        ("via", "2 proxy"),
    ] {
        let with = |key: &str| get(ledger.connection_with(Metadata::key(key).and(name, value)), "greet");
        let status = with(DEVELOPMENT_KEY).await.unwrap_err();
        assert!(status.message().contains(name) && status.message().contains("keys create"), "{status:?}");
        refused(Err::<(), _>(status), Code::Unauthenticated, "KEY_INVALID");
        with(&key).await.unwrap();
    }
}

#[tokio::test]
async fn a_made_key_opens_its_project_until_it_is_revoked() {
    let ledger = ledger().start().await;
    let key = create(ledger.data_dir(), &["--project", "shop", "--name", "checkout"]);
    let connection = || ledger.connection_with(Metadata::key(&key));
    RegistryServiceClient::new(connection()).put_prompt(put("greet", "hello")).await.unwrap();
    let found = get(connection(), "greet").await.unwrap();
    assert_eq!(found.prompt.unwrap().project, "shop");
    refused(get(ledger.connection(), "greet").await, Code::NotFound, "PROMPT_NOT_FOUND");
    let elsewhere = ledger.connection_with(Metadata::key(&key).and("x-ledger-project", "default"));
    refused(get(elsewhere, "greet").await, Code::NotFound, "PROJECT_NOT_FOUND");

    let id = super::keys::id_of(ledger.data_dir(), &key[..8]);
    super::keys::revoke(ledger.data_dir(), &id);
    let ended =
        poll::eventually("the key to be refused", WAIT_LIMIT, async || match get(connection(), "greet").await {
            Ok(found) => Err(found),
            Err(refused) => Ok(refused),
        })
        .await;
    refused(Err::<(), _>(ended), Code::Unauthenticated, "KEY_INVALID");
}

#[tokio::test]
async fn a_system_key_names_its_project() {
    let ledger = ledger().env("API_KEY", SYSTEM_KEY).start().await;
    let shop = project(&ledger, "shop").await;
    RegistryServiceClient::new(shop.clone()).put_prompt(put("greet", "hello")).await.unwrap();
    assert!(get(shop, "greet").await.is_ok());
    let default = ledger.connection_with(Metadata::key(SYSTEM_KEY));
    refused(get(default, "greet").await, Code::NotFound, "PROMPT_NOT_FOUND");
    for unknown in ["absent", "not a name", ""] {
        let nowhere = ledger.connection_with(Metadata::key(SYSTEM_KEY).and("x-ledger-project", unknown));
        refused(get(nowhere, "greet").await, Code::NotFound, "PROJECT_NOT_FOUND");
    }
}

#[tokio::test]
async fn off_loopback_plain_text_must_be_allowed_and_the_development_key_is_dead() {
    let plain = ledger().addr("0.0.0.0:0");
    let known_key = ledger().env("API_KEY", DEVELOPMENT_KEY);
    for (builder, expected) in [(plain, "ALLOW_PLAINTEXT"), (known_key, "the development key")] {
        let output = builder.command(tempfile::tempdir().unwrap().path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(expected), "{said}");
    }

    let allowed = ledger().addr("0.0.0.0:0").env("ALLOW_PLAINTEXT", "true").env("API_KEY", SYSTEM_KEY);
    let allowed = allowed.expects("serving plain text off loopback").start().await;
    let with = |key| get(allowed.connection_with(Metadata::key(key)), "greet");
    refused(with(DEVELOPMENT_KEY).await, Code::Unauthenticated, "KEY_INVALID");
    refused(with(SYSTEM_KEY).await, Code::NotFound, "PROMPT_NOT_FOUND");
}
