//! Performance of Prompt Ledger on this machine, measured in one run with its yardsticks. `cargo xtask figures` runs this program in a
//! release build: callers, model and yardstick share the machine with the subject.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what is measured chooses its provider and answers; a command line speaks through its standard streams"
)]

mod analytics;
mod bench;
mod clients;
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
mod many_streams;
mod observe;
mod production;
mod registering;
mod release;
mod rendering;
mod rust_client;
mod streams;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::CommandOutcome;

/// Measure Prompt Ledger on this machine: release build, medians, the yardstick in the same run
#[derive(Parser)]
#[command(name = "cargo xtask figures", bin_name = "cargo xtask figures")]
struct FiguresCli {
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Subcommand)]
enum Figure {
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
    /// The clients of all languages: each beside its bare stub, a cache of 10,000 prompts, the time to the first answer
    Clients {
        /// Only these languages
        languages: Vec<String>,
    },
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
    /// The Rust client beside its stub, as a process of its own
    #[command(hide = true)]
    RustClient {
        /// Of each measurement
        seconds: u32,
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

fn main() -> ExitCode {
    let began = tokio::time::Instant::now();
    measured(&FiguresCli::parse().figure, began).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn measured(figure: &Figure, began: tokio::time::Instant) -> CommandOutcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match figure {
        Figure::MainJob => runtime.block_on(main_job::run()),
        Figure::Compare => runtime.block_on(compare::run()),
        Figure::Production => runtime.block_on(production::run()),
        Figure::Analytics { executions } => runtime.block_on(analytics::run(*executions)),
        Figure::Streams => runtime.block_on(streams::run()),
        Figure::Feed => runtime.block_on(feed::run()),
        Figure::CachedPrompts { addr, key } => runtime.block_on(feed::cached_here(addr, key)),
        Figure::Clients { languages } => runtime.block_on(clients::run(languages)),
        Figure::RustClient { seconds } => runtime.block_on(rust_client::run(began, *seconds)),
        Figure::Observe => runtime.block_on(observe::run()),
        Figure::Http => runtime.block_on(http::run()),
        Figure::AxumServer { bytes } => runtime.block_on(http_client::serve(*bytes)),
        Figure::Rendering => rendering::run(),
        Figure::EchoServer { bytes } => runtime.block_on(echo::serve(*bytes)),
        Figure::FloorServer { model, callers, folder } => runtime.block_on(floor::serve(model, folder, *callers)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::FiguresCli::command().debug_assert();
    }
}
