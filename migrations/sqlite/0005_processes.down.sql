DROP INDEX executions_due;
CREATE INDEX executions_due ON executions (available_at) WHERE status = 'queued';

DROP TABLE processes;

DELETE FROM schema_compatibility WHERE version = 5;
