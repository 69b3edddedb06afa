//! What an execution is found by: metadata, label, model, error, mode.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::{Ledger, spec};

use super::{ledger_with_model, wrong_fields};

fn entries(entries: &[(&str, &str)]) -> std::collections::HashMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn found(ledger: &Ledger, request: v1::ListExecutionsRequest) -> Vec<String> {
    let page = ledger.executions().list_executions(request).await.unwrap().into_inner();
    page.executions.into_iter().map(|execution| execution.execution_id).collect()
}

#[tokio::test]
async fn an_execution_is_found_by_what_its_caller_told_of_it() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let told = |metadata: &[(&str, &str)]| v1::ExecutionSpec { metadata: entries(metadata), ..spec("greet", &[]) };
    let ada = ledger.run(told(&[("user", "ada"), ("ticket", "7")])).await;
    assert_eq!(ada.metadata, entries(&[("user", "ada"), ("ticket", "7")]));
    let selector = Some(v1::execution_spec::Selector::Label("active".into()));
    let eve = ledger.run(v1::ExecutionSpec { selector, ..told(&[("user", "eve"), ("ticket", "7")]) }).await;
    model.next(Reply::status(400, "{}"));
    let failed = ledger.run(told(&[])).await;
    let queued = ledger.submit(told(&[])).await;
    let none = v1::ListExecutionsRequest::default;
    let by = |metadata: &[(&str, &str)]| v1::ListExecutionsRequest { metadata: entries(metadata), ..none() };
    assert_eq!(found(&ledger, by(&[("user", "ada")])).await, [&*ada.execution_id]);
    assert_eq!(found(&ledger, by(&[("ticket", "7")])).await, [&*eve.execution_id, &*ada.execution_id]);
    assert_eq!(found(&ledger, by(&[("ticket", "7"), ("user", "eve")])).await, [&*eve.execution_id]);
    assert_eq!(found(&ledger, by(&[("ticket", "8")])).await, [""; 0]);
    let page = v1::ListExecutionsRequest { page_size: 1, ..by(&[("ticket", "7")]) };
    let first = ledger.executions().list_executions(page.clone()).await.unwrap().into_inner();
    let next = v1::ListExecutionsRequest { page_token: first.next_page_token, ..page };
    assert_eq!(found(&ledger, next).await, [&*ada.execution_id]);
    assert_eq!(
        found(&ledger, v1::ListExecutionsRequest { label: "active".into(), ..none() }).await,
        [&*eve.execution_id]
    );
    let error_type = failed.error_type.clone();
    assert_eq!(found(&ledger, v1::ListExecutionsRequest { error_type, ..none() }).await, [&*failed.execution_id]);
    let mode = v1::ExecutionMode::Async.into();
    assert_eq!(found(&ledger, v1::ListExecutionsRequest { mode, ..none() }).await, [&*queued]);
    let of = |provider: &str, model_name: &str| v1::ListExecutionsRequest {
        model: Some(v1::ModelRef { provider: provider.into(), model_name: model_name.into() }),
        ..none()
    };
    let used = ada.model.unwrap();
    assert_eq!(found(&ledger, of(&used.provider, &used.model_name)).await.len(), 4);
    assert_eq!(found(&ledger, of(&used.provider, "")).await.len(), 4);
    assert_eq!(found(&ledger, of("echo", "")).await.len(), 0);
    assert_eq!(wrong_fields(ledger.executions().list_executions(of("", "x")).await), ["model.provider"]);
}

#[tokio::test]
async fn metadata_is_bounded() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let long = ["k".repeat(65), "v".repeat(257)];
    let many: Vec<_> = (0..17).map(|i| i.to_string()).collect();
    let many: Vec<_> = many.iter().map(|key| (&**key, "v")).collect();
    for (metadata, field) in [
        (entries(&[("", "v")]), "spec.metadata"),
        (entries(&[(&long[0], "v")]), "spec.metadata"),
        (entries(&[("k", &long[1])]), "spec.metadata.k"),
        (entries(&many), "spec.metadata"),
    ] {
        let spec = Some(v1::ExecutionSpec { metadata, ..spec("greet", &[]) });
        assert_eq!(wrong_fields(ledger.executions().run_execution(v1::RunExecutionRequest { spec }).await), [field]);
    }
}
