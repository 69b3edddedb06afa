//! A model server that begins many streams and ends none: together they hold a bounded number of bytes.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_event::Kind;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::spec;
use tokio::task::JoinSet;

use crate::kit::{HUNG, Meter, ledger};

/// Just under the limit of one event, in bytes.
const LONG: usize = 4 * 1024 * 1024 - 100_000;
/// Where a response text is truncated, in bytes.
const KEPT: usize = 500 * 1024;

/// A response that sends these pieces, and then nothing.
fn unended(pieces: Vec<Vec<u8>>) -> Reply {
    let count = pieces.len();
    Reply::events(pieces).held_after(count, &Gate::new())
}

/// The bytes, cut into the pieces in which they are sent.
fn pieces(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.chunks(64 * 1024).map(<[u8]>::to_vec).collect()
}

/// Streams `calls` executions of a model that responds like this; returns the text that each stream got, and the most
/// memory that they took, in MiB.
async fn attack(name: &str, calls: usize, reply: Reply) -> (Vec<String>, u64) {
    let model = FakeModel::start().await;
    model.otherwise(reply);
    let ledger = ledger().openai(&model.base_url()).start().await;
    ledger.active("greet", "hello").await;
    let meter = Meter::start(&ledger).await;
    let timeout = Some(prost_types::Duration { seconds: 10, nanos: 0 });
    let spec = v1::ExecutionSpec { timeout, max_retries: Some(0), ..spec("greet", &[]) };
    let mut running = JoinSet::new();
    for _ in 0..calls {
        let (mut client, spec) = (ledger.executions(), Some(spec.clone()));
        running.spawn(async move {
            let mut events = client.stream_execution(v1::StreamExecutionRequest { spec }).await.unwrap().into_inner();
            let (mut text, mut error_type) = (String::new(), String::new());
            while let Some(message) = events.message().await.unwrap() {
                match message.event.and_then(|event| event.kind) {
                    Some(Kind::TextDelta(delta)) => text.push_str(&delta.text),
                    Some(Kind::StateChanged(change)) => error_type = change.error_type,
                    _ => {}
                }
            }
            assert_eq!(error_type, "timeout");
            text
        });
    }
    let texts = running.join_all().await;
    let toll = meter.finish(name);
    assert_eq!(toll.failed, 0, "{toll}");
    assert!(toll.slowest() < HUNG, "{toll}");
    (texts, toll.grown_mib())
}

#[tokio::test]
async fn events_that_do_not_end_share_what_bodies_may_take() {
    let data = |bytes: usize| format!("data: {}", "a".repeat(bytes)).into_bytes();
    let lines = [data(LONG / 2), b"\n".to_vec(), data(LONG / 2)].concat();
    for (name, event) in [("one long line", data(LONG)), ("two long lines", lines)] {
        let (_, grown) = attack(name, 150, unended(pieces(&event))).await;
        // 256 MiB, and what the connections have read ahead.
        assert!(grown < 450, "{grown} MiB");
    }
}

#[tokio::test]
async fn text_beyond_what_is_stored_is_not_kept() {
    let delta = format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "a".repeat(30_000));
    let pieces = vec![format!("data: {delta}\n\n").into_bytes(); LONG / 30_000];
    let (texts, grown) = attack("text in small events", 60, unended(pieces)).await;
    assert!(texts.iter().all(|text| text.len() <= KEPT), "longer than {KEPT} bytes");
    assert!(grown < 300, "{grown} MiB");
}
