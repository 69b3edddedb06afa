//! Watching: the events and the text of executions, and the changes of prompts, sent to the streams that subscribe to them.
//! They are read from the store for all streams together. docs/ARCHITECTURE.md shows who owns whom.
//!
//! | module | duty |
//! |---|---|
//! | [`hub`] | everything that is watched on this server; keeps it in step with the store |
//! | `timeline` | one watched execution, shared by all streams that watch it |
//! | [`watch`] | one stream about one execution: a cursor into its timeline |
//! | [`feed`] | the events of all executions, read once for all streams that filter them |
//! | [`filtered_feed`] | one stream over all executions that match: snapshots, then events of the feed |
//! | [`prompt_watches`] | where streams about prompts begin |
//! | [`prompt_watch`] | one stream about prompts: a cursor into the project's revisions |
//! | [`prompt_reads`] | what these streams read, once for all that are at the same place |
//! | `held_filters` | which prompts they watch, equal ones held once |
//! | `held_reads` | what was read lately, within a bound on its bytes |
//! | [`project_heads`] | how far each project has come |
//! | [`stream_limits`] | the limits of every stream: number, heartbeats, age, drain, an end where it is not read |

pub mod feed;
pub mod filtered_feed;
mod held_filters;
mod held_reads;
pub mod hub;
pub mod project_heads;
pub mod prompt_reads;
pub mod prompt_watch;
pub mod prompt_watches;
pub mod stream_limits;
mod timeline;
#[expect(clippy::module_inception, reason = "each file is named for its type, and this one's is Watch")]
pub mod watch;

pub use self::filtered_feed::{FeedFilter, FeedMessage, FilteredFeed};
pub use self::held_filters::PromptWatchFilter;
pub use self::hub::{Hub, HubWork};
pub use self::project_heads::ProjectHeads;
pub use self::prompt_reads::PromptPart;
pub use self::prompt_watch::{PromptEvent, PromptMessage, PromptWatch};
pub use self::prompt_watches::PromptWatches;
pub use self::stream_limits::{StreamLimits, StreamSlot};
pub use self::watch::{Watch, WatchMessage};
