//! First pages of lists over a million executions of a thousand prompts: by each filter, by what few executions have and by
//! what many have, and by filters that no index has together, which are answered by short pages.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::ledger::Ledger;

use super::analytics::timed;
use super::load::Times;
use super::release::FigureError;

/// Of the versions of each prompt, the one in the list of a version.
const VERSION: i32 = 2;

/// Of the executions that `benches/usage.sql` fills either database with.
fn requests() -> Vec<(&'static str, v1::ListExecutionsRequest)> {
    type Asked = v1::ListExecutionsRequest;
    let all = Asked::default;
    let failed = || vec![v1::ExecutionStatus::Failed.into()];
    let canceled = || vec![v1::ExecutionStatus::Canceled.into()];
    let prompt = || Asked { prompt_name: "prompt-7".into(), ..all() };
    let environment = |environment: &str| Asked { environment: environment.into(), ..all() };
    let correlation = |id: &str| Asked { correlation_id: id.into(), ..all() };
    let label = |label: &str| Asked { label: label.into(), ..all() };
    let error = |error_type: &str| Asked { error_type: error_type.into(), ..all() };
    let mode = |mode: v1::ExecutionMode| Asked { mode: mode.into(), ..all() };
    let model = |provider: &str, model_name: &str| {
        let model = Some(v1::ModelRef { provider: provider.into(), model_name: model_name.into() });
        Asked { model, ..all() }
    };
    let metadata = |key: &str, value: &str| Asked { metadata: [(key.to_owned(), value.to_owned())].into(), ..all() };
    vec![
        ("all", all()),
        ("one prompt", prompt()),
        ("one version", Asked { version_number: Some(VERSION), ..prompt() }),
        ("failed", Asked { statuses: failed(), ..all() }),
        ("canceled of one prompt", Asked { statuses: canceled(), ..prompt() }),
        ("an environment", environment("dev")),
        ("an unknown environment", environment("nowhere")),
        ("the same, of one prompt", Asked { prompt_name: "prompt-7".into(), ..environment("nowhere") }),
        ("the same, failed", Asked { statuses: failed(), ..environment("nowhere") }),
        ("a correlation id of 100", correlation("batch-7")),
        ("one of 50,000, canceled", Asked { statuses: canceled(), ..correlation("nightly") }),
        ("the same, of one prompt", Asked { prompt_name: "prompt-7".into(), ..correlation("nightly") }),
        ("a label", label("production")),
        ("an unknown label", label("nowhere")),
        ("a label, of one prompt", Asked { prompt_name: "prompt-7".into(), ..label("production") }),
        ("a label and an unknown environment", Asked { environment: "nowhere".into(), ..label("production") }),
        ("a model", model("openai", "model-1")),
        ("a rare model", model("openai", "model-rare")),
        ("a model, canceled", Asked { statuses: canceled(), ..model("openai", "model-1") }),
        ("a provider", model("openai", "")),
        ("an unknown provider", model("nobody", "")),
        ("an error", error("timeout")),
        ("an unknown error", error("nothing")),
        ("an error of one prompt", Asked { prompt_name: "prompt-7".into(), ..error("timeout") }),
        ("a mode", mode(v1::ExecutionMode::Async)),
        ("a rare mode", mode(v1::ExecutionMode::Sync)),
        ("a rare mode, canceled", Asked { statuses: canceled(), ..mode(v1::ExecutionMode::Sync) }),
        ("metadata", metadata("user", "u-7")),
        ("metadata of many, canceled", Asked { statuses: canceled(), ..metadata("tenant", "acme") }),
        ("the same, of one prompt", Asked { prompt_name: "prompt-7".into(), ..metadata("tenant", "acme") }),
    ]
}

pub(super) async fn lists(database: &str, ledger: &Ledger) -> Result<(), FigureError> {
    let client = ledger.executions();
    for (what, request) in requests() {
        let list = || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { Ok(client.list_executions(request).await.map(drop)?) }
        };
        told(database, &format!("list, {what}"), &timed(list).await?, 10);
    }
    let client = ledger.registry();
    let all = v1::ListPromptsRequest::default;
    for (what, request) in [
        ("all", all()),
        ("an unknown tag", v1::ListPromptsRequest { tag: "nothing".into(), ..all() }),
        ("words", v1::ListPromptsRequest { query: "nothing at all".into(), ..all() }),
        ("an unknown label", v1::ListPromptsRequest { label: "nothing".into(), ..all() }),
    ] {
        let list = || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { Ok(client.list_prompts(request).await.map(drop)?) }
        };
        told(database, &format!("prompts, {what}"), &timed(list).await?, 10);
    }
    Ok(())
}

pub(super) fn told(database: &str, what: &str, times: &Times, aim: u32) {
    let (p50, p99) = (times.quantile(0.5), times.quantile(0.99));
    println!("{:50} {p50:8.2} ms     p99 {p99:.2} ms (aim {aim})", format!("{database}: {what}"));
}
