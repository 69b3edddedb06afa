use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Semaphore;

#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) what: What,
    pub(super) delay: Duration,
    pub(super) gate: Option<Gate>,
    pub(super) hold: Option<(usize, Gate)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) finish_reason: Option<String>,
    pub(super) tells_usage: bool,
    pub(super) cut: bool,
    pub(super) pace: Option<Duration>,
}

/// Placeholder of the timestamp in the words of [`Reply::clock`].
pub(super) const CLOCK: &str = "################";

#[derive(Clone, Debug)]
pub(super) enum What {
    Echo,
    Text(String),
    Raw { status: u16, body: Bytes },
    Hang,
    Close,
    Huge(usize),
    Events(Vec<Bytes>),
}

impl Reply {
    fn new(what: What) -> Self {
        Self {
            what,
            delay: Duration::ZERO,
            gate: None,
            hold: None,
            headers: Vec::new(),
            finish_reason: None,
            tells_usage: true,
            cut: false,
            pace: None,
        }
    }

    /// Answers with the text of the last message.
    #[must_use]
    pub fn echo() -> Self {
        Self::new(What::Echo)
    }

    /// Answers with this text.
    #[must_use]
    pub fn answer(text: impl Into<String>) -> Self {
        Self::new(What::Text(text.into()))
    }

    /// Answers `before\0after`.
    #[must_use]
    pub fn nul() -> Self {
        Self::answer("before\0after")
    }

    /// Responds with exactly this status and body.
    #[must_use]
    pub fn status(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(What::Raw { status, body: body.into() })
    }

    /// Responds 200 with exactly this body.
    #[must_use]
    pub fn json(body: &Value) -> Self {
        Self::status(200, body.to_string())
    }

    /// Responds 200 with a body that is no JSON.
    #[must_use]
    pub fn garbage() -> Self {
        Self::status(200, "<html>It works!</html>")
    }

    /// Responds 200 with an empty body.
    #[must_use]
    pub fn empty() -> Self {
        Self::status(200, "")
    }

    /// Reads the request and never responds.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(What::Hang)
    }

    /// Closes the connection before any byte of a response.
    #[must_use]
    pub fn close() -> Self {
        Self::new(What::Close)
    }

    /// Sends half of the body, or of the stream, then closes the connection.
    #[must_use]
    pub fn cut() -> Self {
        Self { cut: true, ..Self::answer("an answer of which the second half never comes") }
    }

    /// A valid answer whose body is exactly this many bytes long (at least 200), without a Content-Length.
    #[must_use]
    pub fn huge(bytes: usize) -> Self {
        Self::new(What::Huge(bytes))
    }

    /// An event stream of exactly these pieces, each sent by itself.
    #[must_use]
    pub fn events<P: Into<Bytes>>(pieces: impl IntoIterator<Item = P>) -> Self {
        Self::new(What::Events(pieces.into_iter().map(Into::into).collect()))
    }

    /// Closes the connection behind the last piece of [`Reply::events`], instead of ending the response.
    #[must_use]
    pub fn then_cut(mut self) -> Self {
        self.cut = true;
        self
    }

    /// Waits this long before it responds.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Responds only when the gate is open.
    #[must_use]
    pub fn held(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Streams this many words (or pieces of [`Reply::events`]), and the rest only when the gate is open.
    #[must_use]
    pub fn held_after(mut self, words: usize, gate: &Gate) -> Self {
        self.hold = Some((words, gate.clone()));
        self
    }

    /// Streams this many words, one per `pace`; each is the time at which it was sent, in microseconds since 1970.
    #[must_use]
    pub fn clock(words: usize, pace: Duration) -> Self {
        Self { pace: Some(pace), ..Self::answer(format!("{CLOCK} ").repeat(words)) }
    }

    /// Waits so long before each piece of [`Reply::events`].
    #[must_use]
    pub fn paced(mut self, pace: Duration) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Adds this header; a later one of the same name replaces it.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Ends with this finish reason instead of the normal one.
    #[must_use]
    pub fn finish_reason(mut self, reason: &str) -> Self {
        self.finish_reason = Some(reason.to_owned());
        self
    }

    /// Leaves out the usage.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        self.tells_usage = false;
        self
    }
}

/// Holds replies back until it is opened; then it stays open. Clones are one gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets everything through, from now on.
    pub fn open(&self) {
        self.0.close();
    }

    pub(super) async fn opened(&self) {
        // No permit is ever available: the wait ends when the semaphore is closed.
        let _ = self.0.acquire().await;
    }
}
