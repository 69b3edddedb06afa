//! Labels and the change log.

use futures::future::join_all;
use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::prompt::{Mode, Prompt, TemplateFormat, VersionStatus};
use prompt_ledger_domain::prompt_log::{ChangeEntry, ChangeKind};
use prompt_ledger_domain::versioning::Registration;
use prompt_ledger_store::{
    ChangeRequest, CodePrompt, ExecutionWriter, NewExecution, PromptChange, PutPrompt, Recorded, RegisterCode,
    Registry, Walked, rows_walked,
};

use crate::code::{batch, code};
use crate::kit::{
    Backend, ChangePrompt, a_new_execution, an_execution, asking, get, holder, in_turn, put, put_active, reason,
    register, run, start,
};

/// Labels with the versions that they point at, as one text.
fn labels(prompt: &Prompt) -> String {
    let told: Vec<_> = prompt.labels.iter().map(|held| format!("{}={}", held.label, held.version_number)).collect();
    told.join(" ")
}

fn to(label: &str, number: i32) -> PromptChange {
    PromptChange::SetLabel(label.into(), number)
}

/// A prompt of three versions, the first one active, the last one a draft.
async fn three<B: Backend>(backend: &B) {
    register(backend, put_active("greet", "one")).await;
    register(backend, put("greet", "two")).await;
    register(backend, put("greet", "three")).await;
}

pub async fn a_label_is_set_moved_and_removed<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    three(backend).await;
    let change = async |change| store.change_prompt(project, "greet", None, change).await;
    let set = change(to("production", 1)).await.unwrap();
    assert_eq!((labels(&set.prompt), set.previous_version, set.revision), ("production=1".into(), None, 4));
    assert_eq!(set.version.map(|version| version.number), Some(1));
    assert_eq!((&*set.prompt.labels[0].set_by, set.prompt.labels[0].set_at > Timestamp(0)), ("ada", true));
    let moved = change(to("production", 3)).await.unwrap();
    assert_eq!((labels(&moved.prompt), moved.previous_version, moved.revision), ("production=3".into(), Some(1), 5));
    let again = change(to("production", 3)).await.unwrap();
    assert_eq!(
        (again.prompt, again.previous_version, again.revision),
        (moved.prompt, Some(3), 5),
        "nothing was written"
    );
    change(to("eu-west", 1)).await.unwrap();
    let read = store.prompt(project, "greet").await.unwrap().prompt;
    assert_eq!(labels(&read), "eu-west=1 production=3");
    let (listed, _) = store.prompts(project, &Default::default(), None, 9).await.unwrap();
    assert_eq!(listed.rows[0].prompt, read);
    let removed = change(PromptChange::RemoveLabel("production".into())).await.unwrap();
    assert_eq!((labels(&removed.prompt), removed.previous_version), ("eu-west=1".into(), Some(3)));
    let gone = change(PromptChange::RemoveLabel("production".into())).await;
    assert_eq!(reason(gone), Reason::LabelNotFound);
    assert_eq!(reason(change(to("production", 4)).await), Reason::VersionNotFound);
}

pub async fn what_a_label_points_at_stays_and_survives<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    three(backend).await;
    let change = async |change| store.change_prompt(project, "greet", None, change).await;
    change(to("staging", 2)).await.unwrap();
    let deprecate = PromptChange::SetStatus(2, VersionStatus::Deprecated);
    assert_eq!(reason(change(deprecate.clone()).await), Reason::VersionInUse);
    let archived = change(PromptChange::Archive).await.unwrap();
    assert_eq!(labels(&archived.prompt), "staging=2");
    assert_eq!(reason(change(to("staging", 1)).await), Reason::PromptArchived);
    change(PromptChange::Unarchive).await.unwrap();
    let moved = change(PromptChange::Migrate(Mode::Tracking)).await.unwrap();
    assert_eq!(labels(&moved.prompt), "staging=2");
    assert_eq!(reason(change(to("staging", 1)).await), Reason::ModeMismatch);
    change(PromptChange::RemoveLabel("staging".into())).await.unwrap();
    change(PromptChange::Migrate(Mode::Full)).await.unwrap();
    change(deprecate).await.unwrap();
    assert_eq!(reason(change(to("staging", 2)).await), Reason::InvalidField);
    let stale = store.change_prompt(project, "greet", Some("0"), to("staging", 1)).await;
    assert_eq!(reason(stale), Reason::EtagMismatch);
}

pub async fn labels_come_with_a_content<B: Backend>(backend: &B) {
    let labelled = |template: &str, names: &[&str]| PutPrompt {
        labels: names.iter().map(|name| (*name).to_owned()).collect(),
        ..put("greet", template)
    };
    let first = register(backend, labelled("one", &["staging", "canary"])).await;
    assert_eq!((labels(&first.prompt), first.revision), ("canary=1 staging=1".into(), 1));
    let second = register(backend, labelled("two", &["staging"])).await;
    assert_eq!((labels(&second.prompt), second.version.number), ("canary=1 staging=2".into(), 2));
    let again = register(backend, labelled("two", &["staging"])).await;
    assert_eq!((again.prompt.etag(), again.revision), (second.prompt.etag(), 2), "nothing was written");
    let back = register(backend, labelled("one", &["staging"])).await;
    assert_eq!((labels(&back.prompt), back.version_change), ("canary=1 staging=1".into(), false));
    let (store, project) = (backend.store(), backend.default_project().await);
    let deprecate = PromptChange::SetStatus(2, VersionStatus::Deprecated);
    store.change_prompt(project, "greet", None, deprecate).await.unwrap();
    let refused = store.put_prompt(project, labelled("two", &["canary"])).await.unwrap_err();
    assert_eq!(refused.parts().violations[0].field, "labels[0]", "{refused}");
    let many: Vec<_> = (0..63).map(|i| format!("l{i}")).collect();
    let many: Vec<_> = many.iter().map(|name| &**name).collect();
    let refused = store.put_prompt(project, labelled("one", &many)).await.unwrap_err();
    assert_eq!(refused.parts().violations[0].field, "labels[62]", "{refused}");
}

pub async fn code_moves_labels_without_a_version<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let labelled = |template: &str, names: &[&str]| CodePrompt {
        labels: names.iter().map(|name| (*name).to_owned()).collect(),
        ..code("greet", template)
    };
    let sent = async |prompt| {
        let done = store.register_code(project, batch(vec![prompt])).await.unwrap();
        (done.prompts[0].action, done.revision)
    };
    assert_eq!(sent(labelled("one", &["production"])).await, (Registration::New, 1));
    assert_eq!(sent(labelled("one", &["production"])).await, (Registration::Unchanged, 1), "nothing was written");
    assert_eq!(sent(labelled("one", &["canary"])).await, (Registration::Unchanged, 2), "a label is a write");
    assert_eq!(sent(labelled("two", &["canary"])).await, (Registration::Updated, 3));
    let read = store.prompt(project, "greet").await.unwrap().prompt;
    assert_eq!((labels(&read), &*read.labels[0].set_by), ("canary=2 production=1".into(), "ci"));
    backend.execute("UPDATE prompt_versions SET status = 'deprecated' WHERE version_number = 1".into()).await.unwrap();
    // A batch that makes nothing active, so that the version stays deprecated.
    let unmoved =
        RegisterCode { set_active: false, ..batch(vec![code("new", "x"), labelled("one", &["old", "canary"])]) };
    let refused = store.register_code(project, unmoved).await.unwrap_err();
    assert_eq!(refused.parts().violations[0].field, "prompts[1].labels[0]", "{refused}");
    let opaque =
        CodePrompt { template_format: TemplateFormat::Opaque, variables: vec![], ..labelled("{% x %}", &["old"]) };
    assert_eq!(sent(opaque).await.0, Registration::Updated);
    assert_eq!(sent(labelled("two", &[])).await.0, Registration::Reactivated);
    let migrated = store.change_prompt(project, "greet", None, PromptChange::Migrate(Mode::Full)).await;
    assert_eq!(reason(migrated), Reason::TemplateOpaque, "a label points at an opaque version");
    store.change_prompt(project, "greet", None, PromptChange::RemoveLabel("old".into())).await.unwrap();
    store.change_prompt(project, "greet", None, PromptChange::Migrate(Mode::Full)).await.unwrap();
}

pub async fn an_execution_by_a_label_that_moved_is_stale<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let first = an_execution(backend).await;
    let second = register(backend, put("greet", "two")).await;
    store.change_prompt(project, "greet", None, to("eu-west.1", 1)).await.unwrap();
    let by_label = |version_id| NewExecution {
        version_id,
        must_be_active: false,
        label: "eu-west.1".into(),
        must_be_labelled: true,
        ..a_new_execution(&first)
    };
    let new = by_label(first.version_id);
    run(backend, &new).await;
    assert_eq!(get(backend, &new).await.label, "eu-west.1");
    let record = async |new| store.start(new, holder()).await.unwrap();
    assert_eq!(record(by_label(second.version.id)).await, Recorded::Stale, "it does not point there");
    store.change_prompt(project, "greet", None, to("eu-west.1", 2)).await.unwrap();
    assert_eq!(record(by_label(first.version_id)).await, Recorded::Stale, "it moved");
    assert!(matches!(record(by_label(second.version.id)).await, Recorded::New(_)));
    store.change_prompt(project, "greet", None, PromptChange::RemoveLabel("eu-west.1".into())).await.unwrap();
    assert_eq!(record(by_label(second.version.id)).await, Recorded::Stale, "it is gone");
    let built_in = NewExecution { label: "active".into(), ..a_new_execution(&first) };
    start(backend, &built_in).await;
    assert_eq!(get(backend, &built_in).await.label, "active", "as it was sent");
}

pub async fn fifty_concurrent_moves_of_labels_all_count<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    three(backend).await;
    let change =
        |i: i32| in_turn(move || store.change_prompt(project, "greet", None, to(&format!("l{}", i % 5), 1 + i % 3)));
    for moved in join_all((0..50).map(change)).await {
        moved.unwrap();
    }
    let read = store.prompt(project, "greet").await.unwrap();
    assert_eq!(read.prompt.labels.len(), 5);
    let (Walked { rows: log, .. }, _) =
        store.prompt_changes(project, "greet", &[ChangeKind::LabelSet], None, 100).await.unwrap();
    // Of each label the last entry is where it points, and each move is from where the one before it was to.
    for held in &read.prompt.labels {
        let moves: Vec<_> = log.iter().filter(|entry| entry.what.label == held.label).collect();
        assert_eq!(moves[0].what.to, held.version_number.to_string());
        assert!(moves.windows(2).all(|pair| pair[0].what.from == pair[1].what.to));
    }
}

fn told(log: &[ChangeEntry]) -> Vec<String> {
    let line = |entry: &ChangeEntry| {
        let what = &entry.what;
        let version = what.version.map(|number| number.to_string()).unwrap_or_default();
        format!(
            "{}.{} {} {version} {} {}>{}",
            entry.revision, entry.position, what.kind, what.label, what.from, what.to
        )
    };
    log.iter().map(line).collect()
}

pub async fn every_write_is_logged_with_what_it_did<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    let first = PutPrompt { labels: vec!["production".into()], note: "why".into(), ..put_active("greet", "one") };
    register(backend, first.clone()).await;
    register(backend, first).await;
    register(backend, put("greet", "two")).await;
    let change = async |change| store.change_prompt(project, "greet", None, change).await.unwrap();
    change(PromptChange::Activate(2)).await;
    change(to("production", 2)).await;
    change(PromptChange::SetStatus(1, VersionStatus::Deprecated)).await;
    change(PromptChange::RemoveLabel("production".into())).await;
    let (description, tags) = (Some("d".to_owned()), Some(vec!["t".to_owned()]));
    change(PromptChange::Describe { description: description.clone(), owner_team: None, tags: tags.clone() }).await;
    change(PromptChange::Describe { description, owner_team: None, tags }).await;
    change(PromptChange::Archive).await;
    change(PromptChange::Unarchive).await;
    change(PromptChange::Migrate(Mode::Tracking)).await;
    store.register_code(project, batch(vec![code("other", "x")])).await.unwrap();
    let (Walked { rows: log, .. }, revision) = store.prompt_changes(project, "", &[], None, 100).await.unwrap();
    let expected = [
        "11.3 activated 1  >1",
        "11.2 version_created 1  >active",
        "11.1 created   >tracking",
        "10.1 mode_migrated   full>tracking",
        "9.1 unarchived   >",
        "8.1 archived   >",
        r#"7.1 metadata   {"description":"","tags":[]}>{"description":"d","tags":["t"]}"#,
        "6.1 label_removed 2 production 2>",
        "5.1 status 1  active>deprecated",
        "4.1 label_set 2 production 1>2",
        "3.2 status 2  draft>active",
        "3.1 activated 2  1>2",
        "2.1 version_created 2  >draft",
        "1.4 label_set 1 production >1",
        "1.3 activated 1  >1",
        "1.2 version_created 1  >active",
        "1.1 created   >full",
    ];
    assert_eq!((told(&log), revision), (expected.map(String::from).to_vec(), 11));
    let by: Vec<_> = [0, 3, 15].map(|at| (&*log[at].created_by, &*log[at].note, &log[at].key)).into();
    assert_eq!(by, [("ci", "", &asking()), ("ada", "", &asking()), ("ada", "why", &asking())]);
    assert!(log.windows(2).all(|pair| pair[0].at >= pair[1].at) && log[0].at > Timestamp(0));
    // By prompt, by kind, and page by page.
    let (other, _) = store.prompt_changes(project, "other", &[], None, 100).await.unwrap();
    assert_eq!(told(&other.rows), expected[..3]);
    let kinds = [ChangeKind::Status, ChangeKind::Archived];
    let (some, _) = store.prompt_changes(project, "greet", &kinds, None, 100).await.unwrap();
    assert_eq!(told(&some.rows), ["8.1 archived   >", "5.1 status 1  active>deprecated", "3.2 status 2  draft>active"]);
    let (mut paged, mut before) = (Vec::new(), None);
    loop {
        let (page, _) = store.prompt_changes(project, "", &[], before, 5).await.unwrap();
        let Some(last) = page.rows.last() else { break };
        before = Some((last.revision, last.position));
        paged.extend(page.rows);
    }
    assert_eq!(paged, log);
    let (none, at) = store.prompt_changes(project, "nobody", &[], None, 5).await.unwrap();
    assert_eq!((none, at), (Walked::whole(vec![]), 11));
}

pub async fn rare_changes_are_looked_for_among_a_bounded_number_and_all_are_found<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    three(backend).await;
    store.change_prompt(project, "greet", None, PromptChange::Archive).await.unwrap();
    register(backend, put("other", "x")).await;
    // The revisions from 100 on are left to these.
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 2599)";
    let copies = format!(
        "{numbers} INSERT INTO prompt_changes (project_id, revision, position, prompt_name, kind, version_number, label, from_value, \
         to_value, created_by, key_id, key_name, note, at) SELECT c.project_id, n.i, c.position, c.prompt_name, 'status', \
         c.version_number, c.label, c.from_value, c.to_value, c.created_by, c.key_id, c.key_name, c.note, c.at \
         FROM n, prompt_changes c WHERE c.kind = 'archived'"
    );
    backend.execute(copies).await.unwrap();
    let (archived, absent) = ([ChangeKind::Archived], [ChangeKind::LabelRemoved]);
    for (name, kinds, found) in
        [("greet", &archived, vec![4]), ("", &archived, vec![4]), ("greet", &absent, vec![]), ("", &absent, vec![])]
    {
        let (mut revisions, mut walks, mut before) = (Vec::new(), 0, None);
        loop {
            let (walked, _) = store.prompt_changes(project, name, kinds, before, 5).await.unwrap();
            revisions.extend(walked.rows.iter().map(|entry| entry.revision));
            walks += 1;
            match walked.stopped {
                Some(stopped) => {
                    assert!(before.is_none_or(|before| stopped < before), "{name} {kinds:?}: it stands at {stopped:?}");
                    before = Some(stopped);
                }
                None => break,
            }
        }
        // Each looks at so many, and none at fewer.
        assert_eq!((revisions, walks), (found, 2_500 / rows_walked(5) + 1), "{name} {kinds:?}");
    }
    // Where all of them match, a walk is as long as the page.
    let (full, _) = store.prompt_changes(project, "", &[], None, 5).await.unwrap();
    assert_eq!((full.rows.len(), full.stopped), (5, None));
}

pub async fn a_write_that_fails_or_changes_nothing_logs_nothing<B: Backend>(backend: &B) {
    let (store, project) = (backend.store(), backend.default_project().await);
    three(backend).await;
    let logged = async || store.prompt_changes(project, "", &[], None, 100).await.unwrap().0.rows.len();
    let before = logged().await;
    for refused in [to("x", 9), PromptChange::RemoveLabel("x".into()), PromptChange::SetStatus(1, VersionStatus::Draft)]
    {
        store.change_prompt(project, "greet", None, refused).await.unwrap_err();
    }
    store.change_prompt(project, "greet", None, PromptChange::Activate(1)).await.unwrap();
    let asked = ChangeRequest {
        name: "greet".into(),
        etag: Some("0".into()),
        change: to("x", 1),
        created_by: String::new(),
        key: asking(),
    };
    store.change(project, asked).await.unwrap_err();
    assert_eq!(logged().await, before);
}
