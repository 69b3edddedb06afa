DROP INDEX prompts_revision;

DELETE FROM schema_compatibility WHERE version = 11;
