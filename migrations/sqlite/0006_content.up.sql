-- Prompts that hold more than one text, and what executions of them are sent with.

-- Servers of the release before refuse to render such a version, and its workers do not claim such an execution.
INSERT INTO schema_compatibility (version, compatible_from) VALUES (6, 3);

-- The whole content in the form that is hashed: canonical JSON (RFC 8785). NULL for a text without a config, which is
-- `template_source`; that is empty where this is not NULL.
ALTER TABLE prompt_versions ADD COLUMN content TEXT;
-- Why the version is; empty where nobody told.
ALTER TABLE prompt_versions ADD COLUMN note TEXT NOT NULL DEFAULT '';

-- What executions are sent with beside their messages: JSON, NULL where there is nothing of it. The tool choice and the
-- parameters that have no column; whether the messages were rendered, the tools and the form of the answer.
ALTER TABLE executions ADD COLUMN settings TEXT;
ALTER TABLE execution_inputs ADD COLUMN request TEXT;
-- Whether the model refused; its words are the response.
ALTER TABLE executions ADD COLUMN refused INTEGER NOT NULL DEFAULT 0 CHECK (refused IN (0, 1));
-- The calls that the model asked for: a JSON array; NULL for none.
ALTER TABLE execution_outputs ADD COLUMN tool_calls TEXT;

-- What a model can do: a JSON object of booleans, NULL where nothing is known. A key that is not there is not known.
ALTER TABLE models ADD COLUMN capabilities TEXT;

-- Of the models that a new ledger begins with.
UPDATE models SET capabilities = '{"tools":true,"images":true,"schema":true,"reasoning":false,"sampling":true,"stop":true}'
WHERE provider = 'openai' AND model_name IN ('gpt-4o', 'gpt-4o-mini', 'gpt-4.1', 'gpt-4.1-mini', 'gpt-4.1-nano');
UPDATE models SET capabilities = '{"tools":true,"images":true,"schema":true,"reasoning":true,"sampling":false,"stop":false}'
WHERE provider = 'openai' AND model_name IN ('gpt-5', 'gpt-5-mini', 'gpt-5-nano', 'o1', 'o3', 'o4-mini');
UPDATE models SET capabilities = '{"tools":true,"images":false,"schema":true,"reasoning":true,"sampling":false,"stop":false}'
WHERE provider = 'openai' AND model_name IN ('o3-mini');
UPDATE models SET capabilities = '{"tools":true,"images":true,"schema":true,"reasoning":true}'
WHERE provider = 'openai' AND model_name IN ('gpt-5.1', 'gpt-5.2');
UPDATE models SET capabilities = '{"tools":true,"images":true,"schema":true,"reasoning":true,"tools_need_effort_none":true}'
WHERE provider = 'openai' AND model_name IN ('gpt-5.4', 'gpt-5.4-mini', 'gpt-5.4-nano', 'gpt-5.5', 'gpt-5.6-terra', 'gpt-5.6-luna');
UPDATE models SET capabilities = '{"tools":true,"images":true,"schema":false,"reasoning":false,"sampling":true,"stop":true}'
WHERE provider = 'anthropic' AND model_name IN ('claude-opus-4-0', 'claude-sonnet-4-0');
UPDATE models SET capabilities = '{"tools":true,"images":true,"reasoning":false,"sampling":true,"stop":true}'
WHERE provider = 'anthropic' AND model_name IN ('claude-opus-4-1');
UPDATE models SET capabilities = '{"tools":true,"images":true,"schema":true,"reasoning":false,"sampling":true,"stop":true}'
WHERE provider = 'anthropic' AND model_name IN ('claude-opus-4-5', 'claude-sonnet-4-5', 'claude-haiku-4-5');
UPDATE models SET capabilities = '{"tools":true,"images":true,"schema":true,"reasoning":true,"sampling":true,"stop":true}'
WHERE provider = 'anthropic' AND model_name IN ('claude-opus-4-6', 'claude-sonnet-4-6');
UPDATE models SET capabilities = '{"tools":true,"images":true,"schema":true,"reasoning":true,"sampling":false,"stop":true}'
WHERE provider = 'anthropic' AND model_name IN ('claude-opus-4-7', 'claude-opus-4-8', 'claude-opus-5', 'claude-opus-5-5', 'claude-sonnet-5', 'claude-sonnet-5-5', 'claude-fable-5', 'claude-fable-5-1');
UPDATE revisions SET revision = revision + 1 WHERE scope = 'models';

-- The prompt's own labels: a JSON object, by label the number of the version that it points at, when it was set
-- (microseconds since 1970) and by whom. NULL for none.
ALTER TABLE prompts ADD COLUMN labels TEXT;
-- The label that selected the version, as it was sent; NULL for none.
ALTER TABLE executions ADD COLUMN label TEXT;

-- What each write changed of a prompt, from this migration on.
CREATE TABLE prompt_changes (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE RESTRICT,
    -- The project's revision that the write made, and the place among its changes, from 1.
    revision INTEGER NOT NULL,
    position INTEGER NOT NULL,
    prompt_name TEXT NOT NULL,
    -- An open list: `created`, `version_created`, `activated`, `status`, `label_set`, `label_removed`, `metadata`,
    -- `archived`, `unarchived`, `mode_migrated`.
    kind TEXT NOT NULL,
    -- NULL where it is about no version.
    version_number INTEGER,
    -- Empty texts mean nothing.
    label TEXT NOT NULL,
    from_value TEXT NOT NULL,
    to_value TEXT NOT NULL,
    created_by TEXT NOT NULL,
    -- The key that asked: empty for that of the environment.
    key_id TEXT NOT NULL,
    key_name TEXT NOT NULL,
    note TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (project_id, revision, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX prompt_changes_prompt ON prompt_changes (project_id, prompt_name, revision, position);

-- The caller's metadata, to find executions by; only of those that have any. `executions.settings` has it too.
CREATE TABLE execution_metadata (
    execution_id TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    project_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    -- The execution's.
    created_at INTEGER NOT NULL,
    PRIMARY KEY (execution_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX execution_metadata_entry ON execution_metadata (project_id, key, value, created_at, execution_id);
