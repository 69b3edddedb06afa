//! The migration to contents that are more than one text, on data.

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_store::{ExecutionReader, Finish, Models, PutPrompt, Registry, Store};
use prompt_ledger_store_conformance::kit::{
    Backend, a_new_execution, an_execution, finish, put_active, register, run, start, success,
};
use prompt_ledger_store_sqlite::{migrate_down, migrate_up};

use crate::store::File;

#[tokio::test]
async fn contents_are_added_to_data_and_taken_away_again() {
    let file = File::fresh().await;
    run(&file, &an_execution(&file).await).await;
    let chat = VersionContent::read(r#"{"chat_template":{"entries":[{"placeholder":"x"}]}}"#).unwrap();
    register(&file, PutPrompt { content: chat, checksum_hash: "c".into(), ..put_active("chat", "") }).await;
    let again = a_new_execution(&an_execution(&file).await);
    start(&file, &again).await;
    finish(&file, &again, 1, Finish { refused: true, ..success() }).await;
    file.store.close().await;
    let path = &file.path;
    migrate_down(path, 5).await.unwrap();
    let columns = "SELECT (SELECT count(*) FROM pragma_table_info('prompt_versions') WHERE name IN ('content', 'note')) + \
                   (SELECT count(*) FROM pragma_table_info('executions') WHERE name IN ('settings', 'refused'))";
    let held = "SELECT (SELECT count(*) FROM executions) + (SELECT count(*) FROM prompt_versions)";
    assert_eq!((file.count(columns).await, file.count(held).await), (0, 4));
    assert_eq!(file.count("SELECT count(*) FROM prompt_versions WHERE template_source = ''").await, 1);
    migrate_up(path).await.unwrap();
    assert_eq!((file.count(columns).await, file.count(held).await), (4, 4));
    let file = file.reopened().await;
    let project = file.default_project().await;
    let executions = file.store.list(project, &Default::default(), None, 9, true).await.unwrap().rows;
    assert!(executions.len() == 2 && executions.iter().all(|execution| !execution.refused));
    let greet = file.store.prompt(project, "greet").await.unwrap().active.unwrap();
    assert_eq!((greet.content, &*greet.note), (VersionContent::text("Hi {{user.name}}"), ""));
    let seeded = ModelRef { provider: "openai".into(), model_name: "gpt-4o".into() };
    assert_eq!(file.store.model(&seeded).await.unwrap().unwrap().capabilities.tools, Some(true));
}
