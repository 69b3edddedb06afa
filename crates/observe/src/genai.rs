//! Names of OpenTelemetry's conventions for generative AI, v0.1.0 of their own repository, and of those before, which
//! dashboards still read.

pub(crate) const OPERATION: &str = "gen_ai.operation.name";
/// The name of the instance; that of those which are built in is the one of the conventions.
pub(crate) const PROVIDER: &str = "gen_ai.provider.name";
pub(crate) const REQUEST_MODEL: &str = "gen_ai.request.model";
/// Of counted tokens; providers that report it are few.
pub(crate) const MODALITY: &str = "gen_ai.token.modality";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const REQUEST_STREAM: &str = "gen_ai.request.stream";
pub(crate) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(crate) const RESPONSE_ID: &str = "gen_ai.response.id";
pub(crate) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub(crate) const USAGE_INPUT: &str = "gen_ai.usage.input_tokens";
pub(crate) const USAGE_OUTPUT: &str = "gen_ai.usage.output_tokens";
pub(crate) const USAGE_CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
pub(crate) const USAGE_CACHE_WRITE: &str = "gen_ai.usage.cache_write.input_tokens";
pub(crate) const PROMPT_NAME: &str = "gen_ai.prompt.name";
pub(crate) const PROMPT_VERSION: &str = "gen_ai.prompt.version";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
/// Only where TRACE_TEXT says so.
pub(crate) const INPUT_MESSAGES: &str = "gen_ai.input.messages";
pub(crate) const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";

/// Of the conventions before; only where TRACE_GENAI_OLD says so.
pub(crate) const OLD_SYSTEM: &str = "gen_ai.system";
pub(crate) const OLD_TOKEN_TYPE: &str = "gen_ai.token.type";
pub(crate) const OLD_DURATION: &str = "gen_ai.client.operation.duration";
pub(crate) const OLD_TOKEN_USAGE: &str = "gen_ai.client.token.usage";
/// What these conventions advised for tokens of a call.
pub(crate) const OLD_TOKEN_BOUNDS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The operation of every call: providers are asked as in a chat, whatever was rendered.
pub(crate) const CHAT: &str = "chat";
pub(crate) const UNKNOWN: &str = "unknown";

pub(crate) const DURATION: &str = "gen_ai.client.inference.duration";
pub(crate) const FIRST_CHUNK: &str = "gen_ai.client.inference.time_to_first_chunk";
pub(crate) const INPUT_TOKENS: &str = "gen_ai.client.inference.usage.input_tokens";
pub(crate) const OUTPUT_TOKENS: &str = "gen_ai.client.inference.usage.output_tokens";
pub(crate) const CACHE_READ_TOKENS: &str = "gen_ai.client.inference.usage.cache_read.input_tokens";
pub(crate) const CACHE_WRITE_TOKENS: &str = "gen_ai.client.inference.usage.cache_write.input_tokens";

/// What the conventions advise for durations of calls, in seconds.
pub(crate) const DURATION_BOUNDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// The same for the time to the first chunk.
pub(crate) const FIRST_CHUNK_BOUNDS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
