//! Registering prompts that live in code.

use prompt_ledger_proto::v1::{self, get_version_request};
use prompt_ledger_testkit::ledger::{Ledger, carried, put};
use tonic::{Code, Status};

use super::{ledger, refused, wrong_fields};

pub(crate) type Action = v1::RegistrationAction;

/// `printf 'Hi {{name}}' | sha256sum`
const CHECKSUM: &str = "deeba1bc3365b21a1114b846653b300411236d39777fb54653dad310e4b7d445";

pub(crate) fn batch(prompts: Vec<v1::CodePrompt>) -> v1::RegisterCodePromptsRequest {
    v1::RegisterCodePromptsRequest { prompts, ..v1::RegisterCodePromptsRequest::default() }
}

pub(crate) async fn register(
    ledger: &Ledger,
    request: v1::RegisterCodePromptsRequest,
) -> Result<v1::RegisterCodePromptsResponse, Status> {
    ledger.code().register_code_prompts(request).await.map(tonic::Response::into_inner)
}

pub(crate) async fn one(ledger: &Ledger, prompt: v1::CodePrompt) -> v1::RegisteredPrompt {
    ledger.carry(vec![prompt]).await.remove(0)
}

pub(crate) async fn get(ledger: &Ledger, name: &str) -> v1::GetPromptResponse {
    let request = v1::GetPromptRequest { name: name.into(), min_revision: None };
    ledger.registry().get_prompt(request).await.unwrap().into_inner()
}

/// All that is stored of `greet`, read without a cache.
pub(crate) async fn stored(ledger: &Ledger) -> (v1::ListPromptsResponse, v1::ListVersionsResponse) {
    let versions = v1::ListVersionsRequest { name: "greet".into(), ..v1::ListVersionsRequest::default() };
    let prompts = ledger.registry().list_prompts(v1::ListPromptsRequest::default()).await.unwrap().into_inner();
    (prompts, ledger.registry().list_versions(versions).await.unwrap().into_inner())
}

fn opaque(name: &str, text: &str) -> v1::CodePrompt {
    v1::CodePrompt { template_format: v1::TemplateFormat::Opaque.into(), ..carried(name, text) }
}

pub(crate) async fn migrate(ledger: &Ledger, mode: v1::PromptMode) {
    let to = v1::MigratePromptModeRequest {
        name: "greet".into(),
        mode: mode.into(),
        etag: None,
        ..v1::MigratePromptModeRequest::default()
    };
    ledger.registry().migrate_prompt_mode(to).await.unwrap();
}

pub(crate) fn outcome(registered: &v1::RegisteredPrompt) -> (Action, i32, Option<i32>, bool) {
    (registered.action(), registered.version, registered.previous_version, registered.change_detected)
}

#[tokio::test]
async fn an_unknown_name_is_created_in_tracking_mode_with_an_active_version_one() {
    let ledger = ledger().start().await;
    let registered = one(&ledger, carried("greet", "Hi {{name}}")).await;
    assert_eq!(outcome(&registered), (Action::New, 1, None, false));
    assert_eq!(
        (&*registered.name, registered.mode(), &*registered.checksum_hash),
        ("greet", v1::PromptMode::Tracking, CHECKSUM)
    );
    let found = get(&ledger, "greet").await;
    assert_eq!(found.prompt.unwrap().mode(), v1::PromptMode::Tracking);
    let version = found.active_version.unwrap();
    assert_eq!((version.version_number, version.status()), (1, v1::VersionStatus::Active));
    let kind = v1::TemplateVariableKind::Text.into();
    assert_eq!(version.variables, [v1::TemplateVariable { name: "name".into(), required: true, kind }]);
    assert_eq!(version.source, None, "nothing was told");
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_a_dry_run_tells_the_same_without_writing() {
    let ledger = ledger().start().await;
    for text in ["one", "two"] {
        ledger.carry(vec![carried("same", "S"), carried("reverted", text), carried("changed", "C")]).await;
    }
    let sent =
        batch(vec![carried("new", "N"), carried("changed", "D"), carried("same", "S"), carried("reverted", "one")]);
    let before = get(&ledger, "same").await.revision;
    let dry = register(&ledger, v1::RegisterCodePromptsRequest { dry_run: true, ..sent.clone() }).await.unwrap();
    let outcomes: Vec<_> = dry.registered.iter().map(|one| (&*one.name, outcome(one))).collect();
    let expected = [
        ("new", (Action::New, 1, None, false)),
        ("changed", (Action::Updated, 2, Some(1), true)),
        ("same", (Action::Unchanged, 1, Some(1), false)),
        ("reverted", (Action::Reactivated, 1, Some(2), true)),
    ];
    assert_eq!((&outcomes[..], dry.revision), (&expected[..], before));
    assert_eq!(get(&ledger, "changed").await.active_version.unwrap().version_number, 1);
    let unknown = v1::GetPromptRequest { name: "new".into(), min_revision: None };
    refused(ledger.registry().get_prompt(unknown).await, Code::NotFound, "PROMPT_NOT_FOUND");
    let done = register(&ledger, sent).await.unwrap();
    assert_eq!((done.registered, done.revision), (dry.registered, before + 3));
}

#[tokio::test]
async fn a_dry_run_is_refused_as_the_batch_would_be() {
    use Code::{FailedPrecondition, InvalidArgument};
    let ledger = ledger().start().await;
    ledger.carry(vec![carried("greet", "Hi"), carried("old", "Hi")]).await;
    ledger
        .registry()
        .archive_prompt(v1::ArchivePromptRequest {
            name: "old".into(),
            etag: None,
            ..v1::ArchivePromptRequest::default()
        })
        .await
        .unwrap();
    let before = stored(&ledger).await;
    let hashed = v1::CodePrompt { template_hash: "0".repeat(64), ..carried("greet", "A") };
    for (wrong, code, reason) in [
        (hashed, InvalidArgument, "TEMPLATE_HASH_MISMATCH"),
        (carried("greet", "{{name"), InvalidArgument, "TEMPLATE_INVALID"),
        (carried("new", "twice"), InvalidArgument, "INVALID_FIELD"),
        (opaque("greet", "Hi"), InvalidArgument, "INVALID_FIELD"),
        (carried("old", "Hi"), FailedPrecondition, "PROMPT_ARCHIVED"),
    ] {
        let [real, dry] = [false, true].map(|dry_run| {
            let prompts = vec![carried("new", "N"), wrong.clone()];
            register(&ledger, v1::RegisterCodePromptsRequest { dry_run, ..batch(prompts) })
        });
        let [real, dry] = [real.await.unwrap_err(), dry.await.unwrap_err()];
        assert_eq!(dry.message(), real.message());
        let told = [real, dry].map(|refusal| refused(Err::<(), _>(refusal), code, reason));
        assert_eq!(told[0].metadata, told[1].metadata, "{reason}");
    }
    assert_eq!(stored(&ledger).await, before);
}

#[tokio::test]
async fn a_hash_that_is_not_the_templates_rejects_the_request_with_the_computed_one() {
    let ledger = ledger().start().await;
    let hashed = |hash: &str| v1::CodePrompt { template_hash: hash.into(), ..carried("greet", "Hi {{name}}") };
    let wrong = vec![carried("other", "x"), hashed(&"0".repeat(64))];
    let status = register(&ledger, batch(wrong.clone())).await.unwrap_err();
    assert!(status.message().contains(CHECKSUM), "{status:?}");
    let info = refused(Err::<(), _>(status), Code::InvalidArgument, "TEMPLATE_HASH_MISMATCH");
    assert_eq!((&*info.metadata["computed_hash"], &*info.metadata["prompt"]), (CHECKSUM, "greet"));
    assert_eq!(wrong_fields(register(&ledger, batch(wrong)).await), ["prompts[1].template_hash"]);
    let upper = register(&ledger, batch(vec![hashed(&CHECKSUM.to_uppercase())])).await;
    refused(upper, Code::InvalidArgument, "TEMPLATE_HASH_MISMATCH");
    let none = ledger.registry().list_prompts(v1::ListPromptsRequest::default()).await.unwrap().into_inner();
    assert_eq!(none.prompts, []);
    assert_eq!(one(&ledger, hashed(CHECKSUM)).await.action(), Action::New);
}

#[tokio::test]
async fn where_the_code_comes_from_is_kept_with_the_version_that_it_made() {
    let ledger = ledger().start().await;
    let from = |commit: &str, text| v1::RegisterCodePromptsRequest {
        created_by: "ci".into(),
        source: Some(v1::CodeSource { repository: "github.com/acme/shop".into(), commit: commit.into() }),
        ..batch(vec![v1::CodePrompt { path: "prompts/greet.hbs".into(), ..carried("greet", text) }])
    };
    for (commit, text) in [("aaa", "one"), ("bbb", "one"), ("ccc", "two"), ("ddd", "one")] {
        register(&ledger, from(commit, text)).await.unwrap();
    }
    for (number, commit) in [(1, "aaa"), (2, "ccc")] {
        let selector = Some(get_version_request::Selector::VersionNumber(number));
        let request = v1::GetVersionRequest { name: "greet".into(), selector, min_revision: None };
        let version = ledger.registry().get_version(request).await.unwrap().into_inner().version.unwrap();
        let source = version.source.unwrap();
        assert_eq!((&*source.repository, &*source.commit), ("github.com/acme/shop", commit));
        assert_eq!((&*source.path, &*version.created_by), ("prompts/greet.hbs", "ci"));
    }
}

#[tokio::test]
async fn a_template_that_does_not_parse_is_rejected_with_its_prompt_and_its_place() {
    let ledger = ledger().start().await;
    for wrong in ["{{name", "{{> partial}}", "{{foo bar}}"] {
        let prompts = vec![carried("fine", "x"), carried("greet", &format!("Hi\n {wrong}"))];
        let status = register(&ledger, batch(prompts)).await.unwrap_err();
        let info = refused(Err::<(), _>(status.clone()), Code::InvalidArgument, "TEMPLATE_INVALID");
        let place = ["prompt", "line", "column"].map(|key| &*info.metadata[key]);
        assert_eq!(place, ["greet", "2", "2"], "{wrong}");
        assert!(status.message().starts_with("prompts[1]: template: line 2, column 2: "), "{status:?}");
    }
    let list = ledger.registry().list_prompts(v1::ListPromptsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.prompts, [], "the whole batch is refused");
    let warned = one(&ledger, carried("greet", "{% if x %}Hi{% endif %}")).await;
    assert_eq!(warned.warnings.len(), 1, "{warned:?}");
}

#[tokio::test]
async fn contents_that_differ_only_in_line_ends_are_registered_with_a_warning_each() {
    let ledger = ledger().start().await;
    let texts = ["a\nb\n", "c\n", "d"];
    let batch = |ends: &str, dry_run| v1::RegisterCodePromptsRequest {
        dry_run,
        ..batch(vec![
            carried("one", &texts[0].replace('\n', ends)),
            opaque("two", &texts[1].replace('\n', ends)),
            carried("same", texts[2]),
        ])
    };
    let warned = |registered: &[v1::RegisteredPrompt]| -> Vec<String> {
        registered.iter().map(|one| one.warnings.join("|").split(", which").next().unwrap().to_owned()).collect()
    };
    for (ends, dry_run, active) in
        [("\n", false, 0), ("\n", false, 0), ("\r\n", true, 1), ("\r\n", false, 1), ("\n", false, 2)]
    {
        let registered = register(&ledger, batch(ends, dry_run)).await.unwrap().registered;
        let warning = format!("the content differs from version {active}");
        let expected = if active == 0 { [""; 3] } else { [&*warning, &*warning, ""] };
        assert_eq!(warned(&registered), expected, "{ends:?}");
    }
}

#[tokio::test]
async fn every_wrong_field_of_a_batch_is_named() {
    let ledger = ledger().start().await;
    let long = "x".repeat(256);
    let sent = v1::RegisterCodePromptsRequest {
        created_by: long.clone(),
        source: Some(v1::CodeSource { repository: long.clone(), commit: long.clone() }),
        ..batch(vec![
            carried("twice", "A"),
            v1::CodePrompt { template: None, template_format: 99, ..carried("a b", "A") },
            v1::CodePrompt {
                path: long.clone(),
                owner_team: Some(long),
                description: Some("d".repeat(4097)),
                note: "n".repeat(1025),
                ..carried("twice", "A")
            },
        ])
    };
    let expected = [
        "prompts[1].template",
        "prompts[1].template_format",
        "created_by",
        "source.repository",
        "source.commit",
        "prompts[1].name",
        "prompts[2].name",
        "prompts[2].description",
        "prompts[2].owner_team",
        "prompts[2].path",
        "prompts[2].note",
    ];
    assert_eq!(wrong_fields(register(&ledger, sent).await), expected);
    for prompts in [vec![], (0..1_001).map(|n| carried(&format!("p{n}"), "A")).collect()] {
        assert_eq!(wrong_fields(register(&ledger, batch(prompts)).await), ["prompts"]);
    }
    let whole: Vec<_> = (0..1_000).map(|n| carried(&format!("p{n}"), "A")).collect();
    assert_eq!(register(&ledger, batch(whole)).await.unwrap().registered.len(), 1_000);
}

#[tokio::test]
async fn an_opaque_text_is_never_parsed_but_bounded() {
    let ledger = ledger().start().await;
    let registered = one(&ledger, opaque("greet", "{{#if {% x %}")).await;
    assert_eq!((registered.action(), registered.warnings.len()), (Action::New, 0));
    let version = get(&ledger, "greet").await.active_version.unwrap();
    assert_eq!((version.template_format(), version.variables.len()), (v1::TemplateFormat::Opaque, 0));
    let parsed = register(&ledger, batch(vec![carried("other", "{{#if {% x %}")])).await;
    refused(parsed, Code::InvalidArgument, "TEMPLATE_INVALID");
}

#[tokio::test]
async fn the_same_text_under_another_format_is_refused() {
    let ledger = ledger().start().await;
    ledger.carry(vec![carried("greet", "Hi"), opaque("jinja", "Hi")]).await;
    for (wrong, field) in [
        (opaque("greet", "Hi"), "prompts[0].template_format"),
        (carried("jinja", "Hi"), "prompts[0].template_format"),
        (opaque("greet", ""), "prompts[0].template_source"),
        (opaque("greet", "a\0b"), "prompts[0].template_source"),
    ] {
        assert_eq!(wrong_fields(register(&ledger, batch(vec![wrong])).await), [field]);
    }
    let large = register(&ledger, batch(vec![opaque("greet", &"x".repeat(200 * 1024 + 1))])).await;
    refused(large, Code::ResourceExhausted, "TOO_LARGE");
    one(&ledger, opaque("greet", &"x".repeat(200 * 1024))).await;

    // Nor by PutPrompt in full mode, whose request has no format.
    ledger.carry(vec![opaque("greet", "Hello")]).await;
    ledger.carry(vec![carried("greet", "Hi")]).await;
    migrate(&ledger, v1::PromptMode::Full).await;
    let written = ledger.registry().put_prompt(put("greet", "Hello")).await;
    assert_eq!(wrong_fields(written), ["template_format"]);
}

#[tokio::test]
async fn an_archived_prompt_rejects_the_batch() {
    let ledger = ledger().start().await;
    ledger.carry(vec![carried("greet", "one")]).await;
    ledger
        .registry()
        .archive_prompt(v1::ArchivePromptRequest {
            name: "greet".into(),
            etag: None,
            ..v1::ArchivePromptRequest::default()
        })
        .await
        .unwrap();
    for text in ["one", "two"] {
        let refusal = register(&ledger, batch(vec![carried("new", "N"), carried("greet", text)])).await;
        refused(refusal, Code::FailedPrecondition, "PROMPT_ARCHIVED");
    }
    let unknown = v1::GetPromptRequest { name: "new".into(), min_revision: None };
    refused(ledger.registry().get_prompt(unknown).await, Code::NotFound, "PROMPT_NOT_FOUND");
}

#[tokio::test]
async fn deployments_that_register_different_contents_at_once_make_consecutive_versions() {
    let ledger = ledger().start().await;
    let deployments = (0..20).map(|n| {
        let ledger = &ledger;
        async move {
            let text = format!("release {}", n % 10);
            register(ledger, batch(vec![carried("a", &text), carried("b", &text)])).await.unwrap().registered
        }
    });
    let answers = futures::future::join_all(deployments).await;
    let made = answers.iter().flatten().filter(|one| matches!(one.action(), Action::New | Action::Updated)).count();
    assert_eq!(made, 20);
    for name in ["a", "b"] {
        let list = v1::ListVersionsRequest { name: name.into(), ..v1::ListVersionsRequest::default() };
        let versions = ledger.registry().list_versions(list).await.unwrap().into_inner().versions;
        let numbers: Vec<_> = versions.iter().map(|version| version.version_number).collect();
        assert_eq!(numbers, (1..=10).rev().collect::<Vec<_>>());
    }
}
