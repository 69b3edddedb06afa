//! Reads the stream of one execution as a client should, and checks the watch contract.

use futures::{Stream, StreamExt};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_event::Kind;
use tonic::Status;

/// What a client knows of one execution, over several streams.
#[derive(Clone, Debug, Default)]
pub struct WatchRecord {
    /// Empty before the first message.
    pub id: String,
    /// Messages read.
    pub messages: usize,
    /// The sequence to resume from.
    pub cursor: i64,
    /// The present stream has sent its snapshot.
    pub greeted: bool,
    /// The snapshot of the latest stream.
    pub snapshot: Option<v1::ExecutionSnapshot>,
    /// Sequence and new status of every event after the first cursor.
    pub events: Vec<(i64, v1::ExecutionStatus)>,
    /// The attempt that wrote `text`.
    pub attempt: i32,
    /// The text so far, from deltas.
    pub text: String,
    /// Deltas read.
    pub deltas: usize,
    /// The tool calls of that attempt so far, from deltas.
    pub calls: Vec<v1::ToolCall>,
    /// The index of each delta of a call, in order.
    pub call_deltas: Vec<i32>,
    /// Heartbeats read.
    pub heartbeats: usize,
    /// The execution in the terminal event; absent before it.
    pub ended: Option<v1::Execution>,
}

/// A message that contains an event.
pub trait Holds {
    fn event(self) -> v1::ExecutionEvent;
}

macro_rules! holds {
    ($($message:ident)*) => {$(
        impl Holds for v1::$message {
            fn event(self) -> v1::ExecutionEvent {
                self.event.expect("a message without its event")
            }
        }
    )*};
}

holds! { WatchExecutionResponse StreamExecutionResponse WatchExecutionsResponse StreamCodePromptResponse }

impl WatchRecord {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the messages of one stream until it ends, or until `enough`. Returns the error that it ended with, if any.
    ///
    /// # Panics
    /// When a message breaks the contract.
    pub async fn read<M: Holds>(
        &mut self,
        stream: &mut (impl Stream<Item = Result<M, Status>> + Unpin),
        enough: impl Fn(&Self) -> bool,
    ) -> Option<Status> {
        while !enough(self) {
            match stream.next().await {
                Some(Ok(message)) => self.take(&message.event()),
                Some(Err(status)) => {
                    self.resume();
                    return Some(status);
                }
                None => {
                    assert!(self.ended.is_some(), "a stream ended well without a terminal event: {self:?}");
                    return None;
                }
            }
        }
        None
    }

    /// Reads a whole stream, which must end without an error.
    ///
    /// # Panics
    /// When it does not, or breaks the contract.
    pub async fn whole<M: Holds>(stream: &mut (impl Stream<Item = Result<M, Status>> + Unpin)) -> Self {
        let mut record = Self::new();
        record.finish(stream).await;
        record
    }

    /// Reads the rest of a stream, which must end without an error.
    ///
    /// # Panics
    /// When it does not, or breaks the contract.
    pub async fn finish<M: Holds>(&mut self, stream: &mut (impl Stream<Item = Result<M, Status>> + Unpin)) {
        let ended = self.read(stream, |_| false).await;
        assert!(ended.is_none(), "{ended:?} after {self:?}");
    }

    /// The stream was dropped; another one follows.
    pub fn resume(&mut self) {
        self.greeted = false;
    }

    fn take(&mut self, event: &v1::ExecutionEvent) {
        let kind = event.kind.as_ref().expect("an event of no kind");
        if self.id.is_empty() {
            self.id.clone_from(&event.execution_id);
        }
        assert_eq!(self.id, event.execution_id, "{event:?}");
        self.messages += 1;
        let first = !std::mem::replace(&mut self.greeted, true);
        assert_eq!(
            first,
            matches!(kind, Kind::Snapshot(_)),
            "the first message, and no other, is a snapshot: {event:?}"
        );
        assert!(event.at.is_some() && (event.sequence == 0) == !matches!(kind, Kind::StateChanged(_)), "{event:?}");
        assert!(self.ended.is_none(), "something follows the terminal event: {event:?}");
        match kind {
            Kind::Snapshot(snapshot) => {
                if snapshot.through_sequence > 0 {
                    assert!(self.cursor <= snapshot.through_sequence, "{snapshot:?} is behind {self:?}");
                }
                // A new stream sends the text and the calls so far from their beginning.
                self.begin(0);
                self.snapshot = Some(snapshot.clone());
            }
            Kind::StateChanged(changed) => {
                assert_eq!(event.sequence, self.cursor + 1, "{event:?} does not follow {self:?}");
                self.cursor = event.sequence;
                self.events.push((event.sequence, changed.to()));
                assert_eq!(event.terminal, changed.execution.is_some(), "{event:?}");
                self.ended = changed.execution.as_deref().cloned();
            }
            Kind::TextDelta(delta) => {
                if delta.attempt != self.attempt {
                    assert!(delta.attempt > self.attempt, "{delta:?} after {self:?}");
                    self.begin(delta.attempt);
                }
                assert_eq!(usize::try_from(delta.offset), Ok(self.text.len()), "{delta:?} after {self:?}");
                self.text.push_str(&delta.text);
                self.deltas += 1;
            }
            Kind::Heartbeat(heartbeat) => {
                assert_eq!(heartbeat.through_sequence, self.cursor, "{self:?}");
                self.heartbeats += 1;
            }
            Kind::ToolCallDelta(delta) => {
                if delta.attempt != self.attempt {
                    assert!(delta.attempt > self.attempt, "{delta:?} after {self:?}");
                    self.begin(delta.attempt);
                }
                self.call(delta);
            }
            Kind::Synced(_) => panic!("a stream about one execution is synced: {event:?}"),
        }
    }

    /// Drops what an attempt wrote, for that of another one.
    fn begin(&mut self, attempt: i32) {
        (self.attempt, self.text, self.calls) = (attempt, String::new(), Vec::new());
    }

    fn call(&mut self, delta: &v1::ExecutionToolCallDelta) {
        let index = usize::try_from(delta.index).expect("an index is 0 or more");
        if index == self.calls.len() {
            assert!(delta.offset == 0 && !delta.name.is_empty(), "a call begins at 0, with its name: {delta:?}");
            let v1::ExecutionToolCallDelta { id, name, .. } = delta.clone();
            self.calls.push(v1::ToolCall { id, name, arguments: String::new() });
        } else {
            assert!(delta.id.is_empty() && delta.name.is_empty(), "{delta:?} after {self:?}");
        }
        let had = self.calls.get(index).map(|call| call.arguments.len());
        assert_eq!(usize::try_from(delta.offset).ok(), had, "{delta:?} after {self:?}");
        self.calls[index].arguments.push_str(&delta.arguments);
        self.call_deltas.push(delta.index);
    }

    /// The statuses of all events, in order.
    #[must_use]
    pub fn statuses(&self) -> Vec<v1::ExecutionStatus> {
        self.events.iter().map(|(_, status)| *status).collect()
    }
}
