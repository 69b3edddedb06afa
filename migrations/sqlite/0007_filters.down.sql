DROP INDEX executions_error;
DROP INDEX executions_label;
DROP INDEX executions_model;
DROP INDEX executions_version;
DROP INDEX executions_prompt;
DROP INDEX executions_environment;
DROP INDEX executions_ended;
DROP INDEX executions_live_prompt;
DROP INDEX executions_live;
DROP INDEX executions_correlation;
DROP INDEX executions_project;

CREATE INDEX executions_project ON executions (project_id, created_at DESC);
CREATE INDEX executions_correlation ON executions (correlation_id, created_at DESC) WHERE correlation_id IS NOT NULL;
CREATE INDEX executions_live ON executions (status, project_id, created_at DESC) WHERE completed_at IS NULL;
CREATE INDEX executions_live_prompt ON executions (prompt_id, status, created_at DESC) WHERE completed_at IS NULL;
CREATE INDEX executions_ended ON executions (project_id, status, created_at DESC) WHERE completed_at IS NOT NULL;
CREATE INDEX executions_environment ON executions (project_id, environment, status, created_at DESC)
    WHERE completed_at IS NOT NULL AND environment <> '';
CREATE INDEX executions_prompt ON executions (prompt_id, status, created_at DESC) WHERE completed_at IS NOT NULL;
CREATE INDEX executions_version ON executions (version_environment, status, created_at DESC)
    WHERE completed_at IS NOT NULL;

DELETE FROM schema_compatibility WHERE version = 7;
