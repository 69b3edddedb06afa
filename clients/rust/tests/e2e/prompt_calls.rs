//! What is read of prompts, and changed.

use futures::TryStreamExt as _;
use prompt_ledger_client::v1::get_version_request::Selector;
use prompt_ledger_client::v1::{self, ErrorReason, prompt_draft};
use prompt_ledger_client::{Prompts, prost_types};
use prompt_ledger_testkit::fake_model::FakeModel;
use prompt_ledger_testkit::ledger::{Ledger, put};

use super::{client, ledger};

async fn two_versions(ledger: &Ledger) -> Prompts {
    ledger.active("greet", "one {{name}}").await;
    let prompts = client(ledger).prompts();
    prompts.put(put("greet", "two {{name}}")).await.unwrap();
    prompts
}

async fn version(prompts: &Prompts, selector: Option<Selector>) -> Result<i32, ErrorReason> {
    let request = v1::GetVersionRequest { name: "greet".into(), selector, min_revision: None };
    let got = prompts.version(request).await.map_err(|error| error.reason)?;
    Ok(got.version.unwrap().version_number)
}

#[tokio::test]
async fn a_version_is_found_by_number_label_and_hash() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    let prompts = two_versions(&ledger).await;
    prompts.label("greet", "production", 2).await.unwrap();
    let hash = prompts.get("greet").await.unwrap().active_version.unwrap().checksum_hash;
    for (selector, expected) in [
        (None, Ok(1)),
        (Some(Selector::VersionNumber(2)), Ok(2)),
        (Some(Selector::Label("production".into())), Ok(2)),
        (Some(Selector::ChecksumHash(hash)), Ok(1)),
        (Some(Selector::VersionNumber(3)), Err(ErrorReason::VersionNotFound)),
        (Some(Selector::Label("nobody".into())), Err(ErrorReason::LabelNotFound)),
    ] {
        assert_eq!(version(&prompts, selector.clone()).await, expected, "{selector:?}");
    }
}

#[tokio::test]
async fn labels_and_the_archive_are_left_again() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    let prompts = two_versions(&ledger).await;
    prompts.label("greet", "production", 2).await.unwrap();
    assert_eq!(prompts.unlabel("greet", "production").await.unwrap().previous_version, 2);
    assert_eq!(prompts.unlabel("greet", "production").await.unwrap_err().reason, ErrorReason::LabelNotFound);
    assert!(prompts.archive("greet").await.unwrap().prompt.unwrap().archived_at.is_some());
    assert_eq!(prompts.label("greet", "x", 1).await.unwrap_err().reason, ErrorReason::PromptArchived);
    assert!(prompts.unarchive("greet").await.unwrap().prompt.unwrap().archived_at.is_none());
    prompts.label("greet", "x", 1).await.unwrap();
}

#[tokio::test]
async fn writes_by_request_depend_on_an_etag_and_tell_who_writes() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    let prompts = two_versions(&ledger).await;
    let name = || "greet".to_owned();
    let (etag, created_by) = (Some("0".to_owned()), "ada".to_owned());
    let (label, version_number) = ("production".to_owned(), 2);
    let set = v1::SetLabelRequest {
        name: name(),
        label: label.clone(),
        version_number,
        etag: etag.clone(),
        created_by: created_by.clone(),
    };
    let remove = v1::RemoveLabelRequest { name: name(), label, etag: etag.clone(), created_by: created_by.clone() };
    let activate = v1::SetActiveVersionRequest {
        name: name(),
        version_number,
        etag: etag.clone(),
        created_by: created_by.clone(),
    };
    let archive = v1::ArchivePromptRequest { name: name(), etag: etag.clone(), created_by: created_by.clone() };
    let unarchive = v1::UnarchivePromptRequest { name: name(), etag, created_by };
    let present = async || prompts.get("greet").await.unwrap().prompt.map(|prompt| prompt.etag);
    assert_eq!(prompts.set_label(set.clone()).await.unwrap_err().reason, ErrorReason::EtagMismatch);
    prompts.set_label(v1::SetLabelRequest { etag: present().await, ..set }).await.unwrap();
    assert_eq!(prompts.remove_label(remove.clone()).await.unwrap_err().reason, ErrorReason::EtagMismatch);
    prompts.remove_label(v1::RemoveLabelRequest { etag: present().await, ..remove }).await.unwrap();
    assert_eq!(prompts.set_active_version(activate.clone()).await.unwrap_err().reason, ErrorReason::EtagMismatch);
    prompts.set_active_version(v1::SetActiveVersionRequest { etag: present().await, ..activate }).await.unwrap();
    assert_eq!(prompts.archive_prompt(archive.clone()).await.unwrap_err().reason, ErrorReason::EtagMismatch);
    prompts.archive_prompt(v1::ArchivePromptRequest { etag: present().await, ..archive }).await.unwrap();
    assert_eq!(prompts.unarchive_prompt(unarchive.clone()).await.unwrap_err().reason, ErrorReason::EtagMismatch);
    prompts.unarchive_prompt(v1::UnarchivePromptRequest { etag: present().await, ..unarchive }).await.unwrap();
    let changes: Vec<_> = prompts.changes("greet", 0).try_collect().await.unwrap();
    let mut written: Vec<_> =
        changes.iter().filter(|change| change.created_by == "ada").map(|change| change.revision).collect();
    written.dedup();
    assert_eq!(written, [7, 6, 5, 4, 3], "{changes:#?}");
}

#[tokio::test]
async fn reads_by_request_ask_for_a_revision_or_a_mode() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    let prompts = two_versions(&ledger).await;
    let revision = prompts.get("greet").await.unwrap().revision;
    for (min_revision, reason) in [(revision, None), (revision + 100, Some(ErrorReason::RevisionAhead))] {
        let min_revision = Some(min_revision);
        let got = prompts.get_prompt(v1::GetPromptRequest { name: "greet".into(), min_revision }).await;
        assert_eq!(got.err().map(|error| error.reason), reason);
        let request = v1::BatchGetPromptsRequest { names: vec!["greet".into()], label: String::new(), min_revision };
        assert_eq!(prompts.batch_get_prompts(request).await.err().map(|error| error.reason), reason);
    }
    for (mode, expected) in [(v1::PromptMode::Full, Ok(2)), (v1::PromptMode::Tracking, Err(ErrorReason::ModeMismatch))]
    {
        let request = v1::GetPromptHistoryRequest { name: "greet".into(), mode: mode.into(), ..Default::default() };
        let history: Result<Vec<_>, _> = prompts.prompt_history(request).try_collect().await;
        assert_eq!(history.map(|versions| versions.len()).map_err(|error| error.reason), expected);
    }
}

#[tokio::test]
async fn a_draft_is_checked_and_rendered_without_being_stored() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    let prompts = client(&ledger).prompts();
    let draft = |text: &str| v1::PromptDraft {
        template: Some(prompt_draft::Template::TemplateSource(text.into())),
        ..v1::PromptDraft::default()
    };
    let variables = || Some(prost_types::Struct { fields: [("name".into(), "Ada".into())].into() });
    let rendered = prompts.render_draft(draft("Hi {{name}}"), variables()).await.unwrap();
    assert_eq!((&*rendered.rendered_prompt, rendered.version), ("Hi Ada", None));
    let missing = prompts.render_draft(draft("Hi {{name}}"), None).await.unwrap_err();
    assert_eq!((missing.reason, missing.missing()), (ErrorReason::VariablesMissing, vec!["name"]));
    let invalid = prompts.render_draft(draft("Hi {{name"), variables()).await.unwrap_err();
    assert_eq!(invalid.reason, ErrorReason::TemplateInvalid);
    let stored: Vec<_> = prompts.list(v1::ListPromptsRequest::default()).try_collect().await.unwrap();
    assert!(stored.is_empty(), "{stored:?}");
}
