//! Prompts from the database of a laptop to that of production, and back.

use prompt_ledger_proto::v1::{self, put_prompt_request};
use prompt_ledger_testkit::ledger::{Ledger, carried, put, server};

use crate::kit::Deployment;

async fn exported(ledger: &Ledger) -> Vec<v1::ExportedPrompt> {
    let request = v1::ExportPromptsRequest::default();
    let mut stream = ledger.registry().export_prompts(request).await.unwrap().into_inner();
    let mut prompts = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        prompts.push(message.prompt.unwrap());
    }
    prompts
}

/// A labelled chat with a config, a text with a deprecated version and a draft, an opaque one, and an archived one.
async fn filled(ledger: &Ledger) {
    let message = |role: &str, content: &str| v1::ChatTemplateEntry {
        entry: Some(v1::chat_template_entry::Entry::Message(v1::ChatMessage {
            role: role.into(),
            content: content.into(),
            ..v1::ChatMessage::default()
        })),
    };
    let entries = vec![message("system", "Answer as {{style}}."), message("user", "{{question}} ü \u{1F600}")];
    let params = v1::ModelParams { temperature: Some(0.1), ..v1::ModelParams::default() };
    let chat = v1::PutPromptRequest {
        template: Some(put_prompt_request::Template::ChatTemplate(v1::ChatTemplate { entries })),
        config: Some(v1::VersionConfig { params: Some(params), ..v1::VersionConfig::default() }),
        set_active: true,
        labels: vec!["production".into(), "canary".into()],
        note: "as it was".into(),
        ..put("ask", "")
    };
    let mut registry = ledger.registry();
    registry.put_prompt(chat).await.unwrap();
    for text in ["Hi {{name}}", "Hello {{name}}"] {
        ledger.active("greet", text).await;
    }
    registry.put_prompt(put("greet", "Dear {{name}}")).await.unwrap();
    let deprecated = v1::SetVersionStatusRequest {
        name: "greet".into(),
        version_number: 1,
        status: v1::VersionStatus::Deprecated.into(),
        etag: None,
        ..v1::SetVersionStatusRequest::default()
    };
    registry.set_version_status(deprecated).await.unwrap();
    let opaque = v1::TemplateFormat::Opaque.into();
    ledger
        .carry(vec![v1::CodePrompt { template_format: opaque, ..carried("jinja", "{% if x %}{{ x | e }}{% endif %}") }])
        .await;
    ledger.active("old", "gone").await;
    let archive = v1::ArchivePromptRequest { name: "old".into(), ..v1::ArchivePromptRequest::default() };
    registry.archive_prompt(archive).await.unwrap();
}

async fn imported(ledger: &Ledger, prompts: Vec<v1::ExportedPrompt>) -> Vec<v1::ImportAction> {
    let request = v1::ImportPromptsRequest { prompts, ..v1::ImportPromptsRequest::default() };
    let done = ledger.registry().import_prompts(request).await.unwrap().into_inner();
    done.imported.iter().map(v1::ImportedPrompt::action).collect()
}

#[tokio::test]
async fn prompts_go_from_sqlite_to_postgres_and_back() {
    let laptop = || server(env!("CARGO_BIN_EXE_prompt-ledger")).start();
    let (deployment, one, two) = (Deployment::new().await, laptop().await, laptop().await);
    let production = deployment.server().await;
    filled(&one).await;
    let sent = exported(&one).await;
    let statuses: Vec<_> = sent[1].versions.iter().map(v1::ExportedVersion::status).collect();
    assert_eq!(statuses, [v1::VersionStatus::Deprecated, v1::VersionStatus::Active, v1::VersionStatus::Draft]);
    assert_eq!((sent.len(), sent[2].versions[0].template_format()), (4, v1::TemplateFormat::Opaque));
    assert!(sent[3].archived_at.is_some() && sent[0].labels.len() == 2);
    assert_eq!(imported(&production, sent.clone()).await, [v1::ImportAction::Created; 4]);
    let there = exported(&production).await;
    assert_eq!(there, sent, "an exact copy");
    assert_eq!(imported(&two, there.clone()).await, [v1::ImportAction::Created; 4]);
    assert_eq!(exported(&two).await, sent, "an exact copy");
    assert_eq!(imported(&one, there[..3].to_vec()).await, [v1::ImportAction::Unchanged; 3]);
    assert_eq!(exported(&one).await, sent);
}
