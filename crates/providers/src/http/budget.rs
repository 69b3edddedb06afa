//! Bounds what the long bodies of a process take together: memory while they are read, processor time while they are
//! parsed.

use std::fmt;
use std::sync::Arc;

use prompt_ledger_domain::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::outcome::CallFault;

/// Bodies and stream events of up to this many bytes are outside the budget and are parsed on the runtime: that takes
/// less than a millisecond.
pub(super) const SMALL_BYTES: usize = 64 * 1024;

/// Bounds the memory that bodies and stream events above 64 KiB take at once, from reading to parsing, and how many of
/// them are parsed at once. The provider instances of a process share one: clones are one budget.
#[derive(Clone)]
pub struct BodyBudget {
    bytes: Arc<Semaphore>,
    /// Room for one whole body, held by one reader at a time. It prevents a deadlock of bodies that are half read and
    /// wait for each other's room.
    last: Arc<Semaphore>,
    parsers: Arc<Semaphore>,
}

impl BodyBudget {
    /// A budget of `bytes`; at least one body of the greatest length fits, whatever `bytes` says.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = bytes.saturating_sub(limits::PROVIDER_BODY_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            bytes: Arc::new(Semaphore::new(shared)),
            last: Arc::new(Semaphore::new(1)),
            // One core is left to everything else.
            parsers: Arc::new(Semaphore::new((threads - 1).max(1))),
        }
    }

    /// Parses text of this length; long text on a blocking thread, so that the runtime's threads are free meanwhile.
    pub(super) async fn parse<T: Send + 'static>(
        &self,
        length: usize,
        parse: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CallFault> {
        self.parse_into(&mut (), length, move |()| parse()).await
    }

    /// Parses text of this length into `state`. Where the call is given up while that is under way on another thread, the
    /// state is as it was before.
    pub(super) async fn parse_into<S: Clone + Send + 'static, T: Send + 'static>(
        &self,
        state: &mut S,
        length: usize,
        parse: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, CallFault> {
        if length <= SMALL_BYTES {
            return Ok(parse(state));
        }
        let unread = |_| CallFault::invalid_response("the provider's answer could not be read");
        let turn = Arc::clone(&self.parsers).acquire_owned().await.map_err(|_| unread(()))?;
        // Short beside the text that is parsed: of an answer at most what is stored.
        let mut copy = state.clone();
        // Parsing goes on when the call is dropped, so it keeps its permit, and what it parses keeps its room.
        let parsing = tokio::task::spawn_blocking(move || {
            let parsed = parse(&mut copy);
            drop(turn);
            (copy, parsed)
        });
        let (copy, parsed) = parsing.await.map_err(|_| unread(()))?;
        *state = copy;
        Ok(parsed)
    }
}

impl Default for BodyBudget {
    fn default() -> Self {
        Self::new(limits::PROVIDER_BODIES_BYTES)
    }
}

impl fmt::Debug for BodyBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyBudget").field("bytes_left", &self.bytes.available_permits()).finish()
    }
}

/// The share of the budget of one body or one stream event; dropping it releases it.
#[derive(Debug)]
pub(super) struct BodyRoom {
    budget: BodyBudget,
    held: Option<OwnedSemaphorePermit>,
    last: Option<OwnedSemaphorePermit>,
}

impl BodyRoom {
    pub(super) fn new(budget: &BodyBudget) -> Self {
        Self { budget: budget.clone(), held: None, last: None }
    }

    /// Grows a buffer to hold `bytes`, but no larger than `most`; waits until the budget has room for that. While a
    /// buffer grows, the old and the new one exist together.
    pub(super) async fn reserve(&mut self, buffer: &mut Vec<u8>, bytes: usize, most: usize) {
        if bytes <= buffer.capacity() {
            return;
        }
        let capacity = bytes.checked_next_power_of_two().unwrap_or(bytes).min(most);
        if capacity > SMALL_BYTES {
            self.grow(buffer.capacity() + capacity).await;
        }
        buffer.reserve_exact(capacity - buffer.len());
        self.shrink(capacity);
    }

    /// Holds exactly `bytes`.
    pub(super) async fn hold(&mut self, bytes: usize) {
        self.shrink(bytes);
        self.grow(bytes).await;
    }

    /// Releases what is held above `bytes`.
    fn shrink(&mut self, bytes: usize) {
        if bytes <= SMALL_BYTES {
            (self.held, self.last) = (None, None);
        } else if let Some(held) = &mut self.held {
            drop(held.split(held.num_permits().saturating_sub(bytes)));
        }
    }

    /// Holds at least `bytes`, and waits until there is room for them; the call's timeout bounds that.
    async fn grow(&mut self, bytes: usize) {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if bytes <= SMALL_BYTES || bytes <= held || self.last.is_some() {
            return;
        }
        let more = u32::try_from(bytes - held).unwrap_or(u32::MAX);
        let BodyBudget { bytes, last, .. } = &self.budget;
        // The semaphores are never closed.
        tokio::select! {
            biased;
            room = Arc::clone(bytes).acquire_many_owned(more) => match (&mut self.held, room) {
                (Some(held), Ok(room)) => held.merge(room),
                (held, room) => *held = room.ok(),
            },
            turn = Arc::clone(last).acquire_owned() => self.last = turn.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const BODY: usize = limits::PROVIDER_BODY_BYTES;
    /// Long enough for a task that need not wait.
    const SOON: Duration = Duration::from_secs(10);

    async fn at_once(growing: impl Future<Output = ()>) -> bool {
        // A task that need not wait is done at the first poll.
        timeout(Duration::ZERO, growing).await.is_ok()
    }

    #[tokio::test]
    async fn a_body_waits_until_another_gives_its_room_back() {
        let budget = BodyBudget::new(2 * BODY);
        let [mut first, mut second, mut third] = [(); 3].map(|()| BodyRoom::new(&budget));
        assert!(at_once(first.grow(BODY)).await);
        // The room that is left belongs to one at a time.
        assert!(at_once(second.grow(BODY)).await);
        assert!(!at_once(third.grow(SMALL_BYTES + 1)).await);
        // Small bodies do not wait.
        assert!(at_once(third.grow(SMALL_BYTES)).await);
        drop(second);
        assert!(at_once(third.grow(BODY)).await);
        drop(third);
        drop(first);
        assert_eq!(budget.bytes.available_permits(), BODY);
    }

    #[tokio::test]
    async fn a_buffer_that_grows_is_counted_twice_for_a_moment_and_then_as_it_is() {
        let budget = BodyBudget::new(2 * BODY);
        let (mut room, mut buffer) = (BodyRoom::new(&budget), Vec::new());
        room.reserve(&mut buffer, SMALL_BYTES, BODY).await;
        assert_eq!(budget.bytes.available_permits(), BODY);
        for bytes in [SMALL_BYTES + 1, BODY / 2, BODY / 2 - 1] {
            room.reserve(&mut buffer, bytes, BODY).await;
            assert!(buffer.capacity() >= bytes);
            assert_eq!(budget.bytes.available_permits(), BODY - buffer.capacity());
        }
        // Beside the half that it holds there is no room for a whole body, so it takes the room of the last.
        room.reserve(&mut buffer, BODY, BODY).await;
        assert_eq!((buffer.capacity(), budget.last.available_permits()), (BODY, 0));
        room.hold(SMALL_BYTES + 1).await;
        assert_eq!((budget.bytes.available_permits(), budget.last.available_permits()), (BODY - SMALL_BYTES - 1, 0));
        room.hold(0).await;
        assert_eq!((budget.bytes.available_permits(), budget.last.available_permits()), (BODY, 1));
    }

    #[tokio::test]
    async fn bodies_that_grow_together_all_come_to_their_end() {
        let budget = BodyBudget::new(2 * BODY);
        let mut growing = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let mut room = BodyRoom::new(&budget);
            growing.spawn(async move {
                for bytes in (0..=BODY).step_by(BODY / 16) {
                    room.grow(bytes).await;
                    tokio::task::yield_now().await;
                }
            });
        }
        assert_eq!(timeout(SOON, growing.join_all()).await.unwrap().len(), 20);
        assert_eq!((budget.bytes.available_permits(), budget.last.available_permits()), (BODY, 1));
    }

    #[tokio::test]
    async fn what_is_long_is_parsed_on_another_thread() {
        let budget = BodyBudget::default();
        let here = std::thread::current().id();
        let thread = || std::thread::current().id();
        assert_eq!(budget.parse(SMALL_BYTES, thread).await.unwrap(), here);
        assert_ne!(budget.parse(SMALL_BYTES + 1, thread).await.unwrap(), here);
        let failed = budget.parse(SMALL_BYTES + 1, || panic!("in a parser")).await.unwrap_err();
        assert_eq!(<&str>::from(failed.error_type), "invalid_response");
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_while_it_is_parsed_keeps_what_it_had() {
        let budget = BodyBudget::default();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
        let mut state = "so far".to_owned();
        let parse = move |state: &mut String| {
            state.push_str(", and more");
            begun.send(()).unwrap();
            may_go_on.recv().unwrap();
        };
        let parsing = budget.parse_into(&mut state, SMALL_BYTES + 1, parse);
        tokio::select! {
            _ = parsing => panic!("it cannot end"),
            begun = has_begun => begun.unwrap(),
        }
        assert_eq!(state, "so far");
        go_on.send(()).unwrap();
        budget.parse_into(&mut state, SMALL_BYTES + 1, |state| state.push('!')).await.unwrap();
        assert_eq!(state, "so far!");
    }
}
