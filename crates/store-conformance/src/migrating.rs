//! Moving prompts between the modes, and the number of executions of their versions.

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::prompt::{Mode, TemplateFormat};
use prompt_ledger_store::{CodePrompt, ExecutionWriter, NewExecution, PromptChange, Recorded, Registry};

use crate::code::{batch, code};
use crate::kit::{Backend, ChangePrompt, execution_of, get, holder, put, put_active, reason, register, start, submit};

pub async fn a_prompt_moves_there_and_back_with_its_versions<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    register(backend, put_active("greet", "A")).await;
    let before = register(backend, put("greet", "B")).await;
    let (versions, _) = store.versions(project, "greet", None, 9).await.unwrap();
    for (mode, revision) in [(Mode::Tracking, 3), (Mode::Tracking, 3), (Mode::Full, 4)] {
        let moved = store.change_prompt(project, "greet", None, PromptChange::Migrate(mode)).await.unwrap();
        assert_eq!((moved.prompt.mode, moved.prompt.revision, moved.revision), (mode, revision, revision));
        assert_eq!((moved.prompt.active_version, moved.version), (Some(1), None));
        assert_eq!(store.prompt(project, "greet").await.unwrap().prompt, moved.prompt);
    }
    assert_eq!(store.versions(project, "greet", None, 9).await.unwrap().0, versions);
    assert_eq!(before.prompt.id, store.prompt(project, "greet").await.unwrap().prompt.id);
    assert_eq!(
        reason(store.change_prompt(project, "nobody", None, PromptChange::Migrate(Mode::Full)).await),
        Reason::PromptNotFound
    );
}

pub async fn what_was_executed_keeps_the_mode_that_it_was_made_in<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let put = register(backend, put_active("greet", "A")).await;
    let old = execution_of(project, &put);
    start(backend, &old).await;
    store.change_prompt(project, "greet", None, PromptChange::Migrate(Mode::Tracking)).await.unwrap();
    let young = NewExecution { prompt_mode: Mode::Tracking, ..execution_of(project, &put) };
    start(backend, &young).await;
    assert_eq!(get(backend, &old).await.prompt_mode, Mode::Full);
    assert_eq!(get(backend, &young).await.prompt_mode, Mode::Tracking);
}

pub async fn what_was_resolved_in_the_other_mode_is_stale<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let put = register(backend, put_active("greet", "A")).await;
    store.change_prompt(project, "greet", None, PromptChange::Migrate(Mode::Tracking)).await.unwrap();
    assert_eq!(submit(backend, &execution_of(project, &put)).await, Recorded::Stale);
    let begun = store.start(execution_of(project, &put), holder()).await.unwrap();
    assert_eq!(begun, Recorded::Stale);
}

pub async fn an_opaque_prompt_stays_in_code<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let opaque = CodePrompt { template_format: TemplateFormat::Opaque, ..code("greet", "{% x %}") };
    store.register_code(project, batch(vec![opaque])).await.unwrap();
    assert_eq!(
        reason(store.change_prompt(project, "greet", None, PromptChange::Migrate(Mode::Full)).await),
        Reason::TemplateOpaque
    );
    store.change_prompt(project, "greet", None, PromptChange::Migrate(Mode::Tracking)).await.unwrap();
    // The prompt may move once another version is active; the opaque one cannot be activated in full mode.
    store.register_code(project, batch(vec![code("greet", "A")])).await.unwrap();
    store.change_prompt(project, "greet", None, PromptChange::Migrate(Mode::Full)).await.unwrap();
    assert_eq!(
        reason(store.change_prompt(project, "greet", None, PromptChange::Activate(1)).await),
        Reason::TemplateOpaque
    );
}

pub async fn what_keeps_a_prompt_from_moving_is_said<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let etag = register(backend, put_active("greet", "A")).await.prompt.etag();
    assert_eq!(
        reason(store.change_prompt(project, "greet", Some("no"), PromptChange::Migrate(Mode::Tracking)).await),
        Reason::EtagMismatch
    );
    let moved =
        store.change_prompt(project, "greet", Some(&etag), PromptChange::Migrate(Mode::Tracking)).await.unwrap();
    assert_ne!(moved.prompt.etag(), etag);
    store.change_prompt(project, "greet", None, PromptChange::Archive).await.unwrap();
    assert_eq!(
        reason(store.change_prompt(project, "greet", None, PromptChange::Migrate(Mode::Full)).await),
        Reason::PromptArchived
    );
}
