-- Money is in nano-US-dollars; an empty text means that none was given. Names compare byte by byte, as in every other
-- database of the ledger. JSON that must be returned byte for byte is stored as text.

-- For each migration, the oldest release that works with the resulting schema, given as the newest migration of that
-- release. Servers of two adjacent releases can run at the same time.
CREATE TABLE schema_compatibility (
    version integer NOT NULL PRIMARY KEY,
    compatible_from integer NOT NULL
);

INSERT INTO schema_compatibility (version, compatible_from) VALUES (1, 1);

CREATE TABLE projects (
    id uuid NOT NULL PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    -- Number of writes to the project's registry; a prompt's etag is its value at the prompt's last write.
    revision bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL
);

-- Counters that caches of keys and of models compare; each project has its own besides.
CREATE TABLE revisions (
    scope text NOT NULL PRIMARY KEY CHECK (scope IN ('keys', 'models')),
    revision bigint NOT NULL
);

CREATE TABLE api_keys (
    id uuid NOT NULL PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    -- The key's first characters, to recognize it by. The key itself is not stored.
    prefix text NOT NULL,
    -- SHA-256 of the key.
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    -- NULL for a system key.
    project_id uuid REFERENCES projects (id) ON DELETE RESTRICT,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE TABLE prompts (
    id uuid NOT NULL PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects (id) ON DELETE RESTRICT,
    name text COLLATE "C" NOT NULL,
    mode text NOT NULL CHECK (mode IN ('full', 'tracking')),
    description text NOT NULL,
    owner_team text NOT NULL,
    -- A JSON array of strings.
    tags text NOT NULL,
    active_version_number integer,
    latest_version_number integer NOT NULL CHECK (latest_version_number >= 0),
    -- The project's revision at the prompt's last write.
    revision bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    archived_at timestamptz,
    UNIQUE (project_id, name)
);

CREATE TABLE prompt_versions (
    id uuid NOT NULL PRIMARY KEY,
    prompt_id uuid NOT NULL REFERENCES prompts (id) ON DELETE RESTRICT,
    version_number integer NOT NULL CHECK (version_number > 0),
    status text NOT NULL CHECK (status IN ('draft', 'active', 'deprecated')),
    template_source text NOT NULL,
    template_format text NOT NULL CHECK (template_format IN ('handlebars', 'opaque')),
    checksum_hash text NOT NULL,
    -- A JSON array of strings.
    variables text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    source_repository text NOT NULL,
    source_commit text NOT NULL,
    source_path text NOT NULL,
    UNIQUE (prompt_id, version_number),
    UNIQUE (prompt_id, checksum_hash)
);

CREATE TABLE models (
    provider text COLLATE "C" NOT NULL,
    model_name text COLLATE "C" NOT NULL,
    max_tokens integer,
    supports_streaming boolean NOT NULL,
    -- Whether the model was registered by its first use, and not written by PutModel since.
    discovered boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (provider, model_name)
);

-- Amounts in nano-US-dollars per million tokens. A price is never changed: a row supersedes the others from its
-- `valid_from` on, and of two with the same `valid_from` the one created later is in force.
CREATE TABLE model_prices (
    id uuid NOT NULL PRIMARY KEY,
    provider text COLLATE "C" NOT NULL,
    model_name text COLLATE "C" NOT NULL,
    input bigint NOT NULL CHECK (input >= 0),
    -- NULL means as `input`.
    cached_input bigint CHECK (cached_input >= 0),
    output bigint NOT NULL CHECK (output >= 0),
    valid_from timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    FOREIGN KEY (provider, model_name) REFERENCES models (provider, model_name) ON DELETE CASCADE
);

CREATE INDEX model_prices_validity ON model_prices (provider, model_name, valid_from DESC, created_at DESC);

-- The version is the only foreign key: prompt and project follow from it, and every execution would pay for further
-- checks.
CREATE TABLE executions (
    id uuid NOT NULL PRIMARY KEY,
    project_id uuid NOT NULL,
    prompt_id uuid NOT NULL,
    version_id uuid NOT NULL REFERENCES prompt_versions (id) ON DELETE RESTRICT,
    -- The prompt's mode when it was executed.
    prompt_mode text NOT NULL CHECK (prompt_mode IN ('full', 'tracking')),
    mode text NOT NULL CHECK (mode IN ('sync', 'async')),
    status text NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    environment text NOT NULL,
    provider text COLLATE "C" NOT NULL,
    model_name text COLLATE "C" NOT NULL,
    temperature double precision,
    top_k integer,
    top_p double precision,
    repetition_penalty double precision,
    max_new_tokens integer,
    -- These are NULL when the caller sent none.
    correlation_id text,
    idempotency_key text,
    -- Hash of the request as sent; a repetition of the key must have the same.
    request_hash bytea,
    prompt_truncated boolean NOT NULL,
    response_truncated boolean NOT NULL DEFAULT false,
    -- Whether the holder publishes the text while the model generates it.
    stream_text boolean NOT NULL DEFAULT false,
    -- Sums over the attempts.
    prompt_tokens integer,
    cached_prompt_tokens integer,
    response_tokens integer,
    cost_nano_usd bigint,
    price_id uuid,
    -- Of the last provider call.
    latency_ms integer,
    -- The values of these two are an open list: another release may have more.
    error_type text,
    finish_reason text,
    error_message text,
    provider_request_id text NOT NULL DEFAULT '',
    timeout_micros bigint NOT NULL,
    max_retries integer NOT NULL,
    -- Number of attempts begun. Serves as the fence: writes of another attempt change nothing.
    attempts integer NOT NULL,
    -- Number of these that a process handed back because it shut down; they do not count against `max_retries`.
    handed_back integer NOT NULL DEFAULT 0,
    attempt_started_at timestamptz,
    -- The holder of a running execution: process, claim, and when the lease expires without a heartbeat. The lease is
    -- in no index, so that a heartbeat writes one page.
    worker text NOT NULL DEFAULT '',
    claim_id uuid,
    lease_until timestamptz,
    -- The capability that a worker needs, a number that grows with releases; workers with a smaller one skip the
    -- execution.
    needs smallint NOT NULL DEFAULT 0,
    -- When workers may claim a queued execution without a hint.
    available_at timestamptz,
    expire_at timestamptz,
    cancel_requested_at timestamptz,
    cancel_reason text NOT NULL DEFAULT '',
    -- Sequence of the last event.
    last_sequence bigint NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    completed_at timestamptz,
    CHECK ((idempotency_key IS NULL) = (request_hash IS NULL)),
    CHECK ((completed_at IS NULL) = (status IN ('queued', 'running')))
-- Leaves room on each page for the row versions that heartbeats and ends create.
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX executions_idempotency_key ON executions (prompt_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX executions_project ON executions (project_id, created_at DESC);
CREATE INDEX executions_prompt ON executions (prompt_id, created_at DESC);
CREATE INDEX executions_version ON executions (version_id, created_at DESC);
-- Most executions have succeeded: these are found by time.
CREATE INDEX executions_status ON executions (status, created_at DESC) WHERE status <> 'succeeded';
CREATE INDEX executions_correlation ON executions (correlation_id, created_at DESC) WHERE correlation_id IS NOT NULL;
CREATE INDEX executions_due ON executions (available_at) WHERE status = 'queued';
CREATE INDEX executions_expiry ON executions (expire_at) WHERE status = 'queued' AND expire_at IS NOT NULL;

-- The exact input of the model, either a rendered prompt or messages (a JSON array), and the variables it was rendered
-- from.
CREATE TABLE execution_inputs (
    execution_id uuid NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    rendered_prompt text,
    messages text,
    -- Canonical JSON (RFC 8785).
    variables text NOT NULL,
    CHECK ((rendered_prompt IS NULL) <> (messages IS NULL))
);

-- The response's text. An empty one has no row.
CREATE TABLE execution_outputs (
    execution_id uuid NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    response_text text NOT NULL
);

-- One row per attempt, written when it ends.
CREATE TABLE execution_attempts (
    execution_id uuid NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    number integer NOT NULL,
    worker text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    error_type text,
    error_message text NOT NULL,
    provider_request_id text NOT NULL,
    prompt_tokens integer,
    cached_prompt_tokens integer,
    response_tokens integer,
    latency_ms integer,
    PRIMARY KEY (execution_id, number)
);

-- Every change of state, written in the same transaction: sequence 1, 2, 3, ... without gaps.
CREATE TABLE execution_events (
    execution_id uuid NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    sequence bigint NOT NULL,
    at timestamptz NOT NULL,
    -- NULL in the first event.
    from_status text CHECK (from_status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    to_status text NOT NULL CHECK (to_status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    -- The attempt that the event belongs to; 0 before the first.
    attempt integer NOT NULL,
    error_type text,
    next_attempt_at timestamptz,
    PRIMARY KEY (execution_id, sequence)
);

-- Feeds read events by time. Events are stored nearly in that order, so a BRIN index needs a few bytes for thousands of
-- them.
CREATE INDEX execution_events_at ON execution_events USING brin (at) WITH (pages_per_range = 16, autosummarize = on);

-- Usage figures, aggregated in advance. Executions are moved here some time after they were recorded; those that have
-- not ended by then are listed in `usage_open_executions`. Figures are read from both and from the executions not yet
-- moved.

-- One row: up to which creation time executions were moved.
CREATE TABLE usage_rolled_up (
    only_row boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Every execution created before is in the rollups or among the open executions.
    until timestamptz NOT NULL,
    -- A time and a transaction id of that time: once every transaction that began to write before it has ended, no
    -- execution created before that time can still become visible.
    marked_at timestamptz,
    marked_xid xid8
);

INSERT INTO usage_rolled_up (until) VALUES ('epoch');

-- Ended executions of a minute, an hour or a day: every minute, and the hours and days that were over by
-- `usage_rolled_up.until`. Once per version, and once for the whole project, with nil UUIDs.
CREATE TABLE usage_rollups (
    project_id uuid NOT NULL,
    prompt_id uuid NOT NULL,
    -- Length in minutes: 1, 60 or 1440.
    span smallint NOT NULL,
    start timestamptz NOT NULL,
    version_id uuid NOT NULL,
    provider text COLLATE "C" NOT NULL,
    model_name text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    prompt_mode text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    executions bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    response_tokens bigint NOT NULL,
    with_cost bigint NOT NULL,
    cost_nano_usd numeric NOT NULL,
    latency_sum bigint NOT NULL,
    -- The histogram: for each step its number (2 bytes) and count (4 bytes), big-endian.
    latencies bytea NOT NULL,
    PRIMARY KEY (project_id, prompt_id, span, start, version_id, provider, model_name, environment, prompt_mode, status)
);

-- Read whole and often: kept in the row, compressed where it is long.
ALTER TABLE usage_rollups ALTER COLUMN latencies SET STORAGE MAIN;

-- Executions created before `usage_rolled_up.until` that had not ended when that time was moved.
CREATE TABLE usage_open_executions (
    execution_id uuid NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    project_id uuid NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE INDEX usage_open_executions_time ON usage_open_executions (project_id, created_at);

INSERT INTO revisions (scope, revision) VALUES ('keys', 1), ('models', 1);

INSERT INTO projects (id, name, created_at)
VALUES ('01900000-0000-7000-8000-000000000001', 'default', clock_timestamp());
