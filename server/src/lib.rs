//! The Prompt Ledger server. An execution travels: [`net`] accepts, [`grpc`] converts in, [`service`] decides, the store
//! records, the engine calls the provider, and the answer goes back the same way. [`app`] composes all of it.

pub mod app;
pub mod cli;
pub mod grpc;
pub mod health_monitor;
pub mod net;
pub mod rollup_job;
pub mod service;
pub mod sweeper;
pub mod watch;
