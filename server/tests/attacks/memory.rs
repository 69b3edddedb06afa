//! Memory that was used for a while is returned to the system.

use std::time::{Duration, Instant};

use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Ledger, spec};
use prompt_ledger_testkit::poll::eventually;

use crate::kit::{Meter, ledger, memory};
use crate::provider_json::call_at_once;

/// How long returning it may take.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(20);
/// MiB that may stay resident beyond those before.
const KEPT_MIB: u64 = 70;

#[tokio::test]
async fn memory_is_given_back_once_it_is_not_needed() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).start().await;
    ledger.active("greet", "hello").await;
    model.otherwise(Reply::huge(4 * 1024 * 1024));
    let meter = Meter::start(&ledger).await;
    let before = memory(ledger.pid(), "VmRSS:");
    for ran in call_at_once(&ledger, 60, &spec("greet", &[])).await {
        assert_eq!(ran.error_type, "truncated", "{}", ran.error_message);
    }
    let toll = meter.finish("long answers");
    assert!(toll.grown_mib() > 2 * KEPT_MIB, "too little was taken for this to say anything: {toll}");
    let (kept, after) = given_back(&ledger, before).await;
    println!("long answers: {kept} MiB more than before {:.1} s after the end", after.as_secs_f64());
}

/// Waits until at most [`KEPT_MIB`] more than `before` are resident; returns how many MiB that is, and how long it
/// took.
async fn given_back(ledger: &Ledger, before: u64) -> (u64, Duration) {
    let began = Instant::now();
    let kept = async || match memory(ledger.pid(), "VmRSS:").saturating_sub(before) {
        kept if kept <= KEPT_MIB => Ok(kept),
        kept => Err(format!("{kept} MiB more than before are resident")),
    };
    let kept = eventually("memory to be given back", GIVEN_BACK_WITHIN, kept).await;
    (kept, began.elapsed())
}
