//! Every number that bounds what a caller sends or gets. 1 KB is 1,024 bytes.

use std::time::Duration;

/// A template's text, in bytes.
pub const TEMPLATE_BYTES: usize = 200 * 1024;
/// Distinct variables of one template.
pub const VARIABLES: usize = 256;
/// A variable's name, in bytes.
pub const VARIABLE_NAME_BYTES: usize = 64;
/// The variables of one request, encoded, in bytes.
pub const VARIABLES_BYTES: usize = 1024 * 1024;
/// Values in the variables of one request: each field of an object and each entry of a list, at any depth.
pub const VARIABLES_VALUES: usize = 100_000;
/// Objects and lists among these values. An object with one field takes 600 bytes in memory for 12 on the wire.
pub const VARIABLES_CONTAINERS: usize = 10_000;
/// How deep objects and lists of variables may stand in one another; the variables themselves are the first level.
pub const VARIABLES_DEPTH: usize = 32;
/// How deep blocks may stand in blocks.
pub const TEMPLATE_NESTING: usize = 32;
/// How many steps one rendering may take: elements visited, names looked up, bytes printed, faults
/// (`template/budget.rs` has the prices). Under 100 ms of an optimised build.
pub const RENDER_STEPS: usize = 1_000_000;
/// A rendered prompt, in bytes: what is longer is cut. Also all `messages` of a request together: more is refused.
pub const PROMPT_BYTES: usize = 200 * 1024;
/// A response's text, in bytes: what is longer is cut.
pub const RESPONSE_BYTES: usize = 500 * 1024;
/// A provider's whole answer, in bytes: what is longer is not read on.
pub const PROVIDER_BODY_BYTES: usize = 16 * 1024 * 1024;
/// The whole answers and events of streams above 64 KiB that a process has read and not parsed yet, in bytes: more of them wait.
pub const PROVIDER_BODIES_BYTES: usize = 256 * 1024 * 1024;
/// A provider's streamed answer, as it is sent, in bytes: what is longer is not read on.
pub const PROVIDER_STREAM_BYTES: usize = 64 * 1024 * 1024;
/// One event of a streamed answer that has not ended, in bytes: where it is longer the stream is not read on.
pub const PROVIDER_EVENT_BYTES: usize = 4 * 1024 * 1024;
/// A provider's refusal, in bytes: of what is longer only the status is taken. It may repeat the prompt, escaped.
pub const PROVIDER_REFUSAL_BYTES: usize = 2 * 1024 * 1024;
/// A description, in bytes.
pub const DESCRIPTION_BYTES: usize = 4 * 1024;
/// A prompt's, an environment's or a label's name, in bytes.
pub const NAME_BYTES: usize = 128;
/// A correlation id, an idempotency key, an author, a team, a reason, in bytes.
pub const SHORT_TEXT_BYTES: usize = 255;
/// Tags of a prompt.
pub const TAGS: usize = 32;
/// One tag, in bytes.
pub const TAG_BYTES: usize = 64;
/// Prompts that code registers at once.
pub const BATCH_PROMPTS: usize = 1_000;
/// Messages of one request.
pub const MESSAGES: usize = 1_000;
/// Models of a deployment that were registered by their first use.
pub const DISCOVERED_MODELS: usize = 1_000;
/// Names of prompts in one request to watch them.
pub const WATCHED_NAMES: usize = 1_000;
/// The largest request of any RPC, encoded, in bytes; most take less.
pub const REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// A page without a size.
pub const PAGE_SIZE_DEFAULT: i32 = 50;
/// The largest page; a larger size means this one.
pub const PAGE_SIZE_MAX: i32 = 500;
/// A page ends early at this many bytes.
pub const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// How long one provider call may take unless the request says otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);
/// The longest `timeout` of a provider call.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// The longest `expire_after` of an execution.
pub const EXPIRE_AFTER_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// The longest `Retry-After` that is honoured.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// What one error carries in all, in bytes: clients refuse larger trailers.
pub const ERROR_BYTES: usize = 4 * 1024;
/// Wrong fields that one error holds; more are only counted.
pub const VIOLATIONS: usize = 100;
/// An execution's error message, in bytes.
pub const ERROR_MESSAGE_BYTES: usize = 2 * 1024;
