//! Passes what arrives from a broker on to the listeners of this process.

use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast;

use crate::{Announcement, Topic};

/// How many announcements a listener may lag behind; beyond, it misses the oldest. A buffer of this many is kept for each
/// topic that was ever listened to.
const EXECUTIONS_BEHIND: usize = 4_096;
const OTHERS_BEHIND: usize = 1_024;

/// A subscription to the announcements of one topic; dropping it ends it.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Heard>);

/// An item of a [`Listener`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message from any process, this one included.
    Announcement(Announcement),
    /// Announcements were missed: the listener was too slow, or the broker was disconnected. The store must be read
    /// instead.
    Missed,
}

impl Listener {
    /// The next announcement. Never ends: it waits where nothing more can come. Dropping the future loses nothing.
    pub async fn hear(&mut self) -> Heard {
        match self.0.recv().await {
            Ok(heard) => heard,
            Err(broadcast::error::RecvError::Lagged(_)) => Heard::Missed,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Where announcements of one topic are put for its listeners.
pub(crate) type TopicSender = broadcast::Sender<Heard>;

/// The topics that were listened to; the others cost nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Speaker(Arc<[OnceLock<TopicSender>; Topic::ALL.len()]>);

impl Speaker {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Passes an announcement on to the listeners of its topic, and [`Heard::Missed`] to all.
    pub(crate) fn say(&self, heard: Heard) {
        match &heard {
            Heard::Announcement(announcement) => _ = self.of(announcement.topic()).get().map(|topic| topic.send(heard)),
            Heard::Missed => self.0.iter().filter_map(OnceLock::get).for_each(|topic| _ = topic.send(Heard::Missed)),
        }
    }

    /// Whether the topic was ever listened to.
    pub(crate) fn is_heard(&self, topic: Topic) -> bool {
        self.of(topic).get().is_some()
    }

    pub(crate) fn listen(&self, topic: Topic) -> Listener {
        self.listen_fed(topic, |_| {})
    }

    /// As [`Self::listen`]; the first listener of the topic has it fed by `feed`.
    pub(crate) fn listen_fed(&self, topic: Topic, feed: impl FnOnce(&TopicSender)) -> Listener {
        let begin = || {
            let sender = TopicSender::new(if topic == Topic::Executions { EXECUTIONS_BEHIND } else { OTHERS_BEHIND });
            feed(&sender);
            sender
        };
        Listener(self.of(topic).get_or_init(begin).subscribe())
    }

    fn of(&self, topic: Topic) -> &OnceLock<TopicSender> {
        let [executions, cancels, text_requests, prompts] = &*self.0;
        match topic {
            Topic::Executions => executions,
            Topic::Cancels => cancels,
            Topic::TextRequests => text_requests,
            Topic::Prompts => prompts,
        }
    }
}
