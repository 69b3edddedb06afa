ALTER TABLE executions DROP COLUMN trace;

DELETE FROM schema_compatibility WHERE version = 9;
