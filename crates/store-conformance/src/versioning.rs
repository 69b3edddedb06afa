//! Version numbers, and activating versions.

use futures::future::join_all;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::prompt::{Selector, VersionStatus};
use prompt_ledger_store::{PromptChange, PutPrompt, Registry};

use crate::kit::{Backend, ChangePrompt, in_turn, put, put_active, reason, register};

pub async fn the_first_content_makes_version_one<B: Backend>(backend: &B) {
    let sent = put("greet", "Hi {{user.name}}");
    let done = register(backend, sent.clone()).await;
    assert!(done.version_change && !done.activated);
    assert_eq!((done.prompt.id, done.prompt.project.as_str()), (sent.prompt_id, "default"));
    assert_eq!((done.prompt.active_version, done.prompt.latest_version), (None, 1));
    assert_eq!((done.version.id, done.version.number), (sent.version_id, 1));
    assert_eq!(done.version.status, VersionStatus::Draft);
    assert_eq!(done.version.content.bare_text(), Some("Hi {{user.name}}"));
    assert_eq!((&*done.version.created_by, &done.version.variables[..]), ("ada", &["user.name".to_owned()][..]));
    let read = backend.store().version(backend.default_project().await, "greet", &Selector::Latest).await.unwrap();
    assert_eq!((read.prompt, read.version, read.revision), (done.prompt, done.version, done.revision));
}

pub async fn a_known_content_is_reused<B: Backend>(backend: &B) {
    let first = register(backend, put("greet", "A")).await;
    register(backend, put("greet", "B")).await;
    let again = register(backend, put("greet", "A")).await;
    assert!(!again.version_change && !again.activated);
    assert_eq!(again.version, first.version);
    assert_eq!(again.prompt.latest_version, 2);
}

pub async fn contents_differ_by_their_exact_bytes<B: Backend>(backend: &B) {
    let texts = ["a", "a\n", "a\r\n", " a", "A", "é", "e\u{301}"];
    for (text, number) in texts.iter().zip(1..) {
        assert_eq!(register(backend, put("greet", text)).await.version.number, number);
    }
    for (text, number) in texts.iter().zip(1..) {
        let known = register(backend, put("greet", text)).await.version;
        assert_eq!((known.number, known.content.bare_text()), (number, Some(*text)));
    }
}

pub async fn fifty_concurrent_writers_of_ten_contents_end_with_versions_one_to_ten<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    let write =
        |i: i32| in_turn(move || backend.store().put_prompt(project, put_active("greet", &format!("text {}", i % 10))));
    let mut changes = 0;
    for done in join_all((0..50).map(write)).await {
        changes += i32::from(done.unwrap().version_change);
    }
    let (versions, _) = backend.store().versions(project, "greet", None, 100).await.unwrap();
    let numbers: Vec<_> = versions.iter().map(|version| version.number).collect();
    assert_eq!((changes, numbers), (10, (1..=10).rev().collect()));
}

pub async fn putting_an_older_content_active_rolls_back<B: Backend>(backend: &B) {
    let first = register(backend, put_active("greet", "A")).await;
    let draft = register(backend, put("greet", "B")).await;
    let second = register(backend, put_active("greet", "B")).await;
    let back = register(backend, put_active("greet", "A")).await;
    assert_eq!([first, draft, second].map(|put| put.previous_version), [None, Some(1), Some(1)]);
    assert!(back.activated && !back.version_change && back.previous_version == Some(2));
    assert_eq!((back.prompt.active_version, back.prompt.latest_version), (Some(1), 2));
}

pub async fn set_active_rolls_back_and_forth<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put_active("greet", "A")).await;
    register(backend, put("greet", "B")).await;
    for number in [2, 1, 2] {
        let done = store.change_prompt(project, "greet", None, PromptChange::Activate(number)).await.unwrap();
        assert_eq!(done.prompt.active_version, Some(number));
        assert_eq!(done.version.unwrap().status, VersionStatus::Active);
        let read = store.prompt(project, "greet").await.unwrap();
        assert_eq!((read.active.unwrap().number, read.revision), (number, done.revision));
    }
}

pub async fn a_deprecated_version_becomes_active_again<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    for text in ["A", "B"] {
        register(backend, put_active("greet", text)).await;
    }
    let old = store
        .change_prompt(project, "greet", None, PromptChange::SetStatus(1, VersionStatus::Deprecated))
        .await
        .unwrap();
    assert_eq!(old.version.unwrap().status, VersionStatus::Deprecated);
    assert_eq!(old.prompt.active_version, Some(2));
    let again = register(backend, put_active("greet", "A")).await;
    assert_eq!((again.version.status, again.prompt.active_version), (VersionStatus::Active, Some(1)));
    store.change_prompt(project, "greet", None, PromptChange::SetStatus(2, VersionStatus::Deprecated)).await.unwrap();
    let revived =
        store.change_prompt(project, "greet", None, PromptChange::SetStatus(2, VersionStatus::Active)).await.unwrap();
    assert_eq!((revived.version.unwrap().status, revived.prompt.active_version), (VersionStatus::Active, Some(1)));
}

pub async fn the_active_version_cannot_be_deprecated<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    register(backend, put_active("greet", "A")).await;
    let refused = backend
        .store()
        .change_prompt(project, "greet", None, PromptChange::SetStatus(1, VersionStatus::Deprecated))
        .await;
    assert_eq!(reason(refused), Reason::VersionInUse);
}

pub async fn a_draft_is_activated_not_marked_active<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put("greet", "A")).await;
    let refused = store.change_prompt(project, "greet", None, PromptChange::SetStatus(1, VersionStatus::Active)).await;
    assert_eq!(reason(refused), Reason::InvalidField);
    assert_eq!(reason(store.version(project, "greet", &Selector::Active).await), Reason::NoActiveVersion);
    store.change_prompt(project, "greet", None, PromptChange::Activate(1)).await.unwrap();
    let back = store.change_prompt(project, "greet", None, PromptChange::SetStatus(1, VersionStatus::Draft)).await;
    assert_eq!(reason(back), Reason::InvalidField);
}

pub async fn a_version_that_does_not_exist_is_named<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put("greet", "A")).await;
    let activated = store.change_prompt(project, "greet", None, PromptChange::Activate(7)).await;
    let retired =
        store.change_prompt(project, "greet", None, PromptChange::SetStatus(7, VersionStatus::Deprecated)).await;
    for error in [activated.unwrap_err(), retired.unwrap_err()] {
        assert_eq!(error.reason(), Reason::VersionNotFound);
        assert!(error.to_string().contains('7'));
    }
}

pub async fn every_write_takes_the_next_revision<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let mut revisions = vec![
        register(backend, put_active("greet", "A")).await.revision,
        register(backend, put("other", "A")).await.revision,
        register(backend, put("greet", "B")).await.revision,
        store.change_prompt(project, "greet", None, PromptChange::Activate(2)).await.unwrap().revision,
        store
            .change_prompt(project, "greet", None, PromptChange::SetStatus(1, VersionStatus::Deprecated))
            .await
            .unwrap()
            .revision,
    ];
    let archived = store.change_prompt(project, "greet", None, PromptChange::Archive).await.unwrap();
    assert_eq!(archived.prompt.revision, archived.revision);
    revisions.push(archived.revision);
    assert_eq!(revisions, [1, 2, 3, 4, 5, 6]);
    assert_eq!(store.prompt(project, "other").await.unwrap().prompt.revision, 2);
}

pub async fn a_write_that_changes_nothing_keeps_the_etag<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let full = PutPrompt { description: Some("d".into()), tags: Some(vec!["t".into()]), ..put_active("greet", "A") };
    let first = register(backend, full.clone()).await;
    let again = register(backend, full).await;
    assert_eq!((again.prompt.clone(), again.revision), (first.prompt, first.revision));
    for same in [
        store.change_prompt(project, "greet", None, PromptChange::Activate(1)).await.unwrap(),
        store.change_prompt(project, "greet", None, PromptChange::SetStatus(1, VersionStatus::Active)).await.unwrap(),
        store.change_prompt(project, "greet", None, PromptChange::Unarchive).await.unwrap(),
    ] {
        assert_eq!((same.prompt, same.revision), (again.prompt.clone(), again.revision));
    }
}

pub async fn metadata_is_kept_when_absent_and_cleared_when_empty<B: Backend>(backend: &B) {
    let said = PutPrompt {
        description: Some("says hello".into()),
        owner_team: Some("growth".into()),
        tags: Some(vec!["b".into(), "a".into()]),
        ..put("greet", "A")
    };
    register(backend, said).await;
    let kept = register(backend, put("greet", "B")).await.prompt;
    assert_eq!(
        (&*kept.description, &*kept.owner_team, &kept.tags[..]),
        ("says hello", "growth", &["b".into(), "a".into()][..])
    );
    let empty = PutPrompt {
        description: Some(String::new()),
        owner_team: Some(String::new()),
        tags: Some(vec![]),
        ..put("greet", "B")
    };
    let cleared = register(backend, empty).await;
    assert!(!cleared.version_change && cleared.prompt.revision > kept.revision);
    assert_eq!((&*cleared.prompt.description, &*cleared.prompt.owner_team, cleared.prompt.tags.len()), ("", "", 0));
}
