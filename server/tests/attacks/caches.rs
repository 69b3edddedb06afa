//! Prompts that would fill the server's memory once they are cached.

use prompt_ledger_proto::v1;

use super::kit::{HUNG, Meter, ledger};

/// Enough that in memory they take several times the caches' bound.
const PROMPTS: usize = 400;
/// MiB that the server may grow: the caches' bound, and what reading takes for a while.
const GROWTH_MIB: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn prompts_of_many_tags_fill_no_memory() {
    let ledger = ledger().start().await;
    let template = "x{{a}}".repeat(9_999);
    let meter = Meter::start(&ledger).await;
    for number in 0..PROMPTS {
        let name = format!("hostile-{number}");
        ledger.active(&name, &template).await;
        let request = v1::GetPromptRequest { name, ..v1::GetPromptRequest::default() };
        ledger.registry().get_prompt(request).await.unwrap();
    }
    let toll = meter.finish(&format!("{PROMPTS} prompts of 9,999 tags"));
    assert_eq!(toll.failed, 0, "{toll}");
    assert!(toll.grown_mib() < GROWTH_MIB, "{toll}");
    assert!(toll.slowest() < HUNG, "{toll}");
}
