//! Registering batches of prompts from code.

use futures::future::join_all;
use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::{Reason, Remedy};
use prompt_ledger_domain::ids::{ProjectId, PromptId, VersionId};
use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::prompt::{Mode, Prompt, Selector, Source, TemplateFormat, VersionStatus};
use prompt_ledger_domain::versioning::Registration::{self, New, Reactivated, Unchanged, Updated};
use prompt_ledger_domain::versioning::checksum;
use prompt_ledger_store::{Access, CodePrompt, PromptChange, RegisterCode, Registered, RegisteredPrompt, Registry};

use crate::kit::{Backend, ChangePrompt, in_turn, new_id, put, put_active, reason, register};

pub fn code(name: &str, template: &str) -> CodePrompt {
    CodePrompt {
        name: name.into(),
        content: VersionContent::text(template),
        template_format: TemplateFormat::Handlebars,
        checksum_hash: checksum(template),
        variables: vec!["user.name".into()],
        description: None,
        owner_team: None,
        path: format!("prompts/{name}.hbs"),
        note: String::new(),
        labels: vec![],
        prompt_id: PromptId(new_id()),
        version_id: VersionId(new_id()),
    }
}

fn opaque(name: &str, template: &str) -> CodePrompt {
    CodePrompt { template_format: TemplateFormat::Opaque, variables: vec![], ..code(name, template) }
}

/// A batch whose contents become the active versions.
pub fn batch(prompts: Vec<CodePrompt>) -> RegisterCode {
    RegisterCode {
        prompts,
        set_active: true,
        dry_run: false,
        created_by: "ci".into(),
        repository: "shop".into(),
        commit: "c0ffee".into(),
        key: crate::kit::asking(),
    }
}

async fn sent<B: Backend>(backend: &B, batch: RegisterCode) -> Registered {
    backend.store().register_code(backend.default_project().await, batch).await.unwrap()
}

async fn one<B: Backend>(backend: &B, prompt: CodePrompt) -> RegisteredPrompt {
    sent(backend, batch(vec![prompt])).await.prompts[0]
}

async fn prompt<B: Backend>(backend: &B, name: &str) -> Prompt {
    backend.store().prompt(backend.default_project().await, name).await.unwrap().prompt
}

fn outcome(action: Registration, version: i32, previous_version: Option<i32>) -> RegisteredPrompt {
    RegisteredPrompt { action, version, previous_version }
}

pub async fn an_unknown_name_becomes_a_tracking_prompt_with_an_active_version<B: Backend>(backend: &B) {
    let carried = code("greet", "Hi {{user.name}}");
    assert_eq!(one(backend, carried.clone()).await, outcome(New, 1, None));
    let project = backend.default_project().await;
    let found = backend.store().version(project, "greet", &Selector::Active).await.unwrap();
    assert_eq!((found.prompt.id, found.prompt.mode), (carried.prompt_id, Mode::Tracking));
    assert_eq!((found.version.id, found.version.number), (carried.version_id, 1));
    assert_eq!((found.version.status, &*found.version.created_by), (VersionStatus::Active, "ci"));
    assert_eq!(found.version.variables, ["user.name"]);
    let told = Source { repository: "shop".into(), commit: "c0ffee".into(), path: "prompts/greet.hbs".into() };
    assert_eq!(found.version.source, told);
}

pub async fn an_equal_content_is_unchanged_and_nothing_is_written<B: Backend>(backend: &B) {
    one(backend, code("greet", "A")).await;
    let before = prompt(backend, "greet").await;
    let again = sent(backend, RegisterCode { commit: "later".into(), ..batch(vec![code("greet", "A")]) }).await;
    assert_eq!(again, Registered { prompts: vec![outcome(Unchanged, 1, Some(1))], revision: 1 });
    assert_eq!(prompt(backend, "greet").await, before);
}

pub async fn another_content_is_updated_and_a_revert_reactivates<B: Backend>(backend: &B) {
    one(backend, code("greet", "A")).await;
    assert_eq!(one(backend, code("greet", "B")).await, outcome(Updated, 2, Some(1)));
    assert_eq!(one(backend, code("greet", "A")).await, outcome(Reactivated, 1, Some(2)));
    let reverted = prompt(backend, "greet").await;
    assert_eq!((reverted.active_version, reverted.latest_version), (Some(1), 2));
    assert_eq!(one(backend, code("greet", "B")).await, outcome(Reactivated, 2, Some(1)), "and forth");
}

pub async fn a_retired_version_that_code_returns_to_is_active_again<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put_active("greet", "A")).await;
    register(backend, put_active("greet", "B")).await;
    store.change_prompt(project, "greet", None, PromptChange::SetStatus(1, VersionStatus::Deprecated)).await.unwrap();
    store.change_prompt(project, "greet", None, PromptChange::Migrate(Mode::Tracking)).await.unwrap();
    assert_eq!(one(backend, code("greet", "A")).await, outcome(Reactivated, 1, Some(2)));
    let found = store.version(project, "greet", &Selector::Active).await.unwrap().version;
    assert_eq!((found.number, found.status), (1, VersionStatus::Active));
}

pub async fn registering_without_activating_leaves_the_pointer<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let later = |prompt| RegisterCode { set_active: false, ..batch(vec![prompt]) };
    let outcomes = [
        sent(backend, later(code("greet", "A"))).await.prompts[0],
        sent(backend, later(code("greet", "A"))).await.prompts[0],
        sent(backend, later(code("greet", "B"))).await.prompts[0],
    ];
    assert_eq!(outcomes, [outcome(New, 1, None), outcome(Unchanged, 1, None), outcome(Updated, 2, None)]);
    let drafted = store.version(project, "greet", &Selector::Latest).await.unwrap();
    assert_eq!((drafted.prompt.active_version, drafted.version.status), (None, VersionStatus::Draft));
    assert_eq!(one(backend, code("greet", "B")).await, outcome(Reactivated, 2, None));
    let outcomes = [
        sent(backend, later(code("greet", "A"))).await.prompts[0],
        sent(backend, later(code("greet", "C"))).await.prompts[0],
    ];
    assert_eq!(outcomes, [outcome(Unchanged, 1, Some(2)), outcome(Updated, 3, Some(2))]);
    let active = store.version(project, "greet", &Selector::Active).await.unwrap();
    assert_eq!((active.version.number, active.version.status), (2, VersionStatus::Active));
    assert_eq!(active.prompt.latest_version, 3);
}

pub async fn a_dry_run_reports_the_same_and_writes_nothing<B: Backend>(backend: &B) {
    for text in ["A", "B"] {
        sent(backend, batch(vec![code("same", "S"), code("reverted", text), code("changed", "A")])).await;
    }
    let before = prompt(backend, "changed").await;
    let all = || vec![code("same", "S"), code("reverted", "A"), code("changed", "C"), code("new", "N")];
    let dry = sent(backend, RegisterCode { dry_run: true, ..batch(all()) }).await;
    let expected = [
        outcome(Unchanged, 1, Some(1)),
        outcome(Reactivated, 1, Some(2)),
        outcome(Updated, 2, Some(1)),
        outcome(New, 1, None),
    ];
    assert_eq!((&dry.prompts[..], dry.revision), (&expected[..], 4));
    assert_eq!(prompt(backend, "changed").await, before);
    let project = backend.default_project().await;
    assert_eq!(reason(backend.store().prompt(project, "new").await), Reason::PromptNotFound);
    let done = sent(backend, batch(all())).await;
    assert_eq!((done.prompts, done.revision), (dry.prompts, 7));
}

pub async fn every_prompt_that_changes_takes_a_revision_of_its_own<B: Backend>(backend: &B) {
    let first = sent(backend, batch(vec![code("b", "1"), code("a", "1"), code("c", "1")])).await;
    assert_eq!(first.revision, 3);
    let second = sent(backend, batch(vec![code("a", "1"), code("c", "2"), code("b", "2")])).await;
    assert_eq!(second.revision, 5);
    let revisions = [prompt(backend, "a").await, prompt(backend, "b").await, prompt(backend, "c").await];
    assert_eq!(revisions.map(|prompt| prompt.revision), [2, 5, 4]);
    let project = backend.default_project().await;
    assert_eq!(backend.store().revisions(&[project]).await.unwrap().projects, [(project, 5)]);
}

pub async fn a_batch_is_written_whole_or_not_at_all<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put_active("theirs", "A")).await;
    sent(backend, batch(vec![code("retired", "A")])).await;
    store.change_prompt(project, "retired", None, PromptChange::Archive).await.unwrap();
    let before = store.revisions(&[project]).await.unwrap();
    // MODE_MISMATCH comes before other errors, wherever the prompt stands in the batch.
    let mixed = batch(vec![code("new", "A"), code("retired", "B"), code("theirs", "B")]);
    let refused = store.register_code(project, mixed).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::ModeMismatch);
    for (key, value) in [("prompt", "theirs"), ("mode", "full")] {
        assert!(refused.parts().metadata.contains(&(key, value.to_owned())), "{refused:?}");
    }
    assert_eq!(refused.parts().remedy, Some(Remedy::Use(Mode::Full, Operation::Write)));
    for text in ["A", "B"] {
        let archived = batch(vec![code("new", "A"), code("retired", text)]);
        assert_eq!(reason(store.register_code(project, archived).await), Reason::PromptArchived);
    }
    assert_eq!(reason(store.prompt(project, "new").await), Reason::PromptNotFound);
    assert_eq!(store.revisions(&[project]).await.unwrap(), before);
}

pub async fn a_text_has_one_format<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    one(backend, opaque("greet", "{% x %}")).await;
    let found = backend.store().version(project, "greet", &Selector::Active).await.unwrap().version;
    assert_eq!((found.template_format, found.variables.len()), (TemplateFormat::Opaque, 0));
    assert_eq!(one(backend, opaque("greet", "{% x %}")).await, outcome(Unchanged, 1, Some(1)));
    let other = batch(vec![code("fine", "A"), code("greet", "{% x %}")]);
    let refused = backend.store().register_code(project, other).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::InvalidField);
    assert_eq!(refused.parts().violations[0].field, "prompts[1].template_format");
}

pub async fn what_code_says_of_a_prompt_is_kept_when_absent_and_cleared_when_empty<B: Backend>(backend: &B) {
    let said = |description: Option<&str>, owner_team: Option<&str>, text| CodePrompt {
        description: description.map(str::to_owned),
        owner_team: owner_team.map(str::to_owned),
        ..code("greet", text)
    };
    one(backend, said(Some("says hello"), Some("growth"), "A")).await;
    one(backend, said(None, None, "B")).await;
    let kept = prompt(backend, "greet").await;
    assert_eq!((&*kept.description, &*kept.owner_team), ("says hello", "growth"));
    let done = one(backend, said(Some(""), Some("core"), "A")).await;
    assert_eq!(done, outcome(Reactivated, 1, Some(2)));
    let written = prompt(backend, "greet").await;
    assert_eq!((&*written.description, &*written.owner_team, written.revision), ("", "core", kept.revision + 1));
}

pub async fn what_code_says_of_a_prompt_is_not_written_where_its_content_is_equal<B: Backend>(backend: &B) {
    let said =
        |text: &str| CodePrompt { description: Some(text.into()), owner_team: Some(text.into()), ..code("greet", "A") };
    one(backend, said("before")).await;
    one(backend, code("greet", "B")).await;
    one(backend, said("before")).await;
    let before = prompt(backend, "greet").await;
    for set_active in [true, false] {
        let again = sent(backend, RegisterCode { set_active, ..batch(vec![said("after")]) }).await;
        assert_eq!(again, Registered { prompts: vec![outcome(Unchanged, 1, Some(1))], revision: before.revision });
    }
    assert_eq!(prompt(backend, "greet").await, before);
}

pub async fn deployments_that_race_end_in_consecutive_versions_and_without_a_deadlock<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    let names = ["a", "b", "c"];
    // Each deployment lists the prompts in a different order.
    let deployment = |n: usize| {
        in_turn(move || {
            let mut prompts: Vec<_> = names.iter().map(|name| code(name, &format!("release {}", n % 8))).collect();
            prompts.rotate_left(n % 3);
            backend.store().register_code(project, batch(prompts))
        })
    };
    let mut created = 0;
    for done in join_all((0..16).map(deployment)).await {
        let prompts = done.unwrap().prompts;
        created += prompts.iter().filter(|one| matches!(one.action, New | Updated)).count();
    }
    assert_eq!(created, 8 * names.len());
    for name in names {
        let (versions, _) = backend.store().versions(project, name, None, 100).await.unwrap();
        let numbers: Vec<_> = versions.iter().map(|version| version.number).collect();
        assert_eq!(numbers, (1..=8).rev().collect::<Vec<_>>());
    }
}

pub async fn a_thousand_prompts_are_one_batch<B: Backend>(backend: &B) {
    let all = |text: &str| batch((0..1_000).map(|n| code(&format!("p{n}"), &format!("{text} {n}"))).collect());
    for (text, action, revision) in [("A", New, 1_000), ("A", Unchanged, 1_000), ("B", Updated, 2_000)] {
        let done = sent(backend, all(text)).await;
        assert_eq!((done.prompts.len(), done.revision), (1_000, revision));
        assert!(done.prompts.iter().all(|one| one.action == action));
    }
    assert_eq!(prompt(backend, "p999").await.active_version, Some(2));
}

pub async fn a_name_in_another_project_is_another_prompt<B: Backend>(backend: &B) {
    let store = backend.store();
    register(backend, put("greet", "A")).await;
    let other = store.create_project(ProjectId(new_id()), "other").await.unwrap().id;
    let done = store.register_code(other, batch(vec![code("greet", "A")])).await.unwrap();
    assert_eq!(done.prompts, [outcome(New, 1, None)]);
    let here = backend.default_project().await;
    for (project, mode) in [(here, Mode::Full), (other, Mode::Tracking)] {
        let modes = store.modes(project, &["nobody", "greet"]).await.unwrap();
        assert_eq!(modes, [("greet".to_owned(), mode)]);
    }
    let nobody = ProjectId(new_id());
    let refused = store.register_code(nobody, batch(vec![code("greet", "A")])).await;
    assert_eq!(reason(refused), Reason::ProjectNotFound);
}
