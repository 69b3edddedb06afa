//! The life of one attempt, whoever makes it: claim it, call the provider, keep the lease, decide what the result means,
//! record it. A server runs sync executions through it; the worker process, or `dev`, runs queued ones.
//!
//! | module | duty |
//! |---|---|
//! | [`work`] | the loop: a permit, then a hint or a row whose time has come; claims it |
//! | [`attempt`] | drives a held execution to its end, or back into the queue |
//! | [`heartbeat`] | extends the leases of everything that this process holds |
//! | `write` | repeats the write of an end until it is recorded |
//! | [`cancel_listener`] | aborts what someone asked the end of |
//! | [`text`] | holds what a model writes, for who reads along |
//! | [`event_publisher`] | tells what happens |
//! | [`outcome`] | one pure match: from how a call ended to what is written |
//! | [`app`] | what this process and a server are both made of: providers, brokers |
//! | [`process`] | the worker process: start, drain, end |

pub mod app;
pub mod attempt;
pub mod cancel_listener;
pub mod event_publisher;
pub mod heartbeat;
pub mod outcome;
pub mod process;
pub mod text;
pub mod work;
mod write;

pub use attempt::{Bounds, Job, RecordedEnd, Runner};
pub use cancel_listener::CancelListener;
pub use event_publisher::{EventObserver, EventPublisher};
pub use heartbeat::Heartbeat;
pub use text::Texts;
pub use work::Worker;
