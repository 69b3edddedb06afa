//! Provider instances by name.

use std::sync::Arc;

use prompt_ledger_domain::Reason;
use prompt_ledger_domain::provider::{ProviderKind, ProviderTraits};
use prompt_ledger_providers::echo::Echo;
use prompt_ledger_providers::{Elsewhere, Provider as _, Providers};

use crate::setup::{Ask, prompt};

fn providers() -> Providers {
    Providers::new().with("echo", Arc::new(Echo)).without(
        "openai",
        ProviderKind::OpenAi,
        "set OPENAI_API_KEY or OPENAI_BASE_URL",
    )
}

#[test]
fn a_configured_provider_is_found() {
    assert!(!providers().get("echo").unwrap().traits().is_own_place);
}

#[test]
fn an_unconfigured_one_says_what_to_set() {
    let error = providers().get("openai").err().unwrap();
    assert_eq!(error.reason(), Reason::ProviderNotConfigured);
    let expected = "the provider `openai` is not configured: set OPENAI_API_KEY or OPENAI_BASE_URL";
    assert_eq!(error.parts().message, expected);
}

#[test]
fn an_unknown_one_lists_those_that_there_are() {
    let error = providers().get("gpt").err().unwrap();
    assert_eq!(error.reason(), Reason::ProviderNotFound);
    assert_eq!(error.parts().message, "no provider `gpt`; there are: echo, openai");
    assert_eq!(error.parts().metadata, [("provider", "gpt".to_owned())]);
}

#[test]
fn those_that_can_be_called_are_listed_with_what_they_take() {
    let ready: Vec<_> = providers().ready().map(|(name, traits)| (name.to_owned(), traits)).collect();
    assert_eq!(ready, [("echo".to_owned(), Echo.traits())]);
}

#[tokio::test]
async fn one_that_is_elsewhere_is_described_and_never_called() {
    let traits = ProviderTraits { kind: Some(ProviderKind::Anthropic), is_own_place: true };
    let elsewhere = Elsewhere(traits);
    assert_eq!(elsewhere.traits(), traits);
    let failure = Ask::new(&elsewhere, prompt("hi")).failure().await;
    assert_eq!((<&str>::from(failure.error_type), failure.latency), ("provider_error", None));
}

#[test]
fn the_names_are_listed_in_order() {
    assert_eq!(providers().names().collect::<Vec<_>>(), ["echo", "openai"]);
    assert_eq!(format!("{:?}", providers()), r#"{"echo", "openai"}"#);
}
