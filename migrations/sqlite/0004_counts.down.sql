DROP TRIGGER executions_uncounted;
DROP TRIGGER executions_counted;
DROP TABLE version_executions;
DELETE FROM schema_compatibility WHERE version = 4;
