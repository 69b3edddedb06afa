//! The migration to contents that are more than one text, on data.

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::execution::{ChatMessage, Input, Params};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_store::{Access, ExecutionReader, Finish, Models, NewExecution, PutPrompt, Registry, Store};
use prompt_ledger_store_conformance::kit::{
    Backend, a_new_execution, an_execution, finish, put_active, register, run, start, submit, success,
};
use prompt_ledger_store_postgres::{migrate_down, migrate_status, migrate_up};

use crate::store::{Fresh, open};

#[tokio::test]
async fn contents_are_added_to_data_and_taken_away_again() {
    let fresh = Fresh::fresh().await;
    let url = fresh.database.url();
    run(&fresh, &an_execution(&fresh).await).await;
    let chat = VersionContent::read(r#"{"chat_template":{"entries":[{"placeholder":"x"}]}}"#).unwrap();
    let labels = vec!["production".into()];
    register(&fresh, PutPrompt { content: chat, checksum_hash: "c".into(), labels, ..put_active("chat", "") }).await;
    let refused = Finish { refused: true, ..success() };
    let again = a_new_execution(&an_execution(&fresh).await);
    start(&fresh, &again).await;
    finish(&fresh, &again, 1, refused).await;
    let seeded = Params { seed: Some(0), ..Params::default() };
    submit(&fresh, &NewExecution { params: seeded, ..a_new_execution(&again) }).await;
    fresh.store.close().await;
    for (kept, without) in [
        ("1 versions that are chats or have a config", "DELETE FROM prompt_versions WHERE content IS NOT NULL"),
        ("1 prompts with labels", "UPDATE prompts SET labels = NULL"),
        ("1 unfinished executions", "UPDATE executions SET needs = 0"),
    ] {
        let refused = migrate_down(url, 3).await.unwrap_err().to_string();
        assert!(refused.contains(kept) && refused.contains("nothing was changed"), "{refused}");
        assert!(migrate_status(url).await.unwrap().iter().all(|migration| migration.applied));
        fresh.execute(without.into()).await.unwrap();
    }
    migrate_down(url, 3).await.unwrap();
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'
        AND column_name IN ('content', 'note', 'settings', 'request', 'refused', 'tool_calls', 'capabilities',
            'labels', 'is_opaque')";
    let held = "SELECT (SELECT count(*) FROM executions) + (SELECT count(*) FROM prompt_versions)";
    assert_eq!((fresh.count(columns).await, fresh.count(held).await), (0, 4));
    migrate_up(url).await.unwrap();
    assert_eq!((fresh.count(columns).await, fresh.count(held).await), (10, 4));
    assert_eq!(fresh.count("SELECT compatible_from::int8 FROM schema_compatibility WHERE version = 4").await, 1);
    let store = open(url).await.unwrap();
    let project = store.project("default").await.unwrap().unwrap().id;
    let executions = store.list(project, &Default::default(), None, 9, true).await.unwrap().rows;
    assert!(executions.len() == 3 && executions.iter().all(|execution| !execution.refused));
    let greet = store.prompt(project, "greet").await.unwrap().active.unwrap();
    assert_eq!((greet.content, &*greet.note), (VersionContent::text("Hi {{user.name}}"), ""));
    let seeded = ModelRef { provider: "openai".into(), model_name: "gpt-4o".into() };
    assert_eq!(store.model(&seeded).await.unwrap().unwrap().capabilities.tools, Some(true));
}

/// What the claim of the release before finds due: it takes `needs` of at most 0.
const OLDER_CLAIMS: &str = include_str!("older_claims.sql");

#[tokio::test]
async fn a_claim_of_the_release_before_takes_what_that_release_can_run() {
    let fresh = Fresh::fresh().await;
    let plain = an_execution(&fresh).await;
    submit(&fresh, &plain).await;
    let seeded = Params { seed: Some(0), ..Params::default() };
    submit(&fresh, &NewExecution { params: seeded, ..a_new_execution(&plain) }).await;
    let named = Input::Messages(vec![ChatMessage { name: "ada".into(), ..ChatMessage::text("user", "Hi") }]);
    submit(&fresh, &NewExecution { input: named, ..a_new_execution(&plain) }).await;
    fresh.execute("UPDATE executions SET available_at = created_at".into()).await.unwrap();
    assert_eq!(fresh.count(OLDER_CLAIMS).await, 1);
    fresh.execute("UPDATE executions SET needs = 0".into()).await.unwrap();
    assert_eq!(fresh.count(OLDER_CLAIMS).await, 3, "all are due");
}
