//! The decisions of a watch: which updates it yields and when it opens another stream. Pure: no I/O, no clock, no
//! randomness, so that every way in which a stream can break is tested without a network.

use std::collections::VecDeque;

use crate::error::WatchError;
use crate::retry::{RetryDecision, RetryMoment, RetryWindow, StreamFailure};

/// Reads the messages of several streams as one sequence of updates.
pub(crate) trait StreamReader {
    type Message;
    type Update;

    /// Reads a message and appends what is new to `updates`.
    fn take(&mut self, message: Self::Message, updates: &mut VecDeque<Self::Update>) -> Taken;

    /// Another stream begins, with the present cursor.
    fn begins(&mut self) {}

    /// Whether a broken stream may be resumed by another.
    fn resumes(&self) -> bool {
        true
    }

    /// A stream broke, or could not be opened. Returns whether another one may be opened although the same request would be
    /// refused again.
    fn broke(&mut self, _failure: &StreamFailure, _updates: &mut VecDeque<Self::Update>) -> bool {
        false
    }
}

/// The effect of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was new, or a heartbeat: the retry window starts anew.
    News,
    /// It contained nothing new.
    Nothing,
    /// It was the last.
    Over,
    /// An event or text before it is missing.
    Gap,
    /// It was the last, in an unknown form.
    Unreadable,
}

/// What to do once the updates have been yielded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// Read the next event.
    Read,
    /// Drop the stream, wait, and open another.
    OpenStream(std::time::Duration),
    Over,
}

/// The state of a watch.
#[derive(Debug)]
pub(crate) struct Machine<R: StreamReader> {
    pub(crate) reader: R,
    pub(crate) updates: VecDeque<R::Update>,
    patience: RetryWindow,
    /// The present stream has delivered an event.
    heard: bool,
}

impl<R: StreamReader> Machine<R> {
    pub(crate) fn new(reader: R, patience: RetryWindow) -> Self {
        Self { reader, updates: VecDeque::new(), patience, heard: false }
    }

    /// Another stream was opened.
    pub(crate) fn opened(&mut self) {
        self.heard = false;
        self.reader.begins();
    }

    /// A message arrived.
    pub(crate) fn took(&mut self, message: R::Message, moment: RetryMoment) -> Result<NextStep, WatchError> {
        self.heard = true;
        match self.reader.take(message, &mut self.updates) {
            Taken::News => self.patience.progressed(),
            Taken::Nothing => {}
            Taken::Over => return Ok(NextStep::Over),
            Taken::Gap => return self.failed(StreamFailure::Gap, moment),
            Taken::Unreadable => return Err(WatchError::Unreadable),
        }
        Ok(NextStep::Read)
    }

    /// The stream broke, or could not be opened.
    pub(crate) fn failed(&mut self, failure: StreamFailure, moment: RetryMoment) -> Result<NextStep, WatchError> {
        // What the server has not begun with can be asked for again, whatever it is.
        let is_untouched = !self.heard && failure.has_not_begun();
        if !self.reader.resumes() && !is_untouched {
            return Err(failure.last());
        }
        let recovers = self.reader.broke(&failure, &mut self.updates) || is_untouched;
        let verdict = match failure.verdict() {
            RetryDecision::Final if recovers => RetryDecision::Again(failure.asked()),
            verdict => verdict,
        };
        // A stream that had begun, and was ended by a server that says when to come back, is no failure.
        if self.heard && matches!(verdict, RetryDecision::Again(Some(_))) {
            self.patience.progressed();
        }
        self.heard = false;
        self.patience.failed(failure, verdict, moment).map(NextStep::OpenStream)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
mod tests {
    use super::*;
    use prompt_ledger_proto::v1;
    use std::time::Duration;
    use tonic::Status;
    use tonic_types::{ErrorDetails, StatusExt as _};

    /// Answers by the event's sequence; 1 and 2 are an end.
    struct Scripted(bool);

    impl StreamReader for Scripted {
        type Message = v1::ExecutionEvent;
        type Update = i64;

        fn take(&mut self, event: v1::ExecutionEvent, updates: &mut VecDeque<i64>) -> Taken {
            updates.push_back(event.sequence);
            match event.sequence {
                0 => Taken::Nothing,
                1 => Taken::Over,
                2 => Taken::Unreadable,
                3 => Taken::Gap,
                _ => Taken::News,
            }
        }

        fn resumes(&self) -> bool {
            self.0
        }
    }

    fn machine() -> Machine<Scripted> {
        Machine::new(Scripted(true), RetryWindow::new(Duration::from_secs(60)))
    }

    fn event(sequence: i64) -> v1::ExecutionEvent {
        v1::ExecutionEvent { sequence, ..v1::ExecutionEvent::default() }
    }

    fn at(seconds: u64) -> RetryMoment {
        RetryMoment { now: Duration::from_secs(seconds), chance: 1.0 }
    }

    /// A server that says when to come back.
    fn aged() -> StreamFailure {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
        Status::with_error_details(tonic::Code::Unavailable, "aged", details).into()
    }

    #[test]
    fn each_event_says_what_to_do_next() {
        let mut machine = machine();
        machine.opened();
        for sequence in [0, 4] {
            assert_eq!(machine.took(event(sequence), at(0)).unwrap(), NextStep::Read);
        }
        assert_eq!(machine.took(event(3), at(0)).unwrap(), NextStep::OpenStream(Duration::from_millis(100)));
        assert_eq!(machine.took(event(1), at(0)).unwrap(), NextStep::Over);
        assert!(matches!(machine.took(event(2), at(0)), Err(WatchError::Unreadable)));
        assert_eq!(machine.updates, [0, 4, 3, 1, 2]);
    }

    #[test]
    fn news_renew_the_patience_and_a_snapshot_alone_does_not() {
        let mut machine = machine();
        for second in [0, 30] {
            machine.opened();
            machine.took(event(0), at(second)).unwrap();
            machine.failed(StreamFailure::Cut, at(second)).unwrap();
        }
        machine.took(event(4), at(50)).unwrap();
        machine.failed(StreamFailure::Cut, at(61)).unwrap();
        machine.took(event(0), at(62)).unwrap();
        let error = machine.failed(StreamFailure::Cut, at(121)).unwrap_err();
        assert!(matches!(error, WatchError::GaveUp { .. }), "{error}");
    }

    #[test]
    fn streams_that_reach_their_age_with_nothing_to_tell_are_no_failures() {
        let mut machine = machine();
        for second in 0..1_000 {
            machine.opened();
            machine.took(event(0), at(second)).unwrap();
            machine.failed(aged(), at(second)).unwrap();
        }
        // But one that has not begun is.
        machine.failed(aged(), at(1_000)).unwrap();
        assert!(machine.failed(aged(), at(1_060)).is_err());
    }

    #[test]
    fn what_cannot_be_gone_on_with_ends_at_the_first_failure() {
        let mut machine = Machine::new(Scripted(false), RetryWindow::new(Duration::from_secs(60)));
        assert!(matches!(machine.failed(aged(), at(0)), Err(WatchError::NotResumable(_))));
    }

    #[test]
    fn what_has_not_begun_is_asked_for_again() {
        for reason in ["DRAINING", "OVERLOADED"] {
            let refused = || -> StreamFailure {
                let mut details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
                details.set_error_info(reason, "promptledger.dev", []);
                Status::with_error_details(tonic::Code::ResourceExhausted, "no", details).into()
            };
            let mut machine = Machine::new(Scripted(false), RetryWindow::new(Duration::from_secs(60)));
            let next = machine.failed(refused(), at(0)).unwrap();
            assert_eq!(next, NextStep::OpenStream(Duration::from_millis(1_200)), "{reason}");
            machine.opened();
            machine.took(event(4), at(1)).unwrap();
            assert!(machine.failed(refused(), at(2)).is_err(), "it has begun");
        }
    }
}
