//! Two modes side by side: which RPC serves which prompt, and migrating a prompt from one mode to the other.

use std::pin::Pin;

use prompt_ledger_proto::v1::{self, execution_spec, get_version_request};
use prompt_ledger_testkit::ledger::{Ledger, carried, put, spec};
use tonic::{Code, Status};

use super::{ledger, refused, wrong_fields};

type Calling = Pin<Box<dyn Future<Output = Result<(), Status>>>>;

/// A call to a prompt of the other mode, and the RPC that its refusal names.
struct Case {
    rpc: &'static str,
    calling: Calling,
    use_rpc: &'static str,
}

macro_rules! call {
    ($client:expr, $method:ident, $request:expr) => {{
        let (mut client, request) = ($client, $request);
        Box::pin(async move { client.$method(request).await.map(drop) }) as Calling
    }};
}

/// A spec in which everything else is wrong too: MODE_MISMATCH takes precedence.
fn hopeless(name: &str) -> v1::ExecutionSpec {
    v1::ExecutionSpec {
        selector: Some(execution_spec::Selector::VersionNumber(-7)),
        environment: "no environment".into(),
        idempotency_key: "k".repeat(300),
        model: Some(v1::ModelRef { provider: "nobody".into(), model_name: String::new() }),
        max_retries: Some(-1),
        min_revision: Some(i64::MAX),
        ..spec(name, &[])
    }
}

/// Every call that refuses a tracking-mode prompt.
fn closed_to_tracking(ledger: &Ledger, name: &str) -> Vec<Case> {
    const WRITE: &str = "CodeRegistrationService.RegisterCodePrompts";
    const EXECUTE: &str = "CodeRegistrationService.ExecuteCodePrompt";
    let case = |rpc, use_rpc, calling| Case { rpc, calling, use_rpc };
    let execution = || Some(hopeless(name));
    let status = |status| v1::SetVersionStatusRequest {
        name: name.into(),
        version_number: -1,
        status,
        etag: None,
        ..v1::SetVersionStatusRequest::default()
    };
    let activate = v1::SetActiveVersionRequest {
        name: name.into(),
        version_number: -1,
        etag: Some("stale".into()),
        ..v1::SetActiveVersionRequest::default()
    };
    let invalid =
        v1::PutPromptRequest { owner_team: Some("x".repeat(300)), etag: Some("stale".into()), ..put(name, "{{") };
    vec![
        case("PutPrompt", WRITE, call!(ledger.registry(), put_prompt, put(name, "new"))),
        case("PutPrompt of nonsense", WRITE, call!(ledger.registry(), put_prompt, invalid)),
        case(
            "PutPrompt of nothing",
            WRITE,
            call!(ledger.registry(), put_prompt, v1::PutPromptRequest { template: None, ..put(name, "") }),
        ),
        case("SetActiveVersion", WRITE, call!(ledger.registry(), set_active_version, activate)),
        case("SetVersionStatus", WRITE, call!(ledger.registry(), set_version_status, status(3))),
        case("SetVersionStatus to nothing", WRITE, call!(ledger.registry(), set_version_status, status(0))),
        case("SetVersionStatus to the unknown", WRITE, call!(ledger.registry(), set_version_status, status(99))),
        case(
            "RunExecution",
            EXECUTE,
            call!(ledger.executions(), run_execution, v1::RunExecutionRequest { spec: execution() }),
        ),
        case(
            "SubmitExecution",
            EXECUTE,
            call!(ledger.executions(), submit_execution, v1::SubmitExecutionRequest { spec: execution() }),
        ),
        case(
            "StreamExecution",
            "CodeRegistrationService.StreamCodePrompt",
            call!(ledger.executions(), stream_execution, v1::StreamExecutionRequest { spec: execution() }),
        ),
    ]
}

/// Every call that refuses a full-mode prompt.
fn closed_to_full(ledger: &Ledger, name: &str) -> Vec<Case> {
    let case = |rpc, use_rpc, calling| Case { rpc, calling, use_rpc };
    let batch = |dry_run, prompts| v1::RegisterCodePromptsRequest { prompts, dry_run, ..Default::default() };
    let hashed = v1::CodePrompt { template_hash: "0".into(), ..carried(name, "{{") };
    let nonsense = vec![carried("a b", "A"), carried("other", "{{"), hashed];
    let execution = |mode| v1::ExecuteCodePromptRequest { spec: Some(hopeless(name)), mode };
    let write = "RegistryService.PutPrompt";
    vec![
        case(
            "RegisterCodePrompts",
            write,
            call!(ledger.code(), register_code_prompts, batch(false, vec![carried("new", "A"), carried(name, "A")])),
        ),
        case(
            "RegisterCodePrompts of nonsense",
            write,
            call!(ledger.code(), register_code_prompts, batch(false, nonsense)),
        ),
        case(
            "RegisterCodePrompts of too many",
            write,
            call!(ledger.code(), register_code_prompts, batch(false, vec![carried(name, "A"); 1_001])),
        ),
        case(
            "RegisterCodePrompts dry",
            write,
            call!(ledger.code(), register_code_prompts, batch(true, vec![carried(name, "A")])),
        ),
        case(
            "ExecuteCodePrompt",
            "ExecutionService.RunExecution",
            call!(ledger.code(), execute_code_prompt, execution(v1::ExecutionMode::Sync.into())),
        ),
        case(
            "ExecuteCodePrompt async",
            "ExecutionService.SubmitExecution",
            call!(ledger.code(), execute_code_prompt, execution(v1::ExecutionMode::Async.into())),
        ),
        case(
            "ExecuteCodePrompt in an unknown way",
            "ExecutionService.RunExecution",
            call!(ledger.code(), execute_code_prompt, execution(99)),
        ),
        case(
            "StreamCodePrompt",
            "ExecutionService.StreamExecution",
            call!(ledger.code(), stream_code_prompt, v1::StreamCodePromptRequest { spec: Some(hopeless(name)) }),
        ),
    ]
}

#[tokio::test]
async fn every_rpc_of_the_other_mode_is_closed_before_anything_else_is_said() {
    let ledger = ledger().start().await;
    ledger.active("edited", "A").await;
    ledger.carry(vec![carried("carried", "A")]).await;
    for archived in [false, true] {
        if archived {
            archive(&ledger, "edited").await;
            archive(&ledger, "carried").await;
        }
        let closed = [
            ("carried", "tracking", closed_to_tracking(&ledger, "carried")),
            ("edited", "full", closed_to_full(&ledger, "edited")),
        ];
        for (name, mode, cases) in closed {
            for Case { rpc, calling, use_rpc } in cases {
                let refusal = calling.await;
                let said = refusal.as_ref().expect_err(rpc).message().to_owned();
                for word in [name, mode, use_rpc] {
                    assert!(said.contains(word), "{rpc}: {said}");
                }
                let info = refused(refusal, Code::FailedPrecondition, "MODE_MISMATCH");
                let told = ["prompt", "mode", "use_rpc"].map(|key| &*info.metadata[key]);
                assert_eq!(told, [name, mode, use_rpc], "{rpc}");
            }
        }
    }
    let all = v1::ListPromptsRequest { include_archived: true, ..v1::ListPromptsRequest::default() };
    let list = ledger.registry().list_prompts(all).await.unwrap().into_inner();
    assert_eq!(list.prompts.len(), 2, "nothing was written");
    assert!(list.prompts.iter().all(|prompt| prompt.latest_version_number == 1));
    let none = ledger.executions().list_executions(v1::ListExecutionsRequest::default()).await.unwrap().into_inner();
    assert_eq!(none.executions, []);
}

async fn archive(ledger: &Ledger, name: &str) -> v1::Prompt {
    let request = v1::ArchivePromptRequest { name: name.into(), etag: None, ..v1::ArchivePromptRequest::default() };
    ledger.registry().archive_prompt(request).await.unwrap().into_inner().prompt.unwrap()
}

/// The names that a list of the prompts of this mode shows.
async fn listed(ledger: &Ledger, mode: v1::PromptMode, include_archived: bool) -> Vec<String> {
    let request = v1::ListPromptsRequest { mode: mode.into(), include_archived, ..v1::ListPromptsRequest::default() };
    let prompts = ledger.registry().list_prompts(request).await.unwrap().into_inner().prompts;
    prompts.into_iter().map(|prompt| prompt.name).collect()
}

/// Every call that executes a prompt of this mode.
fn executing(ledger: &Ledger, mode: v1::PromptMode, sent: &v1::ExecutionSpec) -> [Calling; 3] {
    let spec = || Some(sent.clone());
    let in_code = |mode: v1::ExecutionMode| v1::ExecuteCodePromptRequest { spec: spec(), mode: mode.into() };
    if mode == v1::PromptMode::Full {
        [
            call!(ledger.executions(), run_execution, v1::RunExecutionRequest { spec: spec() }),
            call!(ledger.executions(), submit_execution, v1::SubmitExecutionRequest { spec: spec() }),
            call!(ledger.executions(), stream_execution, v1::StreamExecutionRequest { spec: spec() }),
        ]
    } else {
        [
            call!(ledger.code(), execute_code_prompt, in_code(v1::ExecutionMode::Sync)),
            call!(ledger.code(), execute_code_prompt, in_code(v1::ExecutionMode::Async)),
            call!(ledger.code(), stream_code_prompt, v1::StreamCodePromptRequest { spec: spec() }),
        ]
    }
}

#[tokio::test]
async fn an_archived_prompt_of_either_mode_is_read_and_previewed_but_not_executed() {
    let ledger = ledger().start().await;
    ledger.active("edited", "Hi {{name}}").await;
    ledger.carry(vec![carried("carried", "Hi {{name}}")]).await;
    for (name, mode) in [("edited", v1::PromptMode::Full), ("carried", v1::PromptMode::Tracking)] {
        let sent = spec(name, &[("name", "Ada")]);
        let [run, ..] = executing(&ledger, mode, &sent);
        run.await.unwrap();
        assert_eq!(listed(&ledger, mode, false).await, [name]);
        assert!(archive(&ledger, name).await.archived_at.is_some());
        assert_eq!(listed(&ledger, mode, false).await, [""; 0]);
        assert_eq!(listed(&ledger, mode, true).await, [name]);
        for calling in executing(&ledger, mode, &sent) {
            refused(calling.await, Code::FailedPrecondition, "PROMPT_ARCHIVED");
        }
        is_readable(&ledger, &sent).await;

        let back =
            v1::UnarchivePromptRequest { name: name.into(), etag: None, ..v1::UnarchivePromptRequest::default() };
        let back = ledger.registry().unarchive_prompt(back).await.unwrap().into_inner().prompt.unwrap();
        assert_eq!((back.archived_at, listed(&ledger, mode, false).await), (None, vec![name.to_owned()]));
        for calling in executing(&ledger, mode, &sent) {
            calling.await.unwrap();
        }
    }
}

/// Every reading RPC serves a prompt that has one version and one execution by this spec.
async fn is_readable(ledger: &Ledger, sent: &v1::ExecutionSpec) {
    let (mut registry, mut executions, name) = (ledger.registry(), ledger.executions(), || sent.prompt_name.clone());
    let selector = Some(get_version_request::Selector::VersionNumber(1));
    let version = v1::GetVersionRequest { name: name(), selector, min_revision: None };
    let version = registry.get_version(version).await.unwrap().into_inner().version.unwrap();
    let versions = v1::ListVersionsRequest { name: name(), ..v1::ListVersionsRequest::default() };
    let versions = registry.list_versions(versions).await.unwrap().into_inner().versions;
    assert_eq!(versions, [version]);
    let history = v1::GetPromptHistoryRequest { name: name(), ..v1::GetPromptHistoryRequest::default() };
    let history = registry.get_prompt_history(history).await.unwrap().into_inner();
    assert_eq!((history.current_version, history.versions[0].execution_count), (Some(1), Some(1)));
    let variables = sent.variables.clone();
    let preview = v1::RenderPromptRequest { name: name(), variables, ..v1::RenderPromptRequest::default() };
    assert_eq!(registry.render_prompt(preview).await.unwrap().into_inner().rendered_prompt, "Hi Ada");
    let list = v1::ListExecutionsRequest { prompt_name: name(), ..v1::ListExecutionsRequest::default() };
    let list = executions.list_executions(list).await.unwrap().into_inner().executions;
    let request = v1::GetExecutionRequest { execution_id: list[0].execution_id.clone(), view: 0, ..Default::default() };
    let ran = executions.get_execution(request).await.unwrap().into_inner().execution.unwrap();
    assert_eq!((list.len(), &*ran.rendered_prompt), (1, "Hi Ada"));
}

fn to(mode: v1::PromptMode, etag: Option<String>) -> v1::MigratePromptModeRequest {
    v1::MigratePromptModeRequest {
        name: "greet".into(),
        mode: mode.into(),
        etag,
        ..v1::MigratePromptModeRequest::default()
    }
}

#[tokio::test]
async fn a_prompt_is_moved_explicitly_and_keeps_its_versions() {
    use v1::PromptMode::{Full, Tracking};
    let ledger = ledger().start().await;
    ledger.active("greet", "one").await;
    let before = ledger.active("greet", "two").await.prompt.unwrap();
    let first = ledger.run(spec("greet", &[])).await;
    let moved =
        ledger.registry().migrate_prompt_mode(to(Tracking, Some(before.etag.clone()))).await.unwrap().into_inner();
    let prompt = moved.prompt.unwrap();
    assert_eq!((prompt.mode(), &prompt.prompt_id, prompt.revision), (Tracking, &before.prompt_id, moved.revision));
    assert_eq!((prompt.active_version_number, prompt.latest_version_number), (Some(2), 2));
    assert_ne!(prompt.etag, before.etag);

    // The RPC that served it refuses it at once, and the one that serves it now continues its versions.
    let run = v1::RunExecutionRequest { spec: Some(spec("greet", &[])) };
    refused(ledger.executions().run_execution(run).await, Code::FailedPrecondition, "MODE_MISMATCH");
    let reverted = ledger.carry(vec![carried("greet", "one")]).await.remove(0);
    assert_eq!((reverted.action(), reverted.version), (v1::RegistrationAction::Reactivated, 1));
    let request = v1::ExecuteCodePromptRequest { spec: Some(spec("greet", &[])), mode: 0 };
    let second = ledger.code().execute_code_prompt(request).await.unwrap().into_inner().execution.unwrap();

    let back = ledger.registry().migrate_prompt_mode(to(Full, None)).await.unwrap().into_inner();
    let again = ledger.registry().migrate_prompt_mode(to(Full, None)).await.unwrap().into_inner();
    assert_eq!(again, back, "it has that mode already");
    assert!(!ledger.active("greet", "two").await.version_change);
    let list = ledger.executions().list_executions(v1::ListExecutionsRequest::default()).await.unwrap().into_inner();
    let modes: Vec<_> = list.executions.iter().map(|found| (&*found.execution_id, found.prompt_mode())).collect();
    assert_eq!(modes, [(&*second.execution_id, Tracking), (&*first.execution_id, Full)], "each as it was made");
}

#[tokio::test]
async fn what_keeps_a_prompt_from_moving_is_said() {
    use v1::PromptMode::{Full, Tracking, Unspecified};
    let ledger = ledger().start().await;
    let mut registry = ledger.registry();
    refused(registry.migrate_prompt_mode(to(Full, None)).await, Code::NotFound, "PROMPT_NOT_FOUND");
    let opaque = v1::CodePrompt { template_format: v1::TemplateFormat::Opaque.into(), ..carried("greet", "{% x %}") };
    ledger.carry(vec![opaque]).await;
    assert_eq!(wrong_fields(registry.migrate_prompt_mode(to(Unspecified, None)).await), ["mode"]);
    refused(registry.migrate_prompt_mode(to(Full, None)).await, Code::FailedPrecondition, "TEMPLATE_OPAQUE");
    let stale = Some("stale".to_owned());
    refused(registry.migrate_prompt_mode(to(Full, stale)).await, Code::Aborted, "ETAG_MISMATCH");
    ledger.carry(vec![carried("greet", "A")]).await;
    archive(&ledger, "greet").await;
    refused(registry.migrate_prompt_mode(to(Full, None)).await, Code::FailedPrecondition, "PROMPT_ARCHIVED");
    registry
        .unarchive_prompt(v1::UnarchivePromptRequest {
            name: "greet".into(),
            etag: None,
            ..v1::UnarchivePromptRequest::default()
        })
        .await
        .unwrap();
    let moved = registry.migrate_prompt_mode(to(Full, None)).await.unwrap().into_inner();
    assert_eq!(moved.prompt.unwrap().mode(), Full);

    // An opaque template is for code alone: it can be neither activated nor executed here.
    let activate = v1::SetActiveVersionRequest {
        name: "greet".into(),
        version_number: 1,
        etag: None,
        ..v1::SetActiveVersionRequest::default()
    };
    refused(registry.set_active_version(activate).await, Code::FailedPrecondition, "TEMPLATE_OPAQUE");
    let selector = Some(execution_spec::Selector::VersionNumber(1));
    let run = v1::RunExecutionRequest { spec: Some(v1::ExecutionSpec { selector, ..spec("greet", &[]) }) };
    refused(ledger.executions().run_execution(run).await, Code::FailedPrecondition, "TEMPLATE_OPAQUE");
    let messages = vec![v1::ChatMessage { role: "user".into(), content: "Hi".into(), ..Default::default() }];
    let run = v1::RunExecutionRequest { spec: Some(v1::ExecutionSpec { messages, ..spec("greet", &[]) }) };
    assert_eq!(wrong_fields(ledger.executions().run_execution(run).await), ["spec.messages"]);
    assert_eq!(moved.revision, registry.migrate_prompt_mode(to(Full, None)).await.unwrap().into_inner().revision);
    registry.migrate_prompt_mode(to(Tracking, None)).await.unwrap();
}
