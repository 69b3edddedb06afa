//! Limits of requests, answers and records. In texts, 1 KB is 1,024 bytes.

use std::time::Duration;

/// Maximum length of a template's text, in bytes.
pub const TEMPLATE_BYTES: usize = 200 * 1024;
/// Maximum number of distinct variables in one template, and of top-level names in one request.
pub const VARIABLES: usize = 256;
/// Maximum length of a variable's name, in bytes.
pub const VARIABLE_NAME_BYTES: usize = 64;
/// Maximum size of the variables of one request, encoded, in bytes.
pub const VARIABLES_BYTES: usize = 1024 * 1024;
/// Maximum number of values in the variables of one request: each field of an object and each entry of a list, at any
/// depth.
pub const VARIABLES_VALUES: usize = 100_000;
/// Maximum number of objects and lists among these values. An object with one field takes 600 bytes in memory for 12 on
/// the wire.
pub const VARIABLES_CONTAINERS: usize = 10_000;
/// Maximum nesting of objects and lists in variables; the variables themselves are the first level.
pub const VARIABLES_DEPTH: usize = 32;
/// Maximum nesting of blocks in a template; an `else if` counts as one.
pub const TEMPLATE_NESTING: usize = 32;
/// Maximum number of steps of one rendering: elements visited, names looked up, bytes printed, faults (the template
/// crate's `budget.rs` has the prices). Takes less than 100 ms in an optimised build.
pub const RENDER_STEPS: usize = 1_000_000;
/// Maximum length of a rendered prompt, in bytes: a longer one is cut. Also of all `messages` of a request together:
/// more is refused.
pub const PROMPT_BYTES: usize = 200 * 1024;
/// Maximum length of a response's text, in bytes: a longer one is cut.
pub const RESPONSE_BYTES: usize = 500 * 1024;
/// Maximum size of a provider's answer that is not streamed, in bytes: beyond it the call fails.
pub const PROVIDER_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Maximum size of all answers and stream events above 64 KiB that a process has read but not parsed, in bytes: further
/// ones wait.
pub const PROVIDER_BODIES_BYTES: usize = 256 * 1024 * 1024;
/// Maximum size of a provider's streamed answer, as sent, in bytes: beyond it the call fails.
pub const PROVIDER_STREAM_BYTES: usize = 64 * 1024 * 1024;
/// Maximum size of one event of a streamed answer, in bytes: beyond it the call fails.
pub const PROVIDER_EVENT_BYTES: usize = 4 * 1024 * 1024;
/// Maximum size of a provider's error answer, in bytes: of a longer one only the HTTP status is used. It may repeat the
/// prompt, escaped.
pub const PROVIDER_REFUSAL_BYTES: usize = 2 * 1024 * 1024;
/// Maximum length of a prompt's description, in bytes.
pub const DESCRIPTION_BYTES: usize = 4 * 1024;
/// Maximum length of a [`Name`](crate::field::Name), in bytes.
pub const NAME_BYTES: usize = 128;
/// Maximum length of a correlation id, an idempotency key, an author, a team or a reason, in bytes.
pub const SHORT_TEXT_BYTES: usize = 255;
/// Maximum number of tags of a prompt.
pub const TAGS: usize = 32;
/// Maximum length of one tag, in bytes.
pub const TAG_BYTES: usize = 64;
/// Maximum number of prompts in one registration from code.
pub const BATCH_PROMPTS: usize = 1_000;
/// Maximum number of chat entries, of parts, of tool calls, of tools and of labels, each over all prompts of one
/// registration or import.
pub const BATCH_ENTRIES: usize = 10_000;
/// Maximum number of prompts in one import.
pub const IMPORTED_PROMPTS: usize = 100;
/// Maximum number of messages in one request and in a rendered chat; also of the parts, and of the tool calls, of all
/// messages together.
pub const MESSAGES: usize = 1_000;
/// Maximum number of entries of a chat template.
pub const CHAT_ENTRIES: usize = 100;
/// Maximum size of the data of all images of a version, and of an execution, in bytes.
pub const IMAGES_BYTES: usize = 768 * 1024;
/// Maximum length of an image's media type and of its detail, in bytes.
pub const IMAGE_WORD_BYTES: usize = 64;
/// Maximum size of a version's config, and of what an execution is sent with beside its messages, in canonical form, in
/// bytes.
pub const CONFIG_BYTES: usize = 128 * 1024;
/// Maximum number of tools of a version or an execution.
pub const TOOLS: usize = 128;
/// Maximum length of the name of a tool or of a schema, in bytes.
pub const TOOL_NAME_BYTES: usize = 64;
/// Maximum nesting of objects and lists in a JSON Schema; the schema itself is the first level.
pub const SCHEMA_DEPTH: usize = 100;
/// Maximum length of a regular expression in a JSON Schema, in bytes.
pub const PATTERN_BYTES: usize = 1024;
/// Maximum number of stop sequences of one call.
pub const STOP_SEQUENCES: usize = 4;
/// Maximum length of a reasoning effort, in bytes.
pub const EFFORT_BYTES: usize = 64;
/// Maximum number of paths of a config that a request leaves out.
pub const WITHOUT: usize = 64;
/// Maximum number of entries in the metadata of an execution.
pub const METADATA: usize = 16;
/// Maximum length of a key of an execution's metadata, in bytes.
pub const METADATA_KEY_BYTES: usize = 64;
/// Maximum length of a value of an execution's metadata, in bytes.
pub const METADATA_VALUE_BYTES: usize = 256;
/// Maximum number of labels of a prompt.
pub const LABELS: usize = 64;
/// Maximum length of a version's note, in bytes.
pub const NOTE_BYTES: usize = 1024;
/// Maximum number of models in a deployment that were registered by their first use.
pub const DISCOVERED_MODELS: usize = 1_000;
/// Maximum number of prompt names in one request to watch prompts.
pub const WATCHED_NAMES: usize = 1_000;
/// Maximum size of a request of any RPC, encoded, in bytes; most RPCs accept less.
pub const REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// Number of rows in a page where the request asks for 0.
pub const PAGE_SIZE_DEFAULT: i32 = 50;
/// Maximum number of rows in a page; a request for more gets this many.
pub const PAGE_SIZE_MAX: i32 = 500;
/// Size from which a page takes no further row, in bytes.
pub const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// Limit of one provider call where the request has no `timeout`.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);
/// Maximum `timeout` of a provider call.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// Maximum `expire_after` of an execution.
pub const EXPIRE_AFTER_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Maximum delay before a retry that a provider's `Retry-After` can ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// Maximum size of an error with all its details, in bytes: clients refuse larger trailers.
pub const ERROR_BYTES: usize = 4 * 1024;
/// Maximum number of violations that one error holds; further ones are counted.
pub const VIOLATIONS: usize = 100;
/// Maximum length of an execution's or attempt's error message, in bytes.
pub const ERROR_MESSAGE_BYTES: usize = 2 * 1024;
