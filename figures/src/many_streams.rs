//! Many texts at once: what the way through the product adds to the first word and to each later one, and what a word costs in
//! CPU. The model, the processes that are measured, and those that read share the machine.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_event::Kind;
use prompt_ledger_providers::TextSink;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, spec};
use tokio::task::JoinSet;
use tonic::{Status, Streaming};

use super::load::Times;
use super::production::cpu_seconds;
use super::release::FigureError;
use super::streams::{ExecutionClient, call, connections, provider, submit, told, watch};
use super::words::sent_at;

const STREAMS: usize = 512;
const WORDS: usize = 250;
const PACE: Duration = Duration::from_millis(20);
/// Streams begin a few at a time, so that their words do not come at once.
const GROUPS: usize = 100;
/// Between two groups: a little more than the pace, so that the groups' words come between each other's.
const APART: Duration = Duration::from_millis(21);
/// Text that the server publishes as one piece, measured from the piece before.
const COALESCED: Duration = Duration::from_millis(25);

/// How late words are read.
struct Lateness {
    first: Times,
    /// Of later words: beyond the time at which their piece was due.
    later: Times,
}

impl Lateness {
    fn new() -> std::io::Result<Self> {
        Ok(Self { first: Times::new()?, later: Times::new()? })
    }

    fn say(&self, name: &str, beside: Option<&Self>, cpu: Option<f64>) {
        let over = |times: fn(&Self) -> &Times, quantile| {
            times(self).quantile(quantile) - beside.map_or(0.0, |beside| times(beside).quantile(quantile))
        };
        let cpu = cpu.map(|micros| format!("; CPU {micros:.1} us a word")).unwrap_or_default();
        println!(
            "  {name:<30} {:8.3} ms     p99 {:.3} ms; a later word {:.3} ms, p99 {:.3} ms{cpu}",
            over(|late| &late.first, 0.5),
            over(|late| &late.first, 0.99),
            over(|late| &late.later, 0.5),
            over(|late| &late.later, 0.99),
        );
    }
}

/// One piece of a text, as it was read.
struct PieceTimes {
    read: SystemTime,
    /// When its first and its last word were sent.
    first: SystemTime,
    last: SystemTime,
}

/// The pieces of one text.
#[derive(Default)]
struct TimedText(Vec<PieceTimes>);

impl TimedText {
    fn read(&mut self, text: &str, read: SystemTime) {
        let mut sent = sent_at(text);
        if let Some(first) = sent.next() {
            self.0.push(PieceTimes { read, first, last: sent.last().unwrap_or(first) });
        }
    }

    /// How late each piece was read. It was due when its first word was sent, and no earlier than a window after the piece before
    /// was written; that is when it was read, less the shortest way that any word had.
    fn record(&self, window: Duration, into: &mut Lateness) {
        let since = |later: SystemTime, earlier: SystemTime| later.duration_since(earlier).unwrap_or_default();
        let Some(way) = self.0.iter().map(|piece| since(piece.read, piece.last)).min() else { return };
        let [first, later @ ..] = &*self.0 else { return };
        into.first.record(since(first.read, first.first));
        for (before, piece) in self.0.iter().zip(later) {
            into.later.record(since(piece.read, piece.first.max(before.read - way + window)));
        }
    }
}

impl TextSink for TimedText {
    fn push(&mut self, delta: &str) {
        self.read(delta, SystemTime::now());
    }
}

/// Reads the text of a stream to its end.
async fn read<M>(
    mut stream: Streaming<M>,
    event: fn(M) -> Option<v1::ExecutionEvent>,
) -> Result<TimedText, FigureError> {
    let mut text = TimedText::default();
    while let Some(message) = stream.message().await? {
        if let Some(Kind::TextDelta(delta)) = event(message).and_then(|event| event.kind) {
            text.push(&delta.text);
        }
    }
    Ok(text)
}

/// Lets the model's calls begin to write, group by group, once all are there; then all texts are read to their end.
/// Returns with them the CPU time of these processes meanwhile, in seconds.
async fn written(
    gates: &[Gate],
    mut reading: JoinSet<Result<TimedText, FigureError>>,
    processes: &[u32],
    window: Duration,
) -> Result<(Lateness, f64), FigureError> {
    let cpu = || processes.iter().map(|process| cpu_seconds(*process)).sum::<f64>();
    let before = cpu();
    let mut ticks = tokio::time::interval(APART);
    for gate in gates {
        ticks.tick().await;
        gate.open();
    }
    let mut all = Lateness::new()?;
    let mut texts = Vec::new();
    while let Some(text) = reading.join_next().await {
        texts.push(text??);
    }
    let cpu = cpu() - before;
    texts.iter().for_each(|text| text.record(window, &mut all));
    Ok((all, cpu))
}

/// Has the model hold its next calls, in turns for each group.
fn held(model: &FakeModel) -> Vec<Gate> {
    let gates: Vec<_> = std::iter::repeat_with(Gate::new).take(GROUPS).collect();
    for gate in gates.iter().cycle().take(STREAMS) {
        model.next(Reply::clock(WORDS, PACE).held(gate));
    }
    gates
}

/// Texts of calls of the model itself.
async fn alone(model: &FakeModel) -> Result<Lateness, FigureError> {
    let (gates, calls, provider) = (held(model), model.calls(), Arc::new(provider(model)?));
    let mut reading = JoinSet::new();
    for _ in 0..STREAMS {
        let provider = Arc::clone(&provider);
        reading.spawn(async move {
            let mut text = TimedText::default();
            call(&provider, Some(&mut text)).await?;
            Ok(text)
        });
    }
    model.wait_for_calls(calls + STREAMS).await;
    Ok(written(&gates, reading, &[], Duration::ZERO).await?.0)
}

/// Texts of executions that the server runs within the call, and of those that are submitted and watched.
pub(super) async fn run(server: &Ledger, worker: Option<u32>, model: &FakeModel, on: &str) -> Result<(), FigureError> {
    const CONNECTIONS: usize = 8;
    println!("{STREAMS} texts at once on {on}, a word every {} ms", PACE.as_millis());
    let words = f64::from(u32::try_from(STREAMS * WORDS)?);
    let micros = |seconds: f64| Some(seconds * 1_000_000.0 / words);
    let clients = connections(server, CONNECTIONS, STREAMS / CONNECTIONS).await?;
    let client = |number: usize| -> ExecutionClient { clients[number % CONNECTIONS].clone() };
    let alone = alone(model).await?;
    alone.say("the model alone", None, None);

    let (gates, calls, mut reading) = (held(model), model.calls(), JoinSet::new());
    for number in 0..STREAMS {
        let mut client = client(number);
        reading.spawn(async move {
            let request = v1::StreamExecutionRequest { spec: Some(spec("greet", &[])) };
            read(client.stream_execution(request).await?.into_inner(), |message| message.event).await
        });
    }
    model.wait_for_calls(calls + STREAMS).await;
    let (late, cpu) = written(&gates, reading, &[server.pid()], COALESCED).await?;
    late.say("StreamExecution, added", Some(&alone), micros(cpu));

    let (gates, calls, mut reading) = (held(model), model.calls(), JoinSet::new());
    for number in 0..STREAMS {
        let mut client = client(number);
        let id = submit(&mut client, told()).await?;
        let mut stream = watch(&mut client, &id).await?;
        // The snapshot: it watches now.
        stream.message().await?.ok_or_else(|| Status::internal("the watch ended"))?;
        reading.spawn(read(stream, |message| message.event));
    }
    model.wait_for_calls(calls + STREAMS).await;
    let processes: Vec<_> = [Some(server.pid()), worker].into_iter().flatten().collect();
    let (late, cpu) = written(&gates, reading, &processes, COALESCED).await?;
    late.say("submitted and watched, added", Some(&alone), micros(cpu));
    println!("    aims at p99                  first word 1 ms, a later word 0.3 ms; CPU 15 us a word");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_word_is_late_beyond_the_time_at_which_its_piece_was_due() {
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        let mut text = TimedText::default();
        // On its way for 4 ms; held back to 25 ms after the piece before, and 1 ms late; sent later than that, on its way for 2 ms.
        for (sent, read) in [(1_000, 1_004), (1_020, 1_028), (1_090, 1_092)] {
            text.read(&format!("{} ", sent * 1_000), at(read));
        }
        let mut late = Lateness::new().unwrap();
        text.record(Duration::from_millis(25), &mut late);
        let millis = |times: &Times, quantile| times.quantile(quantile).round();
        assert_eq!((millis(&late.first, 1.0), millis(&late.later, 0.5), millis(&late.later, 1.0)), (4.0, 1.0, 2.0));
    }
}
