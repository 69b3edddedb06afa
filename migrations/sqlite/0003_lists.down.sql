DROP INDEX executions_version;
DROP INDEX executions_prompt;
DROP INDEX executions_environment;
DROP INDEX executions_ended;
DROP INDEX executions_live_prompt;
DROP INDEX executions_live;

ALTER TABLE executions DROP COLUMN version_environment;
DROP TABLE version_environments;

CREATE INDEX executions_prompt ON executions (prompt_id, created_at DESC);
CREATE INDEX executions_version ON executions (version_id, created_at DESC);
CREATE INDEX executions_status ON executions (status, created_at DESC) WHERE status <> 'succeeded';

DELETE FROM schema_compatibility WHERE version = 3;
