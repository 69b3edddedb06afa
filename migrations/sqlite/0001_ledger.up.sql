-- The ledger. Ids are UUIDs in text form; times are microseconds since 1970, UTC; money is nano-US-dollars; an empty
-- text means that nothing was said. `datetime(created_at / 1000000, 'unixepoch')` reads a time.
--
-- Tables of small rows under a text key are WITHOUT ROWID: one tree to write instead of two.

-- For each migration, the oldest release that works with the schema it makes, named by that release's own last
-- migration: servers of two neighbouring releases run side by side.
CREATE TABLE schema_compatibility (
    version         INTEGER NOT NULL PRIMARY KEY,
    compatible_from INTEGER NOT NULL
) STRICT;

INSERT INTO schema_compatibility (version, compatible_from) VALUES (1, 1);

CREATE TABLE projects (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    -- Counts the writes to the project's registry; a prompt's etag is the revision of its last one.
    revision   INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What caches of keys and of models compare; each project has its own revision beside them.
CREATE TABLE revisions (
    scope    TEXT    NOT NULL PRIMARY KEY CHECK (scope IN ('keys', 'models')),
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    -- The key's first characters, to recognise it by. The key itself is kept nowhere.
    prefix     TEXT    NOT NULL,
    -- sha-256 of the key.
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- Absent for a system key.
    project_id TEXT    REFERENCES projects (id) ON DELETE RESTRICT,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE prompts (
    id                    TEXT    NOT NULL PRIMARY KEY,
    project_id            TEXT    NOT NULL REFERENCES projects (id) ON DELETE RESTRICT,
    name                  TEXT    NOT NULL,
    mode                  TEXT    NOT NULL CHECK (mode IN ('full', 'tracking')),
    description           TEXT    NOT NULL,
    owner_team            TEXT    NOT NULL,
    -- A JSON array of texts.
    tags                  TEXT    NOT NULL CHECK (json_valid(tags)),
    active_version_number INTEGER,
    latest_version_number INTEGER NOT NULL CHECK (latest_version_number >= 0),
    -- The project's revision at the prompt's last write.
    revision              INTEGER NOT NULL,
    created_at            INTEGER NOT NULL,
    updated_at            INTEGER NOT NULL,
    archived_at           INTEGER,
    UNIQUE (project_id, name)
) STRICT;

CREATE TABLE prompt_versions (
    id                TEXT    NOT NULL PRIMARY KEY,
    prompt_id         TEXT    NOT NULL REFERENCES prompts (id) ON DELETE RESTRICT,
    version_number    INTEGER NOT NULL CHECK (version_number > 0),
    status            TEXT    NOT NULL CHECK (status IN ('draft', 'active', 'deprecated')),
    template_source   TEXT    NOT NULL,
    template_format   TEXT    NOT NULL CHECK (template_format IN ('handlebars', 'opaque')),
    checksum_hash     TEXT    NOT NULL,
    -- A JSON array of texts.
    variables         TEXT    NOT NULL CHECK (json_valid(variables)),
    created_by        TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    source_repository TEXT    NOT NULL,
    source_commit     TEXT    NOT NULL,
    source_path       TEXT    NOT NULL,
    UNIQUE (prompt_id, version_number),
    UNIQUE (prompt_id, checksum_hash)
) STRICT;

CREATE TABLE models (
    provider           TEXT    NOT NULL,
    model_name         TEXT    NOT NULL,
    max_tokens         INTEGER,
    supports_streaming INTEGER NOT NULL CHECK (supports_streaming IN (0, 1)),
    -- Whether it was registered by its first use, and not by PutModel since.
    discovered         INTEGER NOT NULL DEFAULT 0 CHECK (discovered IN (0, 1)),
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    PRIMARY KEY (provider, model_name)
) STRICT, WITHOUT ROWID;

-- In nano-US-dollars per million tokens. A price never changes: a later row takes its place from `valid_from` on; of
-- two from the same moment, the one that was written later.
CREATE TABLE model_prices (
    id           TEXT    NOT NULL PRIMARY KEY,
    provider     TEXT    NOT NULL,
    model_name   TEXT    NOT NULL,
    input        INTEGER NOT NULL CHECK (input >= 0),
    -- Absent means as `input`.
    cached_input INTEGER CHECK (cached_input >= 0),
    output       INTEGER NOT NULL CHECK (output >= 0),
    valid_from   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    FOREIGN KEY (provider, model_name) REFERENCES models (provider, model_name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX model_prices_validity ON model_prices (provider, model_name, valid_from DESC, created_at DESC);

-- Of the registry only the version is a foreign key: it leads to the prompt and the project, and each further check
-- would be paid by every execution.
CREATE TABLE executions (
    id                  TEXT    NOT NULL PRIMARY KEY,
    project_id          TEXT    NOT NULL,
    prompt_id           TEXT    NOT NULL,
    version_id          TEXT    NOT NULL REFERENCES prompt_versions (id) ON DELETE RESTRICT,
    -- The prompt's mode when it was executed.
    prompt_mode         TEXT    NOT NULL CHECK (prompt_mode IN ('full', 'tracking')),
    mode                TEXT    NOT NULL CHECK (mode IN ('sync', 'async')),
    status              TEXT    NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    environment         TEXT    NOT NULL,
    provider            TEXT    NOT NULL,
    model_name          TEXT    NOT NULL,
    temperature         REAL,
    top_k               INTEGER,
    top_p               REAL,
    repetition_penalty  REAL,
    max_new_tokens      INTEGER,
    -- Absent when the caller sent none.
    correlation_id      TEXT,
    idempotency_key     TEXT,
    -- What the key stands for: a hash of the request as it was sent.
    request_hash        BLOB,
    prompt_truncated    INTEGER NOT NULL CHECK (prompt_truncated IN (0, 1)),
    response_truncated  INTEGER NOT NULL DEFAULT 0 CHECK (response_truncated IN (0, 1)),
    -- Whether a holder sends the text while the model writes it.
    stream_text         INTEGER NOT NULL DEFAULT 0 CHECK (stream_text IN (0, 1)),
    -- Sums over the attempts.
    prompt_tokens       INTEGER,
    cached_prompt_tokens       INTEGER,
    response_tokens     INTEGER,
    cost_nano_usd       INTEGER,
    price_id            TEXT,
    latency_ms          INTEGER,
    -- The words of these two are an open list: another release may know more.
    error_type          TEXT,
    finish_reason       TEXT,
    error_message       TEXT,
    provider_request_id TEXT    NOT NULL DEFAULT '',
    timeout_micros      INTEGER NOT NULL,
    max_retries         INTEGER NOT NULL,
    -- How many attempts were begun. It is the fence: a write of another attempt touches nothing.
    attempts            INTEGER NOT NULL,
    -- Of those, how many were handed back by a process that had to end: they do not count against the retries.
    handed_back         INTEGER NOT NULL DEFAULT 0,
    attempt_started_at  INTEGER,
    -- The holder of a running one: its process, its claim, and until when it may be without a sign of life. The lease
    -- is in no index, so that a heartbeat writes one page.
    worker              TEXT    NOT NULL DEFAULT '',
    claim_id            TEXT,
    lease_until         INTEGER,
    -- What a worker must be able to do to take it, as a number that grows with releases: one that can do less leaves it.
    needs               INTEGER NOT NULL DEFAULT 0,
    -- When a worker may take a queued one without being told.
    available_at        INTEGER,
    expire_at           INTEGER,
    cancel_requested_at INTEGER,
    cancel_reason       TEXT    NOT NULL DEFAULT '',
    -- The sequence of its last event.
    last_sequence       INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    started_at          INTEGER,
    completed_at        INTEGER,
    CHECK ((idempotency_key IS NULL) = (request_hash IS NULL)),
    CHECK ((completed_at IS NULL) = (status IN ('queued', 'running')))
) STRICT;

CREATE UNIQUE INDEX executions_idempotency_key ON executions (prompt_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX executions_project ON executions (project_id, created_at DESC);
CREATE INDEX executions_prompt ON executions (prompt_id, created_at DESC);
CREATE INDEX executions_version ON executions (version_id, created_at DESC);
-- Nearly all have succeeded: a walk by time finds those.
CREATE INDEX executions_status ON executions (status, created_at DESC) WHERE status <> 'succeeded';
CREATE INDEX executions_correlation ON executions (correlation_id, created_at DESC) WHERE correlation_id IS NOT NULL;
CREATE INDEX executions_due ON executions (available_at) WHERE status = 'queued';
CREATE INDEX executions_expiry ON executions (expire_at) WHERE status = 'queued' AND expire_at IS NOT NULL;

-- What goes to the model, exactly: a rendered prompt or messages (a JSON array), and what it was rendered with.
CREATE TABLE execution_inputs (
    execution_id    TEXT NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    rendered_prompt TEXT,
    messages        TEXT CHECK (json_valid(messages)),
    -- Canonical JSON.
    variables       TEXT NOT NULL,
    CHECK ((rendered_prompt IS NULL) <> (messages IS NULL))
) STRICT;

-- What the model wrote. No row: nothing.
CREATE TABLE execution_outputs (
    execution_id  TEXT NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    response_text TEXT NOT NULL
) STRICT;

-- One row per attempt, written when it has ended.
CREATE TABLE execution_attempts (
    execution_id        TEXT    NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    number              INTEGER NOT NULL,
    worker              TEXT    NOT NULL,
    started_at          INTEGER NOT NULL,
    ended_at            INTEGER NOT NULL,
    error_type          TEXT,
    error_message       TEXT    NOT NULL,
    provider_request_id TEXT    NOT NULL,
    prompt_tokens       INTEGER,
    cached_prompt_tokens       INTEGER,
    response_tokens     INTEGER,
    latency_ms          INTEGER,
    PRIMARY KEY (execution_id, number)
) STRICT, WITHOUT ROWID;

-- Every change of state, in the transaction that makes it: sequence 1, 2, 3, ... without gaps.
CREATE TABLE execution_events (
    execution_id    TEXT    NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    sequence        INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    -- Absent in the first.
    from_status     TEXT CHECK (from_status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    to_status       TEXT    NOT NULL CHECK (to_status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    -- The attempt that it belongs to; 0 before the first.
    attempt         INTEGER NOT NULL,
    error_type      TEXT,
    next_attempt_at INTEGER,
    PRIMARY KEY (execution_id, sequence)
) STRICT, WITHOUT ROWID;

-- Live feeds walk events by time.
CREATE INDEX execution_events_at ON execution_events (at);

-- How many executions each version has, kept by the database itself, so that a history need not read them. One process
-- writes here: nobody waits for the row.
CREATE TABLE version_executions (
    version_id TEXT    NOT NULL PRIMARY KEY REFERENCES prompt_versions (id) ON DELETE CASCADE,
    executions INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER executions_counted AFTER INSERT ON executions BEGIN
    INSERT INTO version_executions (version_id, executions) VALUES (NEW.version_id, 1)
    ON CONFLICT (version_id) DO UPDATE SET executions = executions + 1;
END;

CREATE TRIGGER executions_uncounted AFTER DELETE ON executions BEGIN
    UPDATE version_executions SET executions = executions - 1 WHERE version_id = OLD.version_id;
END;

INSERT INTO revisions (scope, revision) VALUES ('keys', 1), ('models', 1);

INSERT INTO projects (id, name, created_at)
VALUES ('01900000-0000-7000-8000-000000000001', 'default', CAST(unixepoch('subsec') * 1000000 AS INTEGER));
