DROP INDEX execution_events_at;

DELETE FROM schema_compatibility WHERE version = 2;
