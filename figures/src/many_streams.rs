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
/// Streams begin spread over the pace, so that their words do not come at once.
const PHASES: usize = 20;
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

    fn add(&mut self, other: Self) -> std::io::Result<()> {
        self.first.add(other.first)?;
        self.later.add(other.later)
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

/// The pieces of one text, as they are read.
struct TimedText {
    /// The least time between two pieces where they are written.
    window: Duration,
    /// How long the first word was on its way.
    way: Option<Duration>,
    last: Option<SystemTime>,
    late: Lateness,
}

impl TimedText {
    fn new(window: Duration) -> std::io::Result<Self> {
        Ok(Self { window, way: None, last: None, late: Lateness::new()? })
    }

    /// A piece was read. It was due when its first word was sent, and no earlier than a window after the piece before was
    /// written, which was the way before it was read.
    fn read(&mut self, text: &str, now: SystemTime) {
        let Some(sent) = sent_at(text).next() else { return };
        let due = match (self.last.replace(now), self.way) {
            (Some(last), Some(way)) => sent.max(last - way + self.window),
            _ => sent,
        };
        let late = now.duration_since(due).unwrap_or_default();
        match self.way {
            None => {
                self.way = Some(late);
                self.late.first.record(late);
            }
            Some(_) => self.late.later.record(late),
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
) -> Result<Lateness, FigureError> {
    let mut text = TimedText::new(COALESCED)?;
    while let Some(message) = stream.message().await? {
        if let Some(Kind::TextDelta(delta)) = event(message).and_then(|event| event.kind) {
            text.push(&delta.text);
        }
    }
    Ok(text.late)
}

/// Lets the model's calls begin to write, spread over the pace, once all are there; then all texts are read to their end.
/// Returns with them the CPU time of these processes meanwhile, in seconds.
async fn written(
    gates: &[Gate],
    mut reading: JoinSet<Result<Lateness, FigureError>>,
    processes: &[u32],
) -> Result<(Lateness, f64), FigureError> {
    let cpu = || processes.iter().map(|process| cpu_seconds(*process)).sum::<f64>();
    let before = cpu();
    let mut ticks = tokio::time::interval(PACE / u32::try_from(PHASES)?);
    for gate in gates {
        ticks.tick().await;
        gate.open();
    }
    let mut all = Lateness::new()?;
    while let Some(late) = reading.join_next().await {
        all.add(late??)?;
    }
    Ok((all, cpu() - before))
}

/// Has the model hold its next calls, in turns for each phase.
fn held(model: &FakeModel) -> Vec<Gate> {
    let gates: Vec<_> = std::iter::repeat_with(Gate::new).take(PHASES).collect();
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
            let mut text = TimedText::new(Duration::ZERO)?;
            call(&provider, Some(&mut text)).await?;
            Ok(text.late)
        });
    }
    model.wait_for_calls(calls + STREAMS).await;
    Ok(written(&gates, reading, &[]).await?.0)
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
    let (late, cpu) = written(&gates, reading, &[server.pid()]).await?;
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
    let (late, cpu) = written(&gates, reading, &processes).await?;
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
        let mut text = TimedText::new(Duration::from_millis(25)).unwrap();
        // On its way for 2 ms; held back to 25 ms after the piece before, and 1 ms late; sent later than that, and 3 ms late.
        for (sent, read) in [(1_000, 1_002), (1_020, 1_026), (1_090, 1_093)] {
            text.read(&format!("{} ", sent * 1_000), at(read));
        }
        let late = |times: &Times, quantile| times.quantile(quantile).round();
        let TimedText { late: Lateness { first, later }, .. } = &text;
        assert_eq!((late(first, 1.0), late(later, 0.5), late(later, 1.0)), (2.0, 1.0, 3.0));
    }
}
