//! Hints tell workers that an execution waits for them; announcements tell every process what has happened to one, or that
//! prompts have changed.
//!
//! The store holds the facts. A lost hint makes an execution later, never lost; a duplicate is harmless, because a claim
//! is conditional. A lost announcement is made good by polls of the store, once a second. So nothing here is durable,
//! nothing waits for a broker, and a broker may go away and come back.
//!
//! | module | duty |
//! |---|---|
//! | [`memory`] | within one process: `dev` |
//! | [`redis`] | a stream of hints per provider instance, a channel of announcements |
//! | [`rabbit`] | the same over RabbitMQ: a classic queue per provider instance, a fanout exchange |
//! | [`failover`] | Redis, and RabbitMQ while the breaker on Redis is open: sends through one, receives from both |
//! | [`outbox`] | sends in the background |
#![warn(missing_docs)]
#![allow(clippy::disallowed_types, reason = "the brokers are made here")]

mod breaker;
pub mod failover;
mod inbox;
mod link;
mod listener;
pub mod memory;
pub mod outbox;
pub mod rabbit;
pub mod redis;
mod slot;
#[cfg(test)]
mod testing;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use prompt_ledger_domain::call_log::CallPiece;
use prompt_ledger_domain::execution::Event;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};

pub use link::{BrokerStatus, REQUEST_TIMEOUT};
pub use listener::{Heard, Listener};
pub use outbox::Outbox;

/// A message to a worker that has the provider: this attempt of the execution may be claimed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hint {
    /// The execution to claim.
    pub execution_id: ExecutionId,
    /// The attempt that the claim would begin, from 1.
    pub attempt: i32,
    /// The provider instance that the execution names. Each has a line of its own in a broker, which only processes that
    /// can call it read: there are as many lines as instances.
    pub provider: Arc<str>,
}

/// Most hints that wait for one provider. Beyond, some are dropped: the executions are found by their `available_at`.
const KEPT: usize = 100_000;

/// Longest text of one [`TextPiece`], in bytes: its JSON stays within the 64 KiB that a reader accepts.
pub const TEXT_BYTES: usize = 8 * 1024;

/// Most cursors in one [`Announcement::TextWanted`].
pub const TEXTS_WANTED: usize = 256;

/// How much of a running execution's text a reader has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextCursor {
    /// The execution whose text is read.
    pub execution_id: ExecutionId,
    /// The attempt that wrote the text; 0 for none.
    pub attempt: i32,
    /// Bytes of that attempt's text that the reader has.
    pub offset: usize,
    /// The position in that attempt's [`CallLog`](prompt_ledger_domain::call_log::CallLog) up to which it has its tool
    /// calls.
    pub calls: usize,
}

/// A piece of the text of a running execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPiece {
    /// The execution that the text belongs to.
    pub execution_id: ExecutionId,
    /// The attempt that wrote the text, from 1.
    pub attempt: i32,
    /// Where the piece begins, in bytes of the attempt's text.
    pub offset: usize,
    /// At most [`TEXT_BYTES`] long.
    pub text: Arc<str>,
}

/// A piece of a tool call of a running execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCallText {
    /// The execution that the call belongs to.
    pub execution_id: ExecutionId,
    /// The attempt that wrote it, from 1.
    pub attempt: i32,
    /// With at most [`TEXT_BYTES`] of arguments.
    pub piece: CallPiece,
}

/// A message to every process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// An execution changed its state.
    Changed {
        /// The execution that changed.
        execution_id: ExecutionId,
        /// The change, as it is stored.
        event: Event,
    },
    /// The cancellation of a running execution was requested: its holder aborts the call.
    Cancel {
        /// The execution to cancel.
        execution_id: ExecutionId,
    },
    /// Someone reads these texts. For a limited time, the holder of such an execution publishes its text beyond the
    /// cursor, and what is written from then on.
    TextWanted {
        /// At most [`TEXTS_WANTED`].
        texts: Arc<[TextCursor]>,
    },
    /// Text that a model wrote; published only after a [`TextWanted`](Self::TextWanted).
    Text(TextPiece),
    /// A piece of a tool call that a model wrote; published as text is. Releases before pass it over.
    ToolCall(ToolCallText),
    /// Prompts of a project changed. Releases before pass it over, and find the revision where they look for it.
    PromptsChanged {
        /// The project of the prompts.
        project_id: ProjectId,
        /// The project's revision after the change.
        revision: i64,
    },
}

/// What an announcement is about. A process hears the topics that it listens to; the others cost it nothing but their
/// transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// What happens to executions: their changes, texts and tool calls.
    Executions,
    /// Requests to cancel.
    Cancels,
    /// Requests for the texts of running executions.
    TextRequests,
    /// Changes of prompts.
    Prompts,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 4] = [Self::Executions, Self::Cancels, Self::TextRequests, Self::Prompts];
}

impl Announcement {
    /// The topic that it is heard by.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self {
            Self::Changed { .. } | Self::Text(_) | Self::ToolCall(_) => Topic::Executions,
            Self::Cancel { .. } => Topic::Cancels,
            Self::TextWanted { .. } => Topic::TextRequests,
            Self::PromptsChanged { .. } => Topic::Prompts,
        }
    }
}

/// A failed send. The broker may have received the message all the same.
#[derive(Debug, thiserror::Error)]
#[error("{broker}: {message}")]
pub struct BrokerError {
    /// `redis`, `rabbitmq` or `memory`.
    pub broker: &'static str,
    /// For the log: must not contain a URL or a password.
    pub message: String,
}

/// What is sent, as figures name it.
const HINTS: &str = "hint";
const ANNOUNCEMENTS: &str = "announcement";

/// Notes that so many messages were sent through a broker, or could not be.
fn noted(
    broker: &'static str,
    kind: &'static str,
    count: usize,
    sent: Result<(), BrokerError>,
) -> Result<(), BrokerError> {
    prompt_ledger_observe::brokers::sent(broker, kind, sent.is_ok(), count);
    sent
}

/// Hints: each goes to one worker that has its provider. Which providers this process receives hints of is decided when
/// its queue is made.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends hints in one round trip. Returns within about a second, whether the broker answers or not.
    async fn send(&self, hints: &[Hint]) -> Result<(), BrokerError>;

    /// Waits for hints, also through outages: at least one, at most `max`. Dropping the future loses nothing: a later
    /// call returns what has arrived.
    async fn receive(&self, max: usize) -> Vec<Delivery>;

    /// Acknowledges deliveries whose claims are resolved, whatever they got.
    async fn done(&self, deliveries: Vec<Delivery>);
}

/// A hint as it was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Equal to the hint that was sent.
    pub hint: Hint,
    /// For the acknowledgement; absent where the broker needs none.
    pub receipt: Option<Receipt>,
}

/// A broker's reference to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The connection that it came on; on another the receipt is void.
    pub connection: u64,
    /// The delivery's number on that connection.
    pub tag: u64,
}

/// Announcements: each goes to every process, the sender included.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Announces in one round trip. Returns within about a second, whether the broker answers or not.
    async fn announce(&self, announcements: &[Announcement]) -> Result<(), BrokerError>;

    /// A subscription to everything of this topic that is announced from now on. Must be called within a tokio runtime.
    fn listen(&self, topic: Topic) -> Listener;
}

/// A queue and a bus of the same broker.
pub trait Broker: Queue + Bus {}

impl<T: Queue + Bus> Broker for T {}
