//! Watching: what happens to executions, told to those who wait for it, without polling.
//!
//! | module | duty |
//! |---|---|
//! | [`hub`] | everything that is watched on this server; the store is its truth |
//! | `watched`, `timeline` | one watched execution, shared by all who watch it |
//! | [`watcher`] | one stream about one execution: a cursor into its story |
//! | [`feed`] | what happens to all executions, read once for all who watch by a filter |
//! | [`filter`] | one stream over all executions that match |
//! | [`stream`] | what every stream obeys: heartbeats, age, drain, limits, an end for who does not read |
//! | `turn` | how much a stream gives before others are due |

pub mod feed;
pub mod filter;
pub mod hub;
pub mod stream;
mod timeline;
mod turn;
mod watched;
pub mod watcher;

pub use self::feed::Feed;
pub use self::filter::{FeedMessage, FilteredFeed, Wanted};
pub use self::hub::Hub;
pub use self::stream::{Read, StreamLimits, Streams};
pub use self::watcher::{WatchMessage, Watcher};
