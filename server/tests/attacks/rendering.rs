//! Templates and variables whose rendering would block the server, and registrations whose parsing would.

use std::time::{Duration, Instant};

use futures::future::join_all;
use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, carried, spec};
use prompt_ledger_testkit::poll::eventually;
use prompt_ledger_testkit::values::variables;
use prost_types::Struct;
use serde_json::{Value, json};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::kit::{HUNG, Meter, Toll, ledger};

/// The deadline of each hostile call.
const DEADLINE: Duration = Duration::from_secs(2);
/// Concurrent hostile calls.
const CALLS: usize = 6;
/// The longest that a call of the honest client may take: a blocked server answers only when the work is done.
const SLOWEST_HONEST_CALL: Duration = Duration::from_secs(2);
/// Processor time that may still be spent after the last hostile call was answered.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// Hostile input: name, template, variables, and the reason of its refusal.
fn hostile() -> Vec<(&'static str, String, Value, &'static str)> {
    let key = "a".repeat(900_000);
    let nested = |depth: usize, inner: &str| {
        let open = (0..depth).map(|level| if level == 0 { "{{#each few}}" } else { "{{#each @root.few}}" });
        open.collect::<String>() + inner + &"{{/each}}".repeat(depth)
    };
    let few: Vec<_> = (0..10).map(|_| json!([])).collect();
    let long_path = "a.".repeat(60_000) + "a";
    vec![
        (
            "a long key and many faults",
            format!("{{{{#each m}}}}{}{{{{/each}}}}", "{{this}}".repeat(9_900)),
            json!({"m": { &key: [] }}),
            "INVALID_FIELD",
        ),
        (
            "a long key around lists in lists",
            format!(
                "{{{{#each m}}}}{}{{{{/each}}}}",
                "{{#each @root.few}}{{#each @root.few}}{{this}}{{../../this}}{{/each}}{{/each}}".repeat(99)
            ),
            json!({"m": { &key: [] }, "few": few}),
            "INVALID_FIELD",
        ),
        ("values of the wrong kind, eight lists deep", nested(8, "{{this}}"), json!({"few": few}), "TOO_LARGE"),
        (
            "a long path around many faults",
            format!("{{{{#each {long_path}}}}}{}{{{{/each}}}}", "{{@root.gone}}{{@root.[0]}}".repeat(3_000)),
            json!({}),
            "VARIABLES_MISSING",
        ),
    ]
}

async fn render(ledger: &Ledger, name: &str, variables: &Struct, deadline: Duration) -> Result<(), Status> {
    let mut request = Request::new(v1::RenderPromptRequest {
        name: name.to_owned(),
        variables: Some(variables.clone()),
        ..v1::RenderPromptRequest::default()
    });
    request.set_timeout(deadline);
    ledger.registry().render_prompt(request).await.map(drop)
}

async fn submit(ledger: &Ledger, name: &str, variables: &Struct) -> Result<(), Status> {
    let spec = v1::ExecutionSpec { variables: Some(variables.clone()), ..spec(name, &[]) };
    let mut request = Request::new(v1::SubmitExecutionRequest { spec: Some(spec) });
    request.set_timeout(DEADLINE);
    ledger.executions().submit_execution(request).await.map(drop)
}

/// Half of the calls preview, half execute. Each is refused, or ends by its deadline (which tonic's client reports as
/// CANCELLED).
async fn attacked(ledger: &Ledger, name: &str, variables: &Struct) {
    let (renders, submits) = tokio::join!(
        join_all((0..CALLS / 2).map(|_| render(ledger, name, variables, DEADLINE))),
        join_all((0..CALLS / 2).map(|_| submit(ledger, name, variables))),
    );
    for outcome in renders.into_iter().chain(submits) {
        let code = outcome.unwrap_err().code();
        let expected = [Code::ResourceExhausted, Code::DeadlineExceeded, Code::Cancelled, Code::InvalidArgument];
        assert!(expected.contains(&code), "{name}: {code:?}");
    }
}

/// Whether a call of the honest client took too long.
fn is_slow(name: &str, toll: &Toll) -> bool {
    assert!(toll.failed == 0 && toll.slowest() < HUNG, "{name}: {toll}");
    toll.slowest() >= SLOWEST_HONEST_CALL
}

/// Measures an attack, again where a call was slow: a machine that is busy with something else delays single ones, a
/// server that is blocked delays one each time.
async fn bounded(name: &str, attack: impl AsyncFn() -> Toll) {
    for _ in 0..3 {
        if !is_slow(name, &attack().await) {
            return;
        }
    }
    panic!("{name} holds the honest client up each time");
}

#[tokio::test(flavor = "multi_thread")]
async fn rendering_holds_nobody_up_and_ends_with_its_call() {
    let ledger = ledger().start().await;
    for (name, template, values, reason) in hostile() {
        ledger.active("hostile", &template).await;
        let values = variables(&values);
        // Alone and with time enough, the input itself is refused.
        let refused = eventually("the input itself to be refused", Duration::from_secs(120), async || {
            let refused = render(&ledger, "hostile", &values, Duration::from_secs(60)).await.unwrap_err();
            // On a busy machine it may take longer than rendering may run.
            if refused.get_details_error_info().unwrap().reason == "OVERLOADED" { Err(refused) } else { Ok(refused) }
        });
        let refused = refused.await;
        assert_eq!(refused.get_details_error_info().unwrap().reason, reason, "{name}: {refused:?}");
        bounded(name, async || {
            let meter = Meter::start(&ledger).await;
            attacked(&ledger, "hostile", &values).await;
            meter.finish(name)
        })
        .await;

        let meter = Meter::start(&ledger).await;
        tokio::time::sleep(2 * AFTERWARDS).await;
        let toll = meter.finish(&format!("{name}, afterwards"));
        assert!(toll.cpu < AFTERWARDS, "{name}: work goes on after its calls: {toll}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_as_many_tags_as_fit_holds_nobody_up() {
    let ledger = ledger().start().await;
    let template = "{{a}}".repeat(9_900);
    let prompts: Vec<_> = (0..80).map(|number| carried(&format!("hostile-{number}"), &template)).collect();
    let register = |dry_run| {
        let mut request = Request::new(v1::RegisterCodePromptsRequest {
            prompts: prompts.clone(),
            dry_run,
            ..v1::RegisterCodePromptsRequest::default()
        });
        request.set_timeout(Duration::from_secs(120));
        let mut code = ledger.code();
        async move { code.register_code_prompts(request).await.unwrap() }
    };
    bounded("registering", async || {
        let meter = Meter::start(&ledger).await;
        join_all((0..3).map(|_| register(true))).await;
        meter.finish("three batches of 792,000 tags")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_of_others_keep_their_leases() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("LEASE", "8s").start().await;
    let gate = Gate::new();
    model.otherwise(Reply::echo().held(&gate));
    ledger.active("innocent", "hello").await;
    let (_, template, values, _) = hostile().swap_remove(0);
    ledger.active("hostile", &template).await;
    let values = variables(&values);

    let queued = join_all((0..3).map(|_| ledger.submit(spec("innocent", &[])))).await;
    let innocent = join_all((0..3).map(|_| ledger.run(spec("innocent", &[]))));
    let attack = async {
        model.wait_for_calls(6).await;
        let (began, mut slow, mut attacks) = (Instant::now(), 0, 0);
        while began.elapsed() < Duration::from_secs(18) {
            let meter = Meter::start(&ledger).await;
            attacked(&ledger, "hostile", &values).await;
            let toll = meter.finish("long keys beside executions with a lease of 8 s");
            (slow, attacks) = (slow + usize::from(is_slow("leases", &toll)), attacks + 1);
        }
        gate.open();
        (slow, attacks)
    };
    let (ran, (slow, attacks)) = tokio::join!(innocent, attack);
    assert!(2 * slow <= attacks, "{slow} of {attacks} attacks held the honest client up");
    for execution in ran {
        assert_eq!((execution.status(), execution.attempts), (v1::ExecutionStatus::Succeeded, 1), "{execution:?}");
    }
    for id in queued {
        let mut watched = ledger.watch(&id, 0).await.unwrap();
        let ended = prompt_ledger_testkit::watch_record::WatchRecord::whole(&mut watched).await.ended.unwrap();
        assert_eq!((ended.status(), ended.attempts), (v1::ExecutionStatus::Succeeded, 1), "{ended:?}");
    }
}
