//! Every variable of the environment: name, default, range and meaning. Parsing, start errors, `--help` and
//! docs/CONFIGURATION.md come from these declarations.

use super::env::Process::{Both, Server};
use super::env::Range::{Form, Lengths, Numbers, OneOf, Secret};
use super::env::Setting;

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $read_by:expr, $default:literal, $range:expr, $meaning:literal;)*) => {
        $(
            $(#[$doc])*
            pub(super) const $name: Setting = Setting {
                name: stringify!($name),
                read_by: $read_by,
                default: $default,
                range: $range,
                meaning: $meaning,
            };
        )*

        /// In the order in which they are printed.
        pub(super) const SETTINGS: &[Setting] = &[$($name),*];
    };
}

const FLAG: super::env::Range = OneOf(&["true", "false"]);

settings! {
    LISTEN_ADDR: Server, "127.0.0.1:50051", Form("IP:PORT"), "where gRPC listens";
    HTTP_ADDR: Server, "127.0.0.1:8000", Form("IP:PORT, or off"), "where the REST API listens; where the default is taken, the next free port of 16";
    HTTP_HOSTS: Server, "", Form("host names, separated by commas"), "names in `Host` that the REST API answers to, beside localhost, 127.0.0.1, [::1] and the address that it listens on";
    CORS_ORIGINS: Server, "", Form("origins, e.g. https://app.example.com, separated by commas"), "origins whose pages may call the REST API; absent: none";
    API_KEY: Server, "", Secret("16 characters or more"), "a system key, beside those of `keys create`";
    REFLECTION: Server, "open", OneOf(&["open", "key", "off"]), "who may use gRPC reflection: anyone, callers with a key, nobody";
    HEALTH_ADDR: Both, "", Form("IP:PORT"), "a further address, in plain text, that answers grpc.health.v1 and nothing else, for probes; absent: none";
    SHUTDOWN_GRACE: Both, "10s", Lengths("1s", "1h"), "from SIGTERM to the end, at most; a second signal aborts what runs";
    ALLOW_PLAINTEXT: Server, "false", FLAG, "serve without TLS off loopback";
    TLS_CERT: Server, "", Form("a file in PEM form"), "the certificate chain; absent: plain text";
    TLS_KEY: Server, "", Form("a file in PEM form"), "its private key";
    TLS_RELOAD_INTERVAL: Server, "1m", Lengths("100ms", "24h"), "how often the files of both are read again";
    QUEUE_DEPTH_LIMIT: Server, "100000", Numbers(1, 100_000_000), "queued executions of all servers, at which submits are refused (OVERLOADED) until there are fewer; exceeded by 5 % at most, unless load jumps between servers";
    REQUIRE_PROVIDER: Server, "false", FLAG, "refuse a submit whose provider no running worker has; else it waits for one";
    MAX_INFLIGHT_SUBMITS: Server, "1024", Numbers(1, 1_000_000), "submits of one server at once; others are refused (OVERLOADED)";
    MAX_STREAMS: Server, "1000", Numbers(1, 1_000_000), "concurrent calls of one connection";
    MAX_CONNECTIONS: Server, "10000", Numbers(1, 1_000_000), "connections at once, of gRPC and HTTP together; others are closed";
    MAX_CONNECTIONS_PER_ADDRESS: Server, "0", Numbers(0, 1_000_000), "connections of one IPv4 address or IPv6 /64; 0 is no limit, as a load balancer in front of it needs";
    HANDSHAKE_TIMEOUT: Server, "5s", Lengths("100ms", "1m"), "until a new connection has opened HTTP/2, or begun a request of HTTP/1.1, TLS included";
    REQUEST_READ_TIMEOUT: Server, "30s", Lengths("100ms", "1h"), "how long a request may take to arrive whole; over HTTP/1.1 also its headers, and so how long a connection may be idle";
    /// One connection may take an eighth of it, which must be enough for the largest request.
    REQUEST_BUFFER_MIB: Server, "256", Numbers(64, 65_536), "MiB held at most for requests that arrive or are at work";
    LOG: Both, "info", Form("LEVEL or TARGET=LEVEL, separated by commas"), "what is logged: off, error, warn, info, debug or trace, of everything or of a part, e.g. info,prompt_ledger_server=debug; warnings and errors of one cause once a minute at most, with a count";
    METRICS_ADDR: Both, "127.0.0.1:9464", Form("IP:PORT, or off"), "where `/metrics` is, in the text form of Prometheus, without a key; where the default is taken, the next free port of 16";
    METRICS_PROMPT_LABEL: Both, "false", FLAG, "count executions by prompt too: a series for each prompt, 2,000 at most";
    OTEL_EXPORTER_OTLP_ENDPOINT: Both, "", Form("an http or https URL"), "where metrics and traces are pushed by OTLP over gRPC, e.g. http://127.0.0.1:4317; absent: nowhere";
    OTEL_EXPORTER_OTLP_HEADERS: Both, "", Secret("NAME=VALUE,NAME=VALUE"), "what is sent with each push; a `%2C` in a value is a comma";
    OTEL_TRACES_SAMPLER_ARG: Both, "1", Form("0 to 1"), "the share of traces that is recorded, where no caller has decided it by its `traceparent`";
    TRACE_CONTINUOUS: Both, "false", FLAG, "what a worker does belongs to the trace of its submit; else it has a trace of its own, with a link to the submit";
    TRACE_GENAI_OLD: Both, "false", FLAG, "tell names of OpenTelemetry's earlier conventions for generative AI too, which some dashboards read";
    TRACE_TEXT: Both, "false", FLAG, "tell prompts and answers in traces";
    MAX_WATCHERS_PER_KEY: Server, "1000", Numbers(1, 1_000_000), "watching streams of one API key at once";
    MAX_WATCHERS: Server, "20000", Numbers(1, 1_000_000), "watching streams of this server at once";
    STREAM_MAX_AGE: Server, "30m", Lengths("1s", "24h"), "when a watching stream ends, to go on elsewhere";
    STREAM_HEARTBEAT: Server, "15s", Lengths("100ms", "30s"), "how often a watching stream sends something, at least; clients give one up that is silent for 45s";
    STREAM_STALL_LIMIT: Server, "30s", Lengths("500ms", "1h"), "how long a watching stream may stay unread";
    DATABASE_URL: Both, "", Secret("postgres://USER:PASSWORD@HOST:PORT/DATABASE"), "where production keeps everything; one host, or a socket: postgres://USER@/DATABASE?host=/FOLDER";
    DATABASE_CONNECTIONS: Both, "16", Numbers(13, 1_000), "connections to Postgres, at most";
    REDIS_URL: Both, "", Secret("redis:// or rediss://"), "hints go through it";
    AMQP_URL: Both, "", Secret("amqp:// or amqps://"), "hints go through it while Redis is away; a vhost of `/` or none is `%2f`";
    BROKER_PREFIX: Both, "prompt-ledger", Form("up to 64 of A-Z a-z 0-9 . _ -"), "begins the names that are used in the brokers";
    DEFAULT_MODEL: Server, "", Form("PROVIDER/MODEL"), "that of a request that names none; absent in `dev`: openai/gpt-4o-mini where OpenAI is configured, else echo/echo";
    RETRY_DELAYS: Both, "5s,30s,2m", Form("up to 10 lengths of time"), "the delay before each retry";
    LEASE: Both, "30s", Lengths("1s", "1h"), "how long a silent holder keeps an execution";
    SWEEP_INTERVAL: Both, "1s", Lengths("100ms", "1h"), "how often expired leases, and executions that are due without a hint, are looked for";
    REDISPATCH_AFTER: Both, "10s", Lengths("100ms", "24h"), "when a submitted execution is taken without a hint; brokers keep hints for twice as long";
    WORKER_CONCURRENCY: Both, "64", Numbers(1, 100_000), "queued executions that one worker runs at once, or `dev`";
    OPENAI_API_KEY: Both, "", Secret("a key"), "for OpenAI, or for the base URL below";
    OPENAI_BASE_URL: Both, "", Form("an http or https URL"), "any OpenAI-compatible server, which needs no key; absent: OpenAI's";
    ANTHROPIC_API_KEY: Both, "", Secret("a key"), "for Anthropic, or for the base URL below";
    ANTHROPIC_BASE_URL: Both, "", Form("an http or https URL"), "a server that speaks its Messages API; absent: Anthropic's";
    HTTPS_PROXY: Both, "", Secret("an http URL"), "the proxy for providers at https URLs that have none of their own; `https_proxy` goes before it";
    NO_PROXY: Both, "", Form("hosts and networks, separated by commas"), "what is reached without HTTPS_PROXY; `no_proxy` goes before it";
}

const fn instance(
    name: &'static str,
    default: &'static str,
    range: super::env::Range,
    meaning: &'static str,
) -> Setting {
    Setting { name, read_by: Both, default, range, meaning }
}

pub(super) const KIND: Setting = instance(
    "PROVIDER_<NAME>_KIND",
    "",
    OneOf(&["openai", "anthropic", "echo"]),
    "makes a provider instance, called NAME in lower case, that speaks this protocol",
);
pub(super) const INSTANCE_API_KEY: Setting = instance(
    "PROVIDER_<NAME>_API_KEY",
    "",
    Secret("a key"),
    "its key; `openai` and `anthropic` have variables of their own for it, above",
);
pub(super) const INSTANCE_BASE_URL: Setting = instance(
    "PROVIDER_<NAME>_BASE_URL",
    "",
    Form("an http or https URL"),
    "where it is; absent: the maker's. A query stays, such as `?api-version=`",
);
pub(super) const KEY_HEADER: Setting = instance(
    "PROVIDER_<NAME>_KEY_HEADER",
    "",
    Form("the name of a header"),
    "the header of its key, e.g. Azure's `api-key`; absent: the protocol's",
);
pub(super) const HEADERS: Setting = instance(
    "PROVIDER_<NAME>_HEADERS",
    "",
    Secret("NAME=VALUE,NAME=VALUE"),
    "further headers of each call; a `%2C` in a value is a comma",
);
pub(super) const PROXY: Setting = instance(
    "PROVIDER_<NAME>_PROXY",
    "",
    Secret("an http URL"),
    "the proxy for all its calls, in place of HTTPS_PROXY; NO_PROXY does not apply",
);
pub(super) const CA: Setting = instance(
    "PROVIDER_<NAME>_CA",
    "",
    Form("a file in PEM form"),
    "the only certificates that it is trusted by; absent: the system's",
);
pub(super) const TIMEOUT_FIRST: Setting = instance(
    "PROVIDER_<NAME>_TIMEOUT_FIRST",
    "60s",
    Lengths("100ms", "2m"),
    "how long the first byte of a stream may take where the request has no `timeout`; the whole call has 2m then",
);
pub(super) const TIMEOUT_IDLE: Setting = instance(
    "PROVIDER_<NAME>_TIMEOUT_IDLE",
    "30s",
    Lengths("100ms", "2m"),
    "how long a stream may then be silent where the request has no `timeout`; the whole call has 2m then",
);
pub(super) const IDLE_CONNECTIONS: Setting = instance(
    "PROVIDER_<NAME>_IDLE_CONNECTIONS",
    "4s",
    Lengths("0s", "1h"),
    "how long a connection without a call is kept; 0s: not at all",
);

/// Of each provider instance, in the order in which they are printed.
pub(super) const INSTANCE_SETTINGS: &[Setting] = &[
    KIND,
    INSTANCE_API_KEY,
    INSTANCE_BASE_URL,
    KEY_HEADER,
    HEADERS,
    PROXY,
    CA,
    TIMEOUT_FIRST,
    TIMEOUT_IDLE,
    IDLE_CONNECTIONS,
];

/// An option of `dev`, `migrate` and `keys`, read by their argument parser.
pub const DATA_DIR: Setting = Setting {
    name: "DATA_DIR",
    read_by: Server,
    default: ".prompt-ledger",
    range: Form("a folder"),
    meaning: "where `dev` keeps everything, and `migrate` and `keys` without DATABASE_URL",
};
