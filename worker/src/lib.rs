//! The life of one attempt, whoever makes it: call the provider, keep the lease, decide what the result means, record
//! it. A server runs sync executions through it; the worker process runs queued ones.
//!
//! | module | duty |
//! |---|---|
//! | [`attempt`] | drives a held execution to its end |
//! | [`heartbeat`] | extends the leases of everything that this process holds |
//! | [`outcome`] | one pure match: from how a call ended to what is written |

pub mod attempt;
pub mod heartbeat;
pub mod outcome;

pub use attempt::{Bounds, Job, Runner};
pub use heartbeat::Heartbeat;
