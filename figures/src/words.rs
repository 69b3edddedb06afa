//! Words with the timestamp of their sending (`Reply::clock`), and their age where they are read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use prompt_ledger_providers::TextSink;
use redis::aio::{MultiplexedConnection, PubSubStream};
use tokio::sync::mpsc;

use super::load::Times;
use super::release::FigureError;

/// When each word was sent.
pub(super) fn sent_at(text: &str) -> impl Iterator<Item = SystemTime> {
    let micros = text.split_whitespace().filter_map(|word| word.parse().ok());
    micros.map(|micros| UNIX_EPOCH + Duration::from_micros(micros))
}

/// The age of each word.
pub(super) fn ages(text: &str) -> impl Iterator<Item = Duration> {
    let now = SystemTime::now();
    sent_at(text).map(move |sent| now.duration_since(sent).unwrap_or_default())
}

/// Records the age of each word as it arrives.
pub(super) struct Ages {
    first: Times,
    gaps: Times,
    last: Option<Duration>,
}

impl Ages {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { first: Times::new()?, gaps: Times::new()?, last: None })
    }

    /// Starts a new stream.
    pub(super) fn begins(&mut self) {
        self.last = None;
    }

    pub(super) fn add(&mut self, text: &str) {
        for age in ages(text) {
            match self.last.replace(age) {
                None => self.first.record(age),
                // How much longer the gap between two words is than the model's own.
                Some(last) => self.gaps.record(age.saturating_sub(last)),
            }
        }
    }

    pub(super) fn say(&self, name: &str, beside: Option<&Self>) {
        let over = |times: fn(&Self) -> &Times, quantile| {
            times(self).quantile(quantile) - beside.map_or(0.0, |beside| times(beside).quantile(quantile))
        };
        println!(
            "  {name:<30} {:8.3} ms     p99 {:.3} ms; gap per frame {:.3} ms, p99 {:.3} ms",
            over(|ages| &ages.first, 0.5),
            over(|ages| &ages.first, 0.99),
            over(|ages| &ages.gaps, 0.5),
            over(|ages| &ages.gaps, 0.99)
        );
    }
}

impl TextSink for Ages {
    fn push(&mut self, delta: &str) {
        self.add(delta);
    }
}

/// Sends words through Redis only: the lower bound where one process writes and another reads.
pub(super) struct Relay {
    publishing: MultiplexedConnection,
    heard: PubSubStream,
    pub(super) ages: Ages,
}

const CHANNEL: &str = "words";

impl Relay {
    pub(super) async fn open(url: &str) -> Result<Self, FigureError> {
        let client = redis::Client::open(url)?;
        let mut subscription = client.get_async_pubsub().await?;
        subscription.subscribe(CHANNEL).await?;
        let publishing = client.get_multiplexed_async_connection().await?;
        Ok(Self { publishing, heard: subscription.into_on_message(), ages: Ages::new()? })
    }

    /// Reads a text of so many words that `write` pushes to the sink.
    pub(super) async fn read(
        &mut self,
        words: usize,
        write: impl AsyncFnOnce(Handed) -> Result<(), FigureError>,
    ) -> Result<(), FigureError> {
        self.ages.begins();
        let (sink, mut handed) = mpsc::unbounded_channel::<String>();
        let publish = async {
            while let Some(word) = handed.recv().await {
                let mut command = redis::cmd("PUBLISH");
                command.arg(CHANNEL).arg(word).query_async::<()>(&mut self.publishing).await?;
            }
            Ok(())
        };
        let read = async {
            for _ in 0..words {
                let message = self.heard.next().await.ok_or("the subscription ended")?;
                self.ages.add(&String::from_utf8_lossy(message.get_payload_bytes()));
            }
            Ok(())
        };
        tokio::try_join!(write(Handed(sink)), publish, read)?;
        Ok(())
    }
}

/// Passes a text on to the publishing task.
pub(super) struct Handed(mpsc::UnboundedSender<String>);

impl TextSink for Handed {
    fn push(&mut self, delta: &str) {
        self.0.send(delta.to_owned()).ok();
    }
}
