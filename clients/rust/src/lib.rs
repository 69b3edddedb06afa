//! The Rust client of Prompt Ledger: calls with deadlines that are repeated where that is of use, and watches that resume.
//!
//! ```no_run
//! use prompt_ledger_client::{Client, v1};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::from_environment()?;
//! let spec = v1::ExecutionSpec { prompt_name: "greet".into(), ..v1::ExecutionSpec::default() };
//! let execution = client.run(spec).await?.raise_for_status()?;
//! println!("{}", execution.response_text);
//! # Ok(())
//! # }
//! ```
//!
//! Watching one that was submitted before:
//!
//! ```no_run
//! use prompt_ledger_client::{Client, Options, Update};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(Options {
//!     url: "http://127.0.0.1:50051".into(),
//!     api_key: "dev-key-change-in-production".into(),
//!     ..Options::default()
//! })?;
//! let mut watch = client.watch("0190163d-8694-739b-aea5-966c26f8ad91");
//! let mut text = String::new();
//! while let Some(update) = watch.next().await {
//!     match update? {
//!         Update::Restarted { .. } => text.clear(),
//!         Update::Text { text: more, .. } => text.push_str(&more),
//!         Update::Ended(execution) => println!("{}: {text}", execution.status().as_str_name()),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! How a watch resumes is written down step by step in `clients/README.md`, for clients in other languages to follow.
//! Here `machine` holds those steps, without any I/O: `follower` reads the stream of one execution, `tailer` that of
//! many, `prompt_reader` that of prompts, `retry` decides when to try again. `following` does the I/O. `calls` is the same for
//! calls that answer once.
//!
//! [`PromptCache`] holds prompts in memory, fed by such a stream: reading one is no call. `prompt_table` is what it holds,
//! `cache_file` keeps that for the next process.
//!
//! What it logs goes through `tracing`, with the target `prompt_ledger_client`: calls at the level `DEBUG`, calls that are repeated and
//! streams that broke at `INFO`, a cache's file that cannot be used at `WARN`. Keys and contents are in none of it.
//!
//! With the feature `opentelemetry`, each call carries the trace context that is current where it is made, and each stream of a watch, a
//! tail or a cache the one that was current where that was begun.
//!
//! With the feature `testing`, the module `testing` has a server for tests.
#![warn(missing_docs)]

mod cache_file;
mod call_preparation;
mod calls;
mod client;
#[cfg(feature = "diff")]
mod code_diff;
mod code_prompts;
mod code_source;
mod error;
mod executing;
mod execution_handle;
mod follower;
mod following;
mod ledger_error;
mod machine;
mod options;
mod pages;
mod profile;
mod profiles_access;
mod prompt_cache;
mod prompt_reader;
mod prompt_table;
mod prompt_writes;
mod prompts;
mod retry;
mod server_address;
mod tail;
mod tailer;
#[cfg(feature = "testing")]
pub mod testing;
mod trace_context;
mod update;
mod watch;

pub use cache_file::CacheFileError;
pub use call_preparation::{CallInterceptor, CallPreparation, Connection};
pub use client::Client;
#[cfg(feature = "diff")]
pub use code_diff::CodePromptsDryRun;
pub use code_source::{CodeFolderError, code_prompts_from_folder, code_prompts_from_texts};
pub use error::WatchError;
pub use executing::{ExecutionFailed, RunOutcome, raise_for_status};
pub use execution_handle::ExecutionHandle;
pub use ledger_error::LedgerError;
pub use options::{ClientIdentity, ClientKey, Options, OptionsError};
pub use pages::Pages;
pub use profile::profiles_path;
pub use profiles_access::open_profiles;
pub use prompt_cache::{PromptCache, PromptChanges};
pub use prompt_ledger_proto::v1;
pub use prompts::Prompts;
/// Protobuf's own messages, such as `Struct`, that those of the contract are made of.
pub use prost_types;
pub use server_address::{is_loopback, is_plain_http, without_user};
pub use tail::Tail;
/// Of which are the types of interceptors, and the codes of errors.
pub use tonic;
pub use update::{StateChange, TailUpdate, Update};
pub use watch::Updates;

/// The target of all that is logged. README.md names it.
const LOG: &str = "prompt_ledger_client";

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
