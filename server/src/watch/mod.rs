//! Watching: the events and the text of executions, sent to the streams that subscribe to them. Live events are read
//! from the store for all streams together. docs/ARCHITECTURE.md shows who owns whom.
//!
//! | module | duty |
//! |---|---|
//! | [`hub`] | everything that is watched on this server; keeps it in step with the store |
//! | `timeline` | one watched execution, shared by all streams that watch it |
//! | [`watch`] | one stream about one execution: a cursor into its timeline |
//! | [`feed`] | the events of all executions, read once for all streams that filter them |
//! | [`filtered_feed`] | one stream over all executions that match: snapshots, then events of the feed |
//! | [`stream_limits`] | the limits of every stream: number, heartbeats, age, drain, an end where it is not read |

pub mod feed;
pub mod filtered_feed;
pub mod hub;
pub mod stream_limits;
mod timeline;
#[expect(clippy::module_inception, reason = "each file is named for its type, and this one's is Watch")]
pub mod watch;

pub use self::filtered_feed::{FeedFilter, FeedMessage, FilteredFeed};
pub use self::hub::Hub;
pub use self::stream_limits::{StreamLimits, StreamSlot};
pub use self::watch::{Watch, WatchMessage};
