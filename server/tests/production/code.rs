//! Prompts that live in code, on several servers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use prompt_ledger_proto::v1::{self, execution_spec};
use prompt_ledger_testkit::ledger::{carried, spec};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::kit::{Deployment, ended, get, greet, request, submit};

#[tokio::test]
async fn deployments_that_register_different_contents_on_two_servers_make_consecutive_versions() {
    let deployment = Deployment::new().await;
    let (one, two) = (deployment.server().await, deployment.server().await);
    let names = ["a", "b", "c"];
    let pods = (0..24).map(|pod| {
        let server = if pod % 2 == 0 { &one } else { &two };
        // Two releases, each registered by pods through both servers, with the prompts in different orders.
        let mut prompts: Vec<_> = names.map(|name| carried(name, &format!("release {}", pod / 2 % 6))).into();
        prompts.rotate_left(pod % 3);
        async move { server.carry(prompts).await }
    });
    let answers = futures::future::join_all(pods).await;
    use v1::RegistrationAction::{New, Updated};
    let made = answers.iter().flatten().filter(|one| matches!(one.action(), New | Updated)).count();
    assert_eq!(made, 6 * names.len());
    for name in names {
        let list = v1::ListVersionsRequest { name: name.into(), ..v1::ListVersionsRequest::default() };
        let versions = two.registry().list_versions(list).await.unwrap().into_inner().versions;
        let numbers: Vec<_> = versions.iter().map(|version| version.version_number).collect();
        assert_eq!(numbers, (1..=6).rev().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_one_server_registers_another_executes_at_once_by_its_hash() {
    let deployment = Deployment::new().await;
    let (one, two) = (deployment.server().await, deployment.server().await);
    let _worker = deployment.worker().await;
    for round in 1..=10 {
        let text = format!("release {round} for {{{{name}}}}");
        let (registers, executes) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let registered = registers.carry(vec![carried("greet", &text)]).await.remove(0);
        let selector = Some(execution_spec::Selector::ChecksumHash(registered.checksum_hash));
        for (selector, mode) in [(selector, v1::ExecutionMode::Sync), (None, v1::ExecutionMode::Async)] {
            let spec = v1::ExecutionSpec { selector, ..spec("greet", &[("name", "Ada")]) };
            let done = ended(registers, &executes.execute_code(spec, mode).await.execution_id).await;
            assert_eq!((done.status(), done.mode()), (v1::ExecutionStatus::Succeeded, mode));
            assert_eq!(done.rendered_prompt, format!("release {round} for Ada"));
            assert_eq!((done.version_number, done.prompt_mode()), (round, v1::PromptMode::Tracking));
        }
    }
}

#[tokio::test]
async fn what_is_queued_is_answered_as_get_answers_it() {
    let deployment = Deployment::new().await.without_worker();
    let server = deployment.server().await;
    server.carry(vec![carried("greet", "Hi {{name}}")]).await;
    let plain = || spec("greet", &[("name", "Ada")]);
    let whole = v1::ExecutionSpec {
        environment: "prod".into(),
        correlation_id: "order-7".into(),
        idempotency_key: "k".into(),
        params: Some(v1::ModelParams { temperature: Some(0.1), ..v1::ModelParams::default() }),
        timeout: Some(prost_types::Duration { seconds: 7, nanos: 0 }),
        expire_after: Some(prost_types::Duration { seconds: 3_000, nanos: 5_000 }),
        max_retries: Some(1),
        ..plain()
    };
    let messages = vec![v1::ChatMessage { role: "user".into(), content: "Hi".into(), ..Default::default() }];
    let ready = v1::ExecutionSpec { messages, ..spec("greet", &[]) };
    let long = spec("greet", &[("name", &"x".repeat(300 * 1024))]);
    for (sent, reused) in [(plain(), false), (whole.clone(), false), (whole, true), (ready, false), (long, false)] {
        let request = v1::ExecuteCodePromptRequest { spec: Some(sent), mode: v1::ExecutionMode::Async.into() };
        let answer = server.code().execute_code_prompt(request).await.unwrap().into_inner();
        let queued = answer.execution.unwrap();
        assert_eq!((queued.status(), answer.reused), (v1::ExecutionStatus::Queued, reused));
        assert_eq!((queued.attempts, queued.attempt_log.len()), (0, 0));
        assert_eq!(queued, get(&server, &queued.execution_id).await);
    }
}

#[track_caller]
fn is_other_modes<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let refused = answer.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert_eq!(refused.get_details_error_info().unwrap().reason, "MODE_MISMATCH");
}

#[tokio::test]
async fn what_is_queued_costs_what_its_model_cost_when_it_was_submitted() {
    let deployment = Deployment::new().await.without_worker();
    let server = deployment.server().await;
    server.carry(vec![carried("greet", "Hi")]).await;
    let mine = v1::ModelRef { provider: "openai".into(), model_name: "mine".into() };
    let mut queued = Vec::new();
    for nano_usd in [1, 5] {
        let million = nano_usd * 1_000_000;
        let model = server.priced(&mine, million, million).await;
        let spec = v1::ExecutionSpec { model: Some(mine.clone()), ..spec("greet", &[]) };
        let id = server.execute_code(spec, v1::ExecutionMode::Async).await.execution_id;
        queued.push((id, model.prices[0].price_id.clone(), nano_usd));
    }
    let _worker = deployment.worker().await;
    for (id, price_id, nano_usd) in queued {
        let done = ended(&server, &id).await;
        let tokens = i64::from(done.prompt_tokens.unwrap() + done.response_tokens.unwrap());
        assert_eq!((done.cost_nano_usd, done.price_id), (Some(tokens * nano_usd), price_id));
    }
}

#[tokio::test]
async fn both_modes_stand_in_one_set_of_tables_and_nothing_that_was_executed_can_be_deleted() {
    let deployment = Deployment::new().await;
    let server = deployment.server().await;
    server.active("edited", "hello").await;
    server.carry(vec![carried("carried", "hello")]).await;
    server.carry(vec![carried("carried", "not executed")]).await;
    let modes = || deployment.sql("SELECT name, mode FROM prompts ORDER BY name");
    let versions = || deployment.sql("SELECT id, version_number FROM prompt_versions ORDER BY id");
    assert_eq!(modes().trim(), "carried|tracking\nedited|full");
    let before = versions();
    let to = v1::MigratePromptModeRequest {
        name: "carried".into(),
        mode: v1::PromptMode::Full.into(),
        ..v1::MigratePromptModeRequest::default()
    };
    server.registry().migrate_prompt_mode(to).await.unwrap();
    assert_eq!((modes().trim(), versions()), ("carried|full\nedited|full", before));

    let selector = Some(execution_spec::Selector::VersionNumber(1));
    server.run(v1::ExecutionSpec { selector, ..spec("carried", &[]) }).await;
    server.run(spec("edited", &[])).await;
    deployment.sql("DELETE FROM prompt_versions WHERE version_number = 2");
    for table in ["prompt_versions", "prompts"] {
        deployment.sql(&format!(
            "DO $$ BEGIN DELETE FROM {table}; RAISE 'they are gone';
             EXCEPTION WHEN foreign_key_violation OR restrict_violation THEN NULL; END $$"
        ));
    }
    assert_eq!(deployment.sql("SELECT count(*) FROM prompt_versions").trim(), "2");
}

#[tokio::test]
async fn a_prompt_that_moves_is_closed_and_opened_at_once_on_every_server() {
    let deployment = Deployment::new().await.without_worker();
    let (one, two) = (deployment.server().await, deployment.server().await);
    one.active("greet", "hello").await;
    let to = |mode: v1::PromptMode| v1::MigratePromptModeRequest {
        name: "greet".into(),
        mode: mode.into(),
        etag: None,
        ..v1::MigratePromptModeRequest::default()
    };
    for round in 0..10 {
        two.run(greet()).await;
        one.registry().migrate_prompt_mode(to(v1::PromptMode::Tracking)).await.unwrap();
        let run = v1::RunExecutionRequest { spec: Some(greet()) };
        is_other_modes(two.executions().run_execution(run).await);
        let executed = two.run_code(greet()).await;
        assert_eq!(executed.prompt_mode(), v1::PromptMode::Tracking, "round {round}");
        let registered = two.carry(vec![carried("greet", "hello")]).await.remove(0);
        assert_eq!(registered.action(), v1::RegistrationAction::Unchanged);
        one.registry().migrate_prompt_mode(to(v1::PromptMode::Full)).await.unwrap();
        let run = v1::ExecuteCodePromptRequest { spec: Some(greet()), mode: 0 };
        is_other_modes(two.code().execute_code_prompt(run).await);
    }
    // A call that runs while the prompt migrates is recorded in the mode that the call serves, or refused.
    let (taken, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let both_seen = || taken.load(Relaxed) > 0 && refused.load(Relaxed) > 0;
    let moving = AtomicBool::new(true);
    let moves = async {
        for round in 0.. {
            one.registry().migrate_prompt_mode(to(v1::PromptMode::Tracking)).await.unwrap();
            one.registry().migrate_prompt_mode(to(v1::PromptMode::Full)).await.unwrap();
            if round >= 20 && both_seen() {
                break;
            }
            assert!(round < 1_000, "{taken:?} were taken, {refused:?} refused");
        }
        moving.store(false, Relaxed);
    };
    let submits = futures::future::join_all((0..8).map(|_| async {
        let mut client = two.executions();
        while moving.load(Relaxed) {
            match client.submit_execution(request(greet())).await {
                Ok(_) => taken.fetch_add(1, Relaxed),
                Err(status) => {
                    assert_eq!(status.get_details_error_info().unwrap().reason, "MODE_MISMATCH", "{status:?}");
                    refused.fetch_add(1, Relaxed)
                }
            };
        }
    }));
    tokio::join!(submits, moves);
    let in_code = deployment.sql("SELECT count(*) FROM executions WHERE prompt_mode <> 'full'");
    assert_eq!(in_code.trim(), "10", "one in each round");
}

#[tokio::test]
async fn a_record_that_was_tampered_with_does_not_verify() {
    let deployment = Deployment::new().await.without_worker();
    let server = deployment.server().await;
    server.active("edited", "Hi {{name}}").await;
    server.carry(vec![carried("carried", "Hi {{name}}")]).await;
    let ids = [
        submit(&server, spec("edited", &[("name", "Ada")])).await,
        server.submit_code(spec("carried", &[("name", "Ada")])).await,
    ];
    let verify = async || {
        let requests = ids.clone().map(|execution_id| v1::VerifyExecutionRequest { execution_id });
        futures::future::join_all(
            requests.map(async |request| server.executions().verify_execution(request).await.unwrap().into_inner()),
        )
        .await
    };
    for found in verify().await {
        assert_eq!(found.result(), v1::VerificationResult::Match);
    }

    deployment.sql("UPDATE execution_inputs SET rendered_prompt = 'Hi Ava'");
    for found in verify().await {
        assert_eq!((found.result(), found.first_difference_offset), (v1::VerificationResult::Mismatch, Some(4)));
        assert!(found.explanation.contains("byte 4") && found.sent_prompt_sha256 != found.rendered_prompt_sha256);
        assert_eq!(found.checksum_hash, found.computed_checksum_hash);
    }

    deployment.sql("UPDATE execution_inputs SET rendered_prompt = 'Hey Ada'");
    deployment.sql("UPDATE prompt_versions SET template_source = 'Hey {{name}}'");
    for found in verify().await {
        assert_eq!((found.result(), found.first_difference_offset), (v1::VerificationResult::Mismatch, None));
        assert_ne!(found.checksum_hash, found.computed_checksum_hash);
        assert!(found.explanation.contains("no longer has the hash"), "{found:?}");
    }
}
