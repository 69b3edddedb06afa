//! The migration to contents that are more than one text, on data.

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_store::{Access, ExecutionReader, Finish, Models, PutPrompt, Registry, Store};
use prompt_ledger_store_conformance::kit::{
    Backend, a_new_execution, an_execution, finish, put_active, register, run, start, success,
};
use prompt_ledger_store_postgres::{migrate_down, migrate_up};

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
    fresh.store.close().await;
    migrate_down(url, 3).await.unwrap();
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'
        AND column_name IN ('content', 'note', 'settings', 'request', 'refused', 'tool_calls', 'capabilities',
            'labels')";
    let held = "SELECT (SELECT count(*) FROM executions) + (SELECT count(*) FROM prompt_versions)";
    assert_eq!((fresh.count(columns).await, fresh.count(held).await), (0, 4));
    // A release that knows only the third migration finds an empty text, which it refuses to render.
    assert_eq!(fresh.count("SELECT count(*) FROM prompt_versions WHERE template_source = ''").await, 1);
    migrate_up(url).await.unwrap();
    assert_eq!((fresh.count(columns).await, fresh.count(held).await), (9, 4));
    assert_eq!(fresh.count("SELECT compatible_from::int8 FROM schema_compatibility WHERE version = 4").await, 1);
    let store = open(url).await.unwrap();
    let project = store.project("default").await.unwrap().unwrap().id;
    let executions = store.list(project, &Default::default(), None, 9, true).await.unwrap().rows;
    assert!(executions.len() == 2 && executions.iter().all(|execution| !execution.refused));
    let greet = store.prompt(project, "greet").await.unwrap().active.unwrap();
    assert_eq!((greet.content, &*greet.note), (VersionContent::text("Hi {{user.name}}"), ""));
    let seeded = ModelRef { provider: "openai".into(), model_name: "gpt-4o".into() };
    assert_eq!(store.model(&seeded).await.unwrap().unwrap().capabilities.tools, Some(true));
}
