//! Prompts, versions, and the pointer to the active one.

use prompt_ledger_proto::v1::{self, get_version_request, prompt_version, render_prompt_request};
use prompt_ledger_testkit::ledger::{Ledger, carried, put, spec};
use sha2::{Digest, Sha256};
use tonic::Code;

use super::{ledger, refused, wrong_fields};

/// `printf 'Hi {{name}}' | sha256sum`
const CHECKSUM: &str = "deeba1bc3365b21a1114b846653b300411236d39777fb54653dad310e4b7d445";

async fn version(ledger: &Ledger, selector: get_version_request::Selector) -> v1::PromptVersion {
    let request =
        v1::GetVersionRequest { name: "greet".into(), selector: Some(selector), ..v1::GetVersionRequest::default() };
    ledger.registry().get_version(request).await.unwrap().into_inner().version.unwrap()
}

async fn get(ledger: &Ledger) -> v1::GetPromptResponse {
    let request = v1::GetPromptRequest { name: "greet".into(), min_revision: None };
    ledger.registry().get_prompt(request).await.unwrap().into_inner()
}

fn to(number: i32) -> v1::SetActiveVersionRequest {
    v1::SetActiveVersionRequest {
        name: "greet".into(),
        version_number: number,
        etag: None,
        ..v1::SetActiveVersionRequest::default()
    }
}

fn set(number: i32, status: v1::VersionStatus) -> v1::SetVersionStatusRequest {
    v1::SetVersionStatusRequest {
        name: "greet".into(),
        version_number: number,
        status: status.into(),
        ..v1::SetVersionStatusRequest::default()
    }
}

#[tokio::test]
async fn a_content_makes_one_version_and_comes_back_to_it() {
    let ledger = ledger().start().await;
    let first = ledger.active("greet", "Hi {{name}}").await;
    let second = ledger.active("greet", "Hello {{name}}").await;
    let again = ledger.active("greet", "Hi {{name}}").await;

    assert_eq!([&first, &second, &again].map(|put| put.version_change), [true, true, false]);
    assert_eq!([&first, &second, &again].map(|put| put.activated), [true, true, true]);
    let number = |put: &v1::PutPromptResponse| put.version.as_ref().unwrap().version_number;
    assert_eq!([number(&first), number(&second), number(&again)], [1, 2, 1]);
    let version = first.version.unwrap();
    assert_eq!(version.checksum_hash, CHECKSUM);
    let kind = v1::TemplateVariableKind::Text.into();
    assert_eq!(version.variables, [v1::TemplateVariable { name: "name".into(), required: true, kind }]);
    assert_eq!(version.status(), v1::VersionStatus::Active);
    let prompt = again.prompt.unwrap();
    assert_eq!((prompt.active_version_number, prompt.latest_version_number), (Some(1), 2));
}

#[tokio::test]
async fn a_version_is_identified_by_the_exact_bytes_of_its_text_in_either_mode() {
    let ledger = ledger().start().await;
    for (number, text) in (1..).zip(["é\n", "é\r\n", "e\u{301}\n", " é\n", "é"]) {
        let checksum = format!("{:x}", Sha256::digest(text));
        let put = ledger.active("greet", text).await.version.unwrap();
        assert_eq!((put.version_number, &put.checksum_hash), (number, &checksum), "{text:?}");
        let registered = ledger.carry(vec![carried("carried", text)]).await.remove(0);
        assert_eq!((registered.version, &registered.checksum_hash), (number, &checksum), "{text:?}");
        for name in ["greet", "carried"] {
            let selector = Some(get_version_request::Selector::ChecksumHash(checksum.clone()));
            let request = v1::GetVersionRequest { name: name.into(), selector, min_revision: None };
            let found = ledger.registry().get_version(request).await.unwrap().into_inner().version.unwrap();
            let source = Some(prompt_version::Template::TemplateSource(text.into()));
            assert_eq!((found.version_number, found.template), (number, source), "{name}");
        }
    }
}

#[tokio::test]
async fn a_draft_is_promoted_rolled_back_and_retired() {
    let ledger = ledger().start().await;
    let draft = ledger.registry().put_prompt(put("greet", "one")).await.unwrap().into_inner();
    assert_eq!(draft.version.unwrap().status(), v1::VersionStatus::Draft);
    assert_eq!(get(&ledger).await.active_version, None);
    ledger.active("greet", "two").await;

    let back = ledger.registry().set_active_version(to(1)).await.unwrap().into_inner();
    assert_eq!(back.active_version.unwrap().status(), v1::VersionStatus::Active);
    assert_eq!(get(&ledger).await.active_version.unwrap().version_number, 1);
    let left = version(&ledger, get_version_request::Selector::VersionNumber(2)).await;
    assert_eq!(left.status(), v1::VersionStatus::Active, "several may be active");

    let mut registry = ledger.registry();
    registry.set_version_status(set(2, v1::VersionStatus::Deprecated)).await.unwrap();
    let selector = get_version_request::Selector::VersionNumber(2);
    assert_eq!(version(&ledger, selector).await.status(), v1::VersionStatus::Deprecated);
    let in_use = registry.set_version_status(set(1, v1::VersionStatus::Deprecated)).await;
    refused(in_use, Code::FailedPrecondition, "VERSION_IN_USE");
    let to_draft = registry.set_version_status(set(2, v1::VersionStatus::Draft)).await;
    refused(to_draft, Code::InvalidArgument, "INVALID_FIELD");
    let to_nothing = registry.set_version_status(set(2, v1::VersionStatus::Unspecified)).await;
    refused(to_nothing, Code::InvalidArgument, "INVALID_FIELD");
}

#[tokio::test]
async fn only_activating_moves_the_pointer_and_a_retired_version_may_be_activated_again() {
    use v1::VersionStatus::{Active, Deprecated, Draft};
    let ledger = ledger().start().await;
    let mut registry = ledger.registry();
    for text in ["one", "two"] {
        registry.put_prompt(put("greet", text)).await.unwrap();
    }
    registry.set_active_version(to(1)).await.unwrap();
    let stands = async |status, active| {
        let two = version(&ledger, get_version_request::Selector::VersionNumber(2)).await;
        let found = get(&ledger).await.active_version.unwrap();
        assert_eq!((two.status(), found.version_number, found.status()), (status, active, Active));
    };
    assert_eq!(wrong_fields(registry.set_version_status(set(2, Active)).await), ["status"]);
    stands(Draft, 1).await;
    for status in [Deprecated, Active, Deprecated] {
        registry.set_version_status(set(2, status)).await.unwrap();
        stands(status, 1).await;
    }
    registry.set_active_version(to(2)).await.unwrap();
    stands(Active, 2).await;
    registry.set_active_version(to(1)).await.unwrap();
    registry.set_version_status(set(2, Deprecated)).await.unwrap();
    let waiting = registry.put_prompt(put("greet", "two")).await.unwrap().into_inner();
    assert_eq!((waiting.activated, waiting.version.unwrap().status()), (false, Deprecated));
    stands(Deprecated, 1).await;
    let again = ledger.active("greet", "two").await;
    assert_eq!((again.version_change, again.activated, again.version.unwrap().status()), (false, true, Active));
    stands(Active, 2).await;
}

#[tokio::test]
async fn a_version_is_found_by_number_label_and_checksum() {
    use get_version_request::Selector::{ChecksumHash, Label, VersionNumber};
    let ledger = ledger().start().await;
    let first = ledger.active("greet", "one").await.version.unwrap();
    ledger.registry().put_prompt(put("greet", "two")).await.unwrap();
    for (selector, number) in [
        (VersionNumber(2), 2),
        (Label("active".into()), 1),
        (Label("latest".into()), 2),
        (ChecksumHash(first.checksum_hash.clone()), 1),
    ] {
        assert_eq!(version(&ledger, selector).await.version_number, number);
    }
    for (selector, reason) in [
        (VersionNumber(3), "VERSION_NOT_FOUND"),
        (ChecksumHash("00".into()), "VERSION_NOT_FOUND"),
        (Label("prod".into()), "LABEL_NOT_FOUND"),
    ] {
        let request = v1::GetVersionRequest { name: "greet".into(), selector: Some(selector), min_revision: None };
        refused(ledger.registry().get_version(request).await, Code::NotFound, reason);
    }
}

#[tokio::test]
async fn the_etag_moves_with_each_write_and_guards_the_next() {
    let ledger = ledger().start().await;
    let first = ledger.active("greet", "one").await.prompt.unwrap();
    let second = ledger.active("greet", "two").await.prompt.unwrap();
    assert_ne!(first.etag, second.etag);
    let stale = v1::PutPromptRequest { etag: Some(first.etag), ..put("greet", "three") };
    refused(ledger.registry().put_prompt(stale).await, Code::Aborted, "ETAG_MISMATCH");
    let good = v1::PutPromptRequest { etag: Some(second.etag), ..put("greet", "three") };
    assert!(ledger.registry().put_prompt(good).await.unwrap().into_inner().version_change);
}

#[tokio::test]
async fn absent_metadata_is_kept_and_empty_clears() {
    let ledger = ledger().start().await;
    let tags = |values: &[&str]| Some(v1::Tags { values: values.iter().map(|tag| (*tag).to_owned()).collect() });
    let described = v1::PutPromptRequest {
        description: Some("greets".into()),
        owner_team: Some("core".into()),
        tags: tags(&["a", "b"]),
        ..put("greet", "one")
    };
    ledger.registry().put_prompt(described).await.unwrap();
    let kept = ledger.active("greet", "two").await.prompt.unwrap();
    assert_eq!((&*kept.description, &*kept.owner_team, kept.tags.len()), ("greets", "core", 2));
    let cleared = v1::PutPromptRequest { description: Some(String::new()), tags: tags(&[]), ..put("greet", "two") };
    let cleared = ledger.registry().put_prompt(cleared).await.unwrap().into_inner().prompt.unwrap();
    assert_eq!((&*cleared.description, &*cleared.owner_team, cleared.tags.len()), ("", "core", 0));
}

#[tokio::test]
async fn an_archived_prompt_is_out_of_lists_and_not_executable_but_readable() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    let mut registry = ledger.registry();
    registry
        .archive_prompt(v1::ArchivePromptRequest {
            name: "greet".into(),
            etag: None,
            ..v1::ArchivePromptRequest::default()
        })
        .await
        .unwrap();

    assert!(get(&ledger).await.prompt.unwrap().archived_at.is_some());
    let list = |include_archived| v1::ListPromptsRequest { include_archived, ..v1::ListPromptsRequest::default() };
    assert_eq!(registry.list_prompts(list(false)).await.unwrap().into_inner().prompts.len(), 0);
    assert_eq!(registry.list_prompts(list(true)).await.unwrap().into_inner().prompts.len(), 1);
    let run = v1::RunExecutionRequest { spec: Some(spec("greet", &[])) };
    refused(ledger.executions().run_execution(run).await, Code::FailedPrecondition, "PROMPT_ARCHIVED");
    refused(registry.put_prompt(put("greet", "new")).await, Code::FailedPrecondition, "PROMPT_ARCHIVED");
    let create = v1::PutPromptRequest { create_only: true, ..put("greet", "new") };
    refused(registry.put_prompt(create).await, Code::AlreadyExists, "PROMPT_EXISTS");

    registry
        .unarchive_prompt(v1::UnarchivePromptRequest {
            name: "greet".into(),
            etag: None,
            ..v1::UnarchivePromptRequest::default()
        })
        .await
        .unwrap();
    assert_eq!(ledger.run(spec("greet", &[])).await.status(), v1::ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn a_preview_is_what_an_execution_sends_and_records_nothing() {
    let ledger = ledger().start().await;
    ledger.active("greet", "Hi {{name}}, {{{name}}}").await;
    ledger.active("greet", "Hello {{name}}").await;
    let sent = spec("greet", &[("name", "<Ada & \"Bob\">")]);
    let request = v1::RenderPromptRequest {
        name: "greet".into(),
        selector: Some(render_prompt_request::Selector::VersionNumber(1)),
        variables: sent.variables.clone(),
        min_revision: None,
    };
    let preview = ledger.registry().render_prompt(request).await.unwrap().into_inner();
    assert_eq!(preview.rendered_prompt, "Hi <Ada & \"Bob\">, <Ada & \"Bob\">");
    let none = ledger.executions().list_executions(v1::ListExecutionsRequest::default()).await.unwrap();
    assert_eq!(none.into_inner().executions.len(), 0);
    let selector = v1::execution_spec::Selector::VersionNumber(1);
    let executed = ledger.run(v1::ExecutionSpec { selector: Some(selector), ..sent }).await;
    assert_eq!(executed.rendered_prompt, preview.rendered_prompt);
}

#[tokio::test]
async fn another_engines_template_is_taken_with_a_warning() {
    let ledger = ledger().start().await;
    let put = ledger.active("greet", "{% if x %}Hi{% endif %}").await;
    assert_eq!(put.warnings.len(), 1, "{:?}", put.warnings);
}

#[tokio::test]
async fn a_content_that_differs_from_the_active_one_only_in_line_ends_is_taken_with_a_warning() {
    let ledger = ledger().start().await;
    for (text, active, warned) in [
        ("a\nb", true, None),
        ("a\r\nb\n", true, Some("version 1, which was active, only in line ends")),
        ("a\r\nb\n", true, None),
        ("a\rb", false, Some("version 2,")),
        ("a\n b", false, None),
        ("a\nb", true, Some("version 2,")),
        ("a\nb", false, None),
    ] {
        let request = v1::PutPromptRequest { set_active: active, ..put("greet", text) };
        let warnings = ledger.registry().put_prompt(request).await.unwrap().into_inner().warnings;
        assert_eq!(warnings.len(), usize::from(warned.is_some()), "{text:?}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains(warned.unwrap())), "{text:?}: {warnings:?}");
    }
}

#[tokio::test]
async fn what_looks_like_a_variable_of_another_engine_is_named() {
    let ledger = ledger().start().await;
    let put = ledger.active("greet", "Dear {first}, {{greeting}}: {\"a\": {\"b\": 1}}").await;
    assert_eq!(put.warnings.len(), 1, "{:?}", put.warnings);
    assert!(put.warnings[0].contains("`{first}`"), "{:?}", put.warnings);
}

#[tokio::test]
async fn a_blank_of_unicode_in_a_tag_is_a_blank_and_other_invisible_characters_are_shown() {
    let ledger = ledger().start().await;
    ledger.active("blank", "{{\u{a0}k\u{3000}}}").await;
    assert_eq!(ledger.run(spec("blank", &[("k", "1")])).await.rendered_prompt, "1");
    ledger.active("hidden", "{{k\u{200b}}}").await;
    let request = v1::RunExecutionRequest { spec: Some(spec("hidden", &[("k", "1")])) };
    let status = ledger.executions().run_execution(request).await.unwrap_err();
    assert!(status.message().contains("variables.k\\u{200b}: is missing; `k` was given"), "{status:?}");
}

#[tokio::test]
async fn a_brace_behind_a_triple_tag_is_refused() {
    let ledger = ledger().start().await;
    let refusal = ledger.registry().put_prompt(put("greet", "{\"user\":{{{name}}}}")).await;
    let info = refused(refusal, Code::InvalidArgument, "TEMPLATE_INVALID");
    assert_eq!(["line", "column"].map(|key| &*info.metadata[key]), ["1", "9"]);
}

#[tokio::test]
async fn fifty_concurrent_writers_of_ten_contents_make_versions_one_to_ten() {
    let ledger = ledger().start().await;
    let writers = (0..50).map(|i| {
        let mut registry = ledger.registry();
        async move { registry.put_prompt(put("greet", &format!("content {}", i % 10))).await.unwrap().into_inner() }
    });
    let answers = futures::future::join_all(writers).await;
    assert_eq!(answers.iter().filter(|put| put.version_change).count(), 10);
    let list = v1::ListVersionsRequest { name: "greet".into(), ..v1::ListVersionsRequest::default() };
    let versions = ledger.registry().list_versions(list).await.unwrap().into_inner().versions;
    let numbers: Vec<_> = versions.iter().map(|version| version.version_number).collect();
    assert_eq!(numbers, (1..=10).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_write_is_seen_by_the_next_read() {
    let ledger = ledger().start().await;
    for number in 1..=20 {
        let written = ledger.active("greet", &format!("content {number}")).await;
        let read = get(&ledger).await;
        assert_eq!(read.active_version.unwrap().version_number, number);
        assert_eq!((read.revision, read.prompt), (written.revision, written.prompt));
    }
}

#[tokio::test]
async fn a_revision_that_does_not_exist_is_refused() {
    let ledger = ledger().start().await;
    let revision = ledger.active("greet", "hello").await.revision;
    let at = |revision| v1::GetPromptRequest { name: "greet".into(), min_revision: Some(revision) };
    assert!(ledger.registry().get_prompt(at(revision)).await.is_ok());
    refused(ledger.registry().get_prompt(at(revision + 1)).await, Code::OutOfRange, "REVISION_AHEAD");
}
