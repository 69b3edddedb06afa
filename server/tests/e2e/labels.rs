//! Labels, metadata and the change log, over a connection.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_proto::v1::{execution_spec, get_version_request};
use prompt_ledger_testkit::ledger::{Ledger, Metadata, carried, put, spec};
use tonic::{Code, Status};

use super::contents::{config, conversation, put_chat, written};
use super::keys::create;
use super::{ledger, refused, wrong_fields};

async fn set(ledger: &Ledger, label: &str, version_number: i32) -> Result<v1::SetLabelResponse, Status> {
    let request = v1::SetLabelRequest {
        name: "greet".into(),
        label: label.into(),
        version_number,
        created_by: "ada".into(),
        ..v1::SetLabelRequest::default()
    };
    ledger.registry().set_label(request).await.map(tonic::Response::into_inner)
}

/// A prompt of three versions, of which the last one is active.
async fn three() -> Ledger {
    let ledger = ledger().start().await;
    for text in ["one", "two", "three"] {
        ledger.active("greet", text).await;
    }
    ledger
}

fn by_label(label: &str) -> v1::ExecutionSpec {
    let selector = Some(execution_spec::Selector::Label(label.into()));
    v1::ExecutionSpec { selector, ..spec("greet", &[]) }
}

#[tokio::test]
async fn an_execution_by_a_label_is_of_the_version_that_it_points_at() {
    let ledger = three().await;
    let first = set(&ledger, "production", 1).await.unwrap();
    assert_eq!((first.previous_version, first.version.unwrap().labels), (None, vec!["production".to_owned()]));
    for version in [1, 2, 3, 1] {
        set(&ledger, "production", version).await.unwrap();
        for _ in 0..2 {
            let ran = ledger.run(by_label("production")).await;
            assert_eq!((ran.version_number, &*ran.label), (version, "production"));
        }
    }
    let ran = ledger.run(by_label("latest")).await;
    assert_eq!((ran.version_number, &*ran.label), (3, "latest"));
    let selector = Some(get_version_request::Selector::Label("production".into()));
    let get = v1::GetVersionRequest { name: "greet".into(), selector, min_revision: None };
    let version = ledger.registry().get_version(get).await.unwrap().into_inner().version.unwrap();
    assert_eq!((version.version_number, version.labels), (1, vec!["production".to_owned()]));
    let request = v1::RunExecutionRequest { spec: Some(by_label("staging")) };
    refused(ledger.executions().run_execution(request).await, Code::NotFound, "LABEL_NOT_FOUND");
    let got = v1::GetPromptRequest { name: "greet".into(), min_revision: None };
    let shown = ledger.registry().get_prompt(got).await.unwrap().into_inner().prompt.unwrap();
    assert_eq!(shown.labels.len(), 1);
    assert_eq!(
        (&*shown.labels[0].label, shown.labels[0].version_number, &*shown.labels[0].set_by),
        ("production", 1, "ada")
    );
}

#[tokio::test]
async fn a_label_that_is_none_is_refused() {
    let ledger = three().await;
    for (label, version, field) in [
        ("active", 1, "label"),
        ("latest", 1, "label"),
        ("", 1, "label"),
        ("a b", 1, "label"),
        ("x", 0, "version_number"),
    ] {
        assert_eq!(wrong_fields(set(&ledger, label, version).await), [field]);
    }
    refused(set(&ledger, "x", 4).await, Code::NotFound, "VERSION_NOT_FOUND");
    let labels = (0..65).map(|i| format!("l{i}")).collect();
    let many = v1::PutPromptRequest { labels, ..put("greet", "one") };
    assert_eq!(wrong_fields(ledger.registry().put_prompt(many).await), ["labels"]);
    for i in 0..64 {
        set(&ledger, &format!("l{i}"), 1).await.unwrap();
    }
    assert_eq!(wrong_fields(set(&ledger, "one-more", 1).await), ["label"]);
    let stale = v1::SetLabelRequest {
        name: "greet".into(),
        label: "l0".into(),
        version_number: 2,
        etag: Some("0".into()),
        created_by: String::new(),
    };
    refused(ledger.registry().set_label(stale).await, Code::Aborted, "ETAG_MISMATCH");
    let deprecate = v1::SetVersionStatusRequest {
        name: "greet".into(),
        version_number: 1,
        status: v1::VersionStatus::Deprecated.into(),
        etag: None,
    };
    refused(ledger.registry().set_version_status(deprecate).await, Code::FailedPrecondition, "VERSION_IN_USE");
    ledger.carry(vec![carried("tracked", "x")]).await;
    let tracked = v1::SetLabelRequest {
        name: "tracked".into(),
        label: "x".into(),
        version_number: 1,
        ..v1::SetLabelRequest::default()
    };
    refused(ledger.registry().set_label(tracked).await, Code::FailedPrecondition, "MODE_MISMATCH");
    let unknown = v1::RemoveLabelRequest { name: "tracked".into(), label: "x".into(), ..Default::default() };
    refused(ledger.registry().remove_label(unknown).await, Code::NotFound, "LABEL_NOT_FOUND");
}

#[tokio::test]
async fn a_content_brings_its_labels_in_both_modes() {
    let ledger = ledger().start().await;
    let labelled =
        v1::PutPromptRequest { labels: vec!["eu-west".into()], ..put_chat("ask", conversation(), Some(config())) };
    let done = written(&ledger, labelled).await;
    assert_eq!(
        (done.prompt.unwrap().labels[0].version_number, done.version.unwrap().labels),
        (1, vec!["eu-west".to_owned()])
    );
    let code = |text: &str| v1::CodePrompt { labels: vec!["stable".into()], ..carried("tracked", text) };
    ledger.carry(vec![code("one")]).await;
    ledger.carry(vec![carried("tracked", "two")]).await;
    let selector = Some(execution_spec::Selector::Label("stable".into()));
    let ran = ledger.run_code(v1::ExecutionSpec { selector, ..spec("tracked", &[]) }).await;
    assert_eq!((ran.version_number, &*ran.response_text), (1, "one"));
    let remove = v1::RemoveLabelRequest { name: "tracked".into(), label: "stable".into(), ..Default::default() };
    let removed = ledger.registry().remove_label(remove).await.unwrap().into_inner();
    assert_eq!((removed.previous_version, removed.prompt.unwrap().labels.len()), (1, 0));
}

#[tokio::test]
async fn the_log_says_what_was_changed_by_whom_and_by_which_key() {
    let ledger = ledger().start().await;
    let key = create(ledger.data_dir(), &["--name", "deploys"]);
    let mut registry = RegistryServiceClient::new(ledger.connection_with(Metadata::key(&key)));
    let first =
        v1::PutPromptRequest { created_by: "ada".into(), note: "why".into(), set_active: true, ..put("greet", "one") };
    registry.put_prompt(first).await.unwrap();
    set(&ledger, "production", 1).await.unwrap();
    set(&ledger, "production", 1).await.unwrap();
    let list = async |request: v1::ListPromptChangesRequest| {
        ledger.registry().list_prompt_changes(request).await.map(tonic::Response::into_inner)
    };
    let all = list(v1::ListPromptChangesRequest::default()).await.unwrap();
    let kinds: Vec<_> = all.changes.iter().map(v1::PromptChangeEntry::kind).collect();
    use v1::PromptChangeKind::{Activated, Created, LabelSet, VersionCreated};
    assert_eq!((kinds, all.revision), (vec![LabelSet, Activated, VersionCreated, Created], 2));
    let [label, _, version, _] = &all.changes[..] else { panic!("{all:?}") };
    assert_eq!(
        (&*label.label, &*label.from_value, &*label.to_value, &*label.created_by),
        ("production", "", "1", "ada")
    );
    assert_eq!((&*label.key_id, &*label.key_name), ("", "API_KEY"), "the key of the environment");
    assert_eq!((&*version.key_name, version.key_id.len(), &*version.note), ("deploys", 36, "why"));
    let two = list(v1::ListPromptChangesRequest { page_size: 2, ..Default::default() }).await.unwrap();
    let next = v1::ListPromptChangesRequest { page_size: 2, page_token: two.next_page_token, ..Default::default() };
    let rest = list(next).await.unwrap();
    assert_eq!([two.changes, rest.changes].concat(), all.changes);
    let only =
        v1::ListPromptChangesRequest { name: "greet".into(), kinds: vec![LabelSet.into()], ..Default::default() };
    assert_eq!(list(only).await.unwrap().changes.len(), 1);
    let nobody = v1::ListPromptChangesRequest { name: "nobody".into(), ..Default::default() };
    refused(list(nobody).await, Code::NotFound, "PROMPT_NOT_FOUND");
    assert_eq!(
        wrong_fields(list(v1::ListPromptChangesRequest { kinds: vec![0], ..Default::default() }).await),
        ["kinds"]
    );
}

#[tokio::test]
async fn metadata_is_written_without_the_content_in_both_modes() {
    let ledger = three().await;
    ledger.carry(vec![carried("tracked", "x")]).await;
    for name in ["greet", "tracked"] {
        let update = |paths: &[&str]| v1::UpdatePromptRequest {
            name: name.into(),
            update_mask: Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
            description: "says hello".into(),
            owner_team: "shop".into(),
            tags: Some(v1::Tags { values: vec!["a".into(), "b".into()] }),
            ..v1::UpdatePromptRequest::default()
        };
        let updated = async |request| ledger.registry().update_prompt(request).await.map(tonic::Response::into_inner);
        let one = updated(update(&["description", "tags"])).await.unwrap().prompt.unwrap();
        assert_eq!((&*one.description, &*one.owner_team, one.tags.len()), ("says hello", "", 2));
        let again = updated(update(&["description"])).await.unwrap().prompt.unwrap();
        assert_eq!(again.etag, one.etag, "nothing was written");
        let cleared = v1::UpdatePromptRequest { tags: None, ..update(&["tags", "owner_team"]) };
        let cleared = updated(cleared).await.unwrap().prompt.unwrap();
        assert_eq!((&*cleared.owner_team, cleared.tags.len()), ("shop", 0));
        assert_eq!(wrong_fields(updated(update(&[])).await), ["update_mask"]);
        assert_eq!(wrong_fields(updated(update(&["name"])).await), ["update_mask.paths[0]"]);
    }
}

#[tokio::test]
async fn many_prompts_are_read_at_once_by_a_label() {
    let ledger = three().await;
    ledger.active("other", "x").await;
    set(&ledger, "production", 2).await.unwrap();
    let batch = async |names: &[&str], label: &str| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let request = v1::BatchGetPromptsRequest { names, label: label.into(), min_revision: None };
        ledger.registry().batch_get_prompts(request).await.map(tonic::Response::into_inner)
    };
    let found = batch(&["other", "nobody", "greet"], "production").await.unwrap();
    let told: Vec<_> = found
        .found
        .iter()
        .map(|one| (&*one.prompt.as_ref().unwrap().name, one.version.as_ref().map(|version| version.version_number)))
        .collect();
    assert_eq!((told, found.missing), (vec![("other", None), ("greet", Some(2))], vec!["nobody".to_owned()]));
    let active = batch(&["greet"], "").await.unwrap();
    assert_eq!(active.found[0].version.as_ref().unwrap().version_number, 3);
    assert_eq!(wrong_fields(batch(&[], "").await), ["names"]);
    assert_eq!(wrong_fields(batch(&["greet", "greet"], "").await), ["names[1]"]);
}

#[tokio::test]
async fn prompts_are_found_by_tag_words_and_label() {
    let ledger = three().await;
    let tagged = v1::PutPromptRequest {
        tags: Some(v1::Tags { values: vec!["mail".into()] }),
        description: Some("Says Goodbye, politely, auf Grüße".into()),
        ..put("bye", "Bye")
    };
    written(&ledger, tagged).await;
    set(&ledger, "production", 1).await.unwrap();
    let listed = async |request: v1::ListPromptsRequest| {
        let page = ledger.registry().list_prompts(request).await.unwrap().into_inner();
        page.prompts.into_iter().map(|prompt| prompt.name).collect::<Vec<_>>()
    };
    let none = v1::ListPromptsRequest::default;
    assert_eq!(listed(none()).await, ["bye", "greet"]);
    assert_eq!(listed(v1::ListPromptsRequest { tag: "mail".into(), ..none() }).await, ["bye"]);
    assert_eq!(listed(v1::ListPromptsRequest { tag: "mai".into(), ..none() }).await, [""; 0]);
    assert_eq!(listed(v1::ListPromptsRequest { label: "production".into(), ..none() }).await, ["greet"]);
    for (query, found) in [
        ("GOODBYE bye", vec!["bye"]),
        ("politely  goodbye", vec!["bye"]),
        ("goodbye greet", vec![]),
        // Letters beyond A to Z match as they are.
        ("gRÜße", vec![]),
        ("gRüße", vec!["bye"]),
        ("e", vec!["bye", "greet"]),
    ] {
        assert_eq!(listed(v1::ListPromptsRequest { query: query.into(), ..none() }).await, found, "{query}");
    }
}
