//! Hints and announcements: what tells workers that a row waits for them, and everyone what has happened to one.
//!
//! Neither is the truth; the store is. A hint that is lost makes an execution later, never lost; one that arrives twice
//! is harmless, because a claim is conditional. An announcement that is lost is made good by one look at the store a
//! second. So nothing here is durable, nothing waits for a broker, and a broker may go away and come back.
//!
//! | module | duty |
//! |---|---|
//! | [`memory`] | within one process: `dev` |
//! | [`redis`] | a stream of hints, a channel of announcements |
//! | [`rabbit`] | the same over RabbitMQ: a classic queue, a fanout exchange |
//! | [`failover`] | Redis, and RabbitMQ while Redis is away: sends to one, listens on both |
//! | [`outbox`] | what is to be sent, so that nobody waits for it |
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
use prompt_ledger_domain::execution::Event;
use prompt_ledger_domain::ids::ExecutionId;

pub use link::BrokerStatus;
pub use listener::{Heard, Listener};
pub use outbox::Outbox;

/// Tells a worker that the next attempt of an execution may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hint {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The attempt that the claim would begin, from 1.
    pub attempt: i32,
}

/// How long the text of one [`TextPiece`] may be, in bytes: what it comes to on the way stays within what is read.
pub const TEXT_BYTES: usize = 8 * 1024;

/// How many texts one [`Announcement::TextWanted`] asks for at most.
pub const TEXTS_WANTED: usize = 256;

/// How much of a running execution's text someone has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextCursor {
    /// Which one.
    pub execution_id: ExecutionId,
    /// The attempt that wrote it; 0 for none.
    pub attempt: i32,
    /// So many bytes of it.
    pub offset: usize,
}

/// A piece of the text of a running execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPiece {
    /// Which one.
    pub execution_id: ExecutionId,
    /// The attempt that writes.
    pub attempt: i32,
    /// Where it begins, in bytes of the attempt's text.
    pub offset: usize,
    /// At most [`TEXT_BYTES`].
    pub text: Arc<str>,
}

/// What is told to every process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// An execution changed its state.
    Changed {
        /// Which one.
        execution_id: ExecutionId,
        /// The change, as it is stored.
        event: Event,
    },
    /// Someone asked for the end of a running execution: its holder aborts the call.
    Cancel {
        /// Which one.
        execution_id: ExecutionId,
    },
    /// Someone reads along: for a while, whoever holds one of these tells its text beyond the cursor, and more as it is
    /// written.
    TextWanted {
        /// Which ones, at most [`TEXTS_WANTED`].
        texts: Arc<[TextCursor]>,
    },
    /// What the model writes, while someone watches.
    Text(TextPiece),
}

/// Why a broker did not take something. It may have arrived all the same.
#[derive(Debug, thiserror::Error)]
#[error("{broker}: {message}")]
pub struct BrokerError {
    /// `redis`, `rabbitmq`, ...
    pub broker: &'static str,
    /// For the log: never a URL, never a password.
    pub message: String,
}

/// Hints, from those who submit to one worker each.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends hints, in one round trip. Answers within a bound of about a second, broker or none.
    async fn send(&self, hints: &[Hint]) -> Result<(), BrokerError>;

    /// Waits for hints: at least one, at most `max`. Waits through outages too. Dropping the future loses nothing that a
    /// later call would not answer.
    async fn receive(&self, max: usize) -> Vec<Delivery>;

    /// The claims of these have answered, either way.
    async fn done(&self, deliveries: Vec<Delivery>);
}

/// A hint as it was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The hint.
    pub hint: Hint,
    /// What the broker wants to hear of when it is done; nothing where it wants to hear nothing.
    pub receipt: Option<Receipt>,
}

/// A broker's own word for a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which connection it came on: on another it means nothing.
    pub connection: u64,
    /// Its number there.
    pub tag: u64,
}

/// Announcements, from every process to every process, itself included.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Announces, in one round trip. Answers within a bound of about a second, broker or none.
    async fn announce(&self, announcements: &[Announcement]) -> Result<(), BrokerError>;

    /// Everything announced from now on.
    fn listen(&self) -> Listener;
}

/// A queue and a bus in one place.
pub trait Broker: Queue + Bus {}

impl<T: Queue + Bus> Broker for T {}
