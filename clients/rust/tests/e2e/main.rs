//! End to end: the client against the built server, which crashes, drains and restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod code_prompts;
mod errors;
mod given_up;
mod preparation;
mod prompt_calls;
mod prompts;
mod readme;
mod stream;
mod tail;
mod testing;
mod watch;

use prompt_ledger_client::{Client, Options, Update, Updates, v1};
use prompt_ledger_testkit::fake_model::FakeModel;
use prompt_ledger_testkit::ledger::{Builder, DEVELOPMENT_KEY, Ledger, built_binary, server, spec};

/// A server with this model.
fn ledger(model: &FakeModel) -> Builder {
    server(built_binary()).openai(&model.base_url()).env("RETRY_DELAYS", "10ms,10ms,10ms")
}

/// As [`ledger`], for one that is killed: its executions are resumed soon after, by a server with any lease. A slow disk
/// holds up what extends the short one.
fn mortal(model: &FakeModel) -> Builder {
    ledger(model).env("LEASE", "5s").expects("leases could not be extended")
}

fn options(ledger: &Ledger) -> Options {
    Options { url: format!("http://{}", ledger.addr), api_key: DEVELOPMENT_KEY.into(), ..Options::default() }
}

fn client(ledger: &Ledger) -> Client {
    Client::connect(options(ledger)).unwrap()
}

/// A spec of an execution whose text is watched.
fn greet() -> v1::ExecutionSpec {
    v1::ExecutionSpec { stream_text: Some(true), ..spec("greet", &[]) }
}

/// What a consumer of a watch has, who follows the documentation.
#[derive(Debug, Default)]
struct Read {
    /// Sequence and status.
    states: Vec<(i64, v1::ExecutionStatus)>,
    joined: usize,
    restarts: Vec<i32>,
    text: String,
    ended: Option<v1::Execution>,
}

impl Read {
    /// Reads until enough has arrived, or to the end.
    async fn until(&mut self, watch: &mut Updates, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            let update = watch.next().await.unwrap_or_else(|| panic!("no more after {self:?}"));
            match update.unwrap_or_else(|error| panic!("{error:?} after {self:?}")) {
                Update::State(change) => self.states.push((change.sequence, change.to)),
                Update::Restarted { attempt } => {
                    self.restarts.push(attempt);
                    self.text.clear();
                }
                Update::Text { offset, text, .. } => {
                    assert_eq!(offset, self.text.len(), "{self:?}");
                    self.text.push_str(&text);
                }
                Update::Ended(execution) => self.ended = Some(*execution),
                Update::Joined { .. } => self.joined += 1,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads to the end, and asserts that it is one.
    async fn read_out(&mut self, watch: &mut Updates) -> &v1::Execution {
        self.until(watch, |read| read.ended.is_some()).await;
        assert!(watch.next().await.is_none());
        let sequences: Vec<_> = self.states.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, (1..=sequences.len()).map(|n| i64::try_from(n).unwrap()).collect::<Vec<_>>());
        self.ended.as_ref().unwrap()
    }

    fn statuses(&self) -> Vec<v1::ExecutionStatus> {
        self.states.iter().map(|(_, status)| *status).collect()
    }
}
