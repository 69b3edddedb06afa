//! A background task that ends early ends the process, with the task's name in its error.

use super::ledger;

#[tokio::test]
async fn a_background_task_that_dies_ends_the_process_with_its_name_and_a_failure() {
    for task in ["heartbeats", "health monitor", "cache refresh", "worker"] {
        let server = ledger().expects("panicked").env("PROMPT_LEDGER_FAIL_TASK", task).start().await;
        server.signal("USR1");
        let ended = server.ended().await;
        assert_eq!(ended.status.code(), Some(1), "{:#?}", ended.output);
        let said = format!("prompt-ledger: the background task `{task}` panicked; the process ends too");
        assert!(ended.output.contains(&said), "{:#?}", ended.output);
    }
}
