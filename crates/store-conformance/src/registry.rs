//! Reading prompts, and the checks of writes.

use futures::future::join_all;
use prompt_ledger_domain::error::{Reason, Remedy};
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::{Mode, Selector, VersionStatus};
use prompt_ledger_domain::versioning::checksum;
use prompt_ledger_store::{Access, Models, PromptChange, PromptFilter, PutPrompt, Registry};

use crate::kit::{Backend, ChangePrompt, new_id, put, put_active, reason, register};

pub async fn an_unknown_prompt_is_not_found<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let reasons = [
        reason(store.prompt(project, "x").await),
        reason(store.version(project, "x", &Selector::Active).await),
        reason(store.versions(project, "x", None, 10).await),
        reason(store.change_prompt(project, "x", None, PromptChange::Activate(1)).await),
        reason(store.change_prompt(project, "x", None, PromptChange::SetStatus(1, VersionStatus::Active)).await),
        reason(store.change_prompt(project, "x", None, PromptChange::Archive).await),
    ];
    assert_eq!(reasons, [Reason::PromptNotFound; 6]);
}

pub async fn an_unknown_project_is_named<B: Backend>(backend: &B) {
    let nobody = ProjectId(new_id());
    assert_eq!(reason(backend.store().put_prompt(nobody, put("x", "A")).await), Reason::ProjectNotFound);
    let (prompts, revision) = backend.store().prompts(nobody, &PromptFilter::default(), None, 10).await.unwrap();
    assert_eq!((prompts.rows.len(), revision), (0, 0));
}

pub async fn names_are_unique_within_a_project_only<B: Backend>(backend: &B) {
    let here = register(backend, put_active("greet", "A")).await;
    let other = backend.store().create_project(ProjectId(new_id()), "other").await.unwrap();
    let there = backend.store().put_prompt(other.id, put("greet", "A")).await.unwrap();
    assert_ne!(here.prompt.id, there.prompt.id);
    assert_eq!((&*there.prompt.project, there.version.number, there.revision), ("other", 1, 1));
    assert_eq!(reason(backend.store().version(other.id, "greet", &Selector::Active).await), Reason::NoActiveVersion);
}

pub async fn create_only_refuses_a_taken_name<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    let create = || PutPrompt { create_only: true, ..put("greet", "A") };
    register(backend, create()).await;
    assert_eq!(reason(backend.store().put_prompt(project, create()).await), Reason::PromptExists);
}

pub async fn a_stale_etag_is_refused<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let stale = register(backend, put_active("greet", "A")).await.prompt.etag();
    let fresh = register(backend, put("greet", "B")).await.prompt.etag();
    let put_with = |etag: &str| PutPrompt { etag: Some(etag.into()), ..put("greet", "C") };
    let reasons = [
        reason(store.put_prompt(project, put_with(&stale)).await),
        reason(store.change_prompt(project, "greet", Some(&stale), PromptChange::Activate(2)).await),
        reason(
            store
                .change_prompt(project, "greet", Some(&stale), PromptChange::SetStatus(2, VersionStatus::Deprecated))
                .await,
        ),
        reason(store.change_prompt(project, "greet", Some(&stale), PromptChange::Archive).await),
    ];
    assert_eq!(reasons, [Reason::EtagMismatch; 4]);
    let moved = store.put_prompt(project, put_with(&fresh)).await.unwrap().prompt.etag();
    assert_ne!(moved, fresh);
    store.change_prompt(project, "greet", Some(&moved), PromptChange::Activate(2)).await.unwrap();
}

pub async fn an_etag_of_nothing_is_refused<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    let sent = PutPrompt { etag: Some("1".into()), ..put("greet", "A") };
    assert_eq!(reason(backend.store().put_prompt(project, sent).await), Reason::EtagMismatch);
    assert_eq!(reason(backend.store().prompt(project, "greet").await), Reason::PromptNotFound);
}

pub async fn an_archived_prompt_takes_no_writes<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put_active("greet", "A")).await;
    store.change_prompt(project, "greet", None, PromptChange::Archive).await.unwrap();
    let reasons = [
        reason(store.put_prompt(project, put("greet", "B")).await),
        reason(store.change_prompt(project, "greet", None, PromptChange::Activate(1)).await),
        reason(store.change_prompt(project, "greet", None, PromptChange::SetStatus(1, VersionStatus::Active)).await),
    ];
    assert_eq!(reasons, [Reason::PromptArchived; 3]);
    let create = PutPrompt { create_only: true, ..put("greet", "B") };
    assert_eq!(reason(store.put_prompt(project, create).await), Reason::PromptExists, "its name stays taken");
}

pub async fn archiving_is_undone_and_repeats_harmlessly<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put_active("greet", "A")).await;
    let first = store.change_prompt(project, "greet", None, PromptChange::Archive).await.unwrap();
    let second = store.change_prompt(project, "greet", None, PromptChange::Archive).await.unwrap();
    assert!(first.prompt.archived_at.is_some() && first.version.is_none());
    assert_eq!(first, second);
    assert_eq!(
        store.version(project, "greet", &Selector::Active).await.unwrap().prompt,
        first.prompt,
        "it is readable"
    );
    let back = store.change_prompt(project, "greet", None, PromptChange::Unarchive).await.unwrap();
    assert_eq!((back.prompt.archived_at, back.prompt.active_version), (None, Some(1)));
}

pub async fn a_tracking_prompt_is_not_written_here<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put_active("greet", "A")).await;
    backend.execute("UPDATE prompts SET mode = 'tracking'".into()).await.unwrap();
    let create = PutPrompt { create_only: true, etag: Some("no".into()), ..put("greet", "B") };
    let refused = [
        store.put_prompt(project, create).await.unwrap_err(),
        store.change_prompt(project, "greet", Some("no"), PromptChange::Activate(1)).await.unwrap_err(),
        store
            .change_prompt(project, "greet", Some("no"), PromptChange::SetStatus(1, VersionStatus::Active))
            .await
            .unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.reason(), Reason::ModeMismatch);
        assert_eq!(error.parts().remedy, Some(Remedy::Use(Mode::Tracking, Operation::Write)));
    }
    store.change_prompt(project, "greet", None, PromptChange::Archive).await.unwrap();
}

pub async fn every_selector_finds_its_version<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    for text in ["A", "B", "C"] {
        register(backend, put("greet", text)).await;
    }
    store.change_prompt(project, "greet", None, PromptChange::Activate(2)).await.unwrap();
    for (selector, number) in
        [(Selector::Active, 2), (Selector::Latest, 3), (Selector::Number(1), 1), (Selector::Checksum(checksum("C")), 3)]
    {
        let found = store.version(project, "greet", &selector).await.unwrap();
        assert_eq!((found.version.number, found.revision), (number, 4), "{selector:?}");
    }
    for selector in [Selector::Number(4), Selector::Checksum(checksum("D"))] {
        assert_eq!(reason(store.version(project, "greet", &selector).await), Reason::VersionNotFound);
    }
}

pub async fn prompts_are_paged_by_name<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    for name in ["b", "a.2", "A", "c", "a-1"] {
        register(backend, put_active(name, "A")).await;
    }
    let mut names = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let (page, revision) = store.prompts(project, &PromptFilter::default(), after.as_deref(), 2).await.unwrap();
        assert_eq!(revision, 5);
        let page = page.rows;
        let Some(last) = page.last() else { break };
        after = Some(last.prompt.name.clone());
        assert!(page.iter().all(|prompt| prompt.active.as_ref().is_some_and(|version| version.number == 1)));
        names.extend(page.into_iter().map(|prompt| prompt.prompt.name));
    }
    assert_eq!(names, ["A", "a-1", "a.2", "b", "c"]);
}

pub async fn prompts_are_filtered<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put("mail.welcome", "A")).await;
    register(backend, PutPrompt { owner_team: Some("growth".into()), ..put("mail.bye", "A") }).await;
    register(backend, put("mailbox", "A")).await;
    register(backend, put("chat", "A")).await;
    store.change_prompt(project, "mailbox", None, PromptChange::Archive).await.unwrap();
    backend.execute("UPDATE prompts SET mode = 'tracking' WHERE name = 'chat'".into()).await.unwrap();
    let cases = [
        (PromptFilter::default(), None, vec!["chat", "mail.bye", "mail.welcome"]),
        (PromptFilter { name_prefix: "mail.".into(), ..Default::default() }, None, vec!["mail.bye", "mail.welcome"]),
        (PromptFilter { name_prefix: "mail".into(), ..Default::default() }, Some("mail.bye"), vec!["mail.welcome"]),
        (
            PromptFilter { name_prefix: "mail".into(), ..Default::default() },
            Some("a"),
            vec!["mail.bye", "mail.welcome"],
        ),
        (PromptFilter { owner_team: "growth".into(), ..Default::default() }, None, vec!["mail.bye"]),
        (PromptFilter { tag: "old".into(), ..Default::default() }, None, vec![]),
        (PromptFilter { label: "production".into(), ..Default::default() }, None, vec![]),
        (PromptFilter { words: vec!["mail".into(), "bye".into()], ..Default::default() }, None, vec!["mail.bye"]),
        (PromptFilter { words: vec!["mail".into(), "none".into()], ..Default::default() }, None, vec![]),
        (PromptFilter { mode: Some(Mode::Tracking), ..Default::default() }, None, vec!["chat"]),
        (
            PromptFilter { include_archived: true, mode: Some(Mode::Full), ..Default::default() },
            None,
            vec!["mail.bye", "mail.welcome", "mailbox"],
        ),
    ];
    for (filter, after, expected) in cases {
        let (page, _) = store.prompts(project, &filter, after, 10).await.unwrap();
        let page = page.rows;
        let names: Vec<_> = page.iter().map(|prompt| prompt.prompt.name.as_str()).collect();
        assert_eq!(names, expected, "{filter:?}");
        assert!(page.iter().all(|prompt| prompt.active.is_none()));
    }
}

pub async fn versions_are_paged_newest_first<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    for text in ["A", "B", "C"] {
        register(backend, put("greet", text)).await;
    }
    let numbers = async |before, limit| {
        let (page, revision) = store.versions(project, "greet", before, limit).await.unwrap();
        assert_eq!(revision, 3);
        page.iter().map(|version| version.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(None, 2).await, [3, 2]);
    assert_eq!(numbers(Some(2), 2).await, [1]);
    assert_eq!(numbers(Some(1), 2).await, [0; 0]);
    assert_eq!(numbers(None, 0).await, [0; 0]);
}

pub async fn two_creators_of_one_name_make_one_prompt<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    let create = || backend.store().put_prompt(project, PutPrompt { create_only: true, ..put("greet", "A") });
    let mut reasons: Vec<_> =
        join_all([create(), create()]).await.into_iter().map(|made| made.err().map(|e| e.reason())).collect();
    reasons.sort_by_key(Option::is_some);
    assert_eq!(reasons, [None, Some(Reason::PromptExists)]);
}

pub async fn revisions_count_the_writes_of_each_kind<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let before = store.revisions(&[project]).await.unwrap();
    assert_eq!(before.projects, [(project, 0)]);
    register(backend, put("greet", "A")).await;
    let other = store.create_project(ProjectId(new_id()), "other").await.unwrap();
    let after = store.revisions(&[project, other.id]).await.unwrap();
    assert_eq!(store.revisions(&[]).await.unwrap().projects, [], "only those that were asked for");
    assert_eq!((after.keys, after.models), (before.keys + 1, before.models));
    let mut projects = after.projects;
    projects.sort_by_key(|(_, revision)| *revision);
    assert_eq!(projects, [(other.id, 0), (project, 1)]);
}

pub async fn a_text_with_nul_finds_nothing<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put_active("greet", "A")).await;
    assert_eq!(reason(store.prompt(project, "gr\0eet").await), Reason::PromptNotFound);
    let checksum = Selector::Checksum("\0".into());
    assert_eq!(reason(store.version(project, "greet", &checksum).await), Reason::VersionNotFound);
    assert_eq!(reason(store.versions(project, "\0", None, 9).await), Reason::PromptNotFound);
    assert_eq!(
        reason(store.change_prompt(project, "\0", None, PromptChange::Activate(1)).await),
        Reason::PromptNotFound
    );
    for filter in [
        PromptFilter { owner_team: "\0".into(), ..Default::default() },
        PromptFilter { name_prefix: "\0".into(), ..Default::default() },
    ] {
        assert_eq!(store.prompts(project, &filter, None, 9).await.unwrap().0.rows, []);
    }
    assert_eq!(store.project("def\0ault").await.unwrap(), None);
    let model = ModelRef { provider: "echo\0".into(), model_name: "echo".into() };
    assert_eq!(store.model(&model).await.unwrap(), None);
    assert_eq!(store.models("echo\0", Some(&model), 9).await.unwrap(), []);
}
