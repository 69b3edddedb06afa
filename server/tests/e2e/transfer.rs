//! Export and import, over a connection.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::ledger::{Ledger, carried, put, spec};
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
    let expected = [("ask", unchanged), ("carried", unchanged), ("greet", unchanged), ("old", unchanged)];
    assert_eq!(actions(&again), expected);
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
        ("INVALID_FIELD", changed(|prompt| prompt.versions[0].note = "n".repeat(1025))),
        ("INVALID_FIELD", changed(|prompt| prompt.active_version_number = Some(9))),
        ("INVALID_FIELD", changed(|prompt| prompt.active_checksum_hash = "0".repeat(64))),
        ("INVALID_FIELD", changed(|prompt| prompt.active_checksum_hash = "a\0b".into())),
        (
            "INVALID_FIELD",
            changed(|prompt| (prompt.active_version_number, prompt.active_checksum_hash) = (Some(9), "".into())),
        ),
        (
            "INVALID_FIELD",
            changed(|prompt| (prompt.active_version_number, prompt.active_checksum_hash) = (None, "0".repeat(64))),
        ),
        ("INVALID_FIELD", changed(|prompt| prompt.more_follows = true)),
        ("INVALID_FIELD", changed(|prompt| prompt.labels[0].version_number = 9)),
        ("INVALID_FIELD", changed(|prompt| prompt.labels[0].checksum_hash = "0".repeat(64))),
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

/// 15 versions, more than one message holds; the first one is active and labelled, and so is one of the second message.
async fn long(ledger: &Ledger) {
    for version in 0..15 {
        let text = format!("{version}{}", "x".repeat(190 * 1024));
        let labels = match version {
            0 => vec!["production".into(), "eu".into()],
            14 => vec!["canary".into()],
            _ => vec![],
        };
        let set_active = version == 0;
        written(ledger, v1::PutPromptRequest { labels, set_active, ..put("long", &text) }).await;
    }
    let archive = v1::ArchivePromptRequest { name: "long".into(), ..v1::ArchivePromptRequest::default() };
    ledger.registry().archive_prompt(archive).await.unwrap();
}

#[tokio::test]
async fn a_prompt_too_large_for_one_message_comes_in_several() {
    let (one, two) = (ledger().start().await, ledger().start().await);
    long(&one).await;
    one.active("other", "short").await;
    let parts = exported(&one, &[]).await;
    let told =
        |part: &v1::ExportedPrompt| (part.name.clone(), part.versions.len(), part.labels.len(), part.more_follows);
    let told: Vec<_> = parts.iter().map(told).collect();
    let expected = [("long", 11, 0, true), ("long", 4, 3, false), ("other", 1, 0, false)];
    assert_eq!(told, expected.map(|(name, versions, labels, more)| (name.to_owned(), versions, labels, more)));
    assert_eq!(parts[1].active_checksum_hash, parts[0].versions[0].checksum_hash);
    let refused = imported(&two, of(vec![parts[1].clone()])).await;
    assert!(refused[0].error_message.contains("import the prompt's earlier messages first"), "{refused:?}");
    for part in parts.clone() {
        imported(&two, of(vec![part])).await;
    }
    assert_eq!(exported(&two, &[]).await, parts, "an exact copy");
    for part in parts.clone() {
        let moving = v1::ImportPromptsRequest { set_active: true, set_labels: true, ..of(vec![part]) };
        assert_eq!(imported(&two, moving).await[0].action(), v1::ImportAction::Unchanged);
    }
    assert_eq!(exported(&two, &[]).await, parts, "a repeat changes nothing");
}

#[tokio::test]
async fn a_reference_needs_a_number_or_a_hash() {
    let (one, two) = (filled().await, ledger().start().await);
    let mut greet = exported(&one, &["greet"]).await.remove(0);
    let sent = greet.clone();
    (greet.active_version_number, greet.labels[0].version_number) = (None, 0);
    greet.created_at = None;
    greet.updated_at = None;
    let done = imported(&two, v1::ImportPromptsRequest { created_by: "ada".into(), ..of(vec![greet.clone()]) }).await;
    assert_eq!(actions(&done), [("greet", v1::ImportAction::Created)], "by hash: {done:?}");
    let there = exported(&two, &["greet"]).await.remove(0);
    assert_eq!((there.active_version_number, &there.labels), (sent.active_version_number, &sent.labels));
    let three = ledger().start().await;
    let mut greet = sent.clone();
    greet.active_checksum_hash.clear();
    greet.labels[0].checksum_hash.clear();
    let done = imported(&three, of(vec![greet])).await;
    assert_eq!(actions(&done), [("greet", v1::ImportAction::Created)], "by number: {done:?}");
    assert_eq!(exported(&three, &["greet"]).await, [sent]);
    let long = v1::ImportPromptsRequest { created_by: "x".repeat(256), ..of(vec![there]) };
    assert_eq!(wrong_fields(three.registry().import_prompts(long).await), ["created_by"]);
}

#[tokio::test]
async fn a_template_of_an_earlier_grammar_is_imported() {
    let (one, two) = (ledger().start().await, ledger().start().await);
    one.active("greet", "{{name}}").await;
    let mut greet = exported(&one, &["greet"]).await.remove(0);
    let yesterday = "{\"user\":{{{name}}}}";
    refused(two.registry().put_prompt(put("greet", yesterday)).await, Code::InvalidArgument, "TEMPLATE_INVALID");
    greet.versions[0].template = Some(v1::exported_version::Template::TemplateSource(yesterday.into()));
    greet.versions[0].checksum_hash.clear();
    greet.active_checksum_hash.clear();
    let done = imported(&two, of(vec![greet])).await;
    assert_eq!(actions(&done), [("greet", v1::ImportAction::Created)], "{done:?}");
    let run = two.run(spec("greet", &[("name", "Ada")])).await;
    assert_eq!(run.rendered_prompt, "{\"user\":Ada}");
}
