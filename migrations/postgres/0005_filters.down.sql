CREATE INDEX executions_prompt ON executions (prompt_id, created_at DESC);
CREATE INDEX executions_version ON executions (version_id, created_at DESC);
CREATE INDEX executions_status ON executions (status, created_at DESC) WHERE status <> 'succeeded';

DROP INDEX executions_error;
DROP INDEX executions_label;
DROP INDEX executions_model;
DROP INDEX executions_environment;
DROP INDEX executions_ended_version;
DROP INDEX executions_ended_prompt;
DROP INDEX executions_ended;
DROP INDEX executions_live;

DELETE FROM schema_compatibility WHERE version = 5;
