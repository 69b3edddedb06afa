//! What the long bodies of a process may take together: memory while they are read, and processor time while they are
//! parsed.

use std::fmt;
use std::sync::Arc;

use prompt_ledger_domain::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::CallFault;

/// A body, or an event of a stream, up to so many bytes is outside the budget and is parsed where it was read: that takes
/// less than a millisecond.
const SMALL_BYTES: usize = 64 * 1024;

/// The memory that bodies, and events of streams, above 64 KiB may take at once, from reading until they are parsed, and
/// how many of them are parsed at once. The provider instances of a process share one: clones are one budget.
#[derive(Clone)]
pub struct BodyBudget {
    bytes: Arc<Semaphore>,
    /// Room for one whole body, for one at a time: bodies that are half read and wait for each other's room would wait
    /// for ever.
    last: Arc<Semaphore>,
    parsers: Arc<Semaphore>,
}

impl BodyBudget {
    /// So many bytes, at least what one body may have.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = bytes.saturating_sub(limits::PROVIDER_BODY_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            bytes: Arc::new(Semaphore::new(shared)),
            last: Arc::new(Semaphore::new(1)),
            // One thread is left to everything else.
            parsers: Arc::new(Semaphore::new((threads - 1).max(1))),
        }
    }

    /// Parses text of this length: on a thread of its own where it is long, so that the runtime's threads serve others
    /// meanwhile.
    pub(super) async fn parse<T: Send + 'static>(
        &self,
        length: usize,
        parse: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CallFault> {
        if length <= SMALL_BYTES {
            return Ok(parse());
        }
        let unread = |_| CallFault::invalid_response("the provider's answer could not be read");
        let turn = Arc::clone(&self.parsers).acquire_owned().await.map_err(|_| unread(()))?;
        // It goes on when the call is dropped: so it keeps its turn, and what it parses its room.
        let parsing = tokio::task::spawn_blocking(move || {
            let parsed = parse();
            drop(turn);
            parsed
        });
        parsing.await.map_err(|_| unread(()))
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

/// What one body, or one stream's event, holds of the budget; dropping it gives it back.
#[derive(Debug)]
pub(super) struct BodyRoom {
    budget: BodyBudget,
    held: Option<OwnedSemaphorePermit>,
    last: Option<OwnedSemaphorePermit>,
}

impl BodyRoom {
    /// Nothing yet.
    pub(super) fn new(budget: &BodyBudget) -> Self {
        Self { budget: budget.clone(), held: None, last: None }
    }

    pub(super) fn budget(&self) -> &BodyBudget {
        &self.budget
    }

    /// Makes a buffer large enough for `bytes`, and no larger than `most`; waits until there is room for that. A buffer that
    /// grows is there twice for a moment.
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

    /// Holds `bytes` in all, no more and no less.
    pub(super) async fn hold(&mut self, bytes: usize) {
        self.shrink(bytes);
        self.grow(bytes).await;
    }

    /// Gives back what is held above `bytes`.
    fn shrink(&mut self, bytes: usize) {
        if bytes <= SMALL_BYTES {
            (self.held, self.last) = (None, None);
        } else if let Some(held) = &mut self.held {
            drop(held.split(held.num_permits().saturating_sub(bytes)));
        }
    }

    /// Holds `bytes` in all, and waits until there is room for them: the call's timeout bounds that.
    async fn grow(&mut self, bytes: usize) {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if bytes <= SMALL_BYTES || bytes <= held || self.last.is_some() {
            return;
        }
        let more = u32::try_from(bytes - held).unwrap_or(u32::MAX);
        let BodyBudget { bytes, last, .. } = &self.budget;
        // Neither is ever closed.
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
        // Whoever need not wait is done at the first poll.
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
        // What is small waits for nobody.
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
        // Beside the half that it has there is no room for a whole; so it has the room of the last.
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
        assert_eq!(failed.error_type.as_str(), "invalid_response");
    }
}
