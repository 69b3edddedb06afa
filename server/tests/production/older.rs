//! Servers and workers of an older release on the same database, while it is upgraded and after it.

use std::path::PathBuf;

use prompt_ledger_proto::v1::chat_template_entry::Entry;
use prompt_ledger_proto::v1::{self, execution_spec, put_prompt_request};
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::{Ledger, server, spec};
use prompt_ledger_testkit::services;
use serde_json::json;
use tonic::Code;

use crate::kit::{Deployment, ended, get, greet, request, submit};

/// The folder of the binaries of the release before chats, configs and labels, which `cargo xtask test --older` builds.
/// Absent: it was not asked for, since that takes minutes, or these sources have no history.
fn older() -> Option<PathBuf> {
    let folder = std::env::var("OLDER_BINARIES").expect("OLDER_BINARIES is set by `cargo xtask test`");
    (!folder.is_empty()).then(|| folder.into())
}

fn keyed(key: &str) -> v1::ExecutionSpec {
    v1::ExecutionSpec { idempotency_key: key.into(), ..greet() }
}

/// What the older release does not know: a chat with a tool.
fn conversation() -> v1::PutPromptRequest {
    let message = |role: &str, content: &str| {
        let message = v1::ChatMessage { role: role.into(), content: content.into(), ..Default::default() };
        v1::ChatTemplateEntry { entry: Some(Entry::Message(message)) }
    };
    let entries = vec![message("system", "Answer briefly."), message("user", "Where?")];
    let tool =
        v1::Tool { name: "weather".into(), parameters_json: r#"{"type": "object"}"#.into(), ..v1::Tool::default() };
    v1::PutPromptRequest {
        name: "ask".into(),
        template: Some(put_prompt_request::Template::ChatTemplate(v1::ChatTemplate { entries })),
        config: Some(v1::VersionConfig { tools: vec![tool], ..v1::VersionConfig::default() }),
        set_active: true,
        ..v1::PutPromptRequest::default()
    }
}

fn count(deployment: &Deployment) -> String {
    deployment.sql("SELECT count(*) FROM executions").trim().to_owned()
}

/// Refused by an older server, in whichever way it is asked, and not recorded.
async fn refused(deployment: &Deployment, old: &Ledger, spec: &v1::ExecutionSpec) {
    let before = (count(deployment), deployment.model.calls());
    let mut client = old.executions();
    let answers = [
        client.submit_execution(request(spec.clone())).await.map(|_| ()),
        client.run_execution(v1::RunExecutionRequest { spec: Some(spec.clone()) }).await.map(|_| ()),
        client.stream_execution(v1::StreamExecutionRequest { spec: Some(spec.clone()) }).await.map(|_| ()),
    ];
    for answer in answers {
        let status = answer.unwrap_err();
        // To it the version has no text.
        assert!(matches!(status.code(), Code::FailedPrecondition | Code::InvalidArgument), "{status}");
    }
    assert_eq!((count(deployment), deployment.model.calls()), before);
}

#[tokio::test]
async fn an_upgrade_beside_running_processes_of_the_older_release_loses_and_halves_nothing() {
    let Some(folder) = older() else { return };
    let database = services::database();
    let (redis, amqp) = (services::redis_url(), services::amqp_url());
    let deployment = Deployment::not_migrated(database.url(), Some(&redis), Some(&amqp)).await;
    // What the older release warns of is its own affair.
    let builder = || deployment.environment(server(folder.join("prompt-ledger"))).serving().unwatched();
    let (migrated, said) = builder().said(&["migrate"]);
    assert!(migrated, "{said}");
    let old = builder().start().await;
    let old_worker = deployment.environment(server(folder.join("prompt-ledger-worker"))).unwatched();
    let old_worker = old_worker.start_worker().await;
    old.active("greet", "hello").await;
    let before = submit(&old, keyed("before")).await;
    ended(&old, &before).await;

    // The schema first, then servers, then workers.
    let (migrated, said) = deployment.builder().said(&["migrate"]);
    assert!(migrated, "{said}");
    let new = deployment.server().await;

    // A repeat finds its execution on either side of the upgrade.
    assert_eq!(submit(&new, keyed("before")).await, before);
    let since = submit(&new, keyed("since")).await;
    assert_eq!(submit(&old, keyed("since")).await, since);

    // What both know, both do, whoever recorded it.
    assert_eq!(ended(&old, &since).await.status(), v1::ExecutionStatus::Succeeded);
    let ran = old.run(greet()).await;
    let read = get(&new, &ran.execution_id).await;
    assert_eq!((read.status(), &*read.rendered_prompt), (v1::ExecutionStatus::Succeeded, "hello"));
    assert_eq!((&read.response_text, read.version_number), (&ran.response_text, 1));

    // What only the new release knows: the old server refuses it, the old worker leaves it.
    new.registry().put_prompt(conversation()).await.unwrap();
    refused(&deployment, &old, &spec("ask", &[])).await;
    let asked = submit(&new, spec("ask", &[])).await;
    for _ in 0..3 {
        // Recorded later, and taken by the old worker meanwhile.
        let plain = submit(&new, greet()).await;
        assert_eq!(ended(&new, &plain).await.status(), v1::ExecutionStatus::Succeeded);
    }
    let left = get(&new, &asked).await;
    assert_eq!((left.status(), left.attempts), (v1::ExecutionStatus::Queued, 0));

    // A text by a label that the old release does not know of is a text.
    let label = v1::SetLabelRequest {
        name: "greet".into(),
        label: "production".into(),
        version_number: 1,
        ..v1::SetLabelRequest::default()
    };
    new.registry().set_label(label).await.unwrap();
    let selector = Some(execution_spec::Selector::Label("production".into()));
    let labelled = submit(&new, v1::ExecutionSpec { selector, ..keyed("labelled") }).await;
    let done = ended(&new, &labelled).await;
    assert_eq!((done.status(), &*done.label), (v1::ExecutionStatus::Succeeded, "production"));

    // A worker of the new release takes what was left, once, whole.
    deployment.model.next(Reply::answer("There."));
    let calls = deployment.model.calls();
    let _worker = deployment.worker().await;
    let done = ended(&new, &asked).await;
    assert_eq!((done.status(), done.attempts, &*done.response_text), (v1::ExecutionStatus::Succeeded, 1, "There."));
    let body = deployment.model.last_request().body;
    assert_eq!(deployment.model.calls(), calls + 1);
    assert_eq!(body["messages"][0], json!({"role": "system", "content": "Answer briefly."}));
    assert_eq!(body["tools"][0]["function"]["name"], "weather");

    // The old ones leave in order.
    assert!(old_worker.terminate().await.status.success());
    assert!(old.terminate().await.status.success());
}
