//! Provider instances by name.

use std::sync::Arc;

use prompt_ledger_domain::Reason;
use prompt_ledger_providers::Providers;
use prompt_ledger_providers::echo::Echo;

fn providers() -> Providers {
    Providers::new().with("echo", Arc::new(Echo)).without("openai", "set OPENAI_API_KEY or OPENAI_BASE_URL")
}

#[test]
fn a_configured_provider_is_found() {
    assert!(!providers().get("echo").unwrap().takes_any_model());
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
fn the_names_are_listed_in_order() {
    assert_eq!(providers().names().collect::<Vec<_>>(), ["echo", "openai"]);
    assert_eq!(format!("{:?}", providers()), r#"{"echo", "openai"}"#);
}
