//! Production, end to end: built binaries of servers and workers, on the real Postgres, Redis and RabbitMQ, and a model
//! server over a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod alerts;
mod audit;
mod cancel;
mod causes;
mod code;
mod commands;
mod compose;
mod databases;
mod dispatch;
mod failovers;
mod faults;
mod figures;
mod given_up;
mod kit;
mod labels;
mod limits;
mod metrics;
mod older;
mod operations;
mod operators;
mod outages;
mod poolers;
mod processes;
mod prompt_feeds;
mod readme;
mod roles;
mod several;
mod signals;
mod strangers;
mod submit;
mod supervision;
mod tls;
mod traces;
mod transfer;
mod watching;
