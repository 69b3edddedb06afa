//! Export and import, over a connection.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::ledger::{Ledger, carried, put};
use tonic::Code;

use super::contents::{config, conversation, put_chat, written};
use super::{ledger, refused, wrong_fields};

async fn exported(ledger: &Ledger, names: &[&str]) -> Vec<v1::ExportedPrompt> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let mut stream = ledger.registry().export_prompts(v1::ExportPromptsRequest { names }).await.unwrap().into_inner();
    let mut prompts = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        prompts.push(message.prompt.unwrap());
    }
    prompts
}

async fn imported(ledger: &Ledger, request: v1::ImportPromptsRequest) -> Vec<v1::ImportedPrompt> {
    ledger.registry().import_prompts(request).await.unwrap().into_inner().imported
}

fn of(prompts: Vec<v1::ExportedPrompt>) -> v1::ImportPromptsRequest {
    v1::ImportPromptsRequest { prompts, ..v1::ImportPromptsRequest::default() }
}

fn actions(imported: &[v1::ImportedPrompt]) -> Vec<(&str, v1::ImportAction)> {
    imported.iter().map(|one| (&*one.name, one.action())).collect()
}

/// A text of two versions, a labelled chat with a config, one that code carries, and an archived one.
async fn filled() -> Ledger {
    let ledger = ledger().start().await;
    let told = v1::PutPromptRequest {
        description: Some("greets".into()),
        owner_team: Some("search".into()),
        tags: Some(v1::Tags { values: vec!["mail".into()] }),
        note: "the first".into(),
        created_by: "ada".into(),
        labels: vec!["canary".into()],
        ..put("greet", "Hi {{name}}")
    };
    written(&ledger, told).await;
    ledger.active("greet", "Hello {{name}}").await;
    let chat =
        v1::PutPromptRequest { labels: vec!["production".into()], ..put_chat("ask", conversation(), Some(config())) };
    written(&ledger, chat).await;
    ledger.carry(vec![carried("carried", "{% if x %}")]).await;
    ledger.active("old", "gone").await;
    let archive = v1::ArchivePromptRequest { name: "old".into(), ..v1::ArchivePromptRequest::default() };
    ledger.registry().archive_prompt(archive).await.unwrap();
    ledger
}

#[tokio::test]
async fn prompts_go_to_another_ledger_as_they_are() {
    let (one, two) = (filled().await, ledger().start().await);
    let all = exported(&one, &[]).await;
    let names: Vec<_> = all.iter().map(|prompt| &*prompt.name).collect();
    assert_eq!(names, ["ask", "carried", "greet", "old"]);
    assert_eq!((all[2].versions.len(), all[2].active_version_number), (2, Some(2)));
    assert_eq!((&*all[0].labels[0].label, all[3].archived_at.is_some()), ("production", true));
    let created = v1::ImportAction::Created;
    let expected = [("ask", created), ("carried", created), ("greet", created), ("old", created)];
    let dry = imported(&two, v1::ImportPromptsRequest { dry_run: true, ..of(all.clone()) }).await;
    assert_eq!(actions(&dry), expected);
    assert_eq!(exported(&two, &[]).await, []);
    let done = imported(&two, of(all.clone())).await;
    assert_eq!(actions(&done), expected);
    assert_eq!(done, dry, "a dry run tells what happens");
    assert_eq!(exported(&two, &[]).await, all, "an exact copy");
    assert_eq!(exported(&two, &["greet"]).await, all[2..3]);
    let moving = v1::ImportPromptsRequest { set_active: true, set_labels: true, ..of(all.clone()) };
    let again = imported(&two, moving).await;
    let unchanged = v1::ImportAction::Unchanged;
    assert_eq!(actions(&again)[..3], [("ask", unchanged), ("carried", unchanged), ("greet", unchanged)]);
    assert_eq!((again[3].action(), &*again[3].error_reason), (v1::ImportAction::Refused, "PROMPT_ARCHIVED"));
    assert_eq!(exported(&two, &[]).await, all, "a repeat changes nothing");
    refused(
        two.registry().export_prompts(v1::ExportPromptsRequest { names: vec!["none".into()] }).await,
        Code::NotFound,
        "PROMPT_NOT_FOUND",
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_prompt_keeps_no_other_out() {
    let (one, two) = (filled().await, ledger().start().await);
    let all = exported(&one, &["ask", "greet"]).await;
    let changed = |change: fn(&mut v1::ExportedPrompt)| {
        let mut prompt = all[1].clone();
        change(&mut prompt);
        prompt
    };
    for (reason, prompt) in [
        ("TEMPLATE_HASH_MISMATCH", changed(|prompt| prompt.versions[0].checksum_hash = "0".repeat(64))),
        ("INVALID_FIELD", changed(|prompt| prompt.versions.clear())),
        ("INVALID_FIELD", changed(|prompt| prompt.versions[0].template = None)),
        ("INVALID_FIELD", changed(|prompt| prompt.versions[0].version_number = 2)),
        ("INVALID_FIELD", changed(|prompt| prompt.versions[0].status = 0)),
        ("INVALID_FIELD", changed(|prompt| prompt.active_version_number = Some(9))),
        ("INVALID_FIELD", changed(|prompt| prompt.labels[0].version_number = 9)),
        ("INVALID_FIELD", changed(|prompt| prompt.labels[0].label = "latest".into())),
        ("INVALID_FIELD", changed(|prompt| prompt.labels[0].set_by = "a\0b".into())),
        ("INVALID_FIELD", changed(|prompt| prompt.labels[0].set_by = "a".repeat(1_000_000))),
        (
            "INVALID_FIELD",
            changed(|prompt| {
                let number = prompt.labels[0].version_number;
                prompt.versions[usize::try_from(number).unwrap() - 1].status = v1::VersionStatus::Deprecated.into();
            }),
        ),
        (
            "INVALID_FIELD",
            changed(|prompt| {
                let first = prompt.versions[0].clone();
                prompt.versions[1] = v1::ExportedVersion { version_number: 2, ..first };
            }),
        ),
        ("INVALID_FIELD", changed(|prompt| prompt.mode = 0)),
        ("INVALID_FIELD", changed(|prompt| prompt.name = "a b".into())),
    ] {
        let name = prompt.name.clone();
        let done = imported(&two, v1::ImportPromptsRequest { dry_run: true, ..of(vec![prompt, all[0].clone()]) }).await;
        let (action, refused) = (v1::ImportAction::Created, v1::ImportAction::Refused);
        assert_eq!(actions(&done), [(&*name, refused), ("ask", action)], "{}", done[0].error_message);
        assert_eq!(done[0].error_reason, reason, "{}", done[0].error_message);
        assert!(!done[0].error_message.is_empty());
    }
    let done = imported(&two, of(vec![changed(|prompt| prompt.versions.clear()), all[0].clone()])).await;
    assert_eq!((done[0].action(), done[1].action()), (v1::ImportAction::Refused, v1::ImportAction::Created));
    assert_eq!(exported(&two, &[]).await, all[..1]);
    assert_eq!(wrong_fields(two.registry().import_prompts(of(vec![])).await), ["prompts"]);
    assert_eq!(wrong_fields(two.registry().import_prompts(of(vec![all[0].clone(); 2])).await), ["prompts[1].name"]);
    assert_eq!(wrong_fields(two.registry().import_prompts(of(vec![all[0].clone(); 101])).await), ["prompts"]);
}

#[tokio::test]
async fn a_prompt_too_large_for_one_message_comes_in_several() {
    let (one, two) = (ledger().start().await, ledger().start().await);
    for version in 0..15 {
        let text = format!("{version}{}", "x".repeat(190 * 1024));
        written(&one, v1::PutPromptRequest { labels: vec!["canary".into()], ..put("long", &text) }).await;
    }
    one.active("other", "short").await;
    let parts = exported(&one, &[]).await;
    let told: Vec<_> = parts.iter().map(|part| (&*part.name, part.versions.len(), part.labels.len())).collect();
    assert_eq!(told, [("long", 11, 0), ("long", 4, 1), ("other", 1, 0)]);
    for part in parts.clone() {
        imported(&two, v1::ImportPromptsRequest { set_active: true, set_labels: true, ..of(vec![part]) }).await;
    }
    let there = exported(&two, &[]).await;
    let versions = |parts: &[v1::ExportedPrompt]| {
        parts.iter().flat_map(|part| part.versions.clone()).map(|version| version.checksum_hash).collect::<Vec<_>>()
    };
    assert_eq!(versions(&there), versions(&parts));
    assert_eq!((&*there[1].labels[0].label, there[1].labels[0].version_number), ("canary", 15));
}
