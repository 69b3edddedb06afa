-- Lists by what executions were recorded with: an index for each filter that few executions match. And every index of
-- executions in the order of time from the earliest on, which is walked backwards: what is recorded is then entered at the end
-- of its part. At its beginning SQLite splits or rearranges pages with nearly every entry: two pages to write instead of one.

INSERT INTO schema_compatibility (version, compatible_from) VALUES (7, 3);

DROP INDEX executions_project;
DROP INDEX executions_correlation;
DROP INDEX executions_live;
DROP INDEX executions_live_prompt;
DROP INDEX executions_ended;
DROP INDEX executions_environment;
DROP INDEX executions_prompt;
DROP INDEX executions_version;

CREATE INDEX executions_project ON executions (project_id, created_at);
CREATE INDEX executions_correlation ON executions (correlation_id, created_at) WHERE correlation_id IS NOT NULL;
CREATE INDEX executions_live ON executions (status, project_id, created_at) WHERE completed_at IS NULL;
CREATE INDEX executions_live_prompt ON executions (prompt_id, status, created_at) WHERE completed_at IS NULL;
-- By mode too.
CREATE INDEX executions_ended ON executions (project_id, status, mode, created_at) WHERE completed_at IS NOT NULL;
CREATE INDEX executions_environment ON executions (project_id, environment, status, created_at)
    WHERE completed_at IS NOT NULL AND environment <> '';
CREATE INDEX executions_prompt ON executions (prompt_id, status, created_at) WHERE completed_at IS NOT NULL;
CREATE INDEX executions_version ON executions (version_environment, status, created_at) WHERE completed_at IS NOT NULL;

CREATE INDEX executions_model ON executions (project_id, provider, model_name, created_at);
-- Only of those that have one: the others pay nothing.
CREATE INDEX executions_label ON executions (project_id, label, created_at) WHERE label IS NOT NULL;
CREATE INDEX executions_error ON executions (project_id, error_type, created_at) WHERE error_type IS NOT NULL;
