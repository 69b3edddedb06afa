DROP TABLE execution_metadata;
DROP TABLE prompt_changes;
ALTER TABLE executions DROP COLUMN label;
ALTER TABLE prompts DROP COLUMN labels;
ALTER TABLE models DROP COLUMN capabilities;
ALTER TABLE execution_outputs DROP COLUMN tool_calls;
ALTER TABLE executions DROP COLUMN refused;
ALTER TABLE execution_inputs DROP COLUMN request;
ALTER TABLE executions DROP COLUMN settings;
ALTER TABLE prompt_versions DROP COLUMN note;
ALTER TABLE prompt_versions DROP COLUMN content;

UPDATE revisions SET revision = revision + 1 WHERE scope = 'models';

DELETE FROM schema_compatibility WHERE version = 6;
