//! Watching: what happens to executions, told to those who wait for it. Nobody who watches asks the store by itself.
//! docs/ARCHITECTURE.md shows who owns whom.
//!
//! | module | duty |
//! |---|---|
//! | [`hub`] | everything that is watched on this server; the store is its truth |
//! | `timeline` | one watched execution, shared by all who watch it |
//! | [`watch`] | one stream about one execution: a cursor into its timeline |
//! | [`feed`] | what happens to all executions, read once for all who watch by a filter |
//! | [`filtered_feed`] | one stream over all executions that match: what stands, then what the feed tells |
//! | [`stream_limits`] | what every stream obeys: counts, heartbeats, age, drain, an end for who does not read |

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
