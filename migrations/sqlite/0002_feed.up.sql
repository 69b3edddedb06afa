-- Live feeds walk events by time.
CREATE INDEX execution_events_at ON execution_events (at);

INSERT INTO schema_compatibility (version, compatible_from) VALUES (2, 1);
