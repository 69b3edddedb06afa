//! The Prompt Ledger server. The path of a call: [`net`] accepts its connection, [`grpc`] or [`http`] converts the
//! request, [`service`] decides, the store records, the engine calls the provider, and the response returns the same way.
//! [`app`] composes all of it.

pub mod app;
pub mod cli;
pub mod front;
pub mod grpc;
pub mod http;
pub mod net;
pub mod rollup_job;
pub mod service;
pub mod sweeper;
pub mod watch;
