//! `cargo xtask figures`: performance of Prompt Ledger on this machine, measured in one run with its yardsticks.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "what is measured chooses its provider and answers"
)]

mod analytics;
mod bench;
mod compare;
mod contents;
mod direct;
mod disk;
mod echo;
mod feed;
mod floor;
mod frontier;
mod growth;
mod http;
mod http_client;
mod lists;
mod load;
mod machine;
mod main_job;
mod observe;
mod production;
mod registering;
mod release;
mod rendering;
mod streams;
mod words;

use std::process::ExitCode;

use clap::Subcommand;

use crate::CommandOutcome;
use crate::workspace::Workspace;

/// Measure Prompt Ledger on this machine: release build, medians, the yardstick in the same run
#[derive(clap::Args)]
pub(crate) struct FiguresArgs {
    #[command(subcommand)]
    which: Which,
}

#[derive(Subcommand)]
enum Which {
    /// The embedded default: start, memory, size, GetPrompt beside a bare tonic echo, what RunExecution adds to a call, chats
    /// beside texts, labels beside the pointer
    MainJob,
    /// RunExecution beside a direct call of the model: `dev` and Postgres, 1 and 16 callers, and the frontier of both
    Compare,
    /// Production: submits beside pgbench, executions through Redis and RabbitMQ, what they cost
    Production,
    /// Analytics: figures over a million executions of a thousand prompts beside the raw GROUP BY, and what they cost the
    /// write path; lists by each filter
    Analytics {
        /// Another number of executions
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(i64).range(1_000..))]
        executions: i64,
    },
    /// Streams: what watching adds, what watchers cost, what a stalled one does
    Streams,
    /// Watches of prompts: memory of watchers and of a cached prompt, how long a change takes to a thousand watchers, and from
    /// one server to its use on another
    Feed,
    /// The HTTP front: GET of a prompt beside a bare axum answer, what it adds to an execution and to the first word, memory
    /// of open streams
    Http,
    /// What metrics and traces cost an execution, beside a server that shows nothing
    Observe,
    /// Rendering: the costliest templates and variables that a caller can send
    Rendering,
    /// A client's cache of all prompts, as a process of its own
    #[command(hide = true)]
    CachedPrompts {
        /// The server's address
        addr: String,
        /// The key
        key: String,
    },
    /// The bare axum server, as a process of its own
    #[command(hide = true)]
    AxumServer {
        /// The size of its answers, in bytes
        bytes: usize,
    },
    /// The bare server that keeps two records, as a process of its own
    #[command(hide = true)]
    FloorServer {
        /// The model's base URL
        model: String,
        /// The most calls at once
        callers: usize,
        /// Where it writes
        folder: std::path::PathBuf,
    },
    /// The bare tonic echo, as a process of its own
    #[command(hide = true)]
    EchoServer {
        /// The size of its answers, in bytes
        bytes: usize,
    },
}

pub(crate) fn run(args: &FiguresArgs) -> CommandOutcome {
    if cfg!(debug_assertions) {
        return optimised();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match &args.which {
        Which::MainJob => runtime.block_on(main_job::run()),
        Which::Compare => runtime.block_on(compare::run()),
        Which::Production => runtime.block_on(production::run()),
        Which::Analytics { executions } => runtime.block_on(analytics::run(*executions)),
        Which::Streams => runtime.block_on(streams::run()),
        Which::Feed => runtime.block_on(feed::run()),
        Which::CachedPrompts { addr, key } => runtime.block_on(feed::cached_here(addr, key)),
        Which::Observe => runtime.block_on(observe::run()),
        Which::Http => runtime.block_on(http::run()),
        Which::AxumServer { bytes } => runtime.block_on(http_client::serve(*bytes)),
        Which::Rendering => rendering::run(),
        Which::EchoServer { bytes } => runtime.block_on(echo::serve(*bytes)),
        Which::FloorServer { model, callers, folder } => runtime.block_on(floor::serve(model, folder, *callers)),
    }
}

/// Runs the same command again in a release build: callers, model and yardstick share the machine with the subject.
fn optimised() -> CommandOutcome {
    eprintln!("building the release build of the measurement itself");
    let workspace = Workspace::locate()?;
    let status = workspace
        .cargo()
        .args(["run", "--release", "--locked", "--quiet", "--package", "xtask", "--"])
        .args(std::env::args_os().skip(1))
        .status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
