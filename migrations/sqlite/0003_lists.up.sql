-- Lists of executions: an index for every filter, so that none reads many rows more than it returns.

INSERT INTO schema_compatibility (version, compatible_from) VALUES (3, 3);

DROP INDEX executions_prompt;
DROP INDEX executions_version;
DROP INDEX executions_status;

-- What lists find executions by, in one number, so that one index of few pages serves version, environment and both.
CREATE TABLE version_environments (
    id          INTEGER NOT NULL PRIMARY KEY,
    prompt_id   TEXT    NOT NULL,
    version_id  TEXT    NOT NULL REFERENCES prompt_versions (id) ON DELETE CASCADE,
    environment TEXT    NOT NULL,
    UNIQUE (prompt_id, version_id, environment)
) STRICT;

ALTER TABLE executions ADD COLUMN version_environment INTEGER;

INSERT INTO version_environments (prompt_id, version_id, environment)
SELECT DISTINCT prompt_id, version_id, environment FROM executions;

UPDATE executions SET version_environment = (
    SELECT w.id FROM version_environments w
    WHERE w.prompt_id = executions.prompt_id AND w.version_id = executions.version_id
        AND w.environment = executions.environment);

-- Queued and running ones. There are few at a time, so that recording and ending write the same few pages again.
CREATE INDEX executions_live ON executions (status, project_id, created_at DESC) WHERE completed_at IS NULL;
CREATE INDEX executions_live_prompt ON executions (prompt_id, status, created_at DESC) WHERE completed_at IS NULL;

-- The others are entered once, when they end.
CREATE INDEX executions_ended ON executions (project_id, status, created_at DESC) WHERE completed_at IS NOT NULL;
CREATE INDEX executions_environment ON executions (project_id, environment, status, created_at DESC)
    WHERE completed_at IS NOT NULL AND environment <> '';
CREATE INDEX executions_prompt ON executions (prompt_id, status, created_at DESC) WHERE completed_at IS NOT NULL;
CREATE INDEX executions_version ON executions (version_environment, status, created_at DESC)
    WHERE completed_at IS NOT NULL;
