//! What `ledgerctl prompt` writes, and what the change log says of it.

use prompt_ledger_testkit::ledger::{Ledger, put};
use serde_json::{Value, json};

use super::prompt_pages::{json as answer, refused, shown};
use super::{ledger, ledgerctl};

async fn two_versions() -> (Ledger, prompt_ledger_testkit::fake_model::FakeModel) {
    let (ledger, model) = ledger().await;
    let second = prompt_ledger_client::v1::PutPromptRequest { set_active: false, ..put("greet", "hello, dear") };
    ledger.registry().put_prompt(second).await.unwrap();
    (ledger, model)
}

#[tokio::test]
async fn each_write_says_from_what_to_what() {
    let (ledger, _model) = two_versions().await;
    for (arguments, line) in [
        (&["activate", "greet", "2"][..], "greet: active version 1 -> 2"),
        (&["activate", "greet", "2"], "greet: version 2 was active already"),
        (&["label", "greet", "production", "1"], "greet: production is version 1"),
        (&["label", "greet", "production", "1"], "greet: production was version 1 already"),
        (&["label", "greet", "production", "2"], "greet: production 1 -> 2"),
        (&["status", "greet", "1", "deprecated"], "greet: version 1 is deprecated"),
        (&["status", "greet", "1", "active"], "greet: version 1 is active"),
        (&["update", "greet", "--owner-team", "growth", "--tag", "a", "--tag", "b"], "greet: owner team, tags updated"),
        (&["label", "greet", "production", "--remove"], "greet: production is removed, it was version 2"),
        (&["archive", "greet"], "greet is archived"),
        (&["unarchive", "greet"], "greet is not archived"),
        (&["migrate", "greet", "--mode", "tracking"], "greet is in tracking mode"),
    ] {
        assert_eq!(shown(&ledger, &[&["prompt"], arguments].concat()).await, format!("{line}\n"), "{arguments:?}");
    }
    let (_, said) = refused(ledgerctl(&ledger, &["prompt", "activate", "greet", "1"])).await;
    assert!(said.contains("ledgerctl prompt migrate greet --mode MODE"), "{said}");
}

#[tokio::test]
async fn the_change_log_names_who_told_and_which_key() {
    let (ledger, _model) = two_versions().await;
    let mut command = ledgerctl(&ledger, &["prompt", "activate", "greet", "2"]);
    command.env("USER", "ada");
    super::run(command).await;
    shown(&ledger, &["prompt", "label", "greet", "canary", "1", "--created-by", "bob"]).await;
    let changes = answer(&ledger, &["prompt", "changes", "greet", "--kind", "activated", "--kind", "label-set"]).await;
    let told: Vec<_> =
        changes.as_array().unwrap().iter().map(|change| [&change["kind"], &change["created_by"]]).collect();
    assert_eq!(json!(told), json!([["label_set", "bob"], ["activated", "ada"], ["activated", null]]));
    let table = shown(&ledger, &["prompt", "changes"]).await;
    assert!(table.lines().nth(1).unwrap().contains("canary") && table.contains("bob (key "), "{table}");
    assert!(table.contains("1 -> 2"), "{table}");
}

#[tokio::test]
async fn scripts_get_the_contracts_messages() {
    let (ledger, _model) = two_versions().await;
    let number = |value: &Value| value["prompt"]["active_version_number"].clone();
    assert_eq!(number(&answer(&ledger, &["prompt", "activate", "greet", "2"]).await), 2);
    let set = answer(&ledger, &["prompt", "label", "greet", "canary", "1"]).await;
    assert_eq!(set["version"]["version_number"], 1);
    assert_eq!(answer(&ledger, &["prompt", "label", "greet", "canary", "--remove"]).await["previous_version"], 1);
    let updated = answer(&ledger, &["prompt", "update", "greet", "--description", "Greets"]).await;
    assert_eq!(updated["prompt"]["description"], "Greets");
    assert!(answer(&ledger, &["prompt", "archive", "greet"]).await["prompt"]["archived_at"].is_string());
    assert!(answer(&ledger, &["prompt", "unarchive", "greet"]).await["prompt"]["archived_at"].is_null());
    let migrated = answer(&ledger, &["prompt", "migrate", "greet", "--mode", "tracking"]).await;
    assert_eq!(migrated["prompt"]["mode"], "tracking");
}

#[tokio::test]
async fn an_old_etag_writes_nothing() {
    let (ledger, _model) = two_versions().await;
    let etag = answer(&ledger, &["prompt", "get", "greet"]).await["prompt"]["etag"].as_str().unwrap().to_owned();
    shown(&ledger, &["prompt", "activate", "greet", "2", "--if-etag", &etag]).await;
    for arguments in [
        &["activate", "greet", "1"][..],
        &["label", "greet", "canary", "1"],
        &["status", "greet", "1", "deprecated"],
        &["update", "greet", "--no-tags"],
        &["archive", "greet"],
        &["migrate", "greet", "--mode", "tracking"],
    ] {
        let arguments = [&["prompt"], arguments, &["--if-etag", &etag]].concat();
        let (code, said) = refused(ledgerctl(&ledger, &arguments)).await;
        assert!(code == Some(2) && said.contains("ledgerctl prompt changes greet"), "{arguments:?}: {said}");
    }
    let got = answer(&ledger, &["prompt", "get", "greet"]).await;
    assert_eq!((&got["prompt"]["active_version_number"], &got["prompt"]["archived_at"]), (&json!(2), &Value::Null));
}
