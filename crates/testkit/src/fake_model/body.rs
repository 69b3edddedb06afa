//! Response bodies that are sent step by step.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use super::State;
use super::reply::{CLOCK, Gate};

pub(super) type Body = UnsyncBoxBody<Bytes, Closed>;

/// The script closes the connection.
#[derive(Debug)]
pub(super) struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed by the script")
    }
}

impl std::error::Error for Closed {}

/// A call in flight. Dropped before `done`, it counts as aborted by the client.
pub(super) struct Running {
    /// Numbers the calls from 1.
    pub(super) number: usize,
    state: Arc<State>,
    done: bool,
}

impl Running {
    pub(super) fn begin(state: Arc<State>) -> Self {
        Self { number: state.counts.call_arrived(), state, done: false }
    }

    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.state.counts.call_ended(!self.done);
    }
}

pub(super) enum Step {
    Send(Bytes),
    Wait(Gate),
    Pause(Duration),
    /// Sends these bytes with the current time in place of `CLOCK`.
    Stamp(Bytes),
    Cut,
}

/// Replaces `CLOCK` by the current time.
fn stamped(bytes: &Bytes) -> Bytes {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    String::from_utf8_lossy(bytes).replace(CLOCK, &format!("{:016}", now.as_micros())).into()
}

/// A body that is sent at once.
pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// A body that is sent step by step. The call is done with the last step.
pub(super) fn steps(steps: Vec<Step>, running: Running) -> Body {
    let stream = futures::stream::unfold(Some((VecDeque::from(steps), running)), |playing| async move {
        let (mut steps, running) = playing?;
        loop {
            match steps.pop_front() {
                Some(Step::Send(bytes)) => return Some((Ok(Frame::data(bytes)), Some((steps, running)))),
                Some(Step::Wait(gate)) => gate.opened().await,
                Some(Step::Pause(length)) => tokio::time::sleep(length).await,
                Some(Step::Stamp(bytes)) => return Some((Ok(Frame::data(stamped(&bytes))), Some((steps, running)))),
                Some(Step::Cut) => {
                    // Bytes sent before must have left: a pending body makes hyper flush.
                    tokio::task::yield_now().await;
                    running.done();
                    return Some((Err(Closed), None));
                }
                None => {
                    running.done();
                    return None;
                }
            }
        }
    });
    StreamBody::new(stream).boxed_unsync()
}
