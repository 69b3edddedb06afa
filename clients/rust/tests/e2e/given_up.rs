//! Calls that are given up, beside one that is not, over the same connection.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use prompt_ledger_client::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{put, spec};

use super::{client, ledger};

#[tokio::test]
async fn calls_that_are_given_up_break_none_that_is_not() {
    let (model, gate) = (FakeModel::start().await, Gate::new());
    model.otherwise(Reply::answer("hi").held(&gate));
    let ledger = ledger(&model).start().await;
    ledger.active("greet", "hello").await;
    ledger.registry().put_prompt(put("long", &"x".repeat(190_000))).await.unwrap();
    let client = client(&ledger);
    let held = tokio::spawn({
        let client = client.clone();
        // Longer than all of the calls below.
        let timeout = Some(prost_types::Duration { seconds: 1_200, nanos: 0 });
        async move { client.run(v1::ExecutionSpec { timeout, ..spec("greet", &[]) }).await }
    });
    model.wait_for_calls(1).await;
    let prompts = client.prompts();
    let get = |name: &str| v1::GetPromptRequest { name: name.to_owned(), ..v1::GetPromptRequest::default() };
    // Data comes of many calls that nobody reads any more, and others are given up before the server has accepted them.
    for answered in (0..120).map(|round| round % 2 * 50) {
        let mut calls: FuturesUnordered<_> = (0..200).map(|_| prompts.get_prompt(get("long"))).collect();
        for _ in 0..=answered {
            calls.next().await.unwrap().unwrap();
        }
    }
    gate.open();
    assert_eq!(held.await.unwrap().unwrap().execution.response_text, "hi");
}
