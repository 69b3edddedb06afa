//! The one place that makes stores, brokers and providers from configuration: no other crate names a concrete one. A new
//! backend is wired here.

mod brokers;
mod providers;
mod store;

pub use brokers::{BrokerConnections, Brokers};
pub use providers::providers;
pub use store::{DataDirLock, Migrations, embedded_store, open_store, production_store};

/// Why a process cannot start: a sentence for the operator.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;
