//! The migration to contents that are more than one text, on data.

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::execution::{ChatMessage, Input, Params};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_store::{ExecutionReader, Finish, Models, NewExecution, PutPrompt, Registry, Store};
use prompt_ledger_store_conformance::kit::{
    Backend, a_new_execution, an_execution, finish, put_active, register, run, start, submit, success,
};
use prompt_ledger_store_sqlite::{migrate_down, migrate_status, migrate_up};

use crate::store::File;

#[tokio::test]
async fn contents_are_added_to_data_and_taken_away_again() {
    let file = File::fresh().await;
    run(&file, &an_execution(&file).await).await;
    let chat = VersionContent::read(r#"{"chat_template":{"entries":[{"placeholder":"x"}]}}"#).unwrap();
    let labels = vec!["production".into()];
    register(&file, PutPrompt { content: chat, checksum_hash: "c".into(), labels, ..put_active("chat", "") }).await;
    let again = a_new_execution(&an_execution(&file).await);
    start(&file, &again).await;
    finish(&file, &again, 1, Finish { refused: true, ..success() }).await;
    let seeded = Params { seed: Some(0), ..Params::default() };
    submit(&file, &NewExecution { params: seeded, ..a_new_execution(&again) }).await;
    file.store.close().await;
    let path = &file.path;
    for (kept, without) in [
        ("1 versions that are chats or have a config", "DELETE FROM prompt_versions WHERE content IS NOT NULL"),
        ("1 prompts with labels", "UPDATE prompts SET labels = NULL"),
        ("1 unfinished executions", "UPDATE executions SET needs = 0"),
    ] {
        let refused = migrate_down(path, 5).await.unwrap_err().to_string();
        assert!(refused.contains(kept) && refused.contains("nothing was changed"), "{refused}");
        assert!(migrate_status(path).await.unwrap().iter().all(|migration| migration.applied));
        file.execute(without.into()).await.unwrap();
    }
    migrate_down(path, 5).await.unwrap();
    let columns = "SELECT (SELECT count(*) FROM pragma_table_info('prompt_versions') WHERE name IN ('content', 'note')) + \
                   (SELECT count(*) FROM pragma_table_info('executions') WHERE name IN ('settings', 'refused'))";
    let held = "SELECT (SELECT count(*) FROM executions) + (SELECT count(*) FROM prompt_versions)";
    assert_eq!((file.count(columns).await, file.count(held).await), (0, 4));
    migrate_up(path).await.unwrap();
    assert_eq!((file.count(columns).await, file.count(held).await), (4, 4));
    let file = file.reopened().await;
    let project = file.default_project().await;
    let executions = file.store.list(project, &Default::default(), None, 9, true).await.unwrap().rows;
    assert!(executions.len() == 3 && executions.iter().all(|execution| !execution.refused));
    let greet = file.store.prompt(project, "greet").await.unwrap().active.unwrap();
    assert_eq!((greet.content, &*greet.note), (VersionContent::text("Hi {{user.name}}"), ""));
    let seeded = ModelRef { provider: "openai".into(), model_name: "gpt-4o".into() };
    assert_eq!(file.store.model(&seeded).await.unwrap().unwrap().capabilities.tools, Some(true));
}

/// What the claim of the release before finds due: it takes `needs` of at most 0.
const OLDER_CLAIMS: &str = include_str!("older_claims.sql");

#[tokio::test]
async fn a_claim_of_the_release_before_takes_what_that_release_can_run() {
    let file = File::fresh().await;
    let plain = an_execution(&file).await;
    submit(&file, &plain).await;
    let seeded = Params { seed: Some(0), ..Params::default() };
    submit(&file, &NewExecution { params: seeded, ..a_new_execution(&plain) }).await;
    let named = Input::Messages(vec![ChatMessage { name: "ada".into(), ..ChatMessage::text("user", "Hi") }]);
    submit(&file, &NewExecution { input: named, ..a_new_execution(&plain) }).await;
    file.execute("UPDATE executions SET available_at = created_at".into()).await.unwrap();
    assert_eq!(file.count(OLDER_CLAIMS).await, 1);
    file.execute("UPDATE executions SET needs = 0".into()).await.unwrap();
    assert_eq!(file.count(OLDER_CLAIMS).await, 3, "all are due");
}
