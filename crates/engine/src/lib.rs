//! Runs attempts, in whichever process: claim an execution, call the provider, keep the lease, decide what the result
//! means, record it. A server runs sync executions through it; a worker process, or `dev`, runs queued ones.
//!
//! | module | duty |
//! |---|---|
//! | [`engine`] | starts all of this in a process, and drains it |
//! | [`work`] | the loop: a permit, then a hint or a row whose time has come; claims it |
//! | [`attempt`] | drives a held execution to its end, or back into the queue |
//! | [`heartbeat`] | extends the leases of everything that this process holds |
//! | `report`, `call_observed` | tell operators what became of attempts and of calls |
//! | `write` | repeats the write of an end until it is recorded |
//! | [`cancel_listener`] | aborts executions whose cancel was requested |
//! | [`presence`] | tells that this process runs, and which providers it can call |
//! | [`text`] | holds what models write, for readers |
//! | [`event_publisher`] | announces changes to this process and to the bus |
//! | [`outcome`] | one pure match: from how a call ended to what is written |

pub mod attempt;
mod call_observed;
pub mod cancel_listener;
pub mod engine;
pub mod event_publisher;
pub mod heartbeat;
pub mod outcome;
pub mod presence;
mod report;
pub mod text;
pub mod work;
mod write;

pub use attempt::{Bounds, Job, RecordedEnd, Runner};
pub use cancel_listener::CancelListener;
pub use engine::Engine;
pub use event_publisher::{EventObserver, EventPublisher};
pub use heartbeat::Heartbeat;
pub use presence::Presence;
pub use prompt_ledger_store::ProcessKind;
pub use text::Texts;
pub use work::Worker;
