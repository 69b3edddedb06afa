//! Prompts that come from another ledger.

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::{PromptId, VersionId};
use prompt_ledger_domain::label::PromptLabel;
use prompt_ledger_domain::prompt::{Mode, Source, TemplateFormat, VersionStatus};
use prompt_ledger_domain::prompt_log::ChangeKind;
use prompt_ledger_store::{ImportPrompt, ImportVersion, Registry};

use crate::kit::{Backend, ChangePrompt, asking, new_id, put_active, reason, register};

fn version(number: i32, text: &str, status: VersionStatus) -> ImportVersion {
    let content = VersionContent::text(text);
    ImportVersion {
        id: VersionId(new_id()),
        number,
        status,
        checksum_hash: content.checksum().unwrap(),
        content,
        template_format: TemplateFormat::Handlebars,
        variables: Vec::new(),
        created_by: "eve".into(),
        created_at: Timestamp(i64::from(number)),
        source: Source { repository: "r".into(), commit: "c".into(), path: "p".into() },
        note: format!("note {number}"),
    }
}

fn label(label: &str, version_number: i32) -> PromptLabel {
    PromptLabel { label: label.into(), version_number, set_at: Timestamp(7), set_by: "eve".into() }
}

/// Three versions, the second one active, and two labels.
fn import() -> ImportPrompt {
    ImportPrompt {
        name: "greet".into(),
        mode: Mode::Full,
        description: "greets".into(),
        owner_team: "search".into(),
        tags: vec!["mail".into()],
        active_version: Some(2),
        created_at: Timestamp(1),
        updated_at: Timestamp(9),
        archived_at: None,
        versions: vec![
            version(1, "one", VersionStatus::Deprecated),
            version(2, "two", VersionStatus::Active),
            version(3, "three", VersionStatus::Draft),
        ],
        labels: vec![label("canary", 3), label("production", 2)],
        set_active: false,
        set_labels: false,
        dry_run: false,
        prompt_id: PromptId(new_id()),
        key: asking(),
    }
}

pub async fn an_absent_prompt_becomes_an_exact_copy<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let sent = import();
    let dry = store.import_prompt(project, ImportPrompt { dry_run: true, ..sent.clone() }).await.unwrap();
    assert_eq!((dry.created, dry.created_versions, dry.revision), (true, 3, 0));
    assert_eq!(reason(store.prompt(project, "greet").await), Reason::PromptNotFound);
    let done = store.import_prompt(project, sent.clone()).await.unwrap();
    assert_eq!((done.created, done.changed, done.activated, done.revision), (true, true, true, 1));
    assert_eq!((done.numbers, done.labels_set), (vec![1, 2, 3], vec!["canary".to_owned(), "production".to_owned()]));
    let read = store.prompt(project, "greet").await.unwrap().prompt;
    assert_eq!((read.created_at, read.updated_at, read.latest_version), (sent.created_at, sent.updated_at, 3));
    assert_eq!((read.active_version, &read.labels, &read.tags), (Some(2), &sent.labels, &sent.tags));
    assert_eq!((&*read.description, &*read.owner_team), ("greets", "search"));
    let (versions, _) = store.versions(project, "greet", None, 9).await.unwrap();
    assert_eq!(versions.len(), 3);
    for (read, sent) in versions.iter().rev().zip(&sent.versions) {
        assert_eq!((read.id, read.number, read.status), (sent.id, sent.number, sent.status));
        assert_eq!((&read.content, &read.checksum_hash), (&sent.content, &sent.checksum_hash));
        assert_eq!(
            (read.created_at, &read.created_by, &read.source),
            (sent.created_at, &sent.created_by, &sent.source)
        );
        assert_eq!(read.note, sent.note);
    }
    let again =
        store.import_prompt(project, ImportPrompt { set_active: true, set_labels: true, ..import() }).await.unwrap();
    assert_eq!((again.created, again.changed, again.created_versions, again.revision), (false, false, 0, 1));
    assert_eq!(store.prompt(project, "greet").await.unwrap().prompt, read);
    let gap =
        ImportPrompt { name: "other".into(), versions: vec![version(2, "two", VersionStatus::Active)], ..import() };
    assert_eq!(reason(store.import_prompt(project, gap).await), Reason::InvalidField);
    let archived = ImportPrompt { name: "old".into(), archived_at: Some(Timestamp(8)), ..import() };
    let fresh = archived.versions.iter().map(|of| ImportVersion { id: VersionId(new_id()), ..of.clone() }).collect();
    store.import_prompt(project, ImportPrompt { versions: fresh, ..archived }).await.unwrap();
    assert_eq!(store.prompt(project, "old").await.unwrap().prompt.archived_at, Some(Timestamp(8)));
}

pub async fn an_existing_prompt_gets_what_it_does_not_have<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put_active("greet", "mine")).await;
    register(backend, put_active("greet", "three")).await;
    let done = store.import_prompt(project, import()).await.unwrap();
    assert_eq!((done.created, done.changed, done.activated, done.revision), (false, true, false, 3));
    assert_eq!((&*done.numbers, done.created_versions, done.labels_set.len()), (&[3, 4, 2][..], 2, 0));
    let read = store.prompt(project, "greet").await.unwrap().prompt;
    assert_eq!((read.active_version, read.latest_version, &*read.description), (Some(2), 4, ""));
    let (versions, _) = store.versions(project, "greet", None, 9).await.unwrap();
    let statuses: Vec<_> = versions.iter().map(|version| (version.number, version.status)).collect();
    let [active, deprecated] = [VersionStatus::Active, VersionStatus::Deprecated];
    assert_eq!(statuses, [(4, active), (3, deprecated), (2, active), (1, active)]);
    assert!(!store.import_prompt(project, import()).await.unwrap().changed, "a repeat changes nothing");
    let moved = ImportPrompt { set_active: true, set_labels: true, ..import() };
    let done = store.import_prompt(project, moved.clone()).await.unwrap();
    assert_eq!((done.activated, done.created_versions, done.revision), (true, 0, 4));
    assert_eq!(done.labels_set, ["canary", "production"]);
    let read = store.prompt(project, "greet").await.unwrap().prompt;
    let labels: Vec<_> = read.labels.iter().map(|held| (&*held.label, held.version_number)).collect();
    assert_eq!((read.active_version, &*labels), (Some(4), &[("canary", 2), ("production", 4)][..]));
    assert!(!store.import_prompt(project, moved.clone()).await.unwrap().changed, "a repeat changes nothing");
    let (log, _) = store.prompt_changes(project, "greet", &[], None, 99).await.unwrap();
    let of = |revision| {
        log.iter().filter(|entry| entry.revision == revision).map(|entry| entry.what.kind).collect::<Vec<_>>()
    };
    assert_eq!(of(4), [ChangeKind::LabelSet, ChangeKind::LabelSet, ChangeKind::Activated]);
    assert_eq!(of(3), [ChangeKind::VersionCreated; 2]);
    let other = ImportPrompt { mode: Mode::Tracking, ..moved.clone() };
    assert_eq!(reason(store.import_prompt(project, other).await), Reason::ModeMismatch);
    store.change_prompt(project, "greet", None, prompt_ledger_store::PromptChange::Archive).await.unwrap();
    assert_eq!(reason(store.import_prompt(project, moved).await), Reason::PromptArchived);
}
