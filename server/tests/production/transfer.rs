//! Prompts from the database of a laptop to that of production, and back.

use prompt_ledger_proto::v1::{self, put_prompt_request};
use prompt_ledger_testkit::ledger::{Ledger, put, server};

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

#[tokio::test]
async fn prompts_go_from_sqlite_to_postgres_and_back() {
    let laptop = || server(env!("CARGO_BIN_EXE_prompt-ledger")).start();
    let (deployment, one, two) = (Deployment::new().await, laptop().await, laptop().await);
    let production = deployment.server().await;
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
    one.registry().put_prompt(chat).await.unwrap();
    for text in ["Hi {{name}}", "Hello {{name}}"] {
        one.active("greet", text).await;
    }
    let sent = exported(&one).await;
    assert_eq!(sent.len(), 2);
    for ledger in [&production, &two] {
        let request = v1::ImportPromptsRequest { prompts: sent.clone(), ..v1::ImportPromptsRequest::default() };
        let done = ledger.registry().import_prompts(request).await.unwrap().into_inner();
        assert!(done.imported.iter().all(|one| one.action() == v1::ImportAction::Created), "{done:?}");
        assert_eq!(exported(ledger).await, sent, "an exact copy");
    }
    let back = v1::ImportPromptsRequest {
        prompts: exported(&production).await,
        set_active: true,
        set_labels: true,
        dry_run: false,
    };
    let done = one.registry().import_prompts(back).await.unwrap().into_inner();
    assert!(done.imported.iter().all(|one| one.action() == v1::ImportAction::Unchanged), "{done:?}");
}
