ALTER TABLE models DROP COLUMN discovered;

DELETE FROM schema_compatibility WHERE version = 5;
