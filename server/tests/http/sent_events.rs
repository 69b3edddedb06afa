//! Reads server-sent events.

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use crate::client::WAIT_LIMIT;

/// One event, as a browser reads it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SentEvent {
    pub(crate) id: Option<String>,
    pub(crate) kind: String,
    pub(crate) retry: Option<u64>,
    pub(crate) data: Value,
}

/// A stream that is being read.
pub(crate) struct Events {
    body: Incoming,
    text: String,
    /// Comments so far.
    pub(crate) comments: usize,
}

impl Events {
    #[track_caller]
    pub(crate) fn of(response: Response<Incoming>) -> Self {
        assert_eq!(
            (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()),
            (200, "text/event-stream")
        );
        assert_eq!(response.headers()["cache-control"], "private, no-cache");
        Self { body: response.into_body(), text: String::new(), comments: 0 }
    }

    /// The next event; absent at the end of the stream, or where its connection broke.
    pub(crate) async fn next(&mut self) -> Option<SentEvent> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                match block.starts_with(':') {
                    true => self.comments += 1,
                    false => return Some(read(&block)),
                }
            }
            let frame = tokio::time::timeout(WAIT_LIMIT, self.body.frame()).await.expect("nothing more comes");
            let piece: Bytes = frame?.ok()?.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The next event of this kind.
    pub(crate) async fn until(&mut self, kind: &str) -> SentEvent {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before `{kind}`"));
            if event.kind == kind {
                return event;
            }
        }
    }

    pub(crate) async fn rest(mut self) -> Vec<SentEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn read(block: &str) -> SentEvent {
    let mut event = SentEvent::default();
    for line in block.lines() {
        match line.split_once(": ").unwrap_or_else(|| panic!("{block}")) {
            ("id", id) => event.id = Some(id.to_owned()),
            ("event", kind) => event.kind = kind.to_owned(),
            ("retry", delay) => event.retry = Some(delay.parse().unwrap()),
            ("data", data) => event.data = serde_json::from_str(data).unwrap(),
            _ => panic!("{block}"),
        }
    }
    // EventSource has an event of this name for itself.
    assert_ne!(event.kind, "error");
    event
}
