//! Prompts that come from another ledger.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::{PromptId, VersionId};
use prompt_ledger_domain::label::PromptLabel;
use prompt_ledger_domain::prompt::{Mode, Selector, Source, TemplateFormat, VersionStatus};
use prompt_ledger_domain::prompt_log::{ChangeEntry, ChangeKind};
use prompt_ledger_store::{ImportLabel, ImportPrompt, ImportVersion, Imported, PromptChange, Registry, Walked};

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

fn hash(text: &str) -> String {
    VersionContent::text(text).checksum().unwrap()
}

/// A label on the version with that text.
fn label(label: &str, text: &str) -> ImportLabel {
    ImportLabel { label: label.into(), checksum_hash: hash(text), set_at: Timestamp(7), set_by: "eve".into() }
}

/// A label as it is kept after an import into nothing.
fn kept(label: &str, version_number: i32) -> PromptLabel {
    PromptLabel { label: label.into(), version_number, set_at: Timestamp(7), set_by: "eve".into() }
}

/// With other ids, as another ledger would have them.
fn renewed(import: ImportPrompt) -> ImportPrompt {
    let fresh = |of: &ImportVersion| ImportVersion { id: VersionId(new_id()), ..of.clone() };
    ImportPrompt { versions: import.versions.iter().map(fresh).collect(), prompt_id: PromptId(new_id()), ..import }
}

/// Three versions, the second one active, and two labels.
fn import() -> ImportPrompt {
    ImportPrompt {
        name: "greet".into(),
        mode: Mode::Full,
        description: "greets".into(),
        owner_team: "search".into(),
        tags: vec!["mail".into()],
        active: Some(hash("two")),
        created_at: Timestamp(1),
        updated_at: Timestamp(9),
        archived_at: None,
        versions: vec![
            version(1, "one", VersionStatus::Deprecated),
            version(2, "two", VersionStatus::Active),
            version(3, "three", VersionStatus::Draft),
        ],
        labels: vec![label("production", "two"), label("canary", "three")],
        set_active: false,
        set_labels: false,
        dry_run: false,
        created_by: "ada".into(),
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
    assert_eq!((read.active_version, &read.tags), (Some(2), &sent.tags));
    assert_eq!(read.labels, [kept("canary", 3), kept("production", 2)]);
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
    store.import_prompt(project, archived.clone()).await.unwrap();
    let read = store.prompt(project, "old").await.unwrap().prompt;
    assert_eq!(read.archived_at, Some(Timestamp(8)));
    let again = ImportPrompt { set_active: true, set_labels: true, ..renewed(archived.clone()) };
    assert!(!store.import_prompt(project, again.clone()).await.unwrap().changed, "a repeat changes nothing");
    assert_eq!(store.prompt(project, "old").await.unwrap().prompt, read);
    for more in [
        ImportPrompt { active: Some(hash("three")), ..again.clone() },
        ImportPrompt { labels: vec![label("canary", "two")], ..again.clone() },
        ImportPrompt { versions: vec![version(4, "four", VersionStatus::Draft)], ..again },
    ] {
        assert_eq!(reason(store.import_prompt(project, more).await), Reason::PromptArchived);
    }
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
    let (Walked { rows: log, .. }, _) = store.prompt_changes(project, "greet", &[], None, 99).await.unwrap();
    let of = |revision| {
        log.iter().filter(|entry| entry.revision == revision).map(|entry| entry.what.kind).collect::<Vec<_>>()
    };
    assert_eq!(of(4), [ChangeKind::LabelSet, ChangeKind::LabelSet, ChangeKind::Activated]);
    assert_eq!(of(3), [ChangeKind::VersionCreated; 2]);
    let other = ImportPrompt { mode: Mode::Tracking, ..moved.clone() };
    assert_eq!(reason(store.import_prompt(project, other).await), Reason::ModeMismatch);
    let unknown = ImportPrompt { active: Some(hash("nine")), ..moved.clone() };
    assert_eq!(wrong_field(store.import_prompt(project, unknown.clone()).await), "active_checksum_hash");
    let unasked = store.import_prompt(project, ImportPrompt { set_active: false, ..unknown }).await.unwrap();
    assert!(!unasked.changed, "a pointer that is not moved is not looked for");
    let unknown = ImportPrompt { labels: vec![label("a", "two"), label("b", "nine")], ..moved.clone() };
    assert_eq!(wrong_field(store.import_prompt(project, unknown).await), "labels[1].checksum_hash");
    let deprecated = ImportPrompt { labels: vec![label("a", "one")], ..moved };
    assert_eq!(wrong_field(store.import_prompt(project, deprecated).await), "labels[0]");
}

/// The messages of an export in two, and what one message would hold.
fn in_two() -> (ImportPrompt, ImportPrompt) {
    let mut one = ImportPrompt { archived_at: Some(Timestamp(8)), ..import() };
    let last = one.versions.pop().into_iter().collect();
    let last = ImportPrompt { versions: last, prompt_id: PromptId(new_id()), ..one.clone() };
    (ImportPrompt { active: None, labels: vec![], archived_at: None, ..one }, last)
}

pub async fn a_prompt_that_comes_in_messages_is_an_exact_copy<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let (one, two) = in_two();
    let field = wrong_field(store.import_prompt(project, two.clone()).await);
    assert_eq!(field, "versions[0].version_number", "the first message is missing");
    assert!(store.import_prompt(project, one.clone()).await.unwrap().created);
    assert!(!store.import_prompt(project, renewed(one.clone())).await.unwrap().changed, "a repeat changes nothing");
    let lost = ImportPrompt { active: Some(hash("nine")), ..two.clone() };
    assert_eq!(wrong_field(store.import_prompt(project, lost).await), "active_checksum_hash");
    let deprecated = ImportPrompt { active: Some(hash("one")), ..two.clone() };
    assert_eq!(wrong_field(store.import_prompt(project, deprecated).await), "active_checksum_hash");
    let deprecated = ImportPrompt { labels: vec![label("a", "one")], ..two.clone() };
    assert_eq!(wrong_field(store.import_prompt(project, deprecated).await), "labels[0]");
    let dry = store.import_prompt(project, ImportPrompt { dry_run: true, ..two.clone() }).await.unwrap();
    let done = store.import_prompt(project, two.clone()).await.unwrap();
    assert_eq!((done.created, done.changed, done.activated, &*done.numbers), (false, true, true, &[3][..]));
    assert_eq!((&done.labels_set, dry.numbers), (&vec!["canary".to_owned(), "production".to_owned()], vec![3]));
    let read = store.prompt(project, "greet").await.unwrap().prompt;
    assert_eq!((read.id, read.active_version, read.latest_version), (one.prompt_id, Some(2), 3));
    assert_eq!(read.labels, [kept("canary", 3), kept("production", 2)]);
    assert_eq!((read.created_at, read.updated_at, read.archived_at), (Timestamp(1), Timestamp(9), Some(Timestamp(8))));
    for again in [one, two] {
        assert!(!store.import_prompt(project, renewed(again)).await.unwrap().changed, "a repeat changes nothing");
    }
    let (Walked { rows: log, .. }, _) = store.prompt_changes(project, "greet", &[], None, 99).await.unwrap();
    let told = |entry: &ChangeEntry| (entry.what.kind, entry.created_by.clone(), entry.note.clone());
    let told: Vec<_> = log.iter().rev().map(told).collect();
    let entry = |kind, by: &str, note: &str| (kind, by.to_owned(), note.to_owned());
    let expected = [
        entry(ChangeKind::Created, "ada", ""),
        entry(ChangeKind::VersionCreated, "eve", "note 1"),
        entry(ChangeKind::VersionCreated, "eve", "note 2"),
        entry(ChangeKind::VersionCreated, "eve", "note 3"),
        entry(ChangeKind::Activated, "ada", ""),
        entry(ChangeKind::LabelSet, "eve", ""),
        entry(ChangeKind::LabelSet, "eve", ""),
        entry(ChangeKind::Archived, "ada", ""),
    ];
    assert_eq!(told, expected);
}

pub async fn a_prompt_written_between_its_messages_keeps_what_it_has<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let (one, two) = in_two();
    store.import_prompt(project, one).await.unwrap();
    let change = PromptChange::SetLabel("mine".into(), 2);
    store.change_prompt(project, "greet", None, change).await.unwrap();
    let before = store.prompt(project, "greet").await.unwrap().prompt;
    let done = store.import_prompt(project, two.clone()).await.unwrap();
    assert_eq!((done.activated, done.labels_set.len(), &*done.numbers), (false, 0, &[3][..]));
    let read = store.prompt(project, "greet").await.unwrap().prompt;
    assert_eq!((&read.labels, read.active_version, read.archived_at), (&before.labels, None, None));
    let moved = ImportPrompt { set_active: true, set_labels: true, ..renewed(two) };
    let done = store.import_prompt(project, moved).await.unwrap();
    assert_eq!((done.activated, done.labels_set.len(), done.created_versions), (true, 2, 0));
    let read = store.prompt(project, "greet").await.unwrap().prompt;
    let labels: Vec<_> = read.labels.iter().map(|held| (&*held.label, held.version_number)).collect();
    assert_eq!((read.active_version, &*labels), (Some(2), &[("canary", 3), ("mine", 2), ("production", 2)][..]));
}

/// The field of the one violation of a refused import.
fn wrong_field(imported: Result<Imported>) -> String {
    let error = imported.unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidField, "{error}");
    error.parts().violations[0].field.clone()
}

pub async fn a_draft_that_an_import_makes_active_is_active<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let status = async |name: &str, number: i32| {
        store.version(project, name, &Selector::Number(number)).await.unwrap().version.status
    };
    let sent = ImportPrompt { active: Some(hash("three")), ..import() };
    store.import_prompt(project, sent.clone()).await.unwrap();
    assert_eq!(status("greet", 3).await, VersionStatus::Active);
    // One that came in an earlier message.
    let first = ImportPrompt { name: "split".into(), active: None, labels: vec![], ..renewed(sent.clone()) };
    store.import_prompt(project, first).await.unwrap();
    assert_eq!(status("split", 3).await, VersionStatus::Draft);
    let last = ImportPrompt {
        name: "split".into(),
        versions: vec![version(4, "four", VersionStatus::Draft)],
        ..renewed(sent)
    };
    store.import_prompt(project, last).await.unwrap();
    assert_eq!((status("split", 3).await, status("split", 4).await), (VersionStatus::Active, VersionStatus::Draft));
}
