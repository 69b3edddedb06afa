//! The health of a process, as grpc.health.v1: [`Monitor`] sets it by the store, [`HealthListener`] tells it on an
//! address of its own, and [`HealthArgs`] is the command that asks for it.

mod any_certificate;
mod listener;
mod monitor;
mod probe;

pub use listener::HealthListener;
pub use monitor::Monitor;
pub use probe::HealthArgs;

/// The service that is SERVING for as long as the process answers, also while it drains or its database is away: by it
/// a platform restarts what hangs. Every other service, the empty name too, says whether calls are welcome.
pub const ALIVE: &str = "alive";
